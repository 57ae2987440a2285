//! The policies' names, dimensions and numbers.

use crate::boundary::POLICIES;
use crate::error::{Error, ErrorKind, Result, shown};
use smallvec::SmallVec;

/// Something of each policy, or of some: without memory of its own.
pub type OfPolicies<T> = SmallVec<[T; PolicyName::ALL.len()]>;

/// A policy. The discriminant is its number at the boundary and its place in a user's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PolicyName {
    /// `LinUCB` over five features: Li, Chu, Langford, Schapire: "A contextual-bandit approach to personalized news article
    /// recommendation", WWW 2010, algorithm 1, with one model for all candidates.
    LinUcbV1 = 0,
    /// ε-greedy over seven features.
    EGreedyV1 = 1,
    /// ε-greedy over twelve features, five of them the user's profile.
    EGreedyV2 = 2,
}

impl<'de> serde::Deserialize<'de> for PolicyName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse("policy", &name).map_err(|e| serde::de::Error::custom(e.message()))
    }
}

impl PolicyName {
    /// All policies, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::LinUcbV1, Self::EGreedyV1, Self::EGreedyV2];

    /// The name in the API, the logs and the state files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        POLICIES[self as usize]
    }

    /// d, the number of features.
    #[must_use]
    pub const fn dimension(self) -> usize {
        match self {
            Self::LinUcbV1 => 5,
            Self::EGreedyV1 => 7,
            Self::EGreedyV2 => 12,
        }
    }

    /// Whether it draws at random with probability ε.
    #[must_use]
    pub const fn explores_by_chance(self) -> bool {
        !matches!(self, Self::LinUcbV1)
    }

    /// The probability with which it draws uniformly.
    #[must_use]
    pub const fn epsilon(self) -> f64 {
        if self.explores_by_chance() { super::choice::EPSILON } else { 0.0 }
    }

    /// The policy with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The policy with this name; `path` says where the name stood.
    ///
    /// # Errors
    /// `ERR_UNKNOWN_POLICY`, naming the known ones.
    pub fn parse(path: &str, name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::new(ErrorKind::UnknownPolicy, format!("{path}: no policy {}; known: {known}", shown(name)))
        })
    }
}

impl serde::Serialize for PolicyName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_one_to_one() {
        for (i, policy) in (0u8..).zip(PolicyName::ALL) {
            assert_eq!(policy as u8, i);
            assert_eq!(PolicyName::from_number(i), Some(policy));
            assert_eq!(PolicyName::parse("policy", policy.as_str()).ok(), Some(policy));
        }
        assert_eq!(PolicyName::from_number(3), None);
        assert!(PolicyName::parse("policy", "thompson").is_err());
    }
}
