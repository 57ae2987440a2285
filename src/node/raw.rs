//! The three functions that must be fast, made with Node-API itself: the wrapper that napi-rs generates opens a scope and converts
//! every argument into a value of its own, which costs about as much as a decision.

use super::channel::{CallTexts, Channel};
use crate::error::{Error, ErrorKind};
use napi::bindgen_prelude::{FnArgs, FromNapiValue, Function, Unknown};
use napi::{Env, Result, check_status, sys};
use std::ffi::{CStr, c_void};
use std::ptr;
use std::rc::Rc;

/// The function that scores what is in the frame; its arguments are what [`JsTexts`] reads.
pub fn score_function(env: Env, channel: &Rc<Channel>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"score", channel, score)
}

/// The function that rewards what is in the frame; its arguments are what [`JsTexts`] reads.
pub fn reward_function(env: Env, channel: &Rc<Channel>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"reward", channel, reward)
}

/// The function that decides on what is in the frame; its arguments are when the profile was computed, the candidates' prompt
/// versions as a JSON array, and their ids, one behind the other.
pub fn recommend_function(env: Env, channel: &Rc<Channel>) -> Result<Function<'static, TextArguments, ()>> {
    function(env, c"recommend", channel, recommend)
}

/// Bytes of the longest other text, and the zero that Node-API puts behind it: `lib/check.ts` allows 128 UTF-16 units.
const TEXT_BYTES: usize = 3 * 128 + 1;

/// Times of profiles, prompt versions, tip ids.
pub type TextArguments = FnArgs<(Unknown<'static>, Unknown<'static>, Unknown<'static>)>;

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

fn function<F: FromNapiValue>(env: Env, name: &'static CStr, channel: &Rc<Channel>, callback: Callback) -> Result<F> {
    let data = Rc::into_raw(Rc::clone(channel)).cast::<c_void>().cast_mut();
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

/// The channel of a running call, its first `ARGUMENTS` arguments (undefined where fewer were given), and how many were given.
///
/// # Safety
/// `env` and `info` are those of a running call of a function that [`function`] made.
#[inline]
unsafe fn call<'a, const ARGUMENTS: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> Option<(&'a Channel, [sys::napi_value; ARGUMENTS], usize)> {
    let mut data = ptr::null_mut();
    let mut count = ARGUMENTS;
    let mut arguments = [ptr::null_mut(); ARGUMENTS];
    // SAFETY: as the caller promises; `arguments` has room for `count` values, and `this` is not asked for.
    let status =
        unsafe { sys::napi_get_cb_info(env, info, &raw mut count, arguments.as_mut_ptr(), ptr::null_mut(), &raw mut data) };
    // SAFETY: `data` is what function() gave Node: a Channel, alive as long as the function is and so during the call, and used
    // on its thread only.
    (status == sys::Status::napi_ok).then(|| (unsafe { &*data.cast_const().cast::<Channel>() }, arguments, count))
}

/// Up to so many candidates' ids come as arguments: an element of an array costs 60 ns to get, an argument next to nothing.
const FEW: usize = 16;

/// Channel catches panics, so none crosses this boundary; the same is true of [`reward`] and [`recommend`].
unsafe extern "C" fn score(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node calls this as a function that function() made.
    if let Some((channel, [computed_at, prompt_versions, tip_ids @ ..], count)) = unsafe { call::<{ 2 + FEW }>(env, info) } {
        let tip_ids: &[sys::napi_value; FEW] = &tip_ids;
        let tips = if count == 2 + FEW { Tips::Few(tip_ids) } else { Tips::Many(tip_ids[0]) };
        channel.score(&JsTexts { env, computed_at, prompt_versions, tips });
    }
    ptr::null_mut()
}

unsafe extern "C" fn reward(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node calls this as a function that function() made.
    if let Some((channel, [computed_at, prompt_versions, tip_id], _)) = unsafe { call(env, info) } {
        channel.reward(&JsTexts { env, computed_at, prompt_versions, tips: Tips::Few(&[tip_id]) });
    }
    ptr::null_mut()
}

unsafe extern "C" fn recommend(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node calls this as a function that function() made.
    if let Some((channel, [computed_at, prompt_versions, ids], _)) = unsafe { call(env, info) } {
        channel.recommend(&JsTexts { env, computed_at, prompt_versions, tips: Tips::Many(ids) });
    }
    ptr::null_mut()
}

unsafe extern "C" fn release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` is the strong reference that function() made; it is taken back once, by a finaliser or when there is none.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<Channel>()) });
}

/// The texts of a call where they are: first the time of the profile or undefined, then an array of the candidates' prompt versions
/// (and undefined) or undefined; for a batch, an array of each of these, and for a decision one JSON text of all versions and one of all
/// ids. All were made and checked by `lib/`; only what is needed
/// is read.
struct JsTexts<'a> {
    env: sys::napi_env,
    computed_at: sys::napi_value,
    prompt_versions: sys::napi_value,
    tips: Tips<'a>,
}

/// The third argument and those behind it.
enum Tips<'a> {
    /// An id each.
    Few(&'a [sys::napi_value]),
    /// One array of the candidates' ids; for a batch an array of such arrays.
    Many(sys::napi_value),
}

impl CallTexts for JsTexts<'_> {
    #[inline]
    fn tip_id<'a>(&self, request: Option<usize>, index: usize, buffer: &'a mut [u8]) -> crate::Result<&'a str> {
        let missing = || Error::new(ErrorKind::Internal, "the chosen candidate has no id");
        let id = match self.tips {
            Tips::Few(ids) => *ids.get(index).ok_or_else(missing)?,
            Tips::Many(ids) => {
                let list = request.map_or(Ok(ids), |request| self.element(ids, request))?;
                self.element(list, index)?
            }
        };
        let length = self.copy(id, buffer)?.ok_or_else(missing)?;
        std::str::from_utf8(&buffer[..length]).map_err(|_| missing())
    }

    fn ids<'a>(&self, units: usize, buffer: &'a mut Vec<u8>) -> crate::Result<&'a str> {
        let missing = || Error::new(ErrorKind::Internal, "the candidates have no ids");
        let Tips::Many(ids) = self.tips else { return Err(missing()) };
        // A unit is at most three bytes; Node-API writes a zero behind the text.
        buffer.resize(buffer.len().max(3 * units + 1), 0);
        let length = self.copy(ids, buffer)?.ok_or_else(missing)?;
        std::str::from_utf8(&buffer[..length]).map_err(|_| missing())
    }

    fn prompt_versions(&self) -> crate::Result<Option<String>> {
        // SAFETY: `env` and the text, or undefined, are of the running call.
        unsafe { Option::from_napi_value(self.env, self.prompt_versions) }
            .map_err(|_| Error::new(ErrorKind::Internal, "the candidates' prompt versions cannot be read"))
    }

    fn computed_at(&self, request: Option<usize>) -> crate::Result<Option<String>> {
        self.text(request.map_or(Ok(self.computed_at), |request| self.element(self.computed_at, request))?)
    }

    fn prompt_version(&self, request: Option<usize>, index: usize) -> crate::Result<Option<String>> {
        let list = request.map_or(Ok(self.prompt_versions), |request| self.element(self.prompt_versions, request))?;
        self.text(self.element(list, index)?)
    }
}

impl JsTexts<'_> {
    #[inline]
    fn element(&self, list: sys::napi_value, index: usize) -> crate::Result<sys::napi_value> {
        let mut value = ptr::null_mut();
        #[allow(clippy::cast_possible_truncation)] // at most 100,000
        // SAFETY: `env` and `list` are of the running call.
        let status = unsafe { sys::napi_get_element(self.env, list, index as u32, &raw mut value) };
        check_status!(status).map_err(|_| Error::new(ErrorKind::Internal, "the frame's candidates have no texts"))?;
        Ok(value)
    }

    /// Copies a text, as far as it fits; `None` when it is none.
    #[inline]
    fn copy(&self, text: sys::napi_value, buffer: &mut [u8]) -> crate::Result<Option<usize>> {
        let mut length = 0;
        // SAFETY: `env` and `text` are of the running call; Node-API writes at most `buffer.len()` bytes and sets `length`.
        let status =
            unsafe { sys::napi_get_value_string_utf8(self.env, text, buffer.as_mut_ptr().cast(), buffer.len(), &raw mut length) };
        if status == sys::Status::napi_string_expected {
            return Ok(None);
        }
        check_status!(status).map_err(|_| Error::new(ErrorKind::Internal, "a text cannot be read"))?;
        Ok(Some(length))
    }

    fn text(&self, text: sys::napi_value) -> crate::Result<Option<String>> {
        let mut buffer = [0; TEXT_BYTES];
        let length = self.copy(text, &mut buffer)?;
        Ok(length.map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned()))
    }
}
