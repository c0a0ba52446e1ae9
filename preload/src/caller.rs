//! The caller's memory. What a hooked call is given is its caller's, until the kernel has taken it: it may not be
//! there at all (then the call fails, and so must it under a hook), another thread may unmap it, and the call itself
//! may overwrite it. So it is copied before the call, by what never faults.
//!
//! - On the thread's own stack, above the hook, everything is mapped: no system call.
//! - In a process of one thread the kernel is asked page by page.
//! - Where there are more, a page may go between question and look: the kernel copies (`process_vm_readv`). Where a
//!   policy of others forbids it that, it is asked.
//! - A program that has confined itself to certain system calls is believed, but for null pointers: it can't be
//!   asked there, and the call that follows would read the same.

pub mod filled;
pub mod sent;
pub mod vectors;
pub mod window;

use core::ffi::c_char;
use core::mem::MaybeUninit;

use libc::iovec;

use crate::{kernel, thread};
use vectors::Vectors;

const PAGE: usize = 4096;

/// Copies what lies at `address` to `out`; how many bytes of it are there to be read.
pub fn copy(address: usize, out: &mut [u8]) -> usize {
    if is_on_stack(address, out.len()) {
        // SAFETY: it lies between this frame and the stack's end.
        return unsafe { copy_plainly(address, out) };
    }
    if kernel::is_confined() {
        return match address {
            0..PAGE => 0,
            // SAFETY: as the call that follows needs it; see above.
            _ => unsafe { copy_plainly(address, out) },
        };
    }
    if kernel::code::has_one_thread() {
        return copy_asking(address, out);
    }
    match kernel::copy_of(thread::tid(), address, out) {
        Ok(bytes) => bytes,
        Err(libc::EFAULT) => 0,
        Err(_) => copy_asking(address, out),
    }
}

/// Whether these bytes lie on the calling thread's stack, above this frame.
#[inline]
pub fn is_on_stack(address: usize, bytes: usize) -> bool {
    let here = &raw const bytes as u64;
    thread::state().is_some_and(|thread| {
        let bounds = thread.kept().bounds.get();
        let end = (address as u64).checked_add(bytes as u64);
        bounds.contain(here) && address as u64 > here && end.is_some_and(|end| end <= bounds.high)
    })
}

/// Whether nobody but this thread can touch a call's buffers: `one` alone, if it has but that.
fn is_own(one: Option<(usize, usize)>) -> bool {
    kernel::is_confined()
        || kernel::code::has_one_thread()
        || one.is_some_and(|(start, bytes)| is_on_stack(start, bytes))
}

/// # Safety
/// The bytes at `address` must be mapped.
unsafe fn copy_plainly(address: usize, out: &mut [u8]) -> usize {
    let from = core::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: the caller's promise; the copy lies in memory of ours.
    unsafe { out.as_mut_ptr().copy_from_nonoverlapping(from, out.len()) };
    out.len()
}

fn copy_asking(address: usize, out: &mut [u8]) -> usize {
    let mut copied = 0;
    while let Some(rest) = out.get_mut(copied..).filter(|rest| !rest.is_empty()) {
        let Some(at) = address.checked_add(copied) else {
            break;
        };
        let in_page = rest.len().min(PAGE - at % PAGE);
        if !kernel::is_mapped((at - at % PAGE) as u64) {
            break;
        }
        if let Some(piece) = rest.get_mut(..in_page) {
            // SAFETY: the kernel has just read this page, and no other thread takes it away.
            unsafe { copy_plainly(at, piece) };
        }
        copied += in_page;
    }
    copied
}

/// Copies what lies in the buffers of an array to `out`, one after the other; how many bytes of it are there to be
/// read, in front of the first that is not.
pub fn gather(first: *const iovec, count: usize, out: &mut [u8]) -> usize {
    if !kernel::is_confined()
        && !kernel::code::has_one_thread()
        && let Ok(bytes) = kernel::gather_of(thread::tid(), first.expose_provenance(), count, out)
    {
        return bytes;
    }
    let mut copied = 0;
    for buffer in Vectors::<8>::of(first, count) {
        let wanted = buffer.iov_len.min(out.len() - copied);
        let piece = out.get_mut(copied..copied + wanted).unwrap_or(&mut []);
        let found = copy(buffer.iov_base.expose_provenance(), piece);
        copied += found;
        if found < buffer.iov_len {
            break;
        }
    }
    copied
}

/// Any bytes are a value of it.
///
/// # Safety
/// So it must be.
pub unsafe trait Plain: Copy {}

// SAFETY: C structures of numbers and pointers; so it is for all below.
unsafe impl Plain for libc::iovec {}
// SAFETY: see above.
unsafe impl Plain for libc::msghdr {}
// SAFETY: see above.
unsafe impl Plain for libc::rlimit {}
// SAFETY: see above.
unsafe impl Plain for libc::sock_fprog {}
// SAFETY: see above.
unsafe impl Plain for libc::sock_filter {}
// SAFETY: see above.
unsafe impl Plain for u32 {}
// SAFETY: see above.
unsafe impl Plain for u64 {}
// SAFETY: see above.
unsafe impl<T> Plain for *const T {}
// SAFETY: an array of what is plain.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// The value at `place`, if it is there.
pub fn read<T: Plain>(place: *const T) -> Option<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    (copy_into(place, core::slice::from_mut(&mut value)) == 1)
        // SAFETY: zeros, and what was copied over them: any bytes are a value.
        .then(|| unsafe { value.assume_init() })
}

/// Copies values that lie one after the other to `out`; how many of them are there.
pub fn read_all<T: Plain>(first: *const T, out: &mut [T]) -> usize {
    // SAFETY: values are values that may not be there yet; only such are written.
    copy_into(first, unsafe {
        &mut *(core::ptr::from_mut(out) as *mut [MaybeUninit<T>])
    })
}

fn copy_into<T: Plain>(first: *const T, out: &mut [MaybeUninit<T>]) -> usize {
    // SAFETY: bytes of plain values, which are zeros or values already.
    let bytes =
        unsafe { core::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u8>(), size_of_val(out)) };
    copy(first.expose_provenance(), bytes) / size_of::<T>()
}

/// The strings of an array that ends with a null pointer: each one's address, or that it can't be read.
pub struct Strings {
    next: *const *const c_char,
    read: [*const c_char; Strings::AT_ONCE],
    count: usize,
    at: usize,
}

/// The memory is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Absent;

impl Strings {
    const AT_ONCE: usize = 8;

    /// Those of `array`, which may be null: then there are none.
    pub fn of(array: *const *const c_char) -> Strings {
        Strings {
            next: array,
            read: [core::ptr::null(); _],
            count: 0,
            at: 0,
        }
    }
}

impl Iterator for Strings {
    type Item = Result<*const c_char, Absent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next.is_null() {
            return None;
        }
        if self.at == self.count {
            self.count = read_all(self.next, &mut self.read);
            self.at = 0;
            self.next = self.next.wrapping_add(self.count);
        }
        let entry = self.read.get(self.at).filter(|_| self.at < self.count);
        self.at += 1;
        match entry {
            None => {
                self.next = core::ptr::null();
                Some(Err(Absent))
            }
            Some(entry) if entry.is_null() => {
                self.next = core::ptr::null();
                None
            }
            Some(entry) => Some(Ok(*entry)),
        }
    }
}

/// The beginning of a C string: as much as fits into `out`, without the zero byte at its end.
pub fn text(start: *const c_char, out: &mut [u8]) -> Result<&[u8], Absent> {
    let copied = copy(start.expose_provenance(), out);
    let whole = copied == out.len();
    let copied = out.get(..copied).unwrap_or(&[]);
    match copied.iter().position(|byte| *byte == 0) {
        Some(end) => Ok(copied.get(..end).unwrap_or(&[])),
        None if whole => Ok(copied),
        None => Err(Absent),
    }
}

/// The length of a C string, up to `most`.
pub fn length(start: *const c_char, most: usize) -> Result<usize, Absent> {
    let mut piece = [0; 64];
    let mut length = 0;
    while length < most {
        let found = text(start.wrapping_add(length), &mut piece)?.len();
        length += found;
        if found < piece.len() {
            break;
        }
    }
    Ok(length.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Two pages of `x`, and nothing behind them; where they end.
    fn pages() -> *mut u8 {
        // SAFETY: a fresh private mapping, of which the last page is given back.
        unsafe {
            let start = libc::mmap(
                core::ptr::null_mut(),
                3 * PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(start, libc::MAP_FAILED);
            let start = start.cast::<u8>();
            libc::munmap(start.add(2 * PAGE).cast(), PAGE);
            start.write_bytes(b'x', 2 * PAGE);
            start.add(2 * PAGE)
        }
    }

    #[test]
    fn what_is_not_there_is_not_copied() {
        let end = pages();
        for copy in [copy, copy_asking] {
            let mut out = [0; 2 * PAGE + 8];
            let from = |back: usize| end.wrapping_sub(back).expose_provenance();
            assert_eq!(copy(from(8), &mut out[..8]), 8);
            assert_eq!(&out[..9], b"xxxxxxxx\0");
            assert_eq!(copy(from(8), &mut out[..9]), 8);
            assert_eq!(copy(from(PAGE + 8), &mut out), PAGE + 8);
            assert_eq!(copy(from(2 * PAGE), &mut out[..2 * PAGE]), 2 * PAGE);
            for address in [0, 1, from(0), usize::MAX, usize::MAX - 7, 1 << 63] {
                assert_eq!(copy(address, &mut out[..8]), 0, "{address:#x}");
            }
        }
    }

    #[test]
    fn texts_end_with_a_zero_byte_that_can_be_read() {
        let end = pages();
        let from = |back: usize| end.wrapping_sub(back).cast_const().cast::<c_char>();
        let mut out = [0; 4];
        assert_eq!(text(from(3), &mut out), Err(Absent));
        assert_eq!(text(from(4), &mut out), Ok(&b"xxxx"[..]));
        assert_eq!(length(from(700), 1000), Err(Absent));
        assert_eq!(length(from(700), 600), Ok(600));
        // SAFETY: the last byte of the pages.
        unsafe { end.sub(1).write(0) };
        assert_eq!(text(from(3), &mut out), Ok(&b"xx"[..]));
        for long in [1, 2, 64, 65, 128, 700] {
            assert_eq!(length(from(long), 1000), Ok(long - 1));
        }
    }

    #[test]
    fn arrays_end_with_a_null_pointer_that_can_be_read() {
        let word = size_of::<usize>();
        let all = |array: *mut u8| {
            let strings = Strings::of(array.cast_const().cast());
            strings
                .map(|entry| entry.map(|at| at as usize))
                .collect::<Vec<_>>()
        };
        let end = pages();
        let entry = usize::from_ne_bytes([b'x'; 8]);
        assert_eq!(all(core::ptr::null_mut()), []);
        assert_eq!(all(end), [Err(Absent)]);
        assert_eq!(all(end.wrapping_sub(word)), [Ok(entry), Err(Absent)]);
        // SAFETY: the last word of the pages.
        unsafe { end.sub(word).cast::<usize>().write(0) };
        for count in [0, 1, 7, 8, 9, 100] {
            let found = all(end.wrapping_sub((count + 1) * word));
            assert_eq!(found, std::vec![Ok(entry); count]);
        }
    }
}
