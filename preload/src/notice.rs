//! One line on stderr, where the user must know something.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{kernel, window};

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

    /// Appends bytes, as many as fit; what steers a terminal as `?`, so that a line stays a line and is
    /// read as it is written.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((first, more)) = rest.split_first() {
            let (byte, length) = match steers(rest) {
                0 => (*first, 1),
                length => (b'?', length),
            };
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
            rest = rest.get(length..).unwrap_or(more);
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

/// The length of the character at the start of `text` if it steers a terminal, else 0: controls (C0, C1,
/// DEL), and those that turn the order of the text or can't be seen.
fn steers(text: &[u8]) -> usize {
    match text {
        [byte, ..] if byte.is_ascii_control() => 1,
        [0xc2, 0x80..=0x9f, ..] | [0xd8, 0x9c, ..] => 2,
        [0xe2, 0x80, 0x8b..=0x8f | 0xa8..=0xae, ..] | [0xe2, 0x81, 0xa0..=0xaf, ..] => 3,
        [0xef, 0xbb, 0xbf, ..] | [0xef, 0xbf, 0xb9..=0xbb, ..] => 3,
        _ => 0,
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
    window::tells(parts);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        let mut line = Line::new();
        line.push("a\x1b[31m\u{9b}ä\u{202e}日\u{2066}\u{feff}\u{61c}\x7fz\n".as_bytes());
        line.end();
        let text = core::str::from_utf8(line.as_bytes());
        assert_eq!(text, Ok("a?[31m?ä?日????z?\n"));
    }
}
