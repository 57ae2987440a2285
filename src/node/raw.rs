//! The two functions that must be fast, made with Node-API itself: a call without arguments costs 10 ns this way and about three
//! times as much through the wrapper that napi-rs generates.

use super::channel::Channel;
use napi::bindgen_prelude::{FromNapiValue, Function};
use napi::{Env, Result, check_status, sys};
use std::ffi::{CStr, c_void};
use std::ptr;
use std::rc::Rc;

/// What a raw function does with its channel.
trait Call {
    const NAME: &'static CStr;
    fn run(channel: &Channel);
}

struct Score;
struct Reward;

impl Call for Score {
    const NAME: &'static CStr = c"score";
    #[inline]
    fn run(channel: &Channel) {
        channel.score();
    }
}

impl Call for Reward {
    const NAME: &'static CStr = c"reward";
    #[inline]
    fn run(channel: &Channel) {
        channel.reward();
    }
}

/// The function `() => void` that scores what is in the frame.
pub fn score_function(env: &Env, channel: &Rc<Channel>) -> Result<Function<'static, (), ()>> {
    function::<Score>(env, channel)
}

/// The function `() => void` that rewards what is in the frame.
pub fn reward_function(env: &Env, channel: &Rc<Channel>) -> Result<Function<'static, (), ()>> {
    function::<Reward>(env, channel)
}

fn function<C: Call>(env: &Env, channel: &Rc<Channel>) -> Result<Function<'static, (), ()>> {
    let data = Rc::into_raw(Rc::clone(channel)).cast::<c_void>().cast_mut();
    let mut function = ptr::null_mut();
    // SAFETY: `env` is the environment of the running call. The name is static and its length is given. `data` is a strong
    // reference that release() takes back when the function is collected, so it outlives every call of callback().
    unsafe {
        let name = C::NAME.to_bytes();
        #[allow(clippy::cast_possible_wrap)] // a few bytes
        let length = name.len() as isize;
        let created = sys::napi_create_function(env.raw(), C::NAME.as_ptr(), length, Some(callback::<C>), data, &raw mut function);
        if created != sys::Status::napi_ok {
            drop(Rc::from_raw(data.cast_const().cast::<Channel>()));
            check_status!(created, "create function")?;
        }
        check_status!(
            sys::napi_add_finalizer(env.raw(), function, data, Some(release), ptr::null_mut(), ptr::null_mut()),
            "add finalizer"
        )?;
        Function::from_napi_value(env.raw(), function)
    }
}

unsafe extern "C" fn callback<C: Call>(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut data = ptr::null_mut();
    // SAFETY: Node calls this with a valid environment and call; all outputs but the data may be null.
    let status = unsafe { sys::napi_get_cb_info(env, info, ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), &raw mut data) };
    if status == sys::Status::napi_ok {
        // SAFETY: `data` is what function() gave Node: a Channel, alive as long as the function is, used on its thread only.
        // Channel catches panics, so none crosses this boundary.
        C::run(unsafe { &*data.cast_const().cast::<Channel>() });
    }
    ptr::null_mut()
}

unsafe extern "C" fn release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` is the strong reference that function() made, and Node calls a finaliser once.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<Channel>()) });
}
