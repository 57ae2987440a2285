//! The frame: the block of doubles through which calls of `score`, `reward` and `recommend` pass. `lib/frame.ts` writes what this file reads;
//! `Boundary.layout` lets it check that both mean the same.
//!
//! The block begins with [`CONTROL_WORDS`] words about the whole call; requests follow, one behind the other. A request is
//! [`REQUEST_WORDS`] words and, unless it names a prepared set, three lanes of numbers a candidate each. A reward is
//! [`REQUEST_WORDS`] words in a request's place. Behind the request that a decision is made on stand the share of the holdout, flags,
//! and half a word a candidate; the answer stands behind the request's words, over all this.

use crate::engine::Recommendation;
use crate::error::{Error, ErrorKind, Result};
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::{CHUNK, Candidates, Choice, Lanes, NormalisedLanes, PolicyName};
use crate::state::Reaction;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Words before the first request.
pub const CONTROL_WORDS: usize = 1;
/// Words of a request before its lanes.
pub const REQUEST_WORDS: usize = 12;
/// Words of a decision's answer.
pub const DECISION_WORDS: usize = DECISION_CHOICES + CHOICE_WORDS * PolicyName::ALL.len();
/// How large a frame is before a call needs a larger one: 1,000 candidates.
pub const FIRST_WORDS: usize = CONTROL_WORDS + REQUEST_WORDS + 3 * 1000;
/// What both sides must agree on, in the order in which `lib/frame.ts` lists it.
#[allow(clippy::cast_possible_truncation)] // small numbers
pub const LAYOUT: [u32; 4] = [CONTROL_WORDS as u32, REQUEST_WORDS as u32, DECISION_WORDS as u32, CHUNK as u32];

/// How a call went; in the control words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Carried out.
    Done = 0,
    /// [`super::channel::Channel::take_error`] says what happened.
    Failed = 1,
}

// Whole numbers are 32 bits wide, two to a word. Control halves: how many requests a batch has (0: it is one request and no batch),
// and how the call went.
const BATCH: usize = 0;
const STATUS: usize = 1;

// Halves of a request.
const USER: usize = 0;
// Policy: 2 bits, hour: 5, day: 3, profile follows: 1, of a reward overdue: 1 and priority: 3; the call has a text that says when the
// profile was computed: 1, and texts for the candidates' prompt versions: 1.
const META: usize = 1;
const CANDIDATES: usize = 2;
const SET: usize = 3; // 0: the lanes follow
const INDEX: usize = 4; // the answer
const EXPLORING: usize = 5; // bit 0; from bit 1 on the policy
// Words of a request.
const SCORE: usize = 3; // the answer
const PROPENSITY: usize = 4;
const AGE: usize = 3; // of a reward
const REWARD: usize = 4;
const PROFILE: usize = 5; // five words; NaN is "not known"

// Behind a request for a decision: a word for the share of the holdout, halves, one a candidate.
const DECISION_ASKED: usize = 2; // a half: explain (bit 0), there is a mask (bit 1)
const CANDIDATE_MARKS: usize = 4; // halves: UTF-16 units of the id (16 bits), may be shown (bit 16)

// Words of a decision's answer. First two halves: epoch and place of what is shown.
const DECISION_N: usize = 1;
const DECISION_SCORE: usize = 2;
const DECISION_PROPENSITY: usize = 3;
const DECISION_FLAGS: usize = 4; // halves: held out (bit 0) and why this policy (from bit 1 on), and how many choices follow
const DECISION_CHOICES: usize = 5; // each: halves as a request's INDEX and EXPLORING, score, propensity
const CHOICE_WORDS: usize = 3;

/// Candidates packed once.
#[derive(Debug)]
pub struct PreparedSet {
    raw: Box<[Cell<f64>]>,
    len: usize,
    normalised: NormalisedLanes,
}

impl PreparedSet {
    pub fn lanes(&self) -> Result<Lanes<'_>> {
        Lanes::new(&self.raw, self.len).ok_or_else(|| broken("prepared set"))
    }

    pub const fn normalised(&self) -> &NormalisedLanes {
        &self.normalised
    }
}

/// One JavaScript environment's frame and prepared sets.
#[derive(Debug)]
pub struct Frame {
    block: RefCell<Rc<[Cell<f64>]>>,
    sets: RefCell<Vec<Option<Rc<PreparedSet>>>>,
}

impl Frame {
    pub fn new() -> Self {
        Self { block: RefCell::new(block(FIRST_WORDS)), sets: RefCell::default() }
    }

    /// Replaces the block by one of `words` words.
    pub fn resize(&self, words: usize) -> Rc<[Cell<f64>]> {
        self.block.replace(block(words));
        self.block()
    }

    pub fn block(&self) -> Rc<[Cell<f64>]> {
        Rc::clone(&self.block.borrow())
    }

    /// Runs `call` on the block as it is now.
    #[inline]
    pub fn with<T>(&self, call: impl FnOnce(&[Cell<f64>]) -> T) -> T {
        call(&self.block.borrow())
    }

    /// Keeps the candidates of the frame's first request as a set; returns its number, from 1.
    pub fn prepare(&self) -> Result<u32> {
        let set = self.with(|block| -> Result<PreparedSet> {
            let request = Request::at(block, CONTROL_WORDS)?;
            let lanes = request.lanes()?;
            let (len, normalised) = (lanes.len(), NormalisedLanes::new(&lanes));
            Ok(PreparedSet { raw: request.behind[..Lanes::words(len)].into(), len, normalised })
        })?;
        let mut sets = self.sets.borrow_mut();
        let free = sets.iter().position(Option::is_none).unwrap_or(sets.len());
        if free == sets.len() {
            sets.push(None);
        }
        sets[free] = Some(Rc::new(set));
        u32::try_from(free + 1).map_err(|_| Error::new(ErrorKind::Internal, "too many prepared sets"))
    }

    /// Lets go of a set.
    pub fn release(&self, number: u32) {
        if let Some(set) = self.sets.borrow_mut().get_mut((number as usize).wrapping_sub(1)) {
            *set = None;
        }
    }

    /// The set that a request names, if it names one.
    #[inline]
    pub fn set_of(&self, request: &Request<'_>) -> Result<Option<Rc<PreparedSet>>> {
        let number = request.set();
        if number == 0 {
            return Ok(None);
        }
        let sets = self.sets.borrow();
        let set = sets.get((number as usize).wrapping_sub(1)).and_then(Option::as_ref);
        set.map(Rc::clone).map(Some).ok_or_else(|| broken("prepared set"))
    }
}

fn block(words: usize) -> Rc<[Cell<f64>]> {
    (0..words).map(|_| Cell::new(0.0)).collect()
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the frame holds no valid {what}"))
}

/// A half of a word: `lib/frame.ts` sees the block also as 32-bit numbers.
#[inline]
#[allow(clippy::cast_possible_truncation)] // takes the half that is meant
fn half(block: &[Cell<f64>], number: usize) -> u32 {
    (block[number / 2].get().to_bits() >> (32 * (number % 2))) as u32
}

#[inline]
fn set_halves(cell: &Cell<f64>, low: u32, high: u32) {
    cell.set(f64::from_bits(u64::from(low) | u64::from(high) << 32));
}

#[cfg(target_endian = "big")]
compile_error!("JavaScript's 32-bit view of the frame has the low half of a word first");

/// How many requests the call is about; `None` when it is about one and no batch.
#[inline]
pub fn batch(block: &[Cell<f64>]) -> Option<u32> {
    Some(half(block, BATCH)).filter(|&count| count > 0)
}

/// Writes how the call went.
#[inline]
pub fn answer(block: &[Cell<f64>], status: Status) {
    const { assert!(BATCH == 0 && STATUS == 1) }
    set_halves(&block[0], half(block, BATCH), status as u32);
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
        half(self.words, USER) as usize
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn policy(&self, active: PolicyName) -> PolicyName {
        // 3: the caller named none.
        PolicyName::from_number(half(self.words, META) as u8 & 3).unwrap_or(active)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn moment(&self) -> Moment {
        let meta = half(self.words, META);
        Moment { hour: (meta >> 2) as u8 & 31, day: (meta >> 7) as u8 & 7 }
    }

    #[inline]
    pub fn profile(&self) -> Option<Profile> {
        let known = |i: usize| Some(self.words[PROFILE + i].get()).filter(|v| !v.is_nan());
        (half(self.words, META) & 1 << 10 != 0).then(|| Profile {
            completion_rate: known(0),
            dismiss_rate: known(1),
            mean_dwell_ms: known(2),
            preferred_hour: known(3),
            tip_volume: known(4),
        })
    }

    #[inline]
    pub fn has_computed_at(&self) -> bool {
        half(self.words, META) & 1 << 15 != 0
    }

    #[inline]
    pub fn has_prompt_versions(&self) -> bool {
        half(self.words, META) & 1 << 16 != 0
    }

    /// 0 when the candidates follow in the frame.
    #[inline]
    pub fn set(&self) -> u32 {
        half(self.words, SET)
    }

    #[inline]
    pub fn lanes(&self) -> Result<Lanes<'a>> {
        let lanes = Lanes::new(self.behind, half(self.words, CANDIDATES) as usize);
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

    /// How many words the request takes.
    #[inline]
    pub fn length(&self) -> usize {
        REQUEST_WORDS + if self.set() == 0 { Lanes::words(half(self.words, CANDIDATES) as usize) } else { 0 }
    }

    /// Writes what was chosen, and by which policy.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // at most 100,000 candidates
    pub fn answer(&self, choice: &Choice, policy: PolicyName) {
        const { assert!(INDEX == 4 && EXPLORING == 5) }
        set_halves(&self.words[2], choice.index as u32, u32::from(choice.exploring) | (policy as u32) << 1);
        self.words[SCORE].set(choice.score);
        self.words[PROPENSITY].set(choice.propensity);
    }

    /// What a decision needs beside what a request for a score has.
    pub fn asked(&self, candidates: usize) -> Result<Asked<'a>> {
        let (start, words) = (self.length() - REQUEST_WORDS, CANDIDATE_MARKS / 2 + candidates.div_ceil(2));
        let words = self.behind.get(start..start + words).ok_or_else(|| broken("marks"))?;
        Ok(Asked { words, candidates })
    }

    /// Where the answer to a decision goes.
    pub fn decision(&self) -> Result<Decision<'a>> {
        self.behind.first_chunk().map(|words| Decision { words }).ok_or_else(|| broken("place for a decision"))
    }

    /// The reaction that stands here.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn reaction(&self, active: PolicyName) -> Reaction {
        let meta = half(self.words, META);
        Reaction {
            policy: self.policy(active),
            moment: self.moment(),
            profile: self.profile(),
            task: TaskFeatures {
                is_overdue: meta & 1 << 11 != 0,
                task_age_days: self.words[AGE].get(),
                priority: (meta >> 12) as u8 & 7,
            },
            reward: self.words[REWARD].get(),
        }
    }
}

/// What stands behind a request for a decision.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    words: &'a [Cell<f64>],
    candidates: usize,
}

impl Asked<'_> {
    pub fn holdout(&self) -> f64 {
        self.words[0].get()
    }

    pub fn explain(&self) -> bool {
        half(self.words, DECISION_ASKED) & 1 != 0
    }

    /// Which candidates may be shown, where not all may.
    pub fn eligible(&self) -> Option<Vec<bool>> {
        let has_mask = half(self.words, DECISION_ASKED) & 1 << 1 != 0;
        has_mask.then(|| self.marks().map(|mark| mark & 1 << 16 != 0).collect())
    }

    /// How many UTF-16 units the id of each candidate has.
    pub fn id_lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.marks().map(|mark| mark as usize & 0xffff)
    }

    fn marks(&self) -> impl Iterator<Item = u32> + '_ {
        (CANDIDATE_MARKS..CANDIDATE_MARKS + self.candidates).map(|i| half(self.words, i))
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
        set_halves(&self.words[0], decision.epoch, index as u32);
        self.words[DECISION_N].set(decision.n as f64);
        self.words[DECISION_SCORE].set(score);
        self.words[DECISION_PROPENSITY].set(propensity);
        set_halves(&self.words[DECISION_FLAGS], u32::from(held_out) | (assigned as u32) << 1, choices.len() as u32);
        let (places, _) = self.words[DECISION_CHOICES..].as_chunks::<CHOICE_WORDS>();
        for ([which, score, propensity], chosen) in places.iter().zip(choices) {
            set_halves(which, chosen.index as u32, u32::from(chosen.exploring) | (chosen.policy as u32) << 1);
            score.set(chosen.score);
            propensity.set(chosen.propensity);
        }
    }
}
