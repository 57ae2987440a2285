//! The functions that must be fast, made with Node-API itself: the wrapper that napi-rs generates opens a scope and converts
//! every argument into a value of its own, which costs about as much as a decision.

use super::channel::CallTexts;
use super::gate::Gate;
use super::text::TextBuffer;
use crate::boundary::MOST_TEXTS;
use crate::error::{Error, ErrorKind};
use napi::bindgen_prelude::{FnArgs, FromNapiValue, Function, Unknown};
use napi::{Env, Result, check_status, sys};
use std::ffi::{CStr, c_void};
use std::ptr;
use std::rc::Rc;

/// The function that chooses for the requests in the frame; it takes no arguments.
pub fn choose_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, (), ()>> {
    function(env, c"choose", gate, choose)
}

/// The function that remembers what was chosen for the request in the frame; its arguments are the request's texts, in the order in
/// which [`Channel::pull`](super::channel::Channel::pull) asks for them.
pub fn pull_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"pull", gate, pull)
}

/// The same for several requests, one behind the other, with [`MOST_TEXTS`] arguments at most.
pub fn pulls_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"pulls", gate, pulls)
}

/// The function that chooses from a prepared set for the request in the frame, and remembers the choice; its argument is when the profile
/// was computed.
pub fn score_set_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"scoreSet", gate, score_set)
}

/// The function that rewards what is in the frame; its arguments are the tip's id and when the profile was computed.
pub fn reward_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"reward", gate, reward)
}

/// The function that decides on what is in the frame; its arguments are when the profile was computed, the candidates' prompt versions as a
/// JSON array, and the candidates' ids, [`MOST_TEXTS`] arguments at most, or one text with all of them.
pub fn recommend_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"recommend", gate, recommend)
}

/// The function that learns from the reaction in the frame; its argument is whose decision it has to be.
pub fn feedback_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"feedback", gate, feedback)
}

/// The function that says that a request of the user who is named in the frame comes next; it takes no arguments.
pub fn foresee_function(env: Env, gate: &Rc<Gate>) -> Result<Function<'static, (), ()>> {
    function(env, c"foresee", gate, foresee)
}

/// Texts, or nothing in their places.
pub type TextArguments = FnArgs<(Unknown<'static>, Unknown<'static>, Unknown<'static>)>;

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

fn function<F: FromNapiValue>(env: Env, name: &'static CStr, gate: &Rc<Gate>, callback: Callback) -> Result<F> {
    let data = Rc::into_raw(Rc::clone(gate)).cast::<c_void>().cast_mut();
    let mut function = ptr::null_mut();
    #[allow(clippy::cast_possible_wrap)] // a few bytes
    let length = name.to_bytes().len() as isize;
    // SAFETY: `env` is the environment of the running call. The name is static and its length is given. `data` is a strong
    // reference that release() takes back when the function is collected, so it outlives every call of `callback`.
    unsafe {
        let created = sys::napi_create_function(env.raw(), name.as_ptr(), length, Some(callback), data, &raw mut function);
        if created != sys::Status::napi_ok {
            release(env.raw(), data, ptr::null_mut());
            check_status!(created, "create function")?;
        }
        check_status!(
            sys::napi_add_finalizer(env.raw(), function, data, Some(release), ptr::null_mut(), ptr::null_mut()),
            "add finalizer"
        )?;
        F::from_napi_value(env.raw(), function)
    }
}

/// The gate of a running call; `arguments` takes its first arguments, undefined where fewer were given. (Returned together, they would be
/// copied in pieces of another size than they were written in, which takes longer than the call.)
///
/// # Safety
/// `env` and `info` are those of a running call of a function that [`function`] made.
#[inline]
unsafe fn call<'a>(env: sys::napi_env, info: sys::napi_callback_info, arguments: &mut [sys::napi_value]) -> Option<&'a Gate> {
    let mut data = ptr::null_mut();
    let mut count = arguments.len();
    // SAFETY: as the caller promises; `arguments` has room for `count` values, and `this` is not asked for.
    let status =
        unsafe { sys::napi_get_cb_info(env, info, &raw mut count, arguments.as_mut_ptr(), ptr::null_mut(), &raw mut data) };
    // SAFETY: `data` is what function() gave Node: a Gate, alive as long as the function is and so during the call, and used
    // on its thread only.
    (status == sys::Status::napi_ok).then(|| unsafe { &*data.cast_const().cast::<Gate>() })
}

/// Gate catches panics, so none crosses this boundary; the same is true of the others.
unsafe extern "C" fn choose(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut []) } {
        gate.choose();
    }
    ptr::null_mut()
}

unsafe extern "C" fn pull(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut values = [ptr::null_mut(); 3];
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut values) } {
        gate.pull(&JsTexts { env, values: &values });
    }
    ptr::null_mut()
}

unsafe extern "C" fn pulls(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut values = [ptr::null_mut(); MOST_TEXTS];
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut values) } {
        gate.pull(&JsTexts { env, values: &values });
    }
    ptr::null_mut()
}

unsafe extern "C" fn score_set(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut values = [ptr::null_mut(); 1];
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut values) } {
        gate.score_set(&JsTexts { env, values: &values });
    }
    ptr::null_mut()
}

unsafe extern "C" fn reward(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut values = [ptr::null_mut(); 2];
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut values) } {
        gate.reward(&JsTexts { env, values: &values });
    }
    ptr::null_mut()
}

unsafe extern "C" fn recommend(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut values = [ptr::null_mut(); MOST_TEXTS];
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut values) } {
        gate.recommend(&JsTexts { env, values: &values });
    }
    ptr::null_mut()
}

unsafe extern "C" fn foresee(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut []) } {
        gate.foresee();
    }
    ptr::null_mut()
}

unsafe extern "C" fn feedback(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut values = [ptr::null_mut(); 1];
    // SAFETY: Node calls this as a function that function() made.
    if let Some(gate) = unsafe { call(env, info, &mut values) } {
        gate.feedback(&JsTexts { env, values: &values });
    }
    ptr::null_mut()
}

unsafe extern "C" fn release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` is the strong reference that function() made; it is taken back once, by a finaliser or when there is none.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<Gate>()) });
}

/// The arguments of a call. All were made and checked by `lib/`; only what is needed is read.
struct JsTexts<'a> {
    env: sys::napi_env,
    values: &'a [sys::napi_value],
}

impl CallTexts for JsTexts<'_> {
    #[inline]
    fn copy(&self, place: usize, units: usize, to: &mut TextBuffer) -> crate::Result<()> {
        // Node-API puts a zero behind the text.
        to.take(units + 1, |room| self.read(place, Some(room)))
    }

    #[inline]
    fn copy_more(&self, place: usize, units: usize, to: &mut TextBuffer) -> crate::Result<()> {
        to.take_more(units + 1, |room| self.read(place, Some(room)))
    }

    fn copy_long(&self, place: usize, to: &mut TextBuffer) -> crate::Result<()> {
        self.copy(place, self.read(place, None)?, to)
    }
}

impl JsTexts<'_> {
    /// Copies a text as far as there is room, and tells how many units that are; how many it has where nothing is to be copied.
    #[inline]
    fn read(&self, place: usize, to: Option<&mut [u16]>) -> crate::Result<usize> {
        let value = *self.values.get(place).ok_or_else(unreadable)?;
        let (to, room) = to.map_or((ptr::null_mut(), 0), |to| (to.as_mut_ptr(), to.len()));
        let mut length = 0;
        // SAFETY: `env` and `value` are of the running call; Node-API writes at most `room` units to `to`, nothing where that is null, and
        // sets `length`.
        let status = unsafe { sys::napi_get_value_string_utf16(self.env, value, to, room, &raw mut length) };
        if status == sys::Status::napi_ok { Ok(length) } else { Err(unreadable()) }
    }
}

#[cold]
fn unreadable() -> Error {
    Error::new(ErrorKind::Internal, "a text cannot be read")
}
