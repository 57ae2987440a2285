//! One thread's way to one engine: its numbered users, and the three calls that must be fast.

use super::error::from_panic;
use super::frame::{CONTROL_WORDS, Frame, Request, Status, answer, batch};
use crate::engine::{Engine, Explanation, RecommendCall, Refused, RewardCall, ScoreCall, Texts};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::{Candidates, Scratch};
use crate::state::User;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// Memory for more candidates than this is given back after the call.
const KEEP_CANDIDATES: usize = 10_000;

/// Bytes of the longest tip id in UTF-8, and the zero that Node-API puts behind it: `LONGEST_ID` of `lib/check.ts` is 512 UTF-16
/// units, each at most three bytes.
const TIP_ID_BYTES: usize = 3 * 512 + 1;

/// The texts of a call, read only where they are needed. `request` is the number of a request in a batch.
pub trait CallTexts {
    /// The id of candidate `index`, or of the tip that is rewarded, in UTF-8, written to `buffer`.
    fn tip_id<'a>(&self, request: Option<usize>, index: usize, buffer: &'a mut [u8]) -> Result<&'a str>;

    /// The ids of all candidates, one behind the other, in UTF-8, written to `buffer`; they are `units` UTF-16 units long.
    fn ids<'a>(&self, units: usize, buffer: &'a mut Vec<u8>) -> Result<&'a str>;

    /// The candidates' prompt versions, a JSON array.
    fn prompt_versions(&self) -> Result<Option<String>>;

    /// When the profile was computed.
    fn computed_at(&self, request: Option<usize>) -> Result<Option<String>>;

    /// The version of the prompt that wrote candidate `index`.
    fn prompt_version(&self, request: Option<usize>, index: usize) -> Result<Option<String>>;
}

/// Lives on one thread.
#[derive(Debug)]
pub struct Channel {
    engine: Arc<Engine>,
    frame: Rc<Frame>,
    users: RefCell<Vec<Arc<User>>>,
    scratch: RefCell<Scratch>,
    tip_id: RefCell<Box<[u8]>>,
    ids: RefCell<Vec<u8>>,
    explanation: RefCell<Option<Explanation>>,
    error: RefCell<Option<Error>>,
}

impl Channel {
    pub fn new(engine: Arc<Engine>, frame: Rc<Frame>) -> Self {
        let tip_id = RefCell::new(vec![0; TIP_ID_BYTES].into());
        Self {
            engine,
            frame,
            users: RefCell::default(),
            scratch: RefCell::default(),
            tip_id,
            ids: RefCell::default(),
            explanation: RefCell::default(),
            error: RefCell::default(),
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

    /// What the last failed call failed of.
    pub fn take_error(&self) -> Error {
        self.error.take().unwrap_or_else(|| Error::new(ErrorKind::Internal, "no error"))
    }

    /// Scores the request, or the batch of requests, in the frame.
    #[inline]
    pub fn score(&self, texts: &impl CallTexts) {
        self.call(|block| {
            let Some(count) = batch(block) else { return self.score_one(&Request::at(block, CONTROL_WORDS)?, None, texts) };
            // A batch is carried out whole or not at all, so every user is looked at before the first one is changed.
            each_request(block, count, |_, request| {
                self.on_user(request, |user| self.engine.probe(user, request.policy(self.engine.active())))
            })?;
            each_request(block, count, |number, request| self.score_one(request, Some(number), texts))
        });
    }

    /// Decides on the request in the frame; what it is made of waits in [`Channel::take_explanation`] where that was asked for.
    pub fn recommend(&self, texts: &impl CallTexts) {
        self.call(|block| {
            let request = Request::at(block, CONTROL_WORDS)?;
            let answer = request.decision()?;
            let scratch = &mut *self.scratch.borrow_mut();
            let set = self.frame.set_of(&request)?;
            let (lanes, normalised) = request.candidates(set.as_deref())?;
            let asked = request.asked(lanes.len())?;
            let buffer = &mut *self.ids.borrow_mut();
            let ids = split(texts.ids(asked.id_lengths().sum(), buffer)?, asked.id_lengths())?;
            let computed_at = if request.has_computed_at() { texts.computed_at(None)? } else { None };
            let prompt_versions = if request.has_prompt_versions() { texts.prompt_versions()? } else { None };
            let eligible = asked.eligible();
            let call = RecommendCall {
                moment: request.moment(),
                profile: request.profile(),
                computed_at: computed_at.as_deref(),
                lanes,
                normalised,
                ids: &ids,
                prompt_versions: prompt_versions.as_deref(),
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
        });
    }

    /// What the last decision is made of, where that was asked for.
    pub fn take_explanation(&self) -> Option<Explanation> {
        self.explanation.take()
    }

    /// Gives the engine the reward in the frame.
    #[inline]
    pub fn reward(&self, texts: &impl CallTexts) {
        self.call(|block| {
            let request = Request::at(block, CONTROL_WORDS)?;
            let buffer = &mut *self.tip_id.borrow_mut();
            let computed_at = if request.has_computed_at() { texts.computed_at(None)? } else { None };
            let tip_id = texts.tip_id(None, 0, buffer)?;
            let call = RewardCall { reaction: request.reaction(self.engine.active()), tip_id, computed_at: computed_at.as_deref() };
            self.on_user(&request, |user| self.engine.reward(user, &call))
        });
    }

    /// Runs `call` and writes how it went; a panic is a failure like any other.
    #[inline]
    fn call(&self, call: impl FnOnce(&[Cell<f64>]) -> Result<()>) {
        self.frame.with(|block| {
            let outcome = catch_unwind(AssertUnwindSafe(|| call(block))).unwrap_or_else(|payload| Err(from_panic(&*payload)));
            answer(block, if outcome.is_ok() { Status::Done } else { Status::Failed });
            if let Err(error) = outcome {
                self.error.replace(Some(error));
            }
        });
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
    fn score_one(&self, request: &Request<'_>, i: Option<usize>, texts: &impl CallTexts) -> Result<()> {
        let scratch = &mut *self.scratch.borrow_mut();
        let (policy, moment, profile) = (request.policy(self.engine.active()), request.moment(), request.profile());
        let set = self.frame.set_of(request)?;
        let (lanes, normalised) = request.candidates(set.as_deref())?;
        let call = ScoreCall { policy, moment, profile, lanes, normalised };
        let buffer = &mut *self.tip_id.borrow_mut();
        let (mut computed_at, mut prompt_version) = (None, None);
        self.on_user(request, |user| {
            let choice = self.engine.score(user, &call, scratch, |index| {
                if request.has_computed_at() {
                    computed_at = texts.computed_at(i)?;
                }
                if request.has_prompt_versions() {
                    prompt_version = texts.prompt_version(i, index)?;
                }
                let tip_id = texts.tip_id(i, index, buffer)?;
                Ok(Texts { tip_id, prompt_version: prompt_version.as_deref(), computed_at: computed_at.as_deref() })
            })?;
            request.answer(&choice, policy);
            Ok(())
        })?;
        if lanes.len() > KEEP_CANDIDATES {
            scratch.shrink(KEEP_CANDIDATES);
        }
        Ok(())
    }
}

/// Runs `each` on the requests of a batch, until one fails.
#[inline]
fn each_request(block: &[Cell<f64>], count: u32, each: impl Fn(usize, &Request<'_>) -> Result<()>) -> Result<()> {
    let mut at = CONTROL_WORDS;
    for i in 0..count as usize {
        let request = Request::at(block, at)?;
        at += request.length();
        each(i, &request)?;
    }
    Ok(())
}

/// Cuts a text into pieces of so many UTF-16 units.
fn split(text: &str, units: impl Iterator<Item = usize>) -> Result<Vec<&str>> {
    let (mut rest, is_ascii) = (text, text.is_ascii());
    let mut cut = |units: usize| {
        let end = if is_ascii {
            units
        } else {
            let mut left = units;
            let is_left = |(_, c): &(usize, char)| left.checked_sub(c.len_utf16()).map(|less| left = less).is_some();
            rest.char_indices().take_while(is_left).last().map_or(0, |(i, c)| i + c.len_utf8())
        };
        let (piece, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(piece)
    };
    let pieces: Option<Vec<&str>> = units.map(&mut cut).collect();
    pieces
        .filter(|_| rest.is_empty())
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the candidates' ids are not as long as they are said to be"))
}
