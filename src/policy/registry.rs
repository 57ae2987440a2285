//! Which policy decides for whom, and which ones run beside it. Pure: where that is kept is in `state`.

use super::name::PolicyName;
use crate::boundary::ASSIGNMENTS;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a policy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Its choice is shown.
    Active,
    /// It chooses and learns, and is not shown.
    Shadow,
    /// It does neither.
    Off,
    /// As if nobody had said anything.
    Default,
}

/// A share of the users for whom a policy decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Which policy.
    pub policy: PolicyName,
    /// Of all users, 0 to 1.
    pub share: f64,
    /// Users are dealt out anew under another salt; under the same one shares do not overlap.
    pub salt: String,
}

/// A change to the registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What the policy is to do.
    pub mode: Mode,
    /// For a share of the users.
    pub share: Option<f64>,
    /// See [`Share`].
    pub salt: Option<String>,
    /// For one user.
    pub user_id: Option<String>,
}

/// Why a policy decides for a user. The discriminant is its number at the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Assignment {
    /// It is the user's own.
    User = 0,
    /// The user is in its share.
    Share = 1,
    /// Operators made it the active one.
    Registry = 2,
    /// Options or environment did, or nobody.
    Default = 3,
}

impl Assignment {
    /// The name in the API and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        ASSIGNMENTS[self as usize]
    }
}

/// What operators have decided; what they have not is as options and environment say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyRegistry {
    active: Option<PolicyName>,
    off: Vec<PolicyName>,
    shares: Vec<Share>,
    users: BTreeMap<String, PolicyName>,
}

/// Shares that people write sum to 1, give or take.
const ROUNDING: f64 = 1e-9;
/// So many users can have a policy of their own.
const MOST_USERS: usize = 10_000;

impl PolicyRegistry {
    /// The active policy; `default` where nobody has said otherwise.
    #[must_use]
    pub fn active(&self, default: PolicyName) -> PolicyName {
        self.active.unwrap_or(default)
    }

    /// Whether operators have chosen the active policy.
    #[must_use]
    pub const fn has_active(&self) -> bool {
        self.active.is_some()
    }

    /// What a policy does.
    #[must_use]
    pub fn mode(&self, policy: PolicyName, default: PolicyName) -> Mode {
        if policy == self.active(default) {
            Mode::Active
        } else if self.off.contains(&policy) {
            Mode::Off
        } else {
            Mode::Shadow
        }
    }

    /// The share of users for whom it decides.
    #[must_use]
    pub fn share(&self, policy: PolicyName) -> Option<&Share> {
        self.shares.iter().find(|share| share.policy == policy)
    }

    /// The users for whom it decides.
    pub fn users(&self, policy: PolicyName) -> impl Iterator<Item = &str> {
        self.users.iter().filter(move |(_, of)| **of == policy).map(|(user_id, _)| user_id.as_str())
    }

    /// The policy that decides for a user, and why it is that one.
    #[must_use]
    pub fn assigned(&self, user_id: &str, default: PolicyName) -> (PolicyName, Assignment) {
        if let Some(policy) = self.users.get(user_id) {
            return (*policy, Assignment::User);
        }
        let mut taken: BTreeMap<&str, f64> = BTreeMap::new();
        for Share { policy, share, salt } in &self.shares {
            let before = taken.entry(salt).or_default();
            let place = place(salt, user_id);
            if (*before..*before + share).contains(&place) {
                return (*policy, Assignment::Share);
            }
            *before += share;
        }
        (self.active(default), if self.has_active() { Assignment::Registry } else { Assignment::Default })
    }

    /// The registry after a change.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`.
    pub fn changed(&self, policy: PolicyName, change: &Change, default: PolicyName) -> Result<Self> {
        let mut next = self.clone();
        let Change { mode, share, salt, user_id } = change;
        if share.is_some() && (user_id.is_some() || *mode != Mode::Active) {
            return Err(Error::invalid("share", "goes with mode 'active' and without userId"));
        }
        match (user_id, share, mode) {
            (Some(user_id), _, Mode::Active) => {
                if next.users.len() >= MOST_USERS && !next.users.contains_key(user_id) {
                    return Err(Error::invalid("userId", format_args!("{MOST_USERS} users have a policy of their own already")));
                }
                next.users.insert(user_id.clone(), policy);
                next.off.retain(|off| *off != policy);
            }
            (Some(user_id), _, Mode::Default) => next.users.retain(|other, of| other != user_id || *of != policy),
            (Some(_), ..) => return Err(Error::invalid("userId", "goes with mode 'active' or 'default'")),
            (None, Some(share), _) => {
                let salt = salt.clone().unwrap_or_default();
                let is_other = |other: &&Share| other.policy != policy && other.salt == salt;
                let others: f64 = next.shares.iter().filter(is_other).map(|other| other.share).sum();
                if !(0.0..=1.0).contains(share) || others + share > 1.0 + ROUNDING {
                    let problem = format_args!(
                        "must be from 0 to {} (other policies have the rest under this salt), got {share}",
                        1.0 - others
                    );
                    return Err(Error::invalid("share", problem));
                }
                // In its place: users who are in other shares stay there as far as that goes.
                let place = next.shares.iter().position(|other| other.policy == policy);
                match (place, *share > 0.0) {
                    (Some(place), true) => next.shares[place] = Share { policy, share: *share, salt },
                    (None, true) => next.shares.push(Share { policy, share: *share, salt }),
                    (_, false) => next.shares.retain(|other| other.policy != policy),
                }
                if *share > 0.0 {
                    next.off.retain(|off| *off != policy);
                }
            }
            (None, None, Mode::Active) => {
                // The former one becomes a shadow, also where options had made it active over an `off`.
                let former = self.active(default);
                next.active = Some(policy);
                next.off.retain(|off| *off != policy && *off != former);
            }
            (None, None, Mode::Shadow | Mode::Off) => {
                if policy == self.active(default) {
                    return Err(Error::invalid(
                        "mode",
                        format_args!("{} is the active policy: make another one active first", policy.as_str()),
                    ));
                }
                next.forget(policy);
                if *mode == Mode::Off {
                    next.off.push(policy);
                }
            }
            (None, None, Mode::Default) => {
                next.forget(policy);
                if next.active == Some(policy) {
                    next.active = None;
                }
                // Whatever is active now is not off.
                next.off.retain(|off| *off != next.active.unwrap_or(default));
            }
        }
        Ok(next)
    }

    fn forget(&mut self, policy: PolicyName) {
        self.off.retain(|off| *off != policy);
        self.shares.retain(|share| share.policy != policy);
        self.users.retain(|_, of| *of != policy);
    }

    /// Whether it could have come from [`PolicyRegistry::changed`], as far as numbers go.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.shares.iter().all(|share| {
            let sum: f64 = self.shares.iter().filter(|other| other.salt == share.salt).map(|other| other.share).sum();
            share.share > 0.0 && sum <= 1.0 + ROUNDING
        })
    }

    /// The registry without a user.
    #[must_use]
    pub fn without_user(&self, user_id: &str) -> Option<Self> {
        let mut next = self.clone();
        next.users.remove(user_id).map(|_| next)
    }
}

/// Where a user stands between 0 and 1, the same for ever under one salt.
#[allow(clippy::cast_precision_loss)] // 53 bits are what a double holds
fn place(salt: &str, user_id: &str) -> f64 {
    let mut hash = Sha256::new();
    hash.update((salt.len() as u64).to_le_bytes());
    hash.update(salt);
    hash.update(user_id);
    let digest = hash.finalize();
    let word = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
    (word >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use PolicyName::{EGreedyV1, EGreedyV2, LinUcbV1};

    fn change(mode: Mode) -> Change {
        Change { mode, share: None, salt: None, user_id: None }
    }

    fn share(of: f64, salt: &str) -> Change {
        Change { share: Some(of), salt: Some(salt.to_owned()), ..change(Mode::Active) }
    }

    #[test]
    fn one_is_active_and_the_others_are_shadows_unless_off() {
        let registry = PolicyRegistry::default();
        assert_eq!(PolicyName::ALL.map(|p| registry.mode(p, EGreedyV1)), [Mode::Shadow, Mode::Active, Mode::Shadow]);
        let registry = registry.changed(LinUcbV1, &change(Mode::Active), EGreedyV1).unwrap();
        let registry = registry.changed(EGreedyV2, &change(Mode::Off), EGreedyV1).unwrap();
        assert_eq!(PolicyName::ALL.map(|p| registry.mode(p, EGreedyV1)), [Mode::Active, Mode::Shadow, Mode::Off]);
        assert!(registry.changed(LinUcbV1, &change(Mode::Off), EGreedyV1).is_err());
        let back = registry.changed(LinUcbV1, &change(Mode::Default), EGreedyV1).unwrap();
        assert_eq!((back.active(EGreedyV1), back.has_active()), (EGreedyV1, false));
        assert_eq!(back.mode(EGreedyV2, EGreedyV1), Mode::Off);
        // What options had made active over an `off` becomes a shadow, too.
        let off = PolicyRegistry::default().changed(EGreedyV2, &change(Mode::Off), EGreedyV1).unwrap();
        let switched = off.changed(LinUcbV1, &change(Mode::Active), EGreedyV2).unwrap();
        assert_eq!(switched.mode(EGreedyV2, EGreedyV2), Mode::Shadow);
        // What is the default again cannot be off.
        assert_eq!(registry.changed(LinUcbV1, &change(Mode::Default), EGreedyV2).unwrap().mode(EGreedyV2, EGreedyV2), Mode::Active);
    }

    #[test]
    fn shares_are_sticky_sized_and_do_not_overlap_under_one_salt() {
        let registry = PolicyRegistry::default().changed(LinUcbV1, &share(0.3, "a"), EGreedyV1).unwrap();
        let registry = registry.changed(EGreedyV2, &share(0.5, "a"), EGreedyV1).unwrap();
        let mut counts = [0u32; 3];
        for i in 0..20_000 {
            let user = format!("user-{i}");
            let (policy, _) = registry.assigned(&user, EGreedyV1);
            assert_eq!(registry.assigned(&user, EGreedyV1).0, policy);
            counts[policy as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.3, 0.2, 0.5]) {
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.015, "{counts:?}");
        }
        assert!(registry.changed(EGreedyV1, &share(0.3, "a"), EGreedyV1).is_err());
        let thirds = [(LinUcbV1, 0.34), (EGreedyV1, 0.56), (EGreedyV2, 0.1)];
        let all = thirds
            .into_iter()
            .try_fold(PolicyRegistry::default(), |registry, (policy, of)| registry.changed(policy, &share(of, "b"), EGreedyV1));
        assert!(all.is_ok_and(|registry| registry.is_sound()));
        assert!(registry.changed(EGreedyV1, &share(f64::NAN, "b"), EGreedyV1).is_err());
        let without = registry.changed(LinUcbV1, &share(0.0, "a"), EGreedyV1).unwrap();
        assert!(without.share(LinUcbV1).is_none());
        let own = Change { user_id: Some("user-1".to_owned()), ..change(Mode::Active) };
        let registry = registry.changed(EGreedyV1, &own, EGreedyV1).unwrap();
        assert_eq!(registry.assigned("user-1", EGreedyV2), (EGreedyV1, Assignment::User));
        assert_eq!(registry.users(EGreedyV1).collect::<Vec<_>>(), ["user-1"]);
        assert!(registry.without_user("user-1").is_some() && registry.without_user("user-2").is_none());
    }
}
