//! The texts that the environments of new images point to: the path of this library, and the session that they join.

use core::cell::UnsafeCell;
use core::ffi::CStr;

use leak_wire::layout::SESSION_VARIABLE;

use crate::config::base_name;
use crate::kernel;
use crate::own_path::own_path;

pub(super) const PATH_MAX: usize = 4096;

/// `LEAK_SESSION=`, a name, a colon, ten digits, a zero byte, rounded up.
pub(super) const SESSION_MAX: usize = 96;

/// The texts that environments point to.
pub(super) struct Texts {
    /// This library's absolute path.
    library: [u8; PATH_MAX],
    pub(super) library_length: usize,
    /// `LEAK_SESSION=NAME:IMAGE`; also that of a session that this program itself is no part of.
    session: [u8; SESSION_MAX],
    session_length: usize,
}

pub(super) struct Place(pub(super) UnsafeCell<Texts>);

// SAFETY: written while the process starts and in a forked child, both times by its only thread
// that is at it; read by the others later.
unsafe impl Sync for Place {}

pub(super) static TEXTS: Place = Place(UnsafeCell::new(Texts {
    library: [0; PATH_MAX],
    library_length: 0,
    session: [0; SESSION_MAX],
    session_length: 0,
}));

pub(super) fn texts() -> &'static Texts {
    // SAFETY: see `Place`.
    unsafe { &*TEXTS.0.get() }
}

impl Texts {
    pub(super) fn find_library(&mut self) {
        let path = own_path();
        let mut length = 0;
        if !path.starts_with(b"/") {
            length = kernel::current_directory(&mut self.library);
            length += put(&mut self.library, length, b"/");
        }
        length += put(&mut self.library, length, path);
        self.library_length = length;
    }

    pub(super) fn write_session(&mut self, name: &[u8], image: u32) {
        let mut digits = [b'0'; 10];
        let mut rest = image;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.begin_session();
        for part in [name, b":", &digits] {
            self.session_length += put(&mut self.session, self.session_length, part);
        }
    }

    pub(super) fn copy_session(&mut self, value: &[u8]) {
        self.begin_session();
        self.session_length += put(&mut self.session, self.session_length, value);
    }

    fn begin_session(&mut self) {
        self.session = [0; SESSION_MAX];
        self.session_length = put(&mut self.session, 0, SESSION_VARIABLE.as_bytes());
        self.session_length += put(&mut self.session, self.session_length, b"=");
    }

    /// Whether the library is there, seen from this process's root and with its rights.
    pub(super) fn is_loadable(&self) -> bool {
        CStr::from_bytes_until_nul(&self.library).is_ok_and(kernel::is_readable)
    }

    pub(super) fn library(&self) -> &[u8] {
        self.library.get(..self.library_length).unwrap_or(&[])
    }

    /// The entry for the session, if there is one.
    pub(super) fn session(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.session)
            .ok()
            .filter(|entry| !entry.is_empty())
    }

    /// Whether the part `entry` of `LD_PRELOAD` means this library.
    pub(super) fn is_library(&self, entry: &[u8]) -> bool {
        entry == self.library()
            || entry == own_path()
            || !entry.contains(&b'/') && entry == base_name(self.library())
    }
}

/// Copies `bytes` to `at`, leaving a zero byte at the end; nothing if they don't fit.
pub(super) fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    if at + bytes.len() >= buffer.len() {
        return 0;
    }
    match buffer.get_mut(at..at + bytes.len()) {
        Some(place) => {
            place.copy_from_slice(bytes);
            bytes.len()
        }
        None => 0,
    }
}

pub(super) fn parts(preload: &[u8]) -> impl Iterator<Item = &[u8]> {
    preload
        .split(|byte| matches!(byte, b':' | b' '))
        .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn preload_lists_are_cut_at_colons_and_spaces() {
        let cut: Vec<_> = parts(b"a.so:/b/c.so  d.so::").collect();
        assert_eq!(cut, [&b"a.so"[..], b"/b/c.so", b"d.so"]);
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut buffer = [0; 4];
        assert_eq!(put(&mut buffer, 0, b"ab"), 2);
        assert_eq!(put(&mut buffer, 2, b"cd"), 0);
        assert_eq!(put(&mut buffer, 2, b"c"), 1);
        assert_eq!(&buffer, b"abc\0");
    }
}
