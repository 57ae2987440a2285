//! One thread's way to one engine: its numbered users, and the calls that must be fast.

use super::frame::{DecisionReaction, Frame, Request, requests};
use super::prepared::PreparedSet;
use super::text::{TextBuffer, split};
use crate::boundary::{LONGEST_ID as ID, LONGEST_TEXT as TEXT};
use crate::engine::{Engine, Explanation, PullCall, RecommendCall, Refused, RewardCall, ScoreCall, Texts};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::{Candidates, Choice, FoldCache, PolicyName, Scratch};
use crate::state::User;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// Memory for more candidates than this is given back after the call.
const KEEP_CANDIDATES: usize = 10_000;

/// The texts of a call, read only where they are needed.
pub trait CallTexts {
    /// Copies the text in a place, of at most so many UTF-16 units.
    fn copy(&self, place: usize, units: usize, to: &mut TextBuffer) -> Result<()>;

    /// The same, behind what was copied before.
    fn copy_more(&self, place: usize, units: usize, to: &mut TextBuffer) -> Result<()>;

    /// The same of any length, which takes longer.
    fn copy_long(&self, place: usize, to: &mut TextBuffer) -> Result<()>;
}

/// Lives on one thread.
#[derive(Debug)]
pub struct Channel {
    engine: Arc<Engine>,
    users: RefCell<Vec<Arc<User>>>,
    folds: RefCell<FoldCache>,
    scratch: RefCell<Scratch>,
    /// What a mask says of each candidate.
    flags: RefCell<Vec<bool>>,
    /// For an id or ids, the time of a profile, and a prompt version or versions.
    texts: RefCell<[TextBuffer; 3]>,
    explanation: RefCell<Option<Explanation>>,
}

impl Channel {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            users: RefCell::default(),
            folds: RefCell::default(),
            scratch: RefCell::default(),
            flags: RefCell::default(),
            texts: RefCell::default(),
            explanation: RefCell::default(),
        }
    }

    /// Numbers a user for this channel; loads it at first sight.
    pub fn number(&self, user_id: &str) -> Result<u32> {
        let user = self.engine.user(user_id)?;
        let mut users = self.users.borrow_mut();
        let number = u32::try_from(users.len()).map_err(|_| Error::new(ErrorKind::Internal, "too many users on one channel"))?;
        users.push(user);
        Ok(number)
    }

    /// Starts numbering afresh.
    pub fn forget_users(&self) {
        *self.users.borrow_mut() = Vec::new();
    }

    /// Says that a request of the user who is named in the frame comes next.
    #[inline]
    pub fn foresee(&self, block: &[Cell<f64>]) -> Result<()> {
        self.foresee_user(&only_request(block)?);
        Ok(())
    }

    #[inline]
    fn foresee_user(&self, request: &Request<'_>) {
        if let Some(user) = self.users.borrow().get(request.user()) {
            user.foresee();
        }
    }

    /// Chooses for the requests in the frame. Nothing changes by that, so a batch is carried out whole or not at all.
    #[inline]
    pub fn choose(&self, frame: &Frame, block: &[Cell<f64>]) -> Result<()> {
        each_request(block, |request, next| {
            if let Some(next) = next {
                self.foresee_user(next);
            }
            self.choose_one(frame, request)
        })
    }

    /// Remembers what was chosen for the requests in the frame. Of each, one after the other: the chosen candidate's id, when the
    /// profile was computed where META says that this is known, and the version of the prompt that wrote the candidate likewise.
    #[inline]
    pub fn pull(&self, block: &[Cell<f64>], texts: &impl CallTexts) -> Result<()> {
        let mut places = 0..;
        let mut place = || places.next().unwrap_or_default();
        each_request(block, |request, _| self.pull_one(request, texts, &mut place))
    }

    /// Chooses from a prepared set for the request in the frame, and remembers the choice: what is said of the candidates is in the set, and
    /// nothing has to be read of the caller's in between. The only text says when the profile was computed.
    pub fn score_set(&self, frame: &Frame, block: &[Cell<f64>], texts: &impl CallTexts) -> Result<()> {
        let request = only_request(block)?;
        let set = frame.set_of(&request)?.ok_or_else(|| Error::new(ErrorKind::Internal, "the request names no prepared set"))?;
        self.choose_from(&request, Some(&set))?;
        let (choice, policy) = request.answered()?;
        let call = pull_call(&request, choice, policy);
        let [_, computed_at, _] = &mut *self.texts.borrow_mut();
        let has_computed_at = self.engine.logs() && request.has_computed_at();
        if has_computed_at {
            texts.copy(0, TEXT, computed_at)?;
        }
        let (tip_id, prompt_version) = (set.id(call.choice.index)?, set.prompt_version(call.choice.index));
        self.on_user(&request, |user| {
            self.engine
                .pull(user, &call, || Ok(Texts { tip_id, prompt_version, computed_at: text_if(has_computed_at, computed_at)? }))
        })
    }

    /// Decides on the request in the frame; what it is made of waits in [`Channel::take_explanation`] where that was asked for.
    pub fn recommend(&self, frame: &Frame, block: &[Cell<f64>], texts: &impl CallTexts) -> Result<()> {
        let request = only_request(block)?;
        let answer = request.decision()?;
        let scratch = &mut *self.scratch.borrow_mut();
        let set = frame.set_of(&request)?;
        let (lanes, normalised) = request.candidates(set.as_deref())?;
        let asked = request.asked(lanes.len())?;
        let [ids, computed_at, versions] = &mut *self.texts.borrow_mut();
        if request.has_computed_at() {
            texts.copy(0, TEXT, computed_at)?;
        }
        if request.has_prompt_version() {
            texts.copy_long(1, versions)?;
        }
        let ids = if let Some(set) = set.as_deref() {
            set.ids()?
        } else {
            if asked.ids_are_one_text() {
                texts.copy_long(2, ids)?;
            } else {
                texts.copy(2, ID, ids)?;
                (3..2 + lanes.len()).try_for_each(|place| texts.copy_more(place, ID, ids))?;
            }
            split(text(ids)?, asked.id_lengths())?
        };
        let eligible = asked.eligible();
        let call = RecommendCall {
            moment: request.moment(),
            profile: request.profile(),
            computed_at: text_if(request.has_computed_at(), computed_at)?,
            lanes,
            normalised,
            ids: &ids,
            prompt_versions: text_if(request.has_prompt_version(), versions)?,
            eligible: eligible.as_deref(),
            holdout: asked.holdout(),
            explain: asked.explain(),
        };
        self.on_user(&request, |user| {
            let decided = self.engine.recommend(user, &call, scratch)?;
            answer.answer(&decided);
            self.explanation.replace(decided.explanation);
            Ok(())
        })
    }

    /// Learns from the reaction in the frame; the only text says whose decision it has to be.
    pub fn feedback(&self, block: &[Cell<f64>], texts: &impl CallTexts) -> Result<()> {
        let reaction = only_reaction(block)?;
        let [user_id, ..] = &mut *self.texts.borrow_mut();
        if reaction.has_user() {
            texts.copy(0, ID, user_id)?;
        }
        let call = reaction.call(text_if(reaction.has_user(), user_id)?);
        reaction.answer(&self.engine.feedback(&call)?);
        Ok(())
    }

    /// What the last decision is made of, where that was asked for.
    pub fn take_explanation(&self) -> Option<Explanation> {
        self.explanation.take()
    }

    /// Gives the engine the reward in the frame.
    #[inline]
    pub fn reward(&self, block: &[Cell<f64>], texts: &impl CallTexts) -> Result<()> {
        let request = only_request(block)?;
        let [tip_id, computed_at, _] = &mut *self.texts.borrow_mut();
        let reaction = request.reaction(self.engine.active())?;
        // Both go into the log and nowhere else.
        let is_logged = self.engine.logs();
        let has_computed_at = is_logged && request.has_computed_at();
        if is_logged {
            texts.copy(0, ID, tip_id)?;
        }
        if has_computed_at {
            texts.copy(1, TEXT, computed_at)?;
        }
        let tip_id = text_if(is_logged, tip_id)?.unwrap_or_default();
        let computed_at = text_if(has_computed_at, computed_at)?;
        let call = RewardCall { reaction, tip_id, computed_at };
        self.on_user(&request, |user| self.engine.reward(user, &call))
    }

    /// Runs `call` on the user of a request; on the same user's new state where the one that is numbered has left memory.
    #[inline]
    fn on_user(&self, request: &Request<'_>, mut call: impl FnMut(&Arc<User>) -> Result<(), Refused>) -> Result<()> {
        loop {
            let user_id = {
                let users = self.users.borrow();
                let user =
                    users.get(request.user()).ok_or_else(|| Error::new(ErrorKind::Internal, "no such user on this channel"))?;
                match call(user) {
                    Ok(()) => return Ok(()),
                    Err(Refused::Failed(error)) => return Err(error),
                    Err(Refused::Retired) => user.id.clone(),
                }
            };
            let again = self.engine.user(&user_id)?;
            if let Some(user) = self.users.borrow_mut().get_mut(request.user()) {
                *user = again;
            }
        }
    }

    #[inline]
    fn choose_one(&self, frame: &Frame, request: &Request<'_>) -> Result<()> {
        self.choose_from(request, frame.set_of(request)?.as_deref())
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // called from two places it would become a call, which costs 2 % of a score
    fn choose_from(&self, request: &Request<'_>, set: Option<&PreparedSet>) -> Result<()> {
        let (folds, scratch) = (&mut *self.folds.borrow_mut(), &mut *self.scratch.borrow_mut());
        let (policy, moment, profile) = (request.policy(self.engine.active())?, request.moment(), request.profile());
        let (lanes, normalised) = request.candidates(set)?;
        let flags = &mut *self.flags.borrow_mut();
        let eligible = request.eligible(flags)?;
        let call = ScoreCall { policy, moment, profile, lanes, normalised, eligible };
        self.on_user(request, |user| {
            let choice = self.engine.choose(user, &call, folds, scratch)?;
            request.answer(&choice, policy, &lanes.task(choice.index));
            Ok(())
        })?;
        if lanes.len() > KEEP_CANDIDATES {
            scratch.shrink(KEEP_CANDIDATES);
            *flags = Vec::new();
        }
        Ok(())
    }

    #[inline]
    fn pull_one(&self, request: &Request<'_>, texts: &impl CallTexts, mut place: impl FnMut() -> usize) -> Result<()> {
        let [tip_id, computed_at, prompt_version] = &mut *self.texts.borrow_mut();
        texts.copy(place(), ID, tip_id)?;
        // These go into the log and nowhere else.
        let is_logged = self.engine.logs();
        let mut copy_if = |is_there: bool, buffer: &mut TextBuffer| {
            let place = if is_there { place() } else { return Ok(false) };
            if is_logged {
                texts.copy(place, TEXT, buffer)?;
            }
            Ok(is_logged)
        };
        let has_computed_at = copy_if(request.has_computed_at(), computed_at)?;
        let has_prompt_version = copy_if(request.has_prompt_version(), prompt_version)?;
        let (choice, policy) = request.answered()?;
        let call = pull_call(request, choice, policy);
        self.on_user(request, |user| {
            self.engine.pull(user, &call, || {
                Ok(Texts {
                    tip_id: text(tip_id)?,
                    prompt_version: text_if(has_prompt_version, prompt_version)?,
                    computed_at: text_if(has_computed_at, computed_at)?,
                })
            })
        })
    }
}

/// What a request says of a choice that was answered.
#[inline]
fn pull_call(request: &Request<'_>, choice: Choice, policy: PolicyName) -> PullCall {
    PullCall {
        policy,
        moment: request.moment(),
        profile: request.profile(),
        choice,
        task: request.task(),
        candidates: request.count(),
        allowed: request.allowed(),
    }
}

#[inline]
fn text(buffer: &mut TextBuffer) -> Result<&str> {
    buffer.utf8().ok_or_else(|| Error::new(ErrorKind::Internal, "a text has a lone surrogate"))
}

#[inline]
fn text_if(is_there: bool, buffer: &mut TextBuffer) -> Result<Option<&str>> {
    if is_there { text(buffer).map(Some) } else { Ok(None) }
}

/// Runs `each` on the requests of a call, and the one that comes next, until one fails.
#[inline]
fn each_request(block: &[Cell<f64>], mut each: impl FnMut(&Request<'_>, Option<&Request<'_>>) -> Result<()>) -> Result<()> {
    let (mut at, count) = requests(block);
    for left in (0..count).rev() {
        let request = Request::at(block, at)?;
        at += request.length();
        let next = (left > 0).then(|| Request::at(block, at)).transpose()?;
        each(&request, next.as_ref())?;
    }
    Ok(())
}

fn only_request(block: &[Cell<f64>]) -> Result<Request<'_>> {
    Request::at(block, requests(block).0)
}

fn only_reaction(block: &[Cell<f64>]) -> Result<DecisionReaction<'_>> {
    DecisionReaction::at(block, requests(block).0)
}
