//! Reactions that are refused because of what they say, and how often: a queue that sends seconds for milliseconds has to be seen by those
//! who watch, not only by the caller that may drop what it is thrown.

use crate::clock::{CLOCK_SLACK_MS, format_millis, mistaken_unit};
use crate::error::{Error, ErrorKind, Reason, Result};
use parking_lot::Mutex;
use serde::Serialize;

/// How many were refused, by why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // documented where users read it: index.d.ts
pub struct RefusedReactions {
    pub reward: u64,
    pub at: u64,
    pub invalid: u64,
    pub expired: u64,
    pub reset: u64,
    pub superseded: u64,
    pub other_user: u64,
    pub last: Option<String>,
    #[serde(skip)]
    pub last_reward: Option<String>,
    #[serde(skip)]
    pub last_at: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals {
    refused: Mutex<RefusedReactions>,
}

impl Refusals {
    /// What was refused so far.
    pub fn report(&self) -> RefusedReactions {
        self.refused.lock().clone()
    }

    /// A reward is one that can be learned from.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, which is counted.
    #[inline]
    pub fn check_reward(&self, reward: f64, most: f64) -> Result<()> {
        // Not of NaN.
        if reward.abs() <= most { Ok(()) } else { Err(self.wrong_reward(reward, most)) }
    }

    #[cold]
    fn wrong_reward(&self, reward: f64, most: f64) -> Error {
        let error = Error::invalid("reward", format_args!("must be from -{most} to {most} (options.maxReward), got {reward:e}"));
        let mut refused = self.refused.lock();
        refused.reward += 1;
        refused.last_reward = Some(error.message().to_owned());
        refused.last = Some(error.message().to_owned());
        error
    }

    /// A reaction happened between its decision and now.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT`, which is counted.
    pub fn check_time(&self, at: u64, decided: u64, now: u64) -> Result<()> {
        let (earliest, latest) = (decided.saturating_sub(CLOCK_SLACK_MS), now.max(decided) + CLOCK_SLACK_MS);
        if (earliest..=latest).contains(&at) {
            return Ok(());
        }
        let mistake = mistaken_unit(at).unwrap_or(if at > latest {
            "it is after now. A clock that runs ahead, or a time zone left out?"
        } else {
            "it is before the decision. That of another decision, or a clock that runs behind?"
        });
        let [from, to, got] = [decided, now, at].map(format_millis);
        let problem =
            format_args!("must be from the decision ({from}) to now ({to}), five minutes either way, got {at} ({got}): {mistake}");
        let error = Error::invalid("at", problem);
        let mut refused = self.refused.lock();
        refused.at += 1;
        refused.last_at = Some(error.message().to_owned());
        refused.last = Some(error.message().to_owned());
        Err(error)
    }

    /// Counts a reaction to a decision that is not known.
    pub fn note<T>(&self, outcome: &Result<T>) {
        let Err(error) = outcome else { return };
        let (ErrorKind::UnknownDecision, Some(reason)) = (error.kind(), error.reason()) else { return };
        let mut refused = self.refused.lock();
        let count = match reason {
            Reason::Invalid => &mut refused.invalid,
            Reason::Expired => &mut refused.expired,
            Reason::Reset => &mut refused.reset,
            Reason::Superseded => &mut refused.superseded,
            Reason::OtherUser => &mut refused.other_user,
        };
        *count += 1;
        refused.last = Some(error.message().to_owned());
    }
}
