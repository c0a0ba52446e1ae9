//! One line on stderr, where the user must know something.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::kernel;

/// A line of text of bounded length, without the heap.
pub struct Line {
    bytes: [u8; 1024],
    length: usize,
}

impl Line {
    /// An empty one.
    pub const fn new() -> Self {
        Line {
            bytes: [0; 1024],
            length: 0,
        }
    }

    /// Appends bytes, as many as fit; control characters as `?`, so that a line stays a line.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = if byte.is_ascii_control() { b'?' } else { *byte };
                self.length += 1;
            }
        }
    }

    /// Ends the line; the last byte gives way if there is no room.
    pub fn end(&mut self) {
        self.length = self.length.min(self.bytes.len() - 1);
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = b'\n';
            self.length += 1;
        }
    }

    /// What it holds.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// Which file stderr was when the program began (device and inode mixed), 0: none, or be quiet.
static STDERR: AtomicU64 = AtomicU64::new(0);

/// Remembers what stderr is, so that a later notice never goes into a file that has taken its number.
pub fn prepare(quiet: bool) {
    let stderr = if quiet { 0 } else { kernel::file_identity(2) };
    // Relaxed: a word by itself.
    STDERR.store(stderr, Ordering::Relaxed);
}

/// Prints `libleak: ` and the parts as one line, if stderr still is what it was.
pub fn say(parts: &[&[u8]]) {
    // Relaxed: a word by itself.
    let known = STDERR.load(Ordering::Relaxed);
    if known == 0 || kernel::file_identity(2) != known {
        return;
    }
    let mut line = Line::new();
    line.push(b"libleak: ");
    parts.iter().for_each(|part| line.push(part));
    line.end();
    let _held = kernel::SignalsHeld::new();
    kernel::write(2, line.as_bytes());
}
