//! What a call has filled its caller's buffers with.
//!
//! They are read where they lie: the kernel has just written there, and until the call returns to its caller nobody
//! else is told. Only *which* they are is known from before, as the call may have overwritten that.

use leak_framer::{Piece, Pieces};
use libc::iovec;

use super::vectors::Vectors;

/// The bytes that a call gave.
pub struct Filled {
    buffers: Vectors,
    left: usize,
}

impl Filled {
    /// Before the call: its buffers, of which those count that are read already.
    pub fn of(buffers: Vectors) -> Filled {
        Filled { buffers, left: 0 }
    }

    /// After it: it gave `bytes` bytes.
    ///
    /// # Safety
    /// It must have filled so many, in memory that stays as it is while they are read.
    pub unsafe fn with(&mut self, bytes: usize) -> &mut Filled {
        self.left = bytes;
        if self.overlap() {
            self.buffers = Vectors::NONE;
        }
        self
    }

    /// Where bytes were stored, and how many.
    fn stored(&self) -> impl Iterator<Item = (usize, usize)> {
        let mut left = self.left;
        self.buffers.as_read().iter().map(move |buffer| {
            let bytes = buffer.iov_len.min(left);
            left -= bytes;
            (buffer.iov_base as usize, bytes)
        })
    }

    /// Whether some bytes were overwritten by later ones.
    fn overlap(&self) -> bool {
        self.stored().enumerate().any(|(index, (start, bytes))| {
            let before = self.stored().take(index);
            let mut overlapping = before.filter(|&(other, length)| {
                start < other.saturating_add(length) && other < start.saturating_add(bytes)
            });
            bytes > 0 && overlapping.next().is_some()
        })
    }

    fn next_buffer(&mut self) -> Option<iovec> {
        match self.buffers.as_read() {
            [] => None,
            _ => self.buffers.next(),
        }
    }
}

impl Pieces for Filled {
    fn next_piece(&mut self, _: u64) -> Option<Piece<'_>> {
        if self.left == 0 {
            return None;
        }
        let Some(buffer) = self.next_buffer() else {
            return Some(Piece::Unseen(core::mem::take(&mut self.left) as u64));
        };
        let bytes = buffer.iov_len.min(self.left);
        self.left -= bytes;
        if bytes == 0 {
            return Some(Piece::Seen(&[]));
        }
        // SAFETY: the promise of `with`.
        Some(Piece::Seen(unsafe {
            core::slice::from_raw_parts(buffer.iov_base.cast(), bytes)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// What is told of so many bytes in buffers at these places of `bytes`.
    fn told(bytes: &[u8], buffers: &[(usize, usize)], count: usize) -> Vec<String> {
        let buffer = |&(start, iov_len): &(usize, usize)| iovec {
            iov_base: bytes.as_ptr().wrapping_add(start).cast_mut().cast(),
            iov_len,
        };
        let buffers: Vec<_> = buffers.iter().map(buffer).collect();
        let mut filled = Filled::of(Vectors::of(buffers.as_ptr(), buffers.len()));
        let mut told = Vec::new();
        // SAFETY: the bytes are there.
        let filled = unsafe { filled.with(count) };
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
        assert_eq!(told(bytes, &[(2, 3), (9, 0), (0, 2)], 5), ["234", "", "01"]);
        let nine: Vec<_> = (0..9).map(|start| (start, 1)).collect();
        let mut expected: Vec<_> = (0..8).map(|byte| std::format!("{byte}")).collect();
        assert_eq!(told(bytes, &nine, 8), expected);
        expected.push("1 unseen".into());
        assert_eq!(told(bytes, &nine, 9), expected);
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
