//! Promises that another thread settles.

use super::error::to_napi;
use crate::error::Done;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::{Env, Result};

/// A promise of nothing, and what settles it; from any thread, once. While it is pending it keeps the process alive.
pub fn promise(env: Env) -> Result<(Done, Object<'static>)> {
    let (settle, promise) = promise_of::<()>(env)?;
    Ok((Box::new(move |result| settle(result.map_err(|error| to_napi(&error)))), promise))
}

/// Settles a promise.
pub type Settle<T> = Box<dyn FnOnce(Result<T>) + Send>;

/// The same of a value.
pub fn promise_of<T: ToNapiValue + Send + 'static>(env: Env) -> Result<(Settle<T>, Object<'static>)> {
    let (deferred, promise) = env.create_deferred::<T, Box<dyn FnOnce(Env) -> Result<T> + Send>>()?;
    let settle: Settle<T> = Box::new(move |result| match result {
        Ok(value) => deferred.resolve(Box::new(move |_| Ok(value))),
        Err(error) => deferred.reject(error),
    });
    // The handle is returned to JavaScript by the call that made it and not kept: its lifetime is that of the call.
    Ok((settle, Object::from_raw(env.raw(), napi::JsValue::raw(&promise))))
}
