//! `regex-lite` under the name of `regex`, by the same authors and with the same interface.
//!
//! async-nats is the one crate here that asks for `regex`: for a handful of patterns over ASCII (versions, names, the frame of a
//! `.creds` file), none of them on the way of a message. The full engine and its Unicode tables would be a fifth of the addon.

pub use regex_lite::*;
