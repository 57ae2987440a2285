//! Promises that another thread settles.

use super::error::to_napi;
use crate::error::Done;
use napi::bindgen_prelude::Object;
use napi::{Env, Result};

/// A promise, and what settles it; from any thread, once. While it is pending it keeps the process alive.
pub fn promise(env: Env) -> Result<(Done, Object<'static>)> {
    let (deferred, promise) = env.create_deferred::<(), fn(Env) -> Result<()>>()?;
    let done: Done = Box::new(move |result| match result {
        Ok(()) => deferred.resolve(|_| Ok(())),
        Err(error) => deferred.reject(to_napi(&error)),
    });
    // The handle is returned to JavaScript by the call that made it and not kept: its lifetime is that of the call.
    Ok((done, Object::from_raw(env.raw(), napi::JsValue::raw(&promise))))
}
