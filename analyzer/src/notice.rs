//! Lines on stderr.

use crate::escape::escaped;

/// Prints `leak-analyze: ` and the text, whose parts may come from strangers, as one line.
pub fn say(text: &str) {
    eprintln!("leak-analyze: {}", escaped(text));
}
