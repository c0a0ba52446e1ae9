//! LeakSanitizer's suppression files: `leak:PATTERN` lines, where a pattern that is part of any frame's function, file
//! or module covers the leak; `*` is wild, `^` and `$` stand for the begin and the end.

use std::fs;
use std::path::Path;

use wildmatch::WildMatch;

use crate::report::OutlineSite;

/// The patterns of all files.
#[derive(Clone, Debug, Default)]
pub struct Suppressions(Vec<Pattern>);

#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    glob: WildMatch,
}

impl Suppressions {
    /// Adds a file's.
    ///
    /// # Errors
    /// One line: it can't be read, or has a line that is no suppression.
    pub fn add(&mut self, path: &Path) -> Result<(), String> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.split_once(':') {
                Some(("leak", pattern)) if !pattern.is_empty() => {
                    self.0.push(Pattern::new(pattern))
                }
                // A file may be shared with other sanitizers.
                Some((kind, pattern)) if !pattern.is_empty() && is_kind(kind) => {}
                _ => {
                    return Err(format!(
                        "{}: line {number} is no suppression: it takes leak:PATTERN",
                        path.display()
                    ));
                }
            }
        }
        Ok(())
    }

    /// All patterns.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pattern| pattern.text.as_str())
    }

    /// The first that covers the site.
    pub(super) fn covering(&self, site: &OutlineSite) -> Option<&str> {
        let mut patterns = self.0.iter();
        let pattern = patterns.find(|pattern| {
            let mut names = site.all_names.iter();
            names.any(|name| pattern.glob.matches(name))
        });
        pattern.map(|pattern| pattern.text.as_str())
    }
}

fn is_kind(kind: &str) -> bool {
    kind.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-')
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        let begins = text.strip_prefix('^');
        let ends = text.strip_suffix('$');
        let inner = text.trim_start_matches('^').trim_end_matches('$');
        let before = if begins.is_some() { "" } else { "*" };
        let after = if ends.is_some() { "" } else { "*" };
        Pattern {
            text: text.to_owned(),
            glob: WildMatch::new(&format!("{before}{}{after}", inner.replace('?', "\u{0}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_are_leak_sanitizers() {
        let matches = |pattern: &str, name: &str| Pattern::new(pattern).glob.matches(name);
        assert!(matches("keep", "app::keeper"));
        assert!(!matches("^keep", "app::keeper"));
        assert!(matches("^app*er$", "app::keeper"));
        assert!(!matches("keep$", "app::keeper"));
        assert!(matches("libfoo.so", "/usr/lib/libfoo.so.1"));
    }
}
