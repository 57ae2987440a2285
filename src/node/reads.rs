//! Operators' questions as `lib/` sees them. Questions and answers cross as JSON.

use super::engine::{NativeEngine, checked, json, object};
use super::promise::promise_of;
use crate::engine::{Bell, Question};
use napi::bindgen_prelude::{Function, Object};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi::{Env, Result};
use napi_derive::napi;
use std::sync::Arc;

/// How far the answer to one question is, and what ends it.
#[napi]
#[derive(Default)]
pub struct Reading {
    inner: Arc<crate::engine::Reading>,
}

#[napi]
impl Reading {
    /// For one question.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends it; its promise is then rejected. `engine` is the one that was asked.
    #[napi(catch_unwind)]
    pub fn cancel(&self, engine: &NativeEngine) {
        engine.handle.cancel(&self.inner);
    }

    /// How many parts are done, and of how many.
    #[napi(getter, catch_unwind)]
    pub fn progress(&self) -> Vec<u32> {
        let (done, of) = self.inner.progress();
        vec![done, of]
    }
}

#[napi]
impl NativeEngine {
    /// What the question asks for; `question` is a checked one. `bell` is called soon after `reading` has got on.
    #[napi(
        catch_unwind,
        ts_args_type = "question: string, reading: Reading, bell?: () => void",
        ts_return_type = "Promise<string>"
    )]
    pub fn ask(
        &self,
        env: Env,
        question: String,
        reading: &Reading,
        bell: Option<Function<'_, (), ()>>,
    ) -> Result<Object<'static>> {
        let question = Question::of(&checked(object("query", &question))?);
        let bell: Bell = match bell {
            None => Box::new(|| {}),
            Some(bell) => {
                // One call waits at most: whoever is rung looks how far it is.
                let ring = bell.build_threadsafe_function::<()>().weak::<true>().max_queue_size::<1>().build()?;
                Box::new(move || {
                    let _ = ring.call((), ThreadsafeFunctionCallMode::NonBlocking);
                })
            }
        };
        let (done, promise) = promise_of::<String>(env)?;
        self.handle.ask(question, Arc::clone(&reading.inner), bell, Box::new(move |answer| done(json(answer))));
        Ok(promise)
    }
}
