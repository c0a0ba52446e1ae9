//! The marks that a program sets itself: see `leak.h`.

use core::ffi::c_char;

use leak_wire::{Bytes, Event};

use crate::thread;

/// The label as it was given, at most what a record carries.
///
/// # Safety
/// `label` must be null or a C string that stays as it is while the slice is used.
unsafe fn text<'b>(label: *const c_char) -> Bytes<'b> {
    if label.is_null() {
        return Bytes::Slice(&[]);
    }
    // SAFETY: the caller's promise.
    unsafe {
        let length = libc::strnlen(label, Bytes::MAX);
        Bytes::Slice(core::slice::from_raw_parts(label.cast(), length))
    }
}

/// A marked request begins on this thread, inside the ones that have begun and not ended.
///
/// # Safety
/// `label` must be null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leak_begin(label: *const c_char) {
    // SAFETY: the caller's promise.
    let label = unsafe { text(label) };
    thread::record(Event::MarkBegin { label });
}

/// The innermost marked request of this thread ends.
#[unsafe(no_mangle)]
pub extern "C" fn leak_end() {
    thread::record(Event::MarkEnd);
}

/// The process's interval ends, and the next one begins.
///
/// # Safety
/// `label` must be null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn leak_mark(label: *const c_char) {
    // SAFETY: the caller's promise.
    let label = unsafe { text(label) };
    thread::record(Event::Mark { label });
}
