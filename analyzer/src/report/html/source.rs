//! The source lines of the program's own frames, where their files are on this machine and as old as the recording.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;

use super::data::Frame;
use crate::escape::escaped;
use crate::trace::Facts;

/// Larger files are no source.
const MOST_FILE: u64 = 4 << 20;
/// Characters of a line, at most.
const MOST_LINE: usize = 160;
/// Whose code gets its lines: the program's, and its wrappers of an allocator.
const OWN: u8 = 1;

/// The line of each frame that has one: its place among `frames`, and its text.
pub(super) fn lines(facts: &Facts, frames: &[Frame], strings: &[String]) -> Vec<(u32, String)> {
    let ended = facts.started_at_ns.saturating_add(facts.duration_ns);
    let mut files = Files {
        until: UNIX_EPOCH + Duration::from_nanos(ended),
        read: FxHashMap::default(),
    };
    let own = (0..).zip(frames).filter(|(_, frame)| frame.2 <= OWN);
    own.filter_map(|(at, frame)| {
        let (file, line) = strings.get(frame.1 as usize)?.rsplit_once(':')?;
        Some((at, files.line(file, line.parse().ok()?)?))
    })
    .collect()
}

/// Files that were read already, each once.
struct Files {
    /// What was changed later is not what was run.
    until: SystemTime,
    read: FxHashMap<String, Option<Vec<u8>>>,
}

impl Files {
    fn line(&mut self, file: &str, number: usize) -> Option<String> {
        let until = self.until;
        let read = self.read.entry(file.to_owned());
        let text = read.or_insert_with(|| old_file(file, until)).as_deref()?;
        let line = text
            .split(|byte| *byte == b'\n')
            .nth(number.checked_sub(1)?)?;
        let line = String::from_utf8_lossy(line);
        let shown: String = line.trim().chars().take(MOST_LINE).collect();
        (!shown.is_empty()).then(|| escaped(&shown).into_owned())
    }
}

/// A regular file that is no younger than `until`.
fn old_file(path: &str, until: SystemTime) -> Option<Vec<u8>> {
    let facts = fs::metadata(path).ok()?;
    let fits = facts.is_file() && facts.len() <= MOST_FILE && facts.modified().ok()? <= until;
    fits.then(|| fs::read(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_own_frames_of_files_that_were_there() {
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/html/source.rs");
        let frame = |place, kind| Frame(0, place, kind, false);
        let strings = [
            "main".into(),
            format!("{here}:3"),
            format!("{here}:9999"),
            "/nowhere:1".into(),
        ];
        let frames = [
            frame(1, 0),
            frame(1, 2),
            frame(2, 0),
            frame(3, 0),
            frame(0, 0),
        ];
        let mut facts = Facts {
            started_at_ns: u64::MAX / 2,
            ..Facts::default()
        };
        let told = lines(&facts, &frames, &strings);
        assert_eq!(told, [(0, "use std::fs;".to_owned())]);
        // It was changed since.
        facts.started_at_ns = 1;
        assert_eq!(lines(&facts, &frames, &strings), []);
    }
}
