//! One thread's way to one engine: its numbered users, and the two calls that must be fast.

use super::error::from_panic;
use super::frame::{Batch, CONTROL_WORDS, Frame, Request, Status, answer};
use crate::engine::{Engine, Refused, RewardCall, ScoreCall, Texts};
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
    error: RefCell<Option<Error>>,
}

impl Channel {
    pub fn new(engine: Arc<Engine>, frame: Rc<Frame>) -> Self {
        let tip_id = RefCell::new(vec![0; TIP_ID_BYTES].into());
        Self { engine, frame, users: RefCell::default(), scratch: RefCell::default(), tip_id, error: RefCell::default() }
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
            let Some(batch) = Batch::read(block) else {
                let request = Request::at(block, CONTROL_WORDS).map_err(Refused::from);
                return request.and_then(|request| self.score_one(&request, None, texts)).map_err(Stopped::at_first);
            };
            // A batch is carried out whole or not at all, so every user is looked at before the first one is changed. (One that
            // another thread erases in between is looked up again, and the batch goes on from there.)
            each_request(block, batch, |_, request| self.probe(request)).map_err(|(failed, refused)| Stopped {
                failed,
                carried_out: 0,
                refused,
            })?;
            each_request(block, batch, |number, request| self.score_one(request, Some(number), texts))
                .map_err(|(failed, refused)| Stopped { failed, carried_out: failed, refused })
        });
    }

    /// Gives the engine the reward in the frame.
    #[inline]
    pub fn reward(&self, texts: &impl CallTexts) {
        self.call(|block| {
            let rewarded = Request::at(block, CONTROL_WORDS).map_err(Refused::from).and_then(|request| {
                let users = self.users.borrow();
                let user = users.get(request.user()).ok_or(Refused::Retired)?;
                let buffer = &mut *self.tip_id.borrow_mut();
                let computed_at = if request.has_computed_at() { texts.computed_at(None)? } else { None };
                let tip_id = texts.tip_id(None, 0, buffer)?;
                let call = RewardCall { reaction: request.reaction()?, tip_id, computed_at: computed_at.as_deref() };
                self.engine.reward(user, &call)
            });
            rewarded.map_err(Stopped::at_first)
        });
    }

    /// Runs `call` and writes how it went; a panic is a failure like any other.
    #[inline]
    fn call(&self, call: impl FnOnce(&[Cell<f64>]) -> Result<(), Stopped>) {
        self.frame.with(|block| {
            let outcome = catch_unwind(AssertUnwindSafe(|| call(block)))
                .unwrap_or_else(|payload| Err(Stopped::at_first(Refused::Failed(from_panic(&*payload)))));
            match outcome {
                Ok(()) => answer(block, Status::Done, 0, 0),
                Err(Stopped { failed, carried_out, refused: Refused::Retired }) => {
                    answer(block, Status::LookUpAgain, failed, carried_out);
                }
                Err(Stopped { failed, carried_out, refused: Refused::Failed(error) }) => {
                    self.error.replace(Some(error));
                    answer(block, Status::Failed, failed, carried_out);
                }
            }
        });
    }

    fn probe(&self, request: &Request<'_>) -> Result<(), Refused> {
        let users = self.users.borrow();
        let user = users.get(request.user()).ok_or(Refused::Retired)?;
        self.engine.probe(user, request.policy()?)
    }

    #[inline]
    fn score_one(&self, request: &Request<'_>, i: Option<usize>, texts: &impl CallTexts) -> Result<(), Refused> {
        let users = self.users.borrow();
        let user = users.get(request.user()).ok_or(Refused::Retired)?;
        let scratch = &mut *self.scratch.borrow_mut();
        let (policy, moment, profile) = (request.policy()?, request.moment(), request.profile());
        let set = if request.set() == 0 { None } else { Some(self.frame.set(request.set())?) };
        let (lanes, normalised) = match &set {
            Some(set) => (set.lanes()?, Some(set.normalised())),
            None => (request.lanes()?, None),
        };
        let call = ScoreCall { policy, moment, profile, lanes, normalised };
        let buffer = &mut *self.tip_id.borrow_mut();
        let (mut computed_at, mut prompt_version) = (None, None);
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
        request.answer(&choice);
        if lanes.len() > KEEP_CANDIDATES {
            scratch.shrink(KEEP_CANDIDATES);
        }
        Ok(())
    }
}

/// Where a call stopped.
struct Stopped {
    failed: u32,
    carried_out: u32,
    refused: Refused,
}

impl Stopped {
    fn at_first(refused: Refused) -> Self {
        Self { failed: 0, carried_out: 0, refused }
    }
}

/// Runs `each` on the requests of a batch; stops at the first refusal and says which request that was.
#[inline]
fn each_request(
    block: &[Cell<f64>],
    batch: Batch,
    each: impl Fn(usize, &Request<'_>) -> Result<(), Refused>,
) -> Result<(), (u32, Refused)> {
    let mut at = batch.start;
    for i in 0..batch.count {
        let done = Request::at(block, at).map_err(Refused::from).and_then(|request| {
            at += request.length();
            each(batch.number + i as usize, &request)
        });
        done.map_err(|refused| (i, refused))?;
    }
    Ok(())
}
