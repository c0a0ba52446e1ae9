//! Labels of requests: number-like path segments folded, interned, and limited in number.

use rustc_hash::FxHashMap;

use crate::warm_up::WARM_UP;

/// Index into [`Labels::names`].
pub type LabelId = u32;
/// Requests of a label with one status.
pub type Group = (LabelId, Option<u32>);

/// How many labels are kept; all others are [`OTHER`].
pub const MAX_LABELS: usize = 1_000;
/// The label of requests whose own was one too many.
pub const OTHER: &str = "{other}";
/// The label of a request whose head never was complete.
pub const INCOMPLETE: &str = "{incomplete}";
/// A segment of so many hex digits is an identifier.
const HEX_DIGITS: usize = 16;

/// All labels of a trace.
#[derive(Debug, Default)]
pub struct Labels {
    routes: Vec<String>,
    names: Vec<String>,
    ids: FxHashMap<String, LabelId>,
    /// Raw labels seen before, so that folding is done once for each.
    folded: FxHashMap<String, LabelId>,
    other: Option<LabelId>,
    /// All requests that come now are of the warm-up.
    is_warm_up: bool,
}

impl Labels {
    /// No labels yet; paths that match one of `routes` are folded to it.
    pub fn new(routes: Vec<String>) -> Self {
        Labels {
            routes,
            ..Labels::default()
        }
    }

    /// From now on all labels are [`WARM_UP`], or their own again.
    pub fn set_warm_up(&mut self, is_warm_up: bool) {
        self.is_warm_up = is_warm_up;
    }

    /// The label of a `METHOD /path` head.
    pub fn http(&mut self, head: &str) -> LabelId {
        if self.is_warm_up {
            return self.intern(WARM_UP);
        }
        if let Some(id) = self.folded.get(head) {
            return *id;
        }
        let label = match head.split_once(' ') {
            Some((method, path)) => format!("{method} {}", self.fold_path(path)),
            None => head.to_string(),
        };
        let id = self.intern(&label);
        // Bounded: paths with many values would otherwise all be remembered.
        if self.folded.len() < 16 * MAX_LABELS {
            self.folded.insert(head.to_string(), id);
        }
        id
    }

    /// The id of `label`, as it is.
    pub fn intern(&mut self, label: &str) -> LabelId {
        let label = if self.is_warm_up { WARM_UP } else { label };
        if let Some(id) = self.ids.get(label) {
            return *id;
        }
        if self.ids.len() >= MAX_LABELS {
            return *self.other.get_or_insert_with(|| {
                self.names.push(OTHER.to_string());
                self.names.len() as LabelId - 1
            });
        }
        let id = self.names.len() as LabelId;
        self.names.push(label.to_string());
        self.ids.insert(label.to_string(), id);
        id
    }

    /// All labels, by id.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether some labels were folded into [`OTHER`].
    pub fn overflowed(&self) -> bool {
        self.other.is_some()
    }

    fn fold_path(&self, path: &str) -> String {
        if let Some(route) = self.routes.iter().find(|route| matches(route, path)) {
            return route.clone();
        }
        let segments: Vec<&str> = path.split('/').map(fold_segment).collect();
        segments.join("/")
    }
}

/// A path segment, or what stands for all of its kind.
fn fold_segment(segment: &str) -> &str {
    let bytes = segment.as_bytes();
    if bytes.is_empty() {
        segment
    } else if bytes.iter().all(u8::is_ascii_digit) {
        "{id}"
    } else if is_uuid(bytes) {
        "{uuid}"
    } else if bytes.len() >= HEX_DIGITS && bytes.iter().all(u8::is_ascii_hexdigit) {
        "{hex}"
    } else {
        segment
    }
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether `path` matches the glob: `*` is any run of characters but `/`, `**` any run at all.
fn matches(glob: &str, path: &str) -> bool {
    fn at(glob: &[u8], path: &[u8]) -> bool {
        let Some(first) = glob.first() else {
            return path.is_empty();
        };
        if *first != b'*' {
            return path.first() == Some(first) && at(&glob[1..], &path[1..]);
        }
        let across = glob.get(1) == Some(&b'*');
        let rest = &glob[if across { 2 } else { 1 }..];
        let reach = match path.iter().position(|byte| *byte == b'/') {
            Some(slash) if !across => slash,
            _ => path.len(),
        };
        (0..=reach).any(|taken| at(rest, &path[taken..]))
    }
    at(glob.as_bytes(), path.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(head: &str) -> String {
        let mut labels = Labels::new(vec!["/u/*".into(), "/files/**".into()]);
        let id = labels.http(head);
        labels.names()[id as usize].clone()
    }

    #[test]
    fn number_like_segments_are_folded() {
        assert_eq!(folded("GET /"), "GET /");
        assert_eq!(folded("GET /a/12/b"), "GET /a/{id}/b");
        assert_eq!(folded("GET /a1/v2"), "GET /a1/v2");
        assert_eq!(
            folded("PUT /x/123e4567-e89b-12d3-a456-426614174000"),
            "PUT /x/{uuid}"
        );
        assert_eq!(folded("GET /c/0123456789abcdef"), "GET /c/{hex}");
        assert_eq!(folded("GET /c/0123456789abcde"), "GET /c/0123456789abcde");
        assert_eq!(folded("GET /c/0123456789012345678"), "GET /c/{id}");
    }

    #[test]
    fn routes_fold_more() {
        assert_eq!(folded("GET /u/alice"), "GET /u/*");
        assert_eq!(folded("GET /u/alice/7"), "GET /u/alice/{id}");
        assert_eq!(folded("GET /files/a/b/c"), "GET /files/**");
    }

    #[test]
    fn a_warm_up_has_one_label() {
        let mut labels = Labels::default();
        labels.set_warm_up(true);
        assert_eq!(labels.http("GET /a"), labels.http("GET /b"));
        labels.set_warm_up(false);
        let id = labels.http("GET /a");
        assert_eq!(labels.names()[id as usize], "GET /a");
        assert_eq!(labels.names()[0], WARM_UP);
    }

    #[test]
    fn past_the_limit_the_rest_is_other() {
        let mut labels = Labels::default();
        for number in 0..MAX_LABELS + 5 {
            labels.http(&format!("GET /p{number}"));
        }
        let id = labels.http("GET /one-more");
        assert_eq!(labels.names()[id as usize], OTHER);
        assert_eq!(labels.http("GET /p3"), 3);
        assert_eq!(labels.names().len(), MAX_LABELS + 1);
        assert!(labels.overflowed());
    }
}
