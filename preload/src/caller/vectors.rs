//! The buffers of a call, one after the other, as its caller gives them.

use libc::{iovec, msghdr};

use super::{read, read_all};

/// More of them are refused by the kernel.
const MOST: usize = 1024;

/// A number of buffers, read `N` at a time (a hook has little stack): those that are not read yet may change, or go.
#[derive(Clone)]
pub struct Vectors<const N: usize = 8> {
    next: *const iovec,
    left: usize,
    read: [iovec; N],
    count: usize,
    at: usize,
    /// Some may follow that nobody could read.
    is_cut: bool,
}

impl<const N: usize> Vectors<N> {
    /// None.
    const NONE: Self = Vectors {
        next: core::ptr::null(),
        left: 0,
        read: [iovec {
            iov_base: core::ptr::null_mut(),
            iov_len: 0,
        }; _],
        count: 0,
        at: 0,
        is_cut: false,
    };

    /// One buffer.
    pub fn one(buffer: iovec) -> Self {
        let mut vectors = Self::NONE;
        vectors.read = [buffer; N];
        vectors.count = 1;
        vectors
    }

    /// The buffers of an array, of which the first are read now.
    #[inline(never)]
    pub fn of(first: *const iovec, count: usize) -> Self {
        let mut vectors = Vectors {
            next: first,
            left: if count > MOST { 0 } else { count },
            ..Self::NONE
        };
        vectors.read_more();
        vectors
    }

    /// Those of a message.
    #[inline(never)]
    pub fn of_message(message: *const msghdr) -> Self {
        match read(message) {
            Some(message) => Self::of(message.msg_iov, message.msg_iovlen),
            None => Vectors {
                is_cut: true,
                ..Self::NONE
            },
        }
    }

    /// Those that are read already.
    pub fn as_read(&self) -> &[iovec] {
        self.read.get(self.at..self.count).unwrap_or(&[])
    }

    /// No more of them are known.
    pub fn end(&mut self) {
        (self.left, self.count, self.at) = (0, 0, 0);
        self.is_cut = true;
    }

    /// Whether all that are left are known, and none of them takes a byte.
    pub fn have_no_room(&mut self) -> bool {
        let has_room = self.any(|buffer| buffer.iov_len > 0);
        !has_room && !self.is_cut
    }

    fn read_more(&mut self) {
        let wanted = self.read.get_mut(..self.left.min(N));
        self.count = wanted.map_or(0, |wanted| read_all(self.next, wanted));
        self.at = 0;
        self.next = self.next.wrapping_add(self.count);
        // What can't be read ends them.
        self.is_cut |= self.count == 0 && self.left > 0;
        self.left = match self.count {
            0 => 0,
            count => self.left - count,
        };
    }
}

impl<const N: usize> Iterator for Vectors<N> {
    type Item = iovec;

    fn next(&mut self) -> Option<iovec> {
        if self.at == self.count {
            self.read_more();
        }
        let found = *self.read.get(self.at).filter(|_| self.at < self.count)?;
        self.at += 1;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn all_come_in_their_order() {
        for count in [0, 1, 7, 8, 9, 1024] {
            let buffers: Vec<_> = (0..count)
                .map(|iov_len| iovec {
                    iov_base: core::ptr::null_mut(),
                    iov_len,
                })
                .collect();
            let vectors: Vectors = Vectors::of(buffers.as_ptr(), count);
            assert_eq!(vectors.as_read().len(), count.min(8));
            let lengths: Vec<_> = vectors.map(|buffer| buffer.iov_len).collect();
            assert_eq!(lengths, (0..count).collect::<Vec<_>>());
        }
        assert_eq!(Vectors::<2>::of(core::ptr::null(), 3).count(), 0);
        assert_eq!(Vectors::<8>::of(core::ptr::null(), usize::MAX).count(), 0);
        assert_eq!(Vectors::<8>::of_message(core::ptr::null()).count(), 0);
    }

    #[test]
    fn room_is_told_of_buffers_that_are_known() {
        let has_no_room = |lengths: &[usize]| {
            let buffer = |iov_len: &usize| iovec {
                iov_base: core::ptr::null_mut(),
                iov_len: *iov_len,
            };
            let buffers: Vec<_> = lengths.iter().map(buffer).collect();
            Vectors::<2>::of(buffers.as_ptr(), buffers.len()).have_no_room()
        };
        for none in [&[][..], &[0], &[0, 0], &[0; 5]] {
            assert!(has_no_room(none), "{none:?}");
        }
        for some in [&[1][..], &[0, 1], &[0, 0, 0, 0, 9]] {
            assert!(!has_no_room(some), "{some:?}");
        }
        assert!(!Vectors::<2>::of(core::ptr::null(), 3).have_no_room());
        assert!(!Vectors::<2>::of_message(core::ptr::null()).have_no_room());
        let mut vectors = Vectors::<2>::NONE;
        vectors.end();
        assert!(!vectors.have_no_room());
    }
}
