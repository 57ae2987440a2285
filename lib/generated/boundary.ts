// What crosses the boundary between JavaScript and Rust: words, bits, limits and names. Constants of `const enum`s stand in the code that uses
// them, as numbers.
// Generated from src/boundary.json by scripts/boundary.mjs; do not edit.

/* oxlint-disable typescript/no-duplicate-enum-values -- a place, a mask and a bit may be the same number */

/** Words about the whole call, at the beginning of the frame. */
export const enum Control {
  /** The engine that is called. */
  CHANNEL = 0,
  /** Where the first request stands. */
  START = 1,
  /** How many requests there are. */
  COUNT = 2,
  /** Answer: how the call went. */
  STATUS = 3,
  /** How many words there are. */
  WORDS = 4,
}

/** Words of a request, before its lanes and its mask. A reward has neither. */
export const enum Request {
  /** The user's number in the channel. */
  USER = 0,
  /** Bits, see `meta`. */
  META = 1,
  /** How many there are. */
  CANDIDATES = 2,
  /** A prepared set's number, 0 where the lanes follow, −1 where lanes and mask were removed after the choice was made. */
  SET = 3,
  /** Answer: the chosen candidate's place. */
  INDEX = 4,
  /** Answer: bits, see `choice`. */
  CHOICE = 5,
  /** Answer: its score. */
  SCORE = 6,
  /** Answer: the probability with which it was chosen. */
  PROPENSITY = 7,
  /** Five numbers, NaN is "not known". */
  PROFILE = 8,
  /** Answer, and of a reward the tip's: whether the task is overdue, 0 or 1. */
  OVERDUE = 13,
  /** Answer, and of a reward the tip's: the task's age in days. */
  AGE = 14,
  /** Answer, and of a reward the tip's: 1 to 4. */
  PRIORITY = 15,
  /** How many words there are. */
  WORDS = 16,
}

/** The word of a reward that a request does not have; the others are those of a request, without the answers. */
export const enum Reward {
  /** What the tip earned. */
  REWARD = 7,
  /** How many words there are. */
  WORDS = 1,
}

/** Words behind a request for a decision and its lanes. */
export const enum Asked {
  /** The share of calls that choose uniformly, 0 to 1. */
  HOLDOUT = 0,
  /** Bits, see `asked_flags`. */
  FLAGS = 1,
  /** A word for each candidate, bits, see `mark`. */
  MARKS = 2,
  /** How many words there are. */
  WORDS = 3,
}

/** Words of a reaction to a decision, in a request's place. */
export const enum Reaction {
  /** Of the decision's id. */
  EPOCH = 0,
  /** Of the decision's id. */
  N = 1,
  /** What the reaction is worth. */
  REWARD = 2,
  /** When the person reacted, in milliseconds since 1970; NaN: now. */
  AT = 3,
  /** The place of its name among the actions, −1 where it has none. */
  ACTION = 4,
  /** Answer: bits, see `reaction_flags`. */
  FLAGS = 5,
  /** Whether a text says whose decision it has to be, 0 or 1. */
  OF_USER = 6,
  /** How many words there are. */
  WORDS = 7,
}

/** Words of a decision's answer, behind the request's words. Choices follow, the decider's first. */
export const enum Decision {
  /** Of the decision's id. */
  EPOCH = 0,
  /** Of the decision's id. */
  N = 1,
  /** The place of the candidate that is shown. */
  INDEX = 2,
  /** Its score. */
  SCORE = 3,
  /** The probability with which it is shown. */
  PROPENSITY = 4,
  /** Bits, see `decision_flags`. */
  FLAGS = 5,
  /** How many choices follow. */
  COUNT = 6,
  /** How many words there are. */
  WORDS = 7,
}

/** Words of each choice in a decision's answer, and of that in a request's. */
export const enum Chosen {
  /** The candidate's place. */
  INDEX = 0,
  /** Bits, see `choice`. */
  CHOICE = 1,
  /** Its score. */
  SCORE = 2,
  /** The probability with which this policy chose it. */
  PROPENSITY = 3,
  /** How many words there are. */
  WORDS = 4,
}

/** Bits of META. */
export const enum Meta {
  /** The number of the policy that the caller named. */
  POLICY = 0,
  /** The largest value of POLICY. */
  POLICY_MASK = 7,
  /** The caller named one; else the active one is meant. */
  NAMES_POLICY = 1 << 3,
  /** 0 to 23. */
  HOUR = 4,
  /** The largest value of HOUR. */
  HOUR_MASK = 31,
  /** 0 to 6. */
  DAY = 9,
  /** The largest value of DAY. */
  DAY_MASK = 7,
  /** The words of PROFILE hold one. */
  HAS_PROFILE = 1 << 12,
  /** A text says when the profile was computed. */
  HAS_COMPUTED_AT = 1 << 13,
  /** A text says which prompt wrote the chosen candidate. */
  HAS_PROMPT_VERSION = 1 << 14,
  /** How many candidates the mask of a choice allows; 0 where there is no mask, or it allows all. */
  ALLOWED = 15,
  /** The largest value of ALLOWED. */
  ALLOWED_MASK = 131_071,
}

/** Bits of CHOICE. */
export const enum Choice {
  /** Chance chose it. */
  EXPLORING = 1 << 0,
  /** The number of the policy that chose it. */
  POLICY = 1,
  /** The largest value of POLICY. */
  POLICY_MASK = 7,
}

/** Bits of what is asked of a decision. */
export const enum AskedFlags {
  /** Say what the score is made of. */
  EXPLAIN = 1 << 0,
  /** Not all candidates may be shown. */
  HAS_MASK = 1 << 1,
  /** The candidates' ids cross as one text. */
  IDS_ARE_ONE_TEXT = 1 << 2,
}

/** Bits of a candidate's mark. */
export const enum Mark {
  /** UTF-16 units of its id. */
  ID_LENGTH = 0,
  /** The largest value of ID_LENGTH. */
  ID_LENGTH_MASK = 65_535,
  /** It may be shown. */
  ELIGIBLE = 1 << 16,
}

/** Bits of what became of a reaction. */
export const enum ReactionFlags {
  /** Policies learned from it. */
  APPLIED = 1 << 0,
  /** It replaced an earlier one. */
  REVISION = 1 << 1,
  /** A bit for each policy that learned, in the order of their numbers. */
  POLICIES = 2,
  /** The largest value of POLICIES. */
  POLICIES_MASK = 65_535,
}

/** Bits of a decision's answer. */
export const enum DecisionFlags {
  /** The choice was uniform. */
  HELD_OUT = 1 << 0,
  /** Why this policy decided, a place among the assignments. */
  ASSIGNED = 1,
  /** The largest value of ASSIGNED. */
  ASSIGNED_MASK = 3,
}

/** Another description of the boundary has another number. */
export const LAYOUT = 511_102_688

/** Limits. */
export const enum Limit {
  /** Lanes are padded to a multiple of as many candidates. */
  LANE_CHUNK = 8,
  /** The longest id of a user or a candidate, in UTF-16 units. */
  LONGEST_ID = 512,
  /** The longest text that is logged beside ids, in UTF-16 units. */
  LONGEST_TEXT = 128,
  /** The most candidates of a request. */
  LARGEST_CANDIDATES = 100_000,
  /** The most requests of a `scoreMany()`. */
  LARGEST_MANY = 10_000,
  /** The most candidates of a decision: each stands in the log. */
  LARGEST_DECISION = 1_000,
  /** The most texts that one call carries. */
  MOST_TEXTS = 60,
  /** Candidates in a word of the mask of a choice. */
  MASK_BITS = 32,
}

/** How a call went, by number. */
export const STATUSES = ['done', 'failed'] as const

/** The policies, by number. */
export const POLICIES = ['linucb-v1', 'egreedy-v1', 'egreedy-v2'] as const

/** What can be done with a tip, by number. */
export const ACTIONS = ['done', 'helpful', 'snooze', 'not_helpful', 'dismiss'] as const

/** Why a policy decided, by number. */
export const ASSIGNMENTS = ['user', 'share', 'registry', 'default'] as const

/** The codes of errors. */
export const ERROR_CODES = ['ERR_INVALID_ARGUMENT', 'ERR_NO_CANDIDATES', 'ERR_UNKNOWN_POLICY', 'ERR_STATE_LOCKED', 'ERR_STATE_CORRUPT', 'ERR_STATE_IO', 'ERR_BACKPRESSURE', 'ERR_UNKNOWN_DECISION', 'ERR_INSUFFICIENT_DATA', 'ERR_UNKNOWN_PROMPT_VERSION', 'ERR_LLM_UNREACHABLE', 'ERR_LLM_STATUS', 'ERR_LLM_INVALID_REPLY', 'ERR_NATS_UNREACHABLE', 'ERR_CLOSED', 'ERR_UNSUPPORTED', 'ERR_INTERNAL'] as const

/** The reasons of `ERR_UNKNOWN_DECISION`. */
export const ERROR_REASONS = ['invalid', 'expired', 'reset', 'superseded', 'otherUser'] as const
