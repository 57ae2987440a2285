//! What was folded for requests that come again: within an hour, and until the user reacts, the same user's requests fold to the same
//! numbers.

use super::folded::Folded;
use super::name::PolicyName;
use crate::feature::{Moment, Profile};

/// How many are remembered: all hours and days of one user.
const PLACES: usize = 256;

/// What a request is folded from, as far as the policy looks at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldKey<'p> {
    /// A number that what the user's policies know had at no other time, and no other user's ever.
    revision: u64,
    /// Policy, day and hour, each a byte.
    request: u32,
    profile: Option<&'p Profile>,
}

impl<'p> FoldKey<'p> {
    /// What a request of the user with this revision is folded from.
    #[inline]
    #[must_use]
    pub const fn new(revision: u64, policy: PolicyName, moment: Moment, profile: Option<&'p Profile>) -> Self {
        let (day, profile) = match policy {
            PolicyName::LinUcbV1 => (0, None),
            PolicyName::EGreedyV1 => (moment.day, None),
            PolicyName::EGreedyV2 => (moment.day, profile),
        };
        Self { revision, request: u32::from_le_bytes([moment.hour, day, policy as u8, 0]), profile }
    }

    /// Users are scattered (Knuth's multiplicative hashing); one user's moments stand side by side.
    #[inline]
    const fn place(&self) -> usize {
        let [hour, day, policy, _] = self.request.to_le_bytes();
        let [.., scattered] = self.revision.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        (scattered as usize + 7 * hour as usize + day as usize + 85 * policy as usize) % PLACES
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    revision: u64,
    request: u32,
    profile: Option<Profile>,
    folded: Folded,
}

/// Each request has one place, where the last one that was folded stays.
#[derive(Debug, Clone, Default)]
pub struct FoldCache {
    places: Vec<Option<Place>>,
}

impl FoldCache {
    /// What a request folds to, where it was folded before.
    #[inline]
    #[must_use]
    pub fn get(&self, key: &FoldKey<'_>) -> Option<&Folded> {
        let place = self.places.get(key.place())?.as_ref()?;
        let is_it = (place.revision, place.request) == (key.revision, key.request) && place.profile.as_ref() == key.profile;
        is_it.then_some(&place.folded)
    }

    /// Remembers what a request folds to.
    #[inline]
    pub fn put(&mut self, key: &FoldKey<'_>, folded: Folded) -> &Folded {
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let (revision, request, profile) = (key.revision, key.request, key.profile.copied());
        &self.places[key.place()].insert(Place { revision, request, profile, folded }).folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::EGreedyRidge;

    #[test]
    fn what_was_put_comes_back_for_the_same_request_only() {
        let profile = |rate| Profile { completion_rate: Some(rate), ..Profile::default() };
        let (mut cache, at) = (FoldCache::default(), |hour, day| Moment { hour, day });
        let folded = Folded::egreedy(&EGreedyRidge::new(), at(1, 2), &Profile::default());
        let given = profile(0.5);
        let put = FoldKey::new(7, PolicyName::EGreedyV2, at(1, 2), Some(&given));
        assert!(cache.get(&put).is_none());
        cache.put(&put, folded);
        assert!(cache.get(&put).is_some());
        let (same, other) = (profile(0.5), profile(0.25));
        assert!(cache.get(&FoldKey::new(7, PolicyName::EGreedyV2, at(1, 2), Some(&same))).is_some());
        let others = [
            FoldKey::new(8, PolicyName::EGreedyV2, at(1, 2), Some(&same)),
            FoldKey::new(7, PolicyName::EGreedyV1, at(1, 2), Some(&same)),
            FoldKey::new(7, PolicyName::EGreedyV2, at(2, 2), Some(&same)),
            FoldKey::new(7, PolicyName::EGreedyV2, at(1, 3), Some(&same)),
            FoldKey::new(7, PolicyName::EGreedyV2, at(1, 2), Some(&other)),
            FoldKey::new(7, PolicyName::EGreedyV2, at(1, 2), None),
        ];
        assert!(others.iter().all(|key| cache.get(key).is_none()));
    }

    #[test]
    fn what_a_policy_does_not_look_at_makes_no_difference() {
        let (profile, at) = (Profile { tip_volume: Some(3.0), ..Profile::default() }, |day| Moment { hour: 5, day });
        let key = |policy, day, profile| FoldKey::new(1, policy, at(day), profile);
        assert_eq!(key(PolicyName::LinUcbV1, 1, Some(&profile)), key(PolicyName::LinUcbV1, 2, None));
        assert_eq!(key(PolicyName::EGreedyV1, 1, Some(&profile)), key(PolicyName::EGreedyV1, 1, None));
    }

    #[test]
    fn one_user_has_room_for_every_hour_of_every_day() {
        let mut cache = FoldCache::default();
        let folded = Folded::egreedy(&EGreedyRidge::new(), Moment::default(), &Profile::default());
        let moments = || (0..24).flat_map(|hour| (0..7).map(move |day| Moment { hour, day }));
        for moment in moments() {
            cache.put(&FoldKey::new(9, PolicyName::EGreedyV1, moment, None), folded);
        }
        assert!(moments().all(|moment| cache.get(&FoldKey::new(9, PolicyName::EGreedyV1, moment, None)).is_some()));
    }
}
