//! What JSON leaves open.

use serde_json::Value;

/// A whole number of at least 0. JavaScript and some others have one kind of number: 7 may come as 7 or as 7.0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked before the cast
#[must_use]
pub fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..=9e15).contains(v)).map(|v| v as u64))
}
