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
    /// The first `bytes` bytes of `buffers`, of which those count that were read before the call.
    ///
    /// # Safety
    /// The call must have filled so many, in memory that stays as it is while they are read.
    pub unsafe fn new(buffers: Vectors, bytes: usize) -> Filled {
        let mut filled = Filled {
            buffers,
            left: bytes,
        };
        if filled.overlap() {
            filled.buffers = Vectors::NONE;
        }
        filled
    }

    /// Whether some bytes were overwritten by later ones.
    fn overlap(&self) -> bool {
        let mut left = self.left;
        let used = self.buffers.as_read().iter().map(|buffer| {
            let bytes = buffer.iov_len.min(left);
            left -= bytes;
            (buffer.iov_base as usize, bytes)
        });
        let mut used_before = [(0_usize, 0_usize); Vectors::AT_ONCE];
        for (index, (start, bytes)) in used.enumerate() {
            let before = used_before.get(..index).unwrap_or(&[]);
            let overlaps =
                |&(other, length): &(usize, usize)| start < other + length && other < start + bytes;
            if bytes > 0 && before.iter().any(overlaps) {
                return true;
            }
            if let Some(place) = used_before.get_mut(index) {
                *place = (start, bytes);
            }
        }
        false
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
        // SAFETY: the promise of `new`.
        Some(Piece::Seen(unsafe {
            core::slice::from_raw_parts(buffer.iov_base.cast(), bytes)
        }))
    }
}
