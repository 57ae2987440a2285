//! One thread's way to one engine: its numbered users, its ring, and the two calls that must be fast.

use super::error::from_panic;
use super::frame::{Control, Frame, Request, Status};
use crate::engine::{Engine, PullRing, Refused, ScoreCall};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::{NormalisedLanes, Scratch};
use crate::state::User;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// Memory for more candidates than this is given back after the call.
const KEEP_CANDIDATES: usize = 10_000;

/// Lives on one thread.
#[derive(Debug)]
pub struct Channel {
    engine: Arc<Engine>,
    frame: Rc<Frame>,
    ring: Arc<PullRing>,
    users: RefCell<Vec<Arc<User>>>,
    scratch: RefCell<(Scratch, NormalisedLanes)>,
    error: RefCell<Option<Error>>,
}

impl Channel {
    pub fn new(engine: Arc<Engine>, frame: Rc<Frame>) -> Self {
        let ring = engine.pull_ring();
        Self { engine, frame, ring, users: RefCell::default(), scratch: RefCell::default(), error: RefCell::default() }
    }

    pub const fn ring(&self) -> &Arc<PullRing> {
        &self.ring
    }

    /// Numbers a user for this channel; loads it at first sight.
    pub fn number(&self, user_id: &str) -> Result<u32> {
        let user = self.engine.user(user_id)?;
        let mut users = self.users.borrow_mut();
        let number = u32::try_from(users.len()).map_err(|_| Error::new(ErrorKind::Internal, "too many users on one channel"))?;
        self.ring.add_user(Arc::clone(&user));
        users.push(user);
        Ok(number)
    }

    /// Starts numbering afresh.
    pub fn forget_users(&self) {
        self.ring.forget_users(|user, pull, tip_id| self.engine.remember(user, pull, tip_id));
        *self.users.borrow_mut() = Vec::new();
    }

    /// Names the tip of the last, unpublished pull.
    pub fn name_last(&self, tip_id: &str) {
        self.ring.take_last(tip_id, |user, pull, tip_id| self.engine.remember(user, pull, tip_id));
    }

    /// What the last failed call failed of.
    pub fn take_error(&self) -> Error {
        self.error.take().unwrap_or_else(|| Error::new(ErrorKind::Internal, "no error"))
    }

    /// Scores the requests in the frame.
    #[inline]
    pub fn score(&self) {
        self.call(|block| {
            let control = Control::read(block);
            // A batch is carried out whole or not at all, so every user is looked at before the first one is changed.
            if control.count > 1 || control.probe {
                let probed = each_request(block, control, |_, request| self.probe(request));
                if control.probe || probed.1.is_err() {
                    return probed;
                }
            }
            each_request(block, control, |i, request| self.score_one(request, i))
        });
    }

    /// Gives the engine the reward in the frame.
    #[inline]
    pub fn reward(&self) {
        self.call(|block| {
            let rewarded = Request::at(block, super::frame::CONTROL_WORDS).map_err(Refused::from).and_then(|request| {
                let users = self.users.borrow();
                let user = users.get(request.user()).ok_or(Refused::Retired)?;
                self.engine.reward(user, &request.reward()?)
            });
            (0, rewarded)
        });
    }

    /// Runs `call` and writes how it went; a panic is a failure like any other.
    #[inline]
    fn call(&self, call: impl FnOnce(&[Cell<f64>]) -> (usize, Result<(), Refused>)) {
        self.frame.with(|block| {
            let (failed, outcome) = catch_unwind(AssertUnwindSafe(|| call(block)))
                .unwrap_or_else(|payload| (0, Err(Refused::Failed(from_panic(&*payload)))));
            let status = match outcome {
                Ok(()) => Status::Done,
                Err(Refused::Retired) => Status::LookUpAgain,
                Err(Refused::Failed(error)) => {
                    self.error.replace(Some(error));
                    Status::Failed
                }
            };
            Control::answer(block, status, failed);
        });
    }

    fn probe(&self, request: &Request<'_>) -> Result<(), Refused> {
        let users = self.users.borrow();
        let user = users.get(request.user()).ok_or(Refused::Retired)?;
        self.engine.probe(user, request.policy()?)
    }

    #[inline]
    fn score_one(&self, request: &Request<'_>, ahead: usize) -> Result<(), Refused> {
        let users = self.users.borrow();
        let user = users.get(request.user()).ok_or(Refused::Retired)?;
        let (scratch, own) = &mut *self.scratch.borrow_mut();
        let (policy, moment, profile) = (request.policy()?, request.moment(), request.profile());
        let set = if request.set() == 0 { None } else { Some(self.frame.set(request.set())?) };
        let (lanes, normalised) = if let Some(set) = &set {
            (set.lanes(), set.normalised())
        } else {
            let lanes = request.lanes()?;
            own.fill(&lanes);
            (lanes, &*own)
        };
        let call = ScoreCall { policy, moment, profile, lanes, normalised };
        let (choice, pull) = self.engine.score(user, &call, scratch)?;
        #[allow(clippy::cast_possible_truncation)] // both below 2^32
        self.ring.write(ahead as u32, request.user() as u32, &pull, |user, pull, tip_id| self.engine.remember(user, pull, tip_id));
        request.answer(&choice);
        if lanes.len() > KEEP_CANDIDATES {
            scratch.shrink(KEEP_CANDIDATES);
            own.shrink(KEEP_CANDIDATES);
        }
        Ok(())
    }
}

/// Runs `each` on the requests of a call; stops at the first refusal, and says which request that was.
#[inline]
fn each_request(
    block: &[Cell<f64>],
    control: Control,
    each: impl Fn(usize, &Request<'_>) -> Result<(), Refused>,
) -> (usize, Result<(), Refused>) {
    let mut at = control.start;
    for i in 0..control.count {
        let done = Request::at(block, at).map_err(Refused::from).and_then(|request| {
            at += request.length();
            each(i, &request)
        });
        if done.is_err() {
            return (i, done);
        }
    }
    (0, Ok(()))
}
