//! What a call takes out of its caller's buffers.
//!
//! When the kernel has it, the other end may have it, too: a thread there can give the buffers back, or fill them anew,
//! before the call returns. So where there are other threads the beginning is copied before the call, as much as a
//! window holds: nearly always all that matters. What comes behind is read after it, without faults; of bytes that
//! don't matter (a body's) nothing is read at all. What can't be read is said to be unseen.

use leak_framer::{Piece, Pieces};
use libc::{c_void, iovec, msghdr};

use super::vectors::Vectors;
use super::window::{self, Held};
use super::{copy, gather, is_own, read};

/// So many buffers of an array are looked up at a time.
const AT_ONCE: usize = 32;

/// The buffers of a call that sends.
#[derive(Clone, Copy)]
pub enum Buffers {
    /// One.
    One(*const c_void, usize),
    /// An array of them.
    Many(*const iovec, usize),
    /// A message's.
    Message(*const msghdr),
}

impl Buffers {
    /// Whether nobody but this thread can touch them.
    fn are_own(self) -> bool {
        is_own(match self {
            Buffers::One(start, bytes) => Some((start as usize, bytes)),
            _ => None,
        })
    }

    /// At most so many bytes.
    fn most(self) -> u64 {
        match self {
            Buffers::One(_, bytes) => bytes as u64,
            _ => u64::MAX,
        }
    }

    fn copy(self, out: &mut [u8]) -> usize {
        match self {
            Buffers::One(start, bytes) => {
                let out_length = out.len().min(bytes);
                copy(start as usize, out.get_mut(..out_length).unwrap_or(&mut []))
            }
            Buffers::Many(first, count) => gather(first, count, out),
            Buffers::Message(message) => match read(message) {
                Some(message) => gather(message.msg_iov, message.msg_iovlen, out),
                None => 0,
            },
        }
    }

    fn vectors(self) -> Vectors<AT_ONCE> {
        match self {
            Buffers::One(start, bytes) => Vectors::one(iovec {
                iov_base: start.cast_mut(),
                iov_len: bytes,
            }),
            Buffers::Many(first, count) => Vectors::of(first, count),
            Buffers::Message(message) => Vectors::of_message(message),
        }
    }
}

/// A call that sends, before it is made.
pub enum Sending {
    /// Its buffers stay as they are until it returns.
    Plain(Buffers),
    /// They may change meanwhile.
    Copied(Copied),
}

/// What a call is to take, of which the beginning is copied; then the bytes that it took.
pub struct Copied {
    buffers: Buffers,
    /// Where the copy lies; there may be no window.
    window: Option<Held>,
    copied: usize,
    /// So many were taken, of which those in front of `at` are told.
    bytes: usize,
    at: usize,
}

impl Sending {
    /// Looks at what a call is to take, of which the first `needless` bytes don't matter.
    #[inline]
    pub fn look(buffers: Buffers, needless: impl FnOnce() -> u64) -> Sending {
        match buffers.are_own() {
            true => Sending::Plain(buffers),
            false => Sending::Copied(Copied::of(buffers, needless)),
        }
    }
}

impl Sending {
    /// The call has taken `buffers`, too, which were not looked at.
    pub fn look_late(&mut self, buffers: Buffers) {
        match self {
            Sending::Plain(plain) => *plain = buffers,
            Sending::Copied(copied) => {
                copied.buffers = buffers;
                (copied.copied, copied.at) = (0, 0);
            }
        }
    }
}

impl Copied {
    #[inline(never)]
    fn of(buffers: Buffers, needless: impl FnOnce() -> u64) -> Copied {
        let mut window = window::take();
        let copied = match &mut window {
            Some(held) if needless() < buffers.most() => buffers.copy(held.bytes()),
            _ => 0,
        };
        Copied {
            buffers,
            window,
            copied,
            bytes: 0,
            at: 0,
        }
    }

    /// The call took `bytes` bytes.
    pub fn taken(&mut self, bytes: usize) -> &mut Copied {
        self.copied = self.copied.min(bytes);
        self.bytes = bytes;
        self
    }

    /// Copies the next bytes; how many.
    fn copy_next(&mut self) -> usize {
        let most = (self.bytes - self.at).min(window::SIZE);
        // What lies behind the beginning seldom matters: where it is is not kept from one piece to the next.
        let mut cursor = Cursor::new(self.buffers.vectors());
        cursor.advance(self.at);
        let buffer = cursor.take(most);
        let Some(held) = &mut self.window else {
            return 0;
        };
        let out = held.bytes().get_mut(..buffer.iov_len).unwrap_or(&mut []);
        match copy(buffer.iov_base.expose_provenance(), out) {
            copied if copied == buffer.iov_len => copied,
            _ => 0,
        }
    }
}

impl Pieces for Copied {
    fn next_piece(&mut self, needless: u64) -> Option<Piece<'_>> {
        let (from, left) = (self.at, self.bytes - self.at);
        if left == 0 {
            return None;
        }
        let unseen = needless.min(left as u64) as usize;
        let seen = if from < self.copied {
            self.at = self.copied;
            from..self.copied
        } else if unseen > 0 {
            self.at += unseen;
            return Some(Piece::Unseen(unseen as u64));
        } else {
            let copied = self.copy_next();
            self.at += copied;
            0..copied
        };
        if seen.is_empty() {
            self.at = self.bytes;
            return Some(Piece::Unseen(left as u64));
        }
        self.window.as_mut()?.bytes().get(seen).map(Piece::Seen)
    }
}

/// A place in buffers.
struct Cursor {
    buffers: Vectors<AT_ONCE>,
    current: iovec,
}

impl Cursor {
    fn new(buffers: Vectors<AT_ONCE>) -> Cursor {
        Cursor {
            buffers,
            current: iovec {
                iov_base: core::ptr::null_mut(),
                iov_len: 0,
            },
        }
    }

    /// The next bytes of one buffer, at most so many; none past the end.
    fn take(&mut self, most: usize) -> iovec {
        while self.current.iov_len == 0
            && let Some(next) = self.buffers.next()
        {
            self.current = next;
        }
        let taken = iovec {
            iov_len: self.current.iov_len.min(most),
            ..self.current
        };
        self.current = iovec {
            iov_base: self.current.iov_base.wrapping_byte_add(taken.iov_len),
            iov_len: self.current.iov_len - taken.iov_len,
        };
        taken
    }

    fn advance(&mut self, mut bytes: usize) {
        while bytes > 0 {
            match self.take(bytes).iov_len {
                0 => break,
                taken => bytes -= taken,
            }
        }
    }
}
