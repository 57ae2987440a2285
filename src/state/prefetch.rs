//! How memory is asked for before it is needed. A user who was not asked for lately is in no cache, and a request meets one line of it after
//! the other; the wait for those is most of what such a request takes.

/// A line of the processor's caches in bytes, or a part of one.
const LINE: usize = 64;

/// Puts the memory at `place` on its way; a hint, and none at all on processors for which Rust has no stable way to give it.
#[inline]
#[allow(unsafe_code)] // a fifth of what a request of a user who is in no cache takes: see the safety argument
pub fn prefetch(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch changes nothing that a program can see, and an address at which nothing is, or nothing may be read, is no
    // fault (Intel SDM vol. 2B, PREFETCHh); the instruction is in every x86-64 processor.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The same for all of a value, but for what it points to.
#[inline]
pub fn prefetch_value<T>(value: &T) {
    let start = (&raw const *value).cast::<u8>();
    (0..size_of::<T>()).step_by(LINE).for_each(|at| prefetch(start.wrapping_add(at)));
}
