//! Labels, paths and symbols come from strangers: nothing of them may reach the terminal raw.

use std::borrow::Cow;

/// `text` with every character that could steer a terminal, or turn the order of the text, written
/// out as `\u{1b}`.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match steers(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn steers(c: char) -> bool {
    // C0, DEL and C1; marks of direction, their embeddings and isolates; line and paragraph separators.
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_written_out() {
        assert_eq!(escaped("GET /ä/{id}"), "GET /ä/{id}");
        assert_eq!(escaped("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escaped("a\nb\t\u{9b}"), "a\\nb\\t\\u{9b}");
        assert_eq!(escaped("a\u{202e}b"), "a\\u{202e}b");
    }
}
