//! What requests asked for, word by word: their paths as they were, not folded into labels. Kept only where it is asked
//! for, as there may be as many paths as requests. Headers are kept where they were recorded.

use std::ops::Range;

use leak_wire::{Bytes, Protocol};
use rustc_hash::FxHashMap;

use super::label::LabelId;
use super::segments::Values;
use crate::asked::{Asked, AskedFor, Sent};

/// Index into the heads; [`NOTHING`]: nothing is kept of it.
pub type TextId = u32;
/// No head.
pub const NOTHING: TextId = u32::MAX;

/// A request, by its place among all.
type RequestId = u32;
/// A connection's number.
type ConnectionId = u32;

/// Heads of one label that were read together.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Their label.
    pub label: LabelId,
    /// The last of them, where that is kept.
    pub asked: TextId,
    /// What stands where its label folds the path.
    pub values: Values,
    /// What they are of.
    pub protocol: Protocol,
    /// How many.
    pub count: u32,
}

/// What is kept of a head.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Its text, by its place; `None`: not kept.
    text: Option<u32>,
    /// Its headers, by their places.
    headers: Range<u32>,
}

/// A header of a head that is told next.
#[derive(Debug)]
struct Ahead {
    name: String,
    value: String,
    is_cut: bool,
}

/// What was asked for so far.
#[derive(Debug, Default)]
pub struct AskedSoFar {
    is_kept: bool,
    without_headers: bool,
    texts: Vec<String>,
    text_ids: FxHashMap<String, u32>,
    /// The head that is a text alone, by the text.
    plain: FxHashMap<u32, TextId>,
    heads: Vec<Kept>,
    /// By request: its head, and the text of its connection's local end.
    of: FxHashMap<RequestId, (Kept, Option<u32>)>,
    sent: Sent,
    /// Headers of heads that are told next.
    ahead: FxHashMap<ConnectionId, Vec<Ahead>>,
}

impl AskedSoFar {
    /// Nothing yet.
    pub fn new(is_kept: bool) -> Self {
        AskedSoFar {
            is_kept,
            ..AskedSoFar::default()
        }
    }

    /// The same for a trace without an end: what it keeps must not grow with requests.
    pub fn nothing() -> Self {
        AskedSoFar {
            without_headers: true,
            ..AskedSoFar::default()
        }
    }

    /// The next head of the connection has this header: its name, a NUL, its value, which has `length` bytes.
    pub fn header(&mut self, connection: ConnectionId, length: u32, text: Bytes<'_>) {
        if self.without_headers {
            return;
        }
        let bytes: Vec<u8> = text.iter().collect();
        let end = bytes.iter().position(|byte| *byte == 0);
        let (name, value) = bytes.split_at(end.unwrap_or(bytes.len()));
        let value = value.get(1..).unwrap_or_default();
        let header = Ahead {
            is_cut: (value.len() as u64) < u64::from(length),
            name: String::from_utf8_lossy(name).into_owned(),
            value: String::from_utf8_lossy(value).into_owned(),
        };
        let ahead = self.ahead.entry(connection).or_default();
        ahead.retain(|before| before.name != header.name);
        ahead.push(header);
    }

    /// The connection is closed.
    pub fn closed(&mut self, connection: ConnectionId) {
        self.ahead.remove(&connection);
    }

    /// The id of a head of the connection, such as `GET /orders/17`, with the headers that were told before it.
    pub fn head(&mut self, connection: ConnectionId, text: &str) -> TextId {
        let mut headers = 0..0;
        for header in self.ahead.remove(&connection).unwrap_or_default() {
            let at = self.sent.push(&header.name, &header.value, header.is_cut);
            let start = if headers.is_empty() {
                at
            } else {
                headers.start
            };
            headers = start..at + 1;
        }
        let text = self.text(text);
        match text {
            None if headers.is_empty() => return NOTHING,
            Some(text) if headers.is_empty() => {
                if let Some(id) = self.plain.get(&text) {
                    return *id;
                }
                self.plain.insert(text, self.heads.len() as TextId);
            }
            _ => {}
        }
        self.heads.push(Kept { text, headers });
        self.heads.len() as TextId - 1
    }

    fn text(&mut self, text: &str) -> Option<u32> {
        if !self.is_kept {
            return None;
        }
        if let Some(id) = self.text_ids.get(text) {
            return Some(*id);
        }
        let id = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.text_ids.insert(text.to_owned(), id);
        Some(id)
    }

    /// `request` came with this head to the local end of its connection.
    pub fn note(&mut self, request: RequestId, head: TextId, local: &str) {
        if let Some(kept) = self.heads.get(head as usize).cloned() {
            let local = self.text(local);
            self.of.insert(request, (kept, local));
        }
    }

    /// Another request, with this head, is one with `request` from now on: what both have in common is kept.
    pub fn join(&mut self, request: RequestId, head: TextId) {
        let Some((own, _)) = self.of.get_mut(&request) else {
            return;
        };
        let other = self.heads.get(head as usize).cloned().unwrap_or_default();
        if own.text != other.text {
            own.text = None;
        }
        if !self
            .sent
            .at(own.headers.clone())
            .eq(self.sent.at(other.headers))
        {
            own.headers = 0..0;
        }
    }

    /// What each of `requests` asked for, in their order; nothing where nothing was kept.
    pub fn finish(self, requests: impl Iterator<Item = RequestId> + Clone) -> AskedFor {
        let of = requests.clone().map(|id| {
            let (kept, local) = self.of.get(&id)?;
            Some(Asked {
                head: kept.text?,
                local: (*local)?,
            })
        });
        let of = match self.is_kept {
            true => of.collect(),
            false => Vec::new(),
        };
        let headers = requests.map(|id| {
            let kept = self.of.get(&id);
            kept.map(|(kept, _)| kept.headers.clone())
                .unwrap_or_default()
        });
        AskedFor {
            of,
            texts: self.texts,
            sent: self.sent.finish(headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(asked: &mut AskedSoFar, connection: ConnectionId, text: &str) {
        let bytes = text.replace('=', "\0");
        let value = text.split_once('=').map_or(0, |(_, value)| value.len());
        asked.header(connection, value as u32, Bytes::Slice(bytes.as_bytes()));
    }

    fn of(all: &AskedFor, request: usize) -> Vec<(&str, &str)> {
        let headers = all.sent.of(request);
        headers.map(|header| (header.name, header.value)).collect()
    }

    #[test]
    fn headers_are_those_of_the_next_head_of_their_connection() {
        for is_kept in [false, true] {
            let mut asked = AskedSoFar::new(is_kept);
            // Of two connections, on two threads.
            header(&mut asked, 1, "a=1");
            header(&mut asked, 2, "a=2");
            header(&mut asked, 1, "b=3");
            let heads = [(2, "GET /x"), (1, "GET /x"), (1, "GET /x"), (2, "GET /x")];
            for (request, (connection, text)) in (0..).zip(heads) {
                let head = asked.head(connection, text);
                asked.note(request, head, "tcp:80");
            }
            let all = asked.finish(0..4);
            assert_eq!(of(&all, 0), [("a", "2")]);
            assert_eq!(of(&all, 1), [("a", "1"), ("b", "3")]);
            assert_eq!(of(&all, 2), []);
            assert_eq!(of(&all, 3), []);
            let kept = is_kept.then_some(("GET /x", "tcp:80"));
            assert!((0..4).all(|request| all.of(request) == kept));
        }
    }

    #[test]
    fn a_trace_without_an_end_keeps_none() {
        let mut asked = AskedSoFar::nothing();
        header(&mut asked, 1, "a=1");
        assert_eq!(asked.head(1, "GET /x"), NOTHING);
        assert!(asked.heads.is_empty() && asked.ahead.is_empty() && asked.sent.is_empty());
    }

    #[test]
    fn several_as_one_have_what_all_have() {
        let mut asked = AskedSoFar::new(true);
        let mut heads = Vec::new();
        for value in ["a=1", "a=1", "a=2"] {
            header(&mut asked, 1, value);
            heads.push(asked.head(1, "GET /x"));
        }
        let other = asked.head(1, "GET /y");
        for request in 0..3 {
            asked.note(request, heads[0], "tcp:80");
        }
        asked.join(0, heads[1]);
        asked.join(1, heads[2]);
        asked.join(2, other);
        let all = asked.finish(0..3);
        assert_eq!(of(&all, 0), [("a", "1")]);
        assert_eq!(of(&all, 1), []);
        assert_eq!(all.of(1), Some(("GET /x", "tcp:80")));
        assert_eq!(of(&all, 2), []);
        assert_eq!(all.of(2), None);
    }
}
