//! `leaks.toml`: leaks that are known, how large they may be, and until when.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use super::leaks::Leak;
use crate::analysis::Verdict;
use crate::escape::escaped;
use crate::figures::{bytes, counted};
use crate::report::Outline;

/// What stands for a label in an entry of memory that belongs to no request.
const OUTSIDE: &str = "(no request)";
/// At the head of a written file.
const HEAD: &str = "\
# Leaks that are known. leak-analyze --baseline FILE fails for all others, and for what is worse than it says here;
# --update-baseline writes the file anew, and keeps `why` and `until`. `label` may have * and ?.
";

/// The entries of a file, sorted.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    entries: Vec<Entry>,
}

/// One known leak.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `function_fingerprint` of the site, which holds from build to build, or `fingerprint`.
    pub fingerprint: String,
    /// The labels that it is for, a glob; `(no request)`: for memory that belongs to none.
    pub label: String,
    /// The worst verdict that it may have.
    pub verdict: String,
    /// The function and its file, for who reads the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// Bytes that each leaking request may leave; without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each_max: Option<u64>,
    /// Why it may stay.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The last day on which it may, `2027-01-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    leak: Vec<Entry>,
}

/// Whether a leak is known.
pub(super) enum Cover<'b> {
    /// It is, and as the entry says.
    Is(&'b Entry),
    /// It is, and worse: why.
    Worse(&'b Entry, String),
    /// It is not.
    Unknown,
}

impl Baseline {
    /// The file at `path`; an empty baseline where `may_be_missing` and there is none.
    ///
    /// # Errors
    /// One line: it can't be read, or an entry can't be used.
    pub fn read(path: &Path, may_be_missing: bool) -> Result<Baseline, String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match fs::read_to_string(path) {
            Ok(text) => Baseline::parse(&text).map_err(|error| named(&error)),
            Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Baseline::default())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(named(&"is not there; --update-baseline writes it"))
            }
            Err(error) => Err(named(&error)),
        }
    }

    #[cfg(test)]
    pub(super) fn from_text(text: &str) -> Result<Baseline, String> {
        Baseline::parse(text)
    }

    fn parse(text: &str) -> Result<Baseline, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.get(..span.start)
                    .unwrap_or_default()
                    .matches('\n')
                    .count()
                    + 1
            });
            format!("line {line}: {}", error.message())
        })?;
        for entry in &file.leak {
            entry.check()?;
        }
        let mut entries = file.leak;
        sort(&mut entries);
        Ok(Baseline { entries })
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn judge(&self, leak: &Leak<'_>, today: &str) -> Cover<'_> {
        let mut cover = Cover::Unknown;
        for entry in self.entries.iter().filter(|entry| entry.is_for(leak)) {
            match entry.exceeded(leak, today) {
                None => return Cover::Is(entry),
                Some(why) => cover = Cover::Worse(entry, why),
            }
        }
        cover
    }

    /// The file that says that these are known: entries of leaks that are gone are left out, those of labels without
    /// any request stay, and all if nothing is `complete`.
    pub fn updated(&self, leaks: &[Leak<'_>], outline: &Outline, complete: bool) -> Baseline {
        let mut entries: BTreeMap<(String, String), Entry> = BTreeMap::new();
        for leak in leaks {
            let known = self.entries.iter().find(|entry| entry.is_for(leak));
            let entry = Entry {
                fingerprint: leak.site.functions.fingerprint.clone(),
                label: known.map_or_else(|| label(leak), |known| known.label.clone()),
                verdict: leak.verdict.name().into(),
                at: format!("{} {}", leak.site.function(), file_name(leak.site.place())),
                each_max: leak.allowance(),
                why: known.map_or_else(String::new, |known| known.why.clone()),
                until: known.and_then(|known| known.until.clone()),
            };
            let key = (entry.label.clone(), entry.fingerprint.clone());
            let kept = entries.entry(key).or_insert_with(|| entry.clone());
            kept.each_max = kept.each_max.max(entry.each_max);
        }
        for entry in &self.entries {
            let used = leaks.iter().any(|leak| entry.is_for(leak));
            if !used && (!complete || entry.requests(outline) == 0) {
                entries.insert(
                    (entry.label.clone(), entry.fingerprint.clone()),
                    entry.clone(),
                );
            }
        }
        let mut entries: Vec<Entry> = entries.into_values().collect();
        sort(&mut entries);
        Baseline { entries }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// One line: it can't be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let file = File {
            leak: self.entries.clone(),
        };
        let text =
            toml::to_string(&file).map_err(|error| format!("{}: {error}", path.display()))?;
        // Whole or not at all: the file is committed.
        let partial = path.with_extension("toml.partial");
        fs::write(&partial, format!("{HEAD}\n{text}"))
            .and_then(|()| fs::rename(&partial, path))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by(|one, other| {
        (&one.label, &one.at, &one.fingerprint).cmp(&(&other.label, &other.at, &other.fingerprint))
    });
}

/// A glob for the label itself: what is wild in one stands for itself in a label seldom enough.
fn label(leak: &Leak<'_>) -> String {
    leak.label.unwrap_or(OUTSIDE).to_owned()
}

fn file_name(place: &str) -> &str {
    let name = place.rsplit('/').next().unwrap_or(place);
    // Without the line, which changes with every edit above it.
    name.rsplit_once(':').map_or(name, |(name, _)| name)
}

fn verdict(name: &str) -> Option<Verdict> {
    [
        Verdict::Leak,
        Verdict::GrowingBuffer,
        Verdict::TooFewRequests,
        Verdict::Bounded,
        Verdict::WarmUp,
        Verdict::FreedLater,
    ]
    .into_iter()
    .find(|verdict| verdict.name() == name)
}

impl Entry {
    fn check(&self) -> Result<(), String> {
        let name = self.name();
        if verdict(&self.verdict).is_none() {
            return Err(format!(
                "{name}: verdict {:?} is none; it takes leak or growing_buffer",
                self.verdict
            ));
        }
        if self.until.as_deref().is_some_and(|until| !is_day(until)) {
            return Err(format!("{name}: until takes a day, such as 2027-01-31"));
        }
        Ok(())
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        format!(
            "baseline entry {} {}",
            escaped(&self.fingerprint),
            escaped(&self.label)
        )
    }

    fn is_for(&self, leak: &Leak<'_>) -> bool {
        let site = leak.site;
        let named = self.fingerprint == site.functions.fingerprint
            || site.fingerprints.contains(&self.fingerprint);
        named
            && match leak.label {
                None => self.label == OUTSIDE,
                // The label itself, too, should it hold a wild letter.
                Some(label) => self.label == label || WildMatch::new(&self.label).matches(label),
            }
    }

    /// Why the leak is worse than this says, if so.
    fn exceeded(&self, leak: &Leak<'_>, today: &str) -> Option<String> {
        if let Some(until) = self.until.as_deref().filter(|until| *until < today) {
            return Some(format!("it was known until {until}"));
        }
        if verdict(&self.verdict).is_some_and(|known| leak.verdict < known) {
            return Some(format!("it was known as {}", self.verdict));
        }
        let (most, [low, _]) = (self.each_max?, leak.each?);
        (low > most).then(|| {
            format!(
                "each leaves {}, and {} at most are known",
                bytes(low),
                bytes(most)
            )
        })
    }

    /// Requests that it is for.
    fn requests(&self, outline: &Outline) -> u64 {
        let glob = WildMatch::new(&self.label);
        let parts = outline.endpoints.iter();
        let parts = parts.filter(|part| self.label == part.label || glob.matches(&part.label));
        match self.label == OUTSIDE {
            true => outline.requests,
            false => parts.map(|part| part.requests).sum(),
        }
    }

    /// What to say of an entry that covers nothing.
    pub(super) fn unused(&self, outline: &Outline) -> String {
        match self.requests(outline) {
            0 => format!("{} was not tried: no request has such a label", self.name()),
            requests => format!(
                "{} covers nothing, in {}: fixed? then remove it",
                self.name(),
                counted(requests, "request")
            ),
        }
    }
}

/// `2027-01-31`, so that days compare as texts.
fn is_day(text: &str) -> bool {
    text.len() == 10 && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok()
}
