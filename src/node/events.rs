//! The event bus as `lib/` sees it. Filters and events cross as JSON.

use super::engine::{NativeEngine, checked, json};
use super::generate::Cancel;
use super::promise::{promise, promise_of};
use crate::error::Error;
use crate::event::{EventFilter, Publication, SubjectFilter};
use napi::bindgen_prelude::{Function, Object, Uint8Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Result};
use napi_derive::napi;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    subject: Option<String>,
    user_id: Option<String>,
    since_seq: Option<u64>,
    limit: Option<usize>,
}

fn filter(text: &str) -> crate::Result<EventFilter> {
    let filter: Filter = serde_json::from_str(text).map_err(|e| Error::invalid("filter", e))?;
    let subject = filter.subject.map(|subject| SubjectFilter::parse("filter.subject", &subject)).transpose()?;
    Ok(EventFilter { subject, user_id: filter.user_id, since_seq: filter.since_seq, limit: filter.limit })
}

#[napi]
impl NativeEngine {
    /// Starts the consumers.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn start(&self, env: Env) -> Result<Object<'static>> {
        let (done, promise) = promise(env)?;
        match self.handle.engine() {
            Ok(engine) => engine.bus().start(done),
            Err(error) => done(Err(error)),
        }
        Ok(promise)
    }

    /// `BusEvent[]`; `filter` is an `EventFilter`.
    #[napi(catch_unwind)]
    pub fn events(&self, filter_json: String) -> Result<String> {
        let events = checked(self.handle.engine().and_then(|engine| Ok(engine.bus().ring().list(&filter(&filter_json)?))))?;
        json(Ok(events.iter().map(AsRef::as_ref).collect::<Vec<_>>()))
    }

    /// Has `bell` called soon after there is something new, until the engine is closed, and never holds the process for it. Returns the bell's number and the
    /// last event before.
    #[napi(catch_unwind, ts_args_type = "bell: () => void", ts_return_type = "[number, number]")]
    pub fn watch(&self, bell: Function<'_, (), ()>) -> Result<Vec<f64>> {
        // One call waits at most: whoever is rung looks for all that is new. A full queue is no loss, and nothing waits for it.
        let ring = bell.build_threadsafe_function::<()>().weak::<true>().max_queue_size::<1>().build()?;
        let watched = self.handle.watch(Arc::new(move || {
            let _ = ring.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }));
        let (number, last) = checked(watched)?;
        #[allow(clippy::cast_precision_loss)] // counts of events
        Ok(vec![number as f64, last as f64])
    }

    /// The bell of this number is not called any more.
    #[napi(catch_unwind)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a number that `watch` gave
    pub fn unwatch(&self, number: f64) {
        self.handle.unwatch(number as u64);
    }

    /// `Published`, within `patience_ms`.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn publish(
        &self,
        env: Env,
        subject: String,
        payload: Uint8Array,
        patience_ms: u32,
        cancel: &Cancel,
    ) -> Result<Object<'static>> {
        let engine = checked(self.handle.engine())?;
        let (done, promise) = promise_of::<String>(env)?;
        let publication = Publication { subject, payload: payload.to_vec(), patience: Duration::from_millis(patience_ms.into()) };
        engine.bus().publish(publication, cancel.inner.clone(), move |published| {
            done(json(published.unwrap_or_else(|| Err(Error::closed()))));
        });
        Ok(promise)
    }

    /// `SyncState | null`.
    #[napi(catch_unwind)]
    pub fn sync_state(&self, user_id: String) -> Result<String> {
        json(self.handle.engine().and_then(|engine| engine.bus().sync_state(&user_id)))
    }
}
