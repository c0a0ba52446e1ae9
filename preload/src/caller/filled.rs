//! What a call has filled its caller's buffers with.
//!
//! Only *which* they are is known from before, as the call may have overwritten that. They are read after the call, and
//! another thread may have taken note of the bytes by then, and unmapped them: so where there are other threads, what
//! matters of them is copied, by what never faults. What can't be read is said to be unseen.

use leak_framer::{Piece, Pieces};
use libc::{c_void, iovec};

use super::vectors::Vectors;
use super::window::{self, Held};
use super::{copy, is_own};

/// The bytes that a call gave, in buffers that `B` gives.
pub struct Filled<B> {
    buffers: B,
    /// What is left of the buffer at hand.
    current: iovec,
    left: usize,
    /// Nobody but this thread can touch them.
    is_own: bool,
    /// What they are copied to; there may be no window.
    window: Option<Held>,
}

/// Those of an array that were read before the call.
pub struct Known<'v>(&'v mut Vectors);

impl Iterator for Known<'_> {
    type Item = iovec;

    fn next(&mut self) -> Option<iovec> {
        match self.0.as_read() {
            [] => None,
            _ => self.0.next(),
        }
    }
}

impl Filled<core::iter::Empty<iovec>> {
    /// After a call: it gave `bytes` bytes at `start`.
    ///
    /// # Safety
    /// It must have stored so many there.
    pub unsafe fn one(start: *const c_void, bytes: usize) -> Self {
        let current = iovec {
            iov_base: start.cast_mut(),
            iov_len: bytes,
        };
        let is_own = bytes == 0 || is_own(Some((start as usize, bytes)));
        Filled {
            buffers: core::iter::empty(),
            current,
            left: bytes,
            is_own,
            window: (!is_own).then(window::take).flatten(),
        }
    }
}

impl<'v> Filled<Known<'v>> {
    /// After a call: it gave `bytes` bytes. Of its buffers those count that were read before.
    ///
    /// # Safety
    /// It must have stored so many.
    pub unsafe fn known(buffers: &'v mut Vectors, bytes: usize) -> Self {
        if overlap(buffers.as_read(), bytes) {
            buffers.end();
        }
        let is_own = bytes == 0 || is_own(None);
        Filled {
            buffers: Known(buffers),
            current: iovec {
                iov_base: core::ptr::null_mut(),
                iov_len: 0,
            },
            left: bytes,
            is_own,
            window: (!is_own).then(window::take).flatten(),
        }
    }
}

/// Where the first `left` bytes were stored, and how many.
fn stored(buffers: &[iovec], mut left: usize) -> impl Iterator<Item = (usize, usize)> {
    buffers.iter().map(move |buffer| {
        let bytes = buffer.iov_len.min(left);
        left -= bytes;
        (buffer.iov_base as usize, bytes)
    })
}

/// Whether some of those bytes were overwritten by later ones.
fn overlap(buffers: &[iovec], left: usize) -> bool {
    let mut stored_bytes = stored(buffers, left).enumerate();
    stored_bytes.any(|(index, (start, bytes))| {
        let mut overlapping = stored(buffers, left)
            .take(index)
            .filter(|&(other, length)| {
                start < other.saturating_add(length) && other < start.saturating_add(bytes)
            });
        bytes > 0 && overlapping.next().is_some()
    })
}

impl<B: Iterator<Item = iovec>> Filled<B> {
    /// Goes to the next buffer where the one at hand is used up; whether there are bytes.
    fn go_on(&mut self) -> bool {
        while self.current.iov_len == 0 {
            match self.buffers.next() {
                Some(next) => self.current = next,
                None => return false,
            }
        }
        true
    }

    /// The next `bytes` bytes, of those in the buffer at hand.
    fn take(&mut self, bytes: usize) -> usize {
        let start = self.current.iov_base;
        self.current.iov_base = start.wrapping_byte_add(bytes);
        self.current.iov_len -= bytes;
        self.left -= bytes;
        start.expose_provenance()
    }

    /// Nothing more can be read.
    fn lose(&mut self) -> Option<Piece<'_>> {
        Some(Piece::Unseen(core::mem::take(&mut self.left) as u64))
    }
}

impl<B: Iterator<Item = iovec>> Pieces for Filled<B> {
    fn next_piece(&mut self, needless: u64) -> Option<Piece<'_>> {
        if self.left == 0 {
            return None;
        }
        if !self.go_on() {
            return self.lose();
        }
        let here = self.current.iov_len.min(self.left);
        if self.is_own {
            let start = self.take(here);
            // SAFETY: the call has just stored these bytes; no other thread unmaps or changes them.
            return Some(Piece::Seen(unsafe {
                core::slice::from_raw_parts(core::ptr::with_exposed_provenance(start), here)
            }));
        }
        if needless > 0 {
            let unseen = needless.min(here as u64);
            self.take(unseen as usize);
            return Some(Piece::Unseen(unseen));
        }
        let here = here.min(window::SIZE);
        let start = self.take(here);
        let window = self.window.as_mut();
        let Some(out) = window.and_then(|window| window.bytes().get_mut(..here)) else {
            self.left += here;
            return self.lose();
        };
        if copy(start, out) < here {
            self.left += here;
            return self.lose();
        }
        self.window.as_mut()?.bytes().get(..here).map(Piece::Seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread;
    use core::ptr::null_mut;
    use libc::{MAP_ANONYMOUS, MAP_PRIVATE};
    use std::string::String;
    use std::vec::Vec;

    const PRIVATE: i32 = MAP_PRIVATE | MAP_ANONYMOUS;

    /// What is told of so many bytes in buffers at these places of `bytes`: the same whether they are copied or not.
    fn told(bytes: &[u8], buffers: &[(usize, usize)], count: usize) -> Vec<String> {
        assert!(thread::own().is_some(), "a window is a thread's");
        let [copied, plain] = [false, true].map(|is_own| told_as(bytes, buffers, count, is_own));
        assert_eq!(copied, plain);
        plain
    }

    fn told_as(
        bytes: &[u8],
        buffers: &[(usize, usize)],
        count: usize,
        is_own: bool,
    ) -> Vec<String> {
        let buffer = |&(start, iov_len): &(usize, usize)| iovec {
            iov_base: bytes.as_ptr().wrapping_add(start).cast_mut().cast(),
            iov_len,
        };
        let buffers: Vec<_> = buffers.iter().map(buffer).collect();
        let mut vectors = Vectors::of(buffers.as_ptr(), buffers.len());
        let mut told = Vec::new();
        // SAFETY: the bytes are there.
        let mut filled = unsafe { Filled::known(&mut vectors, count) };
        filled.is_own = is_own;
        while let Some(piece) = filled.next_piece(0) {
            told.push(match piece {
                Piece::Seen(seen) => std::str::from_utf8(seen).unwrap().into(),
                Piece::Unseen(count) => std::format!("{count} unseen"),
            });
        }
        told
    }

    #[test]
    fn bytes_come_from_the_buffers_that_were_read_before() {
        let bytes = b"0123456789abcdef";
        assert_eq!(told(bytes, &[], 0), [""; 0]);
        assert_eq!(told(bytes, &[(2, 3), (0, 2)], 4), ["234", "0"]);
        assert_eq!(told(bytes, &[(2, 3), (9, 0), (0, 2)], 5), ["234", "01"]);
        let nine: Vec<_> = (0..9).map(|start| (start, 1)).collect();
        let mut expected: Vec<_> = (0..8).map(|byte| std::format!("{byte}")).collect();
        assert_eq!(told(bytes, &nine, 8), expected);
        expected.push("1 unseen".into());
        assert_eq!(told(bytes, &nine, 9), expected);
    }

    #[test]
    fn what_does_not_matter_is_not_looked_at_and_what_is_gone_is_unseen() {
        assert!(thread::own().is_some());
        // SAFETY: a page with nothing behind it: nobody stored there, and nobody is told so.
        let page = unsafe {
            let start = libc::mmap(null_mut(), 8192, 0, PRIVATE, -1, 0).cast::<u8>();
            libc::mprotect(start.cast(), 4096, libc::PROT_READ | libc::PROT_WRITE);
            start
        };
        let start = page.wrapping_add(4090);
        // SAFETY: as above.
        let mut filled = unsafe { Filled::one(start.cast(), 20) };
        assert_eq!(filled.next_piece(3), Some(Piece::Unseen(3)));
        assert_eq!(filled.next_piece(0), Some(Piece::Unseen(17)));
        assert_eq!(filled.next_piece(0), None);
        drop(filled);
        // SAFETY: as above.
        let mut filled = unsafe { Filled::one(start.cast(), 6) };
        assert_eq!(filled.next_piece(4), Some(Piece::Unseen(4)));
        assert_eq!(filled.next_piece(0), Some(Piece::Seen(&[0, 0])));
        assert_eq!(filled.next_piece(0), None);
    }

    #[test]
    fn bytes_that_others_were_stored_over_are_not_told() {
        let bytes = b"0123456789abcdef";
        assert_eq!(told(bytes, &[(0, 4), (3, 4)], 8), ["8 unseen"]);
        assert_eq!(told(bytes, &[(3, 4), (0, 4)], 8), ["8 unseen"]);
        assert_eq!(told(bytes, &[(0, 4), (4, 4)], 8), ["0123", "4567"]);
        // As far as they were stored.
        assert_eq!(told(bytes, &[(0, 4), (3, 4)], 4), ["0123"]);
        assert_eq!(told(bytes, &[(3, 4), (0, 4)], 7), ["3456", "012"]);
    }
}
