//! The frame: the block of doubles through which the calls pass that choose and that learn. `lib/` writes what this file reads;
//! Both have the places from `src/boundary.json`, and `Boundary.layout` lets it check that they are of one version.
//!
//! A word is a double, or a whole number of 32 bits in its lower half. No word has two numbers: halves that are written apart and read
//! together have to get to the cache first, which takes as long as a small request's scores.
//!
//! The block begins with [`control::WORDS`] words about the whole call; requests follow, one behind the other. A request is
//! [`request::WORDS`] words and, unless it names a prepared set, three lanes of numbers a candidate each. A reward has no lanes, and a choice
//! that is to be remembered needs none: where they were removed, SET says so. Behind the request that a decision is made on stand the share of the holdout, flags,
//! and a word a candidate; the answer stands behind the request's words, over all this.
//!
//! The block never moves and never grows: JavaScript compiles its address into the code that writes to it.

use super::memory::{Numbers, zeros};
use super::prepared::{PreparedSet, PreparedSets};
use crate::boundary::{
    ACTIONS, LARGEST_CANDIDATES, LARGEST_MANY, MASK_BITS, asked, asked_flags, choice, chosen, control, decision, decision_flags,
    mark, meta, reaction, reaction_flags, request, reward,
};
use crate::engine::{Chosen, FeedbackCall, FeedbackOutcome, Recommendation};
use crate::error::{Error, ErrorKind, Result};
use crate::feature::{Moment, Profile, TaskFeatures};
use crate::log::Seq;
use crate::policy::{Candidates, Choice, Lanes, NormalisedLanes, PolicyName};
use crate::state::Reaction;
use std::cell::Cell;
use std::rc::Rc;

/// Words of a decision's answer.
pub const DECISION_WORDS: usize = decision::WORDS + chosen::WORDS * PolicyName::ALL.len();
/// Room for the words of a batch's requests and the lanes and the mask of a request's candidates: what is not written to takes no memory.
const WORDS: usize = control::WORDS + LARGEST_MANY * request::WORDS + 3 * LARGEST_CANDIDATES + mask_words(LARGEST_CANDIDATES);

/// How a call went; in the control words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Carried out.
    Done = 0,
    /// [`super::gate::Gate::take_error`] says what happened.
    Failed = 1,
}

/// In place of a prepared set's number: the lanes and the mask were removed after the choice was made.
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
        let request = Request::at(&self.block, control::WORDS)?;
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
    whole(&block[control::CHANNEL]) as usize
}

/// Where the requests of a call begin, and how many there are.
#[inline]
pub fn requests(block: &[Cell<f64>]) -> (usize, u32) {
    (whole(&block[control::START]) as usize, whole(&block[control::COUNT]))
}

/// Writes how the call went.
#[inline]
pub fn answer(block: &[Cell<f64>], status: Status) {
    set_whole(&block[control::STATUS], status as u32);
}

/// One request in the frame.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    words: &'a [Cell<f64>; request::WORDS],
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
        whole(&self.words[request::USER]) as usize
    }

    #[inline]
    fn meta(&self) -> u32 {
        whole(&self.words[request::META])
    }

    /// How many candidates there are.
    #[inline]
    pub fn count(&self) -> u32 {
        whole(&self.words[request::CANDIDATES])
    }

    /// The policy that the caller named, or `active` where it named none.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn policy(&self, active: PolicyName) -> Result<PolicyName> {
        let meta = self.meta();
        if meta & meta::NAMES_POLICY == 0 {
            return Ok(active);
        }
        PolicyName::from_number((meta >> meta::POLICY & meta::POLICY_MASK) as u8).ok_or_else(|| broken("policy"))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn moment(&self) -> Moment {
        let meta = self.meta();
        Moment { hour: (meta >> meta::HOUR & meta::HOUR_MASK) as u8, day: (meta >> meta::DAY & meta::DAY_MASK) as u8 }
    }

    #[inline]
    pub fn profile(&self) -> Option<Profile> {
        let known = |i: usize| Some(self.words[request::PROFILE + i].get()).filter(|v| !v.is_nan());
        (self.meta() & meta::HAS_PROFILE != 0).then(|| Profile {
            completion_rate: known(0),
            dismiss_rate: known(1),
            mean_dwell_ms: known(2),
            preferred_hour: known(3),
            tip_volume: known(4),
        })
    }

    #[inline]
    pub fn has_computed_at(&self) -> bool {
        self.meta() & meta::HAS_COMPUTED_AT != 0
    }

    #[inline]
    pub fn has_prompt_version(&self) -> bool {
        self.meta() & meta::HAS_PROMPT_VERSION != 0
    }

    /// 0 when the candidates follow in the frame.
    #[inline]
    pub fn set(&self) -> u32 {
        whole(&self.words[request::SET])
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
        self.meta() >> meta::ALLOWED & meta::ALLOWED_MASK
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
        request::WORDS + self.lane_words() + if has_mask { mask_words(self.count() as usize) } else { 0 }
    }

    /// Writes what was chosen, by which policy, and its features.
    #[inline]
    pub fn answer(&self, choice: &Choice, policy: PolicyName, task: &TaskFeatures) {
        const {
            assert!(
                request::CHOICE == request::INDEX + chosen::CHOICE
                    && request::SCORE == request::INDEX + chosen::SCORE
                    && request::PROPENSITY == request::INDEX + chosen::PROPENSITY
            );
        }
        write_choice(&self.words[request::INDEX..], choice, policy);
        set_whole(&self.words[request::OVERDUE], task.is_overdue.into());
        self.words[request::AGE].set(task.task_age_days);
        set_whole(&self.words[request::PRIORITY], task.priority.into());
    }

    /// The features of the chosen candidate, or of the tip that is rewarded.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // 1 to 4
    pub fn task(&self) -> TaskFeatures {
        TaskFeatures {
            is_overdue: whole(&self.words[request::OVERDUE]) != 0,
            task_age_days: self.words[request::AGE].get(),
            priority: whole(&self.words[request::PRIORITY]) as u8,
        }
    }

    /// What was answered.
    #[inline]
    #[allow(clippy::cast_possible_truncation)] // takes the bits that are meant
    pub fn answered(&self) -> Result<(Choice, PolicyName)> {
        let flags = whole(&self.words[request::CHOICE]);
        let policy =
            PolicyName::from_number((flags >> choice::POLICY & choice::POLICY_MASK) as u8).ok_or_else(|| broken("choice"))?;
        let choice = Choice {
            index: whole(&self.words[request::INDEX]) as usize,
            score: self.words[request::SCORE].get(),
            exploring: flags & choice::EXPLORING != 0,
            propensity: self.words[request::PROPENSITY].get(),
        };
        if choice.index < self.count() as usize { Ok((choice, policy)) } else { Err(broken("choice")) }
    }

    /// What a decision needs beside what a request for a score has.
    pub fn asked(&self, candidates: usize) -> Result<Asked<'a>> {
        let (start, words) = (self.length() - request::WORDS, asked::MARKS + candidates);
        let words = self.behind.get(start..start + words).ok_or_else(|| broken("marks"))?;
        Ok(Asked { words })
    }

    /// Where the answer to a decision goes.
    pub fn decision(&self) -> Result<Decision<'a>> {
        self.behind.first_chunk().map(|words| Decision { words }).ok_or_else(|| broken("place for a decision"))
    }

    /// The reaction that stands here.
    #[inline]
    pub fn reaction(&self, active: PolicyName) -> Result<Reaction> {
        Ok(Reaction {
            policy: self.policy(active)?,
            moment: self.moment(),
            profile: self.profile(),
            task: self.task(),
            reward: self.words[reward::REWARD].get(),
        })
    }
}

/// What stands behind a request for a decision.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    words: &'a [Cell<f64>],
}

impl Asked<'_> {
    pub fn holdout(&self) -> f64 {
        self.words[asked::HOLDOUT].get()
    }

    pub fn explain(&self) -> bool {
        whole(&self.words[asked::FLAGS]) & asked_flags::EXPLAIN != 0
    }

    /// They cross as one text, not as one each.
    pub fn ids_are_one_text(&self) -> bool {
        whole(&self.words[asked::FLAGS]) & asked_flags::IDS_ARE_ONE_TEXT != 0
    }

    /// Which candidates may be shown, where not all may.
    pub fn eligible(&self) -> Option<Vec<bool>> {
        let has_mask = whole(&self.words[asked::FLAGS]) & asked_flags::HAS_MASK != 0;
        has_mask.then(|| self.marks().map(|mark| mark & mark::ELIGIBLE != 0).collect())
    }

    /// How many UTF-16 units the id of each candidate has.
    pub fn id_lengths(&self) -> impl Iterator<Item = usize> + '_ {
        self.marks().map(|mark| (mark >> mark::ID_LENGTH & mark::ID_LENGTH_MASK) as usize)
    }

    fn marks(&self) -> impl Iterator<Item = u32> + '_ {
        self.words[asked::MARKS..].iter().map(whole)
    }
}

/// A reaction to a decision, in a request's place.
#[derive(Debug, Clone, Copy)]
pub struct DecisionReaction<'a> {
    words: &'a [Cell<f64>; reaction::WORDS],
}

impl<'a> DecisionReaction<'a> {
    /// The one that starts at word `start`.
    pub fn at(block: &'a [Cell<f64>], start: usize) -> Result<Self> {
        let words = block.get(start..).and_then(<[_]>::first_chunk).ok_or_else(|| broken("reaction"))?;
        Ok(Self { words })
    }

    /// A text says whose decision it has to be.
    pub fn has_user(self) -> bool {
        whole(&self.words[reaction::OF_USER]) != 0
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked by lib/
    pub fn call(self, user_id: Option<&str>) -> FeedbackCall<'_> {
        let at = self.words[reaction::AT].get();
        FeedbackCall {
            decision: Seq { epoch: whole(&self.words[reaction::EPOCH]), n: self.words[reaction::N].get() as u64 },
            action: ACTIONS.get(whole(&self.words[reaction::ACTION]) as usize).copied(),
            reward: self.words[reaction::REWARD].get(),
            at: (!at.is_nan()).then_some(at as u64),
            user_id,
        }
    }

    /// Writes what became of it.
    pub fn answer(self, outcome: &FeedbackOutcome) {
        let FeedbackOutcome { applied, revision, ref policies } = *outcome;
        let flag = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        let policies = policies.iter().fold(0, |bits, policy| bits | 1 << *policy as u32);
        let flags = flag(applied, reaction_flags::APPLIED) | flag(revision, reaction_flags::REVISION);
        set_whole(&self.words[reaction::FLAGS], flags | policies << reaction_flags::POLICIES);
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
        self.words[decision::EPOCH].set(decision.epoch.into()); // JavaScript's whole numbers have a sign
        self.words[decision::N].set(decision.n as f64);
        set_whole(&self.words[decision::INDEX], index as u32);
        self.words[decision::SCORE].set(score);
        self.words[decision::PROPENSITY].set(propensity);
        let held_out = if held_out { decision_flags::HELD_OUT } else { 0 };
        set_whole(&self.words[decision::FLAGS], held_out | (assigned as u32) << decision_flags::ASSIGNED);
        set_whole(&self.words[decision::COUNT], choices.len() as u32);
        for (place, chosen) in self.words[decision::WORDS..].chunks_exact(chosen::WORDS).zip(choices) {
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
        let exploring = if choice.exploring { choice::EXPLORING } else { 0 };
        set_whole(flags, exploring | (policy as u32) << choice::POLICY);
        score.set(choice.score);
        propensity.set(choice.propensity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_with(meta: u32) -> Vec<Cell<f64>> {
        let block: Vec<_> = std::iter::repeat_with(|| Cell::new(0.0)).take(request::WORDS).collect();
        set_whole(&block[request::META], meta);
        block
    }

    #[test]
    fn a_request_names_a_policy_or_means_the_active_one_and_no_number_is_taken_for_another() {
        let active = PolicyName::EGreedyV2;
        for number in 0..=meta::POLICY_MASK {
            let unnamed = request_with(number << meta::POLICY);
            assert_eq!(Request::at(&unnamed, 0).unwrap().policy(active).unwrap(), active, "{number} without the flag");
            let named = request_with(number << meta::POLICY | meta::NAMES_POLICY);
            let found = Request::at(&named, 0).unwrap().policy(active);
            match PolicyName::ALL.get(number as usize) {
                Some(policy) => assert_eq!(found.unwrap(), *policy),
                None => assert_eq!(found.unwrap_err().kind(), ErrorKind::Internal, "{number}"),
            }
        }
    }

    #[test]
    fn the_hour_the_day_and_the_policy_do_not_touch() {
        for (hour, day, policy) in [(0, 0, 0), (23, 0, 2), (0, 6, 1), (23, 6, 2), (13, 4, 0)] {
            let block = request_with(policy << meta::POLICY | meta::NAMES_POLICY | hour << meta::HOUR | day << meta::DAY);
            let request = Request::at(&block, 0).unwrap();
            let moment = request.moment();
            assert_eq!((u32::from(moment.hour), u32::from(moment.day)), (hour, day));
            assert_eq!(request.policy(PolicyName::LinUcbV1).unwrap() as u32, policy);
            assert!(request.profile().is_none() && !request.has_computed_at() && !request.has_prompt_version());
        }
    }
}
