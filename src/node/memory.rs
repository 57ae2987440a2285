//! Memory that JavaScript and Rust both see.

use super::error::to_napi;
use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Error, Result};
use std::cell::Cell;
use std::rc::Rc;

/// A block of numbers.
pub type Numbers = Box<[Cell<f64>]>;

/// A block of zeros. Of memory that the system gives out zeroed, which takes no room before it is written to.
pub fn zeros(words: usize) -> Numbers {
    let block: Box<[f64]> = vec![0.0; words].into();
    // SAFETY: Cell<f64> has the layout of f64, and whoever owns a number may own a cell with it.
    unsafe { Box::from_raw(Box::into_raw(block) as *mut [Cell<f64>]) }
}

fn copied() -> Error {
    let what = "this JavaScript runtime does not allow external memory, which this package needs";
    to_napi(&crate::Error::new(crate::ErrorKind::Unsupported, what))
}

/// Shows a block of numbers to JavaScript. The block lives until both sides have let go of it.
pub fn show_numbers(env: Env, block: &Rc<Numbers>) -> Result<Float64ArraySlice<'static>> {
    let data: *mut f64 = block.as_ptr().cast::<f64>().cast_mut();
    // SAFETY: `data` points to `block.len()` doubles: Cell<f64> has the layout of f64. They live as long as the clone of the Rc
    // that the finaliser holds; Node runs finalisers of external buffers on the thread of their environment, which is the one
    // that owns the Rc. JavaScript writes to the block through its own pointer only while no Rust code of this thread runs, and
    // Rust reads and writes it through cells, so there is never a reference that asserts the numbers to be unchanging.
    let shown = unsafe { Float64ArraySlice::from_external(&env, data, block.len(), Rc::clone(block), |_, block| drop(block)) }?;
    if shown.as_ptr() == data.cast_const() { Ok(shown) } else { Err(copied()) }
}
