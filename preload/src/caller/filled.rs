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
