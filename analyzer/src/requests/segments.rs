//! What stands in the paths of requests where their labels fold it: 17 of `/orders/{id}`. There may be millions of such
//! values: of each a number is kept, and the text of those that come more than once, up to a limit.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::label::{LabelId, MAX_LABELS};

/// Index into the list of requests.
type RequestId = u32;

/// Segments of a path that are kept, the first that are folded.
pub const MOST: usize = 3;
/// Numbers of what stands in the folded segments of a path; 0: none.
pub type Values = [u32; MOST];
/// No segment is folded.
pub const NO_VALUES: Values = [0; MOST];

/// So many texts are kept.
const MOST_TEXTS: usize = 16 * MAX_LABELS;
/// Bits that tell which values came before; a value that finds its bit set by another is kept one time early.
const SEEN_BITS: usize = 1 << 20;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Segments {
    /// It must not grow with requests.
    is_off: bool,
    /// By label: which segments of its path are folded; nothing where that was not asked yet.
    folded: Vec<Option<Box<[usize]>>>,
    /// By label: a request, and as many values as its path has that are kept.
    rows: Vec<Vec<u32>>,
    /// Values that came before, a bit each.
    seen: Vec<u64>,
    texts: FxHashMap<u32, Box<str>>,
}

impl Segments {
    /// For a trace without an end: keeps nothing.
    pub fn nothing() -> Segments {
        Segments {
            is_off: true,
            ..Segments::default()
        }
    }

    /// The values in `head`, which is `METHOD /path`, by its label, one of `names`.
    pub fn of(&mut self, label: LabelId, names: &[String], head: &str) -> Values {
        let mut values = NO_VALUES;
        if self.is_off {
            return values;
        }
        let at = label as usize;
        if self.folded.len() <= at {
            self.folded.resize(at + 1, None);
        }
        let name = names.get(at).map_or("", String::as_str);
        let folded = self.folded[at].get_or_insert_with(|| folded(name));
        if folded.is_empty() {
            return values;
        }
        let mut segments = path(head).split('/');
        let mut before = 0;
        for (value, place) in values.iter_mut().zip(folded.iter()) {
            let Some(text) = segments.nth(place - before) else {
                break;
            };
            before = place + 1;
            *value = number(text);
            let (word, bit) = (*value as usize % SEEN_BITS / 64, *value % 64);
            if self.seen.is_empty() {
                self.seen = vec![0; SEEN_BITS / 64];
            }
            if self.seen[word] & 1 << bit == 0 {
                self.seen[word] |= 1 << bit;
            } else if self.texts.len() < MOST_TEXTS && !self.texts.contains_key(value) {
                self.texts.insert(*value, text.into());
            }
        }
        values
    }

    /// `request` of the label came with these.
    pub fn note(&mut self, request: RequestId, label: LabelId, values: Values) {
        if values == NO_VALUES {
            return;
        }
        let kept = self.kept(label);
        let at = label as usize;
        if self.rows.len() <= at {
            self.rows.resize(at + 1, Vec::new());
        }
        let rows = &mut self.rows[at];
        rows.push(request);
        rows.extend_from_slice(&values[..kept]);
    }

    fn kept(&self, label: LabelId) -> usize {
        let folded = self.folded.get(label as usize);
        let folded = folded.and_then(Option::as_ref);
        folded.map_or(0, |folded| folded.len().min(MOST))
    }

    /// The requests of the label that have values, in their order.
    pub fn of_label(&self, label: LabelId) -> Vec<(RequestId, Values)> {
        let rows = self.rows.get(label as usize);
        let rows = rows.map_or(&[][..], Vec::as_slice);
        let rows = rows.chunks_exact(self.kept(label) + 1);
        let mut all: Vec<(RequestId, Values)> = rows
            .map(|row| {
                let mut values = NO_VALUES;
                let (request, own) = row.split_first().unwrap_or((&0, &[]));
                values.iter_mut().zip(own).for_each(|(to, own)| *to = *own);
                (*request, values)
            })
            .collect();
        all.sort_by_key(|(request, _)| *request);
        all
    }

    /// The path of a label with the text of a value in its place among the folded ones; `None` where that is not kept.
    pub fn path(&self, label: LabelId, name: &str, place: usize, value: u32) -> Option<String> {
        let folded = self.folded.get(label as usize)?.as_ref()?;
        let place = *folded.get(place)?;
        let text = self.texts.get(&value)?;
        let segments = path(name).split('/').enumerate();
        let segments = segments.map(|(at, own)| if at == place { text } else { own });
        Some(segments.collect::<Vec<_>>().join("/"))
    }
}

/// What comes after the method.
fn path(head: &str) -> &str {
    head.split_once(' ').map_or("", |(_, path)| path)
}

/// Which segments of a label's path stand for others. What comes after `**` may be anywhere.
fn folded(name: &str) -> Box<[usize]> {
    let segments = path(name).split('/').enumerate();
    let segments = segments.take_while(|(_, text)| !text.contains("**"));
    let is_folded = |text: &str| matches!(text, "{id}" | "{uuid}" | "{hex}") || text.contains('*');
    let folded = segments.filter(|(_, text)| is_folded(text));
    folded.map(|(at, _)| at).collect()
}

/// A number for a text. That two texts of a million have the same is less likely than one in a thousand for each.
fn number(text: &str) -> u32 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    let hash = hasher.finish();
    // Not 0, which is none.
    ((hash >> 32) as u32 ^ hash as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_folded_segments() {
        let names = [
            "GET /a/{id}/b".to_owned(),
            "GET /u/*/{id}/{uuid}/{hex}".to_owned(),
            "GET /files/**".to_owned(),
            "GET /plain".to_owned(),
        ];
        let mut segments = Segments::default();
        let seven = segments.of(0, &names, "GET /a/7/b");
        assert_eq!(seven, segments.of(0, &names, "GET /a/7/b"));
        let eight = segments.of(0, &names, "GET /a/8/b");
        assert_ne!(seven, eight);
        assert_eq!([seven[1], seven[2]], [0, 0]);
        assert_eq!(
            segments.path(0, &names[0], 0, seven[0]),
            Some("/a/7/b".into())
        );
        // It came once.
        assert_eq!(segments.path(0, &names[0], 0, eight[0]), None);
        let many = segments.of(1, &names, "GET /u/alice/7/x/y");
        assert_eq!(many[1], seven[0]);
        assert!(many.iter().all(|value| *value != 0));
        let path = segments.path(1, &names[1], 1, many[1]);
        assert_eq!(path.as_deref(), Some("/u/*/7/{uuid}/{hex}"));
        assert_eq!(segments.of(2, &names, "GET /files/7"), NO_VALUES);
        assert_eq!(segments.of(3, &names, "GET /plain"), NO_VALUES);
        segments.note(9, 0, eight);
        segments.note(4, 0, seven);
        segments.note(5, 1, many);
        segments.note(6, 3, NO_VALUES);
        assert_eq!(segments.of_label(0), [(4, seven), (9, eight)]);
        assert_eq!(segments.of_label(1), [(5, many)]);
        assert_eq!(segments.of_label(3), []);
    }

    #[test]
    fn texts_are_bounded() {
        let names = ["GET /{id}".to_owned()];
        let mut segments = Segments::default();
        for number in (0..3 * MOST_TEXTS).flat_map(|number| [number, number]) {
            segments.of(0, &names, &format!("GET /{number}"));
        }
        assert_eq!(segments.texts.len(), MOST_TEXTS);
        let mut none = Segments::nothing();
        assert_eq!(none.of(0, &names, "GET /7"), NO_VALUES);
    }
}
