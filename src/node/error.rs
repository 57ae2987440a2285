//! Errors on their way to JavaScript, where `lib/error.ts` makes `BanditError`s of them.

use crate::error::{Error, ErrorKind};
use std::any::Any;

/// An error as napi carries it: code, whether to retry, and message, separated by bars.
pub fn to_napi(error: &Error) -> napi::Error {
    let kind = error.kind();
    napi::Error::from_reason(format!("{}|{}|{}", kind.code(), u8::from(kind.retryable()), error.message()))
}

/// What a panic becomes: the state is behind locks that do not poison, and every change is made after what could panic.
pub fn from_panic(payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Internal, format!("panic: {}", text.unwrap_or("without a message")))
}
