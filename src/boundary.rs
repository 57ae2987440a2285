//! What crosses the boundary between JavaScript and Rust: words, bits, limits and names.
//! Generated from `src/boundary.json` by `scripts/boundary.mjs`; do not edit.

/// Words about the whole call, at the beginning of the frame.
pub mod control {
    /// The engine that is called.
    pub const CHANNEL: usize = 0;
    /// Where the first request stands.
    pub const START: usize = 1;
    /// How many requests there are.
    pub const COUNT: usize = 2;
    /// Answer: how the call went.
    pub const STATUS: usize = 3;
    /// How many words there are.
    pub const WORDS: usize = 4;
}

/// Words of a request, before its lanes and its mask. A reward has neither.
pub mod request {
    /// The user's number in the channel.
    pub const USER: usize = 0;
    /// Bits, see `meta`.
    pub const META: usize = 1;
    /// How many there are.
    pub const CANDIDATES: usize = 2;
    /// A prepared set's number, 0 where the lanes follow, −1 where lanes and mask were removed after the choice was made.
    pub const SET: usize = 3;
    /// Answer: the chosen candidate's place.
    pub const INDEX: usize = 4;
    /// Answer: bits, see `choice`.
    pub const CHOICE: usize = 5;
    /// Answer: its score.
    pub const SCORE: usize = 6;
    /// Answer: the probability with which it was chosen.
    pub const PROPENSITY: usize = 7;
    /// Five numbers, NaN is "not known".
    pub const PROFILE: usize = 8;
    /// Answer, and of a reward the tip's: whether the task is overdue, 0 or 1.
    pub const OVERDUE: usize = 13;
    /// Answer, and of a reward the tip's: the task's age in days.
    pub const AGE: usize = 14;
    /// Answer, and of a reward the tip's: 1 to 4.
    pub const PRIORITY: usize = 15;
    /// How many words there are.
    pub const WORDS: usize = 16;
}

/// The word of a reward that a request does not have; the others are those of a request, without the answers.
pub mod reward {
    /// What the tip earned.
    pub const REWARD: usize = 7;
    /// How many words there are.
    pub const WORDS: usize = 1;
}

/// Words behind a request for a decision and its lanes.
pub mod asked {
    /// The share of calls that choose uniformly, 0 to 1.
    pub const HOLDOUT: usize = 0;
    /// Bits, see `asked_flags`.
    pub const FLAGS: usize = 1;
    /// A word for each candidate, bits, see `mark`.
    pub const MARKS: usize = 2;
    /// How many words there are.
    pub const WORDS: usize = 3;
}

/// Words of a reaction to a decision, in a request's place.
pub mod reaction {
    /// Of the decision's id.
    pub const EPOCH: usize = 0;
    /// Of the decision's id.
    pub const N: usize = 1;
    /// What the reaction is worth.
    pub const REWARD: usize = 2;
    /// When the person reacted, in milliseconds since 1970; NaN: now.
    pub const AT: usize = 3;
    /// The place of its name among the actions, −1 where it has none.
    pub const ACTION: usize = 4;
    /// Answer: bits, see `reaction_flags`.
    pub const FLAGS: usize = 5;
    /// Whether a text says whose decision it has to be, 0 or 1.
    pub const OF_USER: usize = 6;
    /// How many words there are.
    pub const WORDS: usize = 7;
}

/// Words of a decision's answer, behind the request's words. Choices follow, the decider's first.
pub mod decision {
    /// Of the decision's id.
    pub const EPOCH: usize = 0;
    /// Of the decision's id.
    pub const N: usize = 1;
    /// The place of the candidate that is shown.
    pub const INDEX: usize = 2;
    /// Its score.
    pub const SCORE: usize = 3;
    /// The probability with which it is shown.
    pub const PROPENSITY: usize = 4;
    /// Bits, see `decision_flags`.
    pub const FLAGS: usize = 5;
    /// How many choices follow.
    pub const COUNT: usize = 6;
    /// How many words there are.
    pub const WORDS: usize = 7;
}

/// Words of each choice in a decision's answer, and of that in a request's.
pub mod chosen {
    /// The candidate's place.
    pub const INDEX: usize = 0;
    /// Bits, see `choice`.
    pub const CHOICE: usize = 1;
    /// Its score.
    pub const SCORE: usize = 2;
    /// The probability with which this policy chose it.
    pub const PROPENSITY: usize = 3;
    /// How many words there are.
    pub const WORDS: usize = 4;
}

/// Bits of META.
pub mod meta {
    /// The number of the policy that the caller named.
    pub const POLICY: u32 = 0;
    /// The largest value of `POLICY`.
    pub const POLICY_MASK: u32 = 7;
    /// The caller named one; else the active one is meant.
    pub const NAMES_POLICY: u32 = 1 << 3;
    /// 0 to 23.
    pub const HOUR: u32 = 4;
    /// The largest value of `HOUR`.
    pub const HOUR_MASK: u32 = 31;
    /// 0 to 6.
    pub const DAY: u32 = 9;
    /// The largest value of `DAY`.
    pub const DAY_MASK: u32 = 7;
    /// The words of PROFILE hold one.
    pub const HAS_PROFILE: u32 = 1 << 12;
    /// A text says when the profile was computed.
    pub const HAS_COMPUTED_AT: u32 = 1 << 13;
    /// A text says which prompt wrote the chosen candidate.
    pub const HAS_PROMPT_VERSION: u32 = 1 << 14;
    /// How many candidates the mask of a choice allows; 0 where there is no mask, or it allows all.
    pub const ALLOWED: u32 = 15;
    /// The largest value of `ALLOWED`.
    pub const ALLOWED_MASK: u32 = 131_071;
}

/// Bits of CHOICE.
pub mod choice {
    /// Chance chose it.
    pub const EXPLORING: u32 = 1 << 0;
    /// The number of the policy that chose it.
    pub const POLICY: u32 = 1;
    /// The largest value of `POLICY`.
    pub const POLICY_MASK: u32 = 7;
}

/// Bits of what is asked of a decision.
pub mod asked_flags {
    /// Say what the score is made of.
    pub const EXPLAIN: u32 = 1 << 0;
    /// Not all candidates may be shown.
    pub const HAS_MASK: u32 = 1 << 1;
    /// The candidates' ids cross as one text.
    pub const IDS_ARE_ONE_TEXT: u32 = 1 << 2;
}

/// Bits of a candidate's mark.
pub mod mark {
    /// UTF-16 units of its id.
    pub const ID_LENGTH: u32 = 0;
    /// The largest value of `ID_LENGTH`.
    pub const ID_LENGTH_MASK: u32 = 65_535;
    /// It may be shown.
    pub const ELIGIBLE: u32 = 1 << 16;
}

/// Bits of what became of a reaction.
pub mod reaction_flags {
    /// Policies learned from it.
    pub const APPLIED: u32 = 1 << 0;
    /// It replaced an earlier one.
    pub const REVISION: u32 = 1 << 1;
    /// A bit for each policy that learned, in the order of their numbers.
    pub const POLICIES: u32 = 2;
    /// The largest value of `POLICIES`.
    pub const POLICIES_MASK: u32 = 65_535;
}

/// Bits of a decision's answer.
pub mod decision_flags {
    /// The choice was uniform.
    pub const HELD_OUT: u32 = 1 << 0;
    /// Why this policy decided, a place among the assignments.
    pub const ASSIGNED: u32 = 1;
    /// The largest value of `ASSIGNED`.
    pub const ASSIGNED_MASK: u32 = 3;
}

/// Another description of the boundary has another number.
pub const LAYOUT: u32 = 511_102_688;

/// Lanes are padded to a multiple of as many candidates.
pub const LANE_CHUNK: usize = 8;

/// The longest id of a user or a candidate, in UTF-16 units.
pub const LONGEST_ID: usize = 512;

/// The longest text that is logged beside ids, in UTF-16 units.
pub const LONGEST_TEXT: usize = 128;

/// The most candidates of a request.
pub const LARGEST_CANDIDATES: usize = 100_000;

/// The most requests of a `scoreMany()`.
pub const LARGEST_MANY: usize = 10_000;

/// The most candidates of a decision: each stands in the log.
pub const LARGEST_DECISION: usize = 1_000;

/// The most texts that one call carries.
pub const MOST_TEXTS: usize = 60;

/// Candidates in a word of the mask of a choice.
pub const MASK_BITS: usize = 32;

/// How a call went, by number.
pub const STATUSES: [&str; 2] = ["done", "failed"];

/// The policies, by number.
pub const POLICIES: [&str; 3] = ["linucb-v1", "egreedy-v1", "egreedy-v2"];

/// What can be done with a tip, by number.
pub const ACTIONS: [&str; 5] = ["done", "helpful", "snooze", "not_helpful", "dismiss"];

/// Why a policy decided, by number.
pub const ASSIGNMENTS: [&str; 4] = ["user", "share", "registry", "default"];

/// The codes of errors.
pub const ERROR_CODES: [&str; 17] = [
    "ERR_INVALID_ARGUMENT",
    "ERR_NO_CANDIDATES",
    "ERR_UNKNOWN_POLICY",
    "ERR_STATE_LOCKED",
    "ERR_STATE_CORRUPT",
    "ERR_STATE_IO",
    "ERR_BACKPRESSURE",
    "ERR_UNKNOWN_DECISION",
    "ERR_INSUFFICIENT_DATA",
    "ERR_UNKNOWN_PROMPT_VERSION",
    "ERR_LLM_UNREACHABLE",
    "ERR_LLM_STATUS",
    "ERR_LLM_INVALID_REPLY",
    "ERR_NATS_UNREACHABLE",
    "ERR_CLOSED",
    "ERR_UNSUPPORTED",
    "ERR_INTERNAL",
];

/// The reasons of `ERR_UNKNOWN_DECISION`.
pub const ERROR_REASONS: [&str; 5] = ["invalid", "expired", "reset", "superseded", "otherUser"];
