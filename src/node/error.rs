//! Errors on their way to JavaScript, where `lib/error.ts` makes `BanditError`s of them.

use crate::error::{Error, ErrorKind, Reason};
use std::any::Any;

/// An error as napi carries it: code, whether to retry, HTTP status and reason if there is one, and message, separated by bars.
pub fn to_napi(error: &Error) -> napi::Error {
    let status = error.status().map(|status| status.to_string()).unwrap_or_default();
    let (code, retryable) = (error.kind().code(), u8::from(error.retryable()));
    let reason = error.reason().map_or("", Reason::as_str);
    napi::Error::from_reason(format!("{code}|{retryable}|{status}|{reason}|{}", error.message()))
}

/// What a panic becomes: the state is behind locks that do not poison, and every change is made after what could panic.
pub fn from_panic(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Internal, format!("panic: {}", text.unwrap_or("without a message")))
}
