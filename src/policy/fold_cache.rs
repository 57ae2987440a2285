//! What was folded for requests that come again: within an hour, and until the user reacts, the same user's requests fold to the same
//! numbers.

use super::folded::Folded;
use super::name::PolicyName;
use crate::feature::{Moment, Profile};

/// How many are remembered: all hours and days of one user.
const PLACES: usize = 256;

/// What a request is folded from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldKey {
    /// Of the user: a number that what its policies know had at no other time, and no other user's ever.
    pub revision: u64,
    /// Which policy.
    pub policy: PolicyName,
    /// The context.
    pub moment: Moment,
    /// The user's profile, where the policy looks at it.
    pub profile: Option<Profile>,
}

impl FoldKey {
    /// Without what the policy does not look at.
    #[inline]
    #[must_use]
    pub fn new(revision: u64, policy: PolicyName, moment: Moment, profile: Option<Profile>) -> Self {
        let (day, profile) = match policy {
            PolicyName::LinUcbV1 => (0, None),
            PolicyName::EGreedyV1 => (moment.day, None),
            PolicyName::EGreedyV2 => (moment.day, Some(profile.unwrap_or_default())),
        };
        Self { revision, policy, moment: Moment { hour: moment.hour, day }, profile }
    }

    /// Users are scattered (Knuth's multiplicative hashing); one user's moments stand side by side.
    #[inline]
    fn place(&self) -> usize {
        let moment = usize::from(self.moment.hour) * 7 + usize::from(self.moment.day);
        let [.., scattered] = self.revision.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        (usize::from(scattered) + moment + 85 * self.policy as usize) % PLACES
    }
}

/// Each request has one place, where the last one that was folded stays.
#[derive(Debug, Clone, Default)]
pub struct FoldCache {
    places: Vec<Option<(FoldKey, Folded)>>,
}

impl FoldCache {
    /// What a request folds to, where it was folded before.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &FoldKey) -> Option<&Folded> {
        self.places.get(key.place())?.as_ref().filter(|(of, _)| of == key).map(|(_, folded)| folded)
    }

    /// Remembers what a request folds to.
    #[inline]
    pub fn put(&mut self, key: FoldKey, folded: Folded) -> &Folded {
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let place = &mut self.places[key.place()];
        &place.insert((key, folded)).1
    }
}
