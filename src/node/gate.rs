//! One JavaScript environment's way in: its frame, and its channels to the engines that it has opened. The functions of a gate are made
//! once, and the frame says which channel they are for: V8 calls a function quickly that is always the same, and a native function that
//! is one of several half as quickly.

use super::channel::{CallTexts, Channel};
use super::error::from_panic;
use super::frame::{Frame, Status, answer, channel};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// Lives on one thread.
#[derive(Debug)]
pub struct Gate {
    /// What JavaScript writes to.
    pub frame: Frame,
    channels: RefCell<Vec<Option<Rc<Channel>>>>,
    error: RefCell<Option<Error>>,
}

impl Gate {
    pub fn new() -> Self {
        Self { frame: Frame::new(), channels: RefCell::default(), error: RefCell::default() }
    }

    /// A channel to an engine; its number.
    pub fn open(&self, engine: Arc<Engine>) -> Result<u32> {
        let mut channels = self.channels.borrow_mut();
        let free = channels.iter().position(Option::is_none).unwrap_or(channels.len());
        if free == channels.len() {
            channels.push(None);
        }
        channels[free] = Some(Rc::new(Channel::new(engine)));
        u32::try_from(free).map_err(|_| Error::new(ErrorKind::Internal, "too many channels"))
    }

    /// Lets go of a channel.
    pub fn close(&self, number: u32) {
        let channel = self.channels.borrow_mut().get_mut(number as usize).and_then(Option::take);
        // Not while the list is borrowed: it lets go of users.
        drop(channel);
    }

    /// The channel with this number.
    #[inline]
    pub fn channel(&self, number: usize) -> Result<Rc<Channel>> {
        let channels = self.channels.borrow();
        let channel = channels.get(number).and_then(Option::as_ref).map(Rc::clone);
        channel.ok_or_else(|| Error::new(ErrorKind::Internal, "no such channel"))
    }

    /// What the last failed call failed of.
    pub fn take_error(&self) -> Error {
        self.error.take().unwrap_or_else(|| Error::new(ErrorKind::Internal, "no error"))
    }

    /// [`Channel::foresee`].
    #[inline]
    pub fn foresee(&self) {
        self.call(Channel::foresee);
    }

    /// [`Channel::choose`].
    #[inline]
    pub fn choose(&self) {
        self.call(|channel, block| channel.choose(&self.frame, block));
    }

    /// [`Channel::pull`].
    #[inline]
    pub fn pull(&self, texts: &impl CallTexts) {
        self.call(|channel, block| channel.pull(block, texts));
    }

    /// [`Channel::score_set`].
    #[inline]
    pub fn score_set(&self, texts: &impl CallTexts) {
        self.call(|channel, block| channel.score_set(&self.frame, block, texts));
    }

    /// [`Channel::reward`].
    #[inline]
    pub fn reward(&self, texts: &impl CallTexts) {
        self.call(|channel, block| channel.reward(block, texts));
    }

    /// [`Channel::recommend`].
    pub fn recommend(&self, texts: &impl CallTexts) {
        self.call(|channel, block| channel.recommend(&self.frame, block, texts));
    }

    /// [`Channel::feedback`].
    pub fn feedback(&self, texts: &impl CallTexts) {
        self.call(|channel, block| channel.feedback(block, texts));
    }

    /// Runs `call` on the frame's channel and writes how it went; a panic is a failure like any other.
    #[inline]
    fn call(&self, call: impl FnOnce(&Channel, &[Cell<f64>]) -> Result<()>) {
        let block = &**self.frame.block;
        let call = || call(&*self.channel(channel(block))?, block);
        let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| Err(from_panic(&*payload)));
        answer(block, if outcome.is_ok() { Status::Done } else { Status::Failed });
        if let Err(error) = outcome {
            self.error.replace(Some(error));
        }
    }
}
