//! Whose turn it is: so many requests at once, the others in the order in which they were asked for.

use super::generator::Shared;
use super::report::Tally;
use crate::error::Result;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::sync::{AcquireError, OwnedSemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// More calls than this are not kept waiting.
const MOST_WAITING: u64 = 1000;

/// The right to send a request, or a place in the queue for it.
pub enum Turn {
    Taken(OwnedSemaphorePermit),
    Waiting(Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>, Counted),
}

impl Turn {
    /// Takes a turn or a place, at once.
    pub fn queue(shared: &Arc<Shared>) -> Result<Self> {
        let mut turn = Box::pin(Arc::clone(&shared.turns).acquire_owned());
        // The first look is what takes the place.
        if let Poll::Ready(Ok(taken)) = turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(Self::Taken(taken));
        }
        let waiting = Counted::new(shared, |tally| &mut tally.waiting);
        if shared.tally.lock().waiting > MOST_WAITING {
            return Err(shared.busy(&format!("{MOST_WAITING} calls wait for their turn")));
        }
        Ok(Self::Waiting(turn, waiting))
    }

    /// Waits for it until `deadline`.
    pub async fn take(self, shared: &Shared, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        match self {
            Self::Taken(turn) => Ok(turn),
            Self::Waiting(turn, _waiting) => timeout_at(deadline, turn).await.ok().and_then(Result::ok).ok_or_else(|| {
                let deadline = shared.settings.deadline.as_millis();
                shared.busy(&format!("this call had no turn within the {deadline} ms that it may take (litellm.deadlineMs)"))
            }),
        }
    }
}

/// One more of something, until it is dropped.
pub struct Counted {
    shared: Arc<Shared>,
    of: fn(&mut Tally) -> &mut u64,
}

impl Counted {
    pub fn new(shared: &Arc<Shared>, of: fn(&mut Tally) -> &mut u64) -> Self {
        *of(&mut shared.tally.lock()) += 1;
        Self { shared: Arc::clone(shared), of }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *(self.of)(&mut self.shared.tally.lock()) -= 1;
    }
}
