//! The frame: the block of doubles through which the calls pass that choose and that learn. `lib/` writes what this file reads;
//! `Boundary.layout` lets it check that both mean the same.
//!
//! A word is a double, or a whole number of 32 bits in its lower half. No word has two numbers: halves that are written apart and read
//! together have to get to the cache first, which takes as long as a small request's scores.
//!
//! The block begins with [`CONTROL_WORDS`] words about the whole call; requests follow, one behind the other. A request is
//! [`REQUEST_WORDS`] words and, unless it names a prepared set, three lanes of numbers a candidate each. A reward has no lanes, and a choice
//! that is to be remembered needs none: where they were removed, SET says so. Behind the request that a decision is made on stand the share of the holdout, flags,
//! and a word a candidate; the answer stands behind the request's words, over all this.
//!
//! The block never moves and never grows: JavaScript compiles its address into the code that writes to it.

use super::memory::{Numbers, zeros};
use super::prepared::{PreparedSet, PreparedSets};
use crate::engine::{Chosen, FeedbackCall, FeedbackOutcome, Recommendation};
use crate::error::{Error, ErrorKind, Result};
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::log::Seq;
use crate::policy::{CHUNK, Candidates, Choice, Lanes, NormalisedLanes, PolicyName};
use crate::state::Reaction;
use std::cell::Cell;
use std::rc::Rc;

/// Words before the first request.
pub const CONTROL_WORDS: usize = 4;
/// Words of a request before its lanes.
pub const REQUEST_WORDS: usize = 16;
/// Words of a decision's answer.
pub const DECISION_WORDS: usize = DECISION_CHOICES + CHOICE_WORDS * PolicyName::ALL.len();
/// Room for the words of a batch's 10,000 requests, and the lanes and a mask of 100,000 candidates: what is not written to takes no memory.
const WORDS: usize = CONTROL_WORDS + 10_000 * REQUEST_WORDS + 3 * 100_000 + mask_words(100_000);
/// What both sides must agree on, in the order in which `lib/frame.ts` lists it.
#[allow(clippy::cast_possible_truncation)] // small numbers
pub const LAYOUT: [u32; 4] = [CONTROL_WORDS as u32, REQUEST_WORDS as u32, DECISION_WORDS as u32, CHUNK as u32];

/// How a call went; in the control words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Carried out.
    Done = 0,
    /// [`super::gate::Gate::take_error`] says what happened.
    Failed = 1,
}

// Control words: which channel is called, where the first request stands, how many there are, and how the call went.
const CHANNEL: usize = 0;
const START: usize = 1;
const COUNT: usize = 2;
const STATUS: usize = 3;

// Words of a request.
const USER: usize = 0;
// Policy: 2 bits, hour: 5, day: 3, profile follows: 1, and of a call for a choice or a reward: it has a text that says when the profile was
// computed: 1, and one that says which prompt wrote the chosen candidate: 1; from bit 13 on 17 bits that say how many candidates a mask allows, 0
// where there is none. The mask stands behind the lanes.
const META: usize = 1;
const CANDIDATES: usize = 2;
const SET: usize = 3; // 0: the lanes follow; u32::MAX: they and the mask have been removed, since the choice was made
const INDEX: usize = 4; // the choice: four words
const CHOICE: usize = 5; // bit 0: exploring; from bit 1 on the policy
const SCORE: usize = 6;
const PROPENSITY: usize = 7;
const REWARD: usize = 7; // of a reward
const PROFILE: usize = 8; // five words; NaN is "not known"
const OVERDUE: usize = 13; // the features of the chosen candidate, or of the tip that is rewarded
const AGE: usize = 14;
const PRIORITY: usize = 15;

// Behind a request for a decision.
const HOLDOUT: usize = 0;
const ASKED: usize = 1; // explain (bit 0), there is a mask (bit 1), the ids are one text (bit 2)
const MARKS: usize = 2; // a word a candidate: UTF-16 units of the id (16 bits), may be shown (bit 16)

// Words of a reaction to a decision.
const REACTION_EPOCH: usize = 0;
const REACTION_N: usize = 1; // a double
const REACTION_REWARD: usize = 2;
const REACTION_AT: usize = 3; // milliseconds since 1970; NaN: now
const REACTION_ACTION: usize = 4; // its place in ACTIONS; u32::MAX: it has no name
const REACTION_FLAGS: usize = 5; // the answer: applied (bit 0), revision (bit 1), and a bit a policy from bit 2 on
const REACTION_OF_USER: usize = 6; // a text says whose decision it has to be
const REACTION_WORDS: usize = 7;

/// What can be done with a tip, in the order in which `lib/decisions.ts` lists it.
const ACTIONS: [&str; 5] = ["done", "helpful", "snooze", "not_helpful", "dismiss"];

// Words of a decision's answer.
const DECISION_EPOCH: usize = 0;
const DECISION_N: usize = 1;
const DECISION_INDEX: usize = 2;
const DECISION_SCORE: usize = 3;
const DECISION_PROPENSITY: usize = 4;
const DECISION_FLAGS: usize = 5; // held out (bit 0), and why this policy (from bit 1 on)
const DECISION_COUNT: usize = 6; // how many choices follow
const DECISION_CHOICES: usize = 7; // each: as a request's INDEX, CHOICE, SCORE and PROPENSITY
const CHOICE_WORDS: usize = 4;

/// Candidates in a word of a mask.
const MASK_BITS: usize = 32;
const REMOVED: u32 = u32::MAX;

/// How many words the mask of so many candidates takes.
const fn mask_words(candidates: usize) -> usize {
    candidates.div_ceil(MASK_BITS)
}

/// One JavaScript environment's frame and prepared sets.
#[derive(Debug)]
pub struct Frame {
    /// The block.
    pub block: Rc<Numbers>,
    sets: PreparedSets,
}

impl Frame {
    pub fn new() -> Self {
        Self { block: Rc::new(zeros(WORDS)), sets: PreparedSets::default() }
    }

    /// Keeps the candidates of the frame's first request as a set; returns its number, from 1. `ids` are theirs, one behind the other, and
    /// behind the lanes stands how many UTF-16 units each has.
    pub fn prepare(&self, ids: String, prompt_versions: Vec<Option<String>>) -> Result<u32> {
        let request = Request::at(&self.block, CONTROL_WORDS)?;
        let lanes = request.lanes()?;
        let units = request.behind[Lanes::words(lanes.len())..].iter().take(lanes.len());
        let units = units.map(|units| whole(units) as usize);
        let raw = request.behind[..Lanes::words(lanes.len())].into();
        self.sets.keep(PreparedSet::new(raw, &lanes, ids, units, prompt_versions)?)
    }

    /// Lets go of a set.
    pub fn release(&self, number: u32) {
        self.sets.release(number);
    }

    /// The set that a request names, if it names one.
    #[inline]
    pub fn set_of(&self, request: &Request<'_>) -> Result<Option<Rc<PreparedSet>>> {
        let number = request.set();
        if number == 0 {
            return Ok(None);
        }
        self.sets.get(number).map(Some).ok_or_else(|| broken("prepared set"))
    }
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the frame holds no valid {what}"))
}

/// A whole number.
#[inline]
#[allow(clippy::cast_possible_truncation)] // the lower half is what is meant
const fn whole(cell: &Cell<f64>) -> u32 {
    cell.get().to_bits() as u32
}

#[inline]
fn set_whole(cell: &Cell<f64>, number: u32) {
    cell.set(f64::from_bits(number.into()));
}

#[cfg(target_endian = "big")]
compile_error!("JavaScript's 32-bit view of the frame has the lower half of a word first");

/// The number of the channel that is called.
#[inline]
pub fn channel(block: &[Cell<f64>]) -> usize {
    whole(&block[CHANNEL]) as usize
}

/// Where the requests of a call begin, and how many there are.
#[inline]
pub fn requests(block: &[Cell<f64>]) -> (usize, u32) {
    (whole(&block[START]) as usize, whole(&block[COUNT]))
}

/// Writes how the call went.
#[inline]
pub fn answer(block: &[Cell<f64>], status: Status) {
    set_whole(&block[STATUS], status as u32);
}

/// One request in the frame.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    words: &'a [Cell<f64>; REQUEST_WORDS],
    behind: &'a [Cell<f64>],
}

impl<'a> Request<'a> {
    /// The request that starts at word `start`.
    #[inline]
    pub fn at(block: &'a [Cell<f64>], start: usize) -> Result<Self> {
        let (words, behind) = block.get(start..).and_then(<[_]>::split_first_chunk).ok_or_else(|| broken("request"))?;
        Ok(Self { words, behind })
    }

    #[inline]
    pub fn user(&self) -> usize {
        whole(&self.words[USER]) as usize
    }

    #[inline]
    fn meta(&self) -> u32 {
        whole(&self.words[META])
    }

    /// How many candidates there are.
    #[inline]
    pub fn count(&self) -> u32 {
        whole(&self.words[CANDIDATES])
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn policy(&self, active: PolicyName) -> PolicyName {
        // 3: the caller named none.
        PolicyName::from_number(self.meta() as u8 & 3).unwrap_or(active)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn moment(&self) -> Moment {
        let meta = self.meta();
        Moment { hour: (meta >> 2) as u8 & 31, day: (meta >> 7) as u8 & 7 }
    }

    #[inline]
    pub fn profile(&self) -> Option<Profile> {
        let known = |i: usize| Some(self.words[PROFILE + i].get()).filter(|v| !v.is_nan());
        (self.meta() & 1 << 10 != 0).then(|| Profile {
            completion_rate: known(0),
            dismiss_rate: known(1),
            mean_dwell_ms: known(2),
            preferred_hour: known(3),
            tip_volume: known(4),
        })
    }

    #[inline]
    pub fn has_computed_at(&self) -> bool {
        self.meta() & 1 << 11 != 0
    }

    #[inline]
    pub fn has_prompt_version(&self) -> bool {
        self.meta() & 1 << 12 != 0
    }

    /// 0 when the candidates follow in the frame.
    #[inline]
    pub fn set(&self) -> u32 {
        whole(&self.words[SET])
    }

    #[inline]
    pub fn lanes(&self) -> Result<Lanes<'a>> {
        let lanes = Lanes::new(self.behind, self.count() as usize);
        lanes.filter(|lanes| !lanes.is_empty()).ok_or_else(|| broken("candidates"))
    }

    /// The candidates: those of the set that it names, or those that follow.
    #[inline]
    pub fn candidates<'s>(&'s self, set: Option<&'s PreparedSet>) -> Result<(Lanes<'s>, Option<&'s NormalisedLanes>)> {
        Ok(match set {
            Some(set) => (set.lanes()?, Some(set.normalised())),
            None => (self.lanes()?, None),
        })
    }

    /// How many candidates the mask allows; 0: there is none, all are.
    #[inline]
    pub fn allowed(&self) -> u32 {
        self.meta() >> 13 & 0x1_ffff
    }

    /// Which candidates can be chosen, written to `flags`, where a mask says so. At least one can.
    #[inline]
    pub fn eligible<'f>(&self, flags: &'f mut Vec<bool>) -> Result<Option<&'f [bool]>> {
        if self.allowed() == 0 { Ok(None) } else { self.read_mask(flags).map(Some) }
    }

    #[cold]
    fn read_mask<'f>(&self, flags: &'f mut Vec<bool>) -> Result<&'f [bool]> {
        let (count, start) = (self.count() as usize, self.lane_words());
        let words = self.behind.get(start..start + mask_words(count)).ok_or_else(|| broken("mask"))?;
        flags.clear();
        flags.extend((0..count).map(|i| whole(&words[i / MASK_BITS]) >> (i % MASK_BITS) & 1 != 0));
        if flags.contains(&true) { Ok(flags) } else { Err(broken("mask")) }
    }

    /// How many words the lanes take.
    #[inline]
    fn lane_words(&self) -> usize {
        if self.set() == 0 { Lanes::words(self.count() as usize) } else { 0 }
    }

    /// How many words the request takes.
    #[inline]
    pub fn length(&self) -> usize {
        let has_mask = self.allowed() != 0 && self.set() != REMOVED;
        REQUEST_WORDS + self.lane_words() + if has_mask { mask_words(self.count() as usize) } else { 0 }
    }

    /// Writes what was chosen, by which policy, and its features.
    #[inline]
    pub fn answer(&self, choice: &Choice, policy: PolicyName, task: &TaskFeatures) {
        const { assert!(CHOICE == INDEX + 1 && SCORE == INDEX + 2 && PROPENSITY == INDEX + 3) }
        write_choice(&self.words[INDEX..], choice, policy);
        set_whole(&self.words[OVERDUE], task.is_overdue.into());
        self.words[AGE].set(task.task_age_days);
        set_whole(&self.words[PRIORITY], task.priority.into());
    }

    /// The features of the chosen candidate, or of the tip that is rewarded.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 1 to 4
    pub fn task(&self) -> TaskFeatures {
        TaskFeatures {
            is_overdue: whole(&self.words[OVERDUE]) != 0,
            task_age_days: self.words[AGE].get(),
            priority: whole(&self.words[PRIORITY]) as u8,
        }
    }

    /// What was answered.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn answered(&self) -> Result<(Choice, PolicyName)> {
        let flags = whole(&self.words[CHOICE]) as u8;
        let policy = PolicyName::from_number(flags >> 1).ok_or_else(|| broken("choice"))?;
        let choice = Choice {
            index: whole(&self.words[INDEX]) as usize,
            score: self.words[SCORE].get(),
            exploring: flags & 1 != 0,
            propensity: self.words[PROPENSITY].get(),
        };
        if choice.index < self.count() as usize { Ok((choice, policy)) } else { Err(broken("choice")) }
    }

    /// What a decision needs beside what a request for a score has.
    pub fn asked(&self, candidates: usize) -> Result<Asked<'a>> {
        let (start, words) = (self.length() - REQUEST_WORDS, MARKS + candidates);
        let words = self.behind.get(start..start + words).ok_or_else(|| broken("marks"))?;
        Ok(Asked { words })
    }

    /// Where the answer to a decision goes.
    pub fn decision(&self) -> Result<Decision<'a>> {
        self.behind.first_chunk().map(|words| Decision { words }).ok_or_else(|| broken("place for a decision"))
    }

    /// The reaction that stands here.
    #[inline]
    pub fn reaction(&self, active: PolicyName) -> Reaction {
        Reaction {
            policy: self.policy(active),
            moment: self.moment(),
            profile: self.profile(),
            task: self.task(),
            reward: self.words[REWARD].get(),
        }
    }
}

/// What stands behind a request for a decision.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    words: &'a [Cell<f64>],
}

impl Asked<'_> {
    pub fn holdout(&self) -> f64 {
        self.words[HOLDOUT].get()
    }

    pub fn explain(&self) -> bool {
        whole(&self.words[ASKED]) & 1 != 0
    }

    /// They cross as one text, not as one each.
    pub fn ids_are_one_text(&self) -> bool {
        whole(&self.words[ASKED]) & 1 << 2 != 0
    }

    /// Which candidates may be shown, where not all may.
    pub fn eligible(&self) -> Option<Vec<bool>> {
        let has_mask = whole(&self.words[ASKED]) & 1 << 1 != 0;
        has_mask.then(|| self.marks().map(|mark| mark & 1 << 16 != 0).collect())
    }

    /// How many UTF-16 units the id of each candidate has.
    pub fn id_lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.marks().map(|mark| mark as usize & 0xffff)
    }

    fn marks(&self) -> impl Iterator<Item = u32> + '_ {
        self.words[MARKS..].iter().map(whole)
    }
}

/// A reaction to a decision, in a request's place.
#[derive(Debug, Clone, Copy)]
pub struct DecisionReaction<'a> {
    words: &'a [Cell<f64>; REACTION_WORDS],
}

impl<'a> DecisionReaction<'a> {
    /// The one that starts at word `start`.
    pub fn at(block: &'a [Cell<f64>], start: usize) -> Result<Self> {
        let words = block.get(start..).and_then(<[_]>::first_chunk).ok_or_else(|| broken("reaction"))?;
        Ok(Self { words })
    }

    /// A text says whose decision it has to be.
    pub fn has_user(self) -> bool {
        whole(&self.words[REACTION_OF_USER]) != 0
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked by lib/
    pub fn call(self, user_id: Option<&str>) -> FeedbackCall<'_> {
        let at = self.words[REACTION_AT].get();
        FeedbackCall {
            decision: Seq { epoch: whole(&self.words[REACTION_EPOCH]), n: self.words[REACTION_N].get() as u64 },
            action: ACTIONS.get(whole(&self.words[REACTION_ACTION]) as usize).copied(),
            reward: self.words[REACTION_REWARD].get(),
            at: (!at.is_nan()).then_some(at as u64),
            user_id,
        }
    }

    /// Writes what became of it.
    pub fn answer(self, outcome: &FeedbackOutcome) {
        let FeedbackOutcome { applied, revision, ref policies } = *outcome;
        let policies = policies.iter().fold(0, |bits, policy| bits | 1 << *policy as u32);
        set_whole(&self.words[REACTION_FLAGS], u32::from(applied) | u32::from(revision) << 1 | policies << 2);
    }
}

/// A decision's answer in the frame.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    words: &'a [Cell<f64>; DECISION_WORDS],
}

impl Decision<'_> {
    /// Writes what was decided, but for its explanation.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // few candidates; numbers of lines are below 2^53
    pub fn answer(self, decided: &Recommendation) {
        let Recommendation { decision, index, score, propensity, held_out, assigned, ref choices, .. } = *decided;
        self.words[DECISION_EPOCH].set(decision.epoch.into()); // JavaScript's whole numbers have a sign
        self.words[DECISION_N].set(decision.n as f64);
        set_whole(&self.words[DECISION_INDEX], index as u32);
        self.words[DECISION_SCORE].set(score);
        self.words[DECISION_PROPENSITY].set(propensity);
        set_whole(&self.words[DECISION_FLAGS], u32::from(held_out) | (assigned as u32) << 1);
        set_whole(&self.words[DECISION_COUNT], choices.len() as u32);
        for (place, chosen) in self.words[DECISION_CHOICES..].chunks_exact(CHOICE_WORDS).zip(choices) {
            let &Chosen { policy, index, score, exploring, propensity } = chosen;
            write_choice(place, &Choice { index, score, exploring, propensity }, policy);
        }
    }
}

/// Writes a choice's four words.
#[inline]
#[allow(clippy::cast_possible_truncation)] // at most 100,000 candidates
fn write_choice(words: &[Cell<f64>], choice: &Choice, policy: PolicyName) {
    if let [index, flags, score, propensity, ..] = words {
        set_whole(index, choice.index as u32);
        set_whole(flags, u32::from(choice.exploring) | (policy as u32) << 1);
        score.set(choice.score);
        propensity.set(choice.propensity);
    }
}
