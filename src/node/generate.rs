//! Generating as `lib/` sees it. Requests and results cross as JSON.

use super::engine::{NativeEngine, checked, json};
use super::promise::promise_of;
use crate::error::Error;
use crate::generate::GenerateRequest;
use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;

/// PEM of the authorities that are trusted where neither an option nor the system names any; the first call counts.
#[napi(catch_unwind)]
pub fn trust_at_last(pem: String) {
    crate::generate::trust_at_last(pem);
}

/// Ends a call.
#[napi]
#[derive(Default)]
pub struct Cancel {
    pub(super) inner: crate::runtime::Cancel,
}

#[napi]
impl Cancel {
    /// For one call.
    #[napi(constructor, catch_unwind)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call that it was given to, whose promise is then rejected.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.inner.cancel();
    }
}

#[napi]
impl NativeEngine {
    /// `GenerateResult`; `request` is a checked `GenerateRequest`.
    #[napi(catch_unwind, ts_return_type = "Promise<string>")]
    pub fn generate(&self, env: Env, request: String, cancel: &Cancel) -> Result<Object<'static>> {
        let engine = checked(self.handle.engine())?;
        let request: GenerateRequest =
            checked(serde_json::from_str(&request).map_err(|e| Error::invalid("request", format_args!("not plain data: {e}"))))?;
        let (done, promise) = promise_of::<String>(env)?;
        engine.generator().generate(request, cancel.inner.clone(), move |outcome| {
            done(json(outcome.unwrap_or_else(|| Err(Error::closed()))));
        });
        Ok(promise)
    }

    /// `Prompt[]`.
    #[napi(catch_unwind)]
    pub fn prompts(&self) -> Result<String> {
        let engine = checked(self.handle.engine())?;
        json(Ok(engine.generator().prompts()))
    }
}
