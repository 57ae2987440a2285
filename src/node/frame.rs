//! The frame: the block of doubles through which calls of `score` and `reward` pass. `lib/frame.ts` writes what this file reads;
//! `Boundary.layout` lets it check that both mean the same.
//!
//! The block begins with [`CONTROL_WORDS`] words about the whole call; requests follow, one behind the other. A request is
//! [`REQUEST_WORDS`] words and, unless it names a prepared set, three lanes of numbers a candidate each. A reward is
//! [`REQUEST_WORDS`] words in a request's place.

use crate::engine::RewardCall;
use crate::error::{Error, ErrorKind, Result};
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::policy::{Choice, Lanes, NormalisedLanes, PolicyName};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Words before the first request.
pub const CONTROL_WORDS: usize = 8;
/// Words of a request before its lanes.
pub const REQUEST_WORDS: usize = 16;
/// How large a frame is before a call needs a larger one: 1,000 candidates.
pub const FIRST_WORDS: usize = CONTROL_WORDS + REQUEST_WORDS + 3 * 1000;
/// What both sides must agree on, in the order in which `lib/frame.ts` lists it.
pub const LAYOUT: [u32; 2] = [CONTROL_WORDS as u32, REQUEST_WORDS as u32];

/// How a call went; in the control words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Carried out.
    Done = 0,
    /// The user of the request that [`FAILED`] numbers must be looked up again; nothing was done from that request on.
    LookUpAgain = 1,
    /// `Channel.takeError()` says what happened; nothing was done from that request on.
    Failed = 2,
}

// Control words: whether it is a batch, how many requests, at which word the first one starts and which of the batch it is; then
// the outcome.
const BATCH: usize = 0;
const COUNT: usize = 1;
const START: usize = 2;
const NUMBER: usize = 3;
const STATUS: usize = 4;
const FAILED: usize = 5;

// Words of a request.
const USER: usize = 0;
const POLICY: usize = 1;
const HOUR: usize = 2;
const DAY: usize = 3;
const PROFILE: usize = 4; // five words; NaN is "not known"
const CANDIDATES: usize = 9; // of a score
const SET: usize = 10; // 0: the lanes follow
const INDEX: usize = 11; // the answer
const SCORE: usize = 12;
const EXPLORING: usize = 13;
const PROPENSITY: usize = 14;
const OVERDUE: usize = 9; // of a reward
const AGE: usize = 10;
const PRIORITY: usize = 11;
const REWARD: usize = 12;

/// Candidates packed once.
#[derive(Debug)]
pub struct PreparedSet {
    raw: Box<[Cell<f64>]>,
    normalised: NormalisedLanes,
}

impl PreparedSet {
    pub fn lanes(&self) -> Lanes<'_> {
        Lanes::new(&self.raw)
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
            let raw: Box<[Cell<f64>]> = request.lane_words()?.into();
            let normalised = NormalisedLanes::new(&Lanes::new(&raw));
            Ok(PreparedSet { raw, normalised })
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

    /// The set with this number.
    #[inline]
    pub fn set(&self, number: u32) -> Result<Rc<PreparedSet>> {
        let sets = self.sets.borrow();
        let set = sets.get((number as usize).wrapping_sub(1)).and_then(Option::as_ref);
        set.map(Rc::clone).ok_or_else(|| broken("prepared set"))
    }
}

fn block(words: usize) -> Rc<[Cell<f64>]> {
    (0..words).map(|_| Cell::new(0.0)).collect()
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the frame holds no valid {what}"))
}

#[inline]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // lib/ wrote a whole number; the cast saturates anyway
fn whole(cell: &Cell<f64>) -> usize {
    cell.get() as usize
}

/// The control words of a call.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    pub batch: bool,
    pub count: usize,
    pub start: usize,
    /// Which of the batch the first request is.
    pub first: usize,
}

impl Control {
    #[inline]
    pub fn read(block: &[Cell<f64>]) -> Self {
        let batch = block[BATCH].get() != 0.0;
        Self { batch, count: whole(&block[COUNT]), start: whole(&block[START]), first: whole(&block[NUMBER]) }
    }

    /// Writes how the call went.
    #[inline]
    #[allow(clippy::cast_precision_loss)] // at most 10,000 requests
    pub fn answer(block: &[Cell<f64>], status: Status, failed: usize) {
        block[STATUS].set(f64::from(status as u8));
        block[FAILED].set(failed as f64);
    }
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
        whole(&self.words[USER])
    }

    #[inline]
    pub fn policy(&self) -> Result<PolicyName> {
        u8::try_from(whole(&self.words[POLICY])).ok().and_then(PolicyName::from_number).ok_or_else(|| broken("policy"))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // checked in lib/; reduced modulo 24 and 7 where used
    pub fn moment(&self) -> Moment {
        Moment { hour: whole(&self.words[HOUR]) as u8, day: whole(&self.words[DAY]) as u8 }
    }

    #[inline]
    pub fn profile(&self) -> Profile {
        let known = |i: usize| Some(self.words[PROFILE + i].get()).filter(|v| !v.is_nan());
        Profile {
            completion_rate: known(0),
            dismiss_rate: known(1),
            mean_dwell_ms: known(2),
            preferred_hour: known(3),
            tip_volume: known(4),
        }
    }

    /// 0 when the candidates follow in the frame.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // a number that prepare() gave
    pub fn set(&self) -> u32 {
        whole(&self.words[SET]) as u32
    }

    #[inline]
    fn lane_words(&self) -> Result<&'a [Cell<f64>]> {
        let n = whole(&self.words[CANDIDATES]);
        self.behind.get(..3 * n).filter(|lanes| !lanes.is_empty()).ok_or_else(|| broken("candidates"))
    }

    #[inline]
    pub fn lanes(&self) -> Result<Lanes<'a>> {
        self.lane_words().map(Lanes::new)
    }

    /// How many words the request takes.
    #[inline]
    pub fn length(&self) -> usize {
        REQUEST_WORDS + if self.set() == 0 { 3 * whole(&self.words[CANDIDATES]) } else { 0 }
    }

    /// Writes what was chosen.
    #[inline]
    #[allow(clippy::cast_precision_loss)] // at most 100,000 candidates
    pub fn answer(&self, choice: &Choice) {
        self.words[INDEX].set(choice.index as f64);
        self.words[SCORE].set(choice.score);
        self.words[EXPLORING].set(f64::from(u8::from(choice.exploring)));
        self.words[PROPENSITY].set(choice.propensity);
    }

    /// The reward that stands here.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // checked in lib/
    pub fn reward(&self) -> Result<RewardCall> {
        Ok(RewardCall {
            policy: self.policy()?,
            moment: self.moment(),
            profile: self.profile(),
            task: TaskFeatures {
                is_overdue: self.words[OVERDUE].get() != 0.0,
                task_age_days: self.words[AGE].get(),
                priority: whole(&self.words[PRIORITY]) as u8,
            },
            reward: self.words[REWARD].get(),
        })
    }
}
