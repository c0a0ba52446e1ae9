//! Whole conversations, fed at once, in pieces and broken.

mod headers;
mod hostile;
mod oracle;
mod tables;

use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

use crate::{Buffers, Connection, Fact, Parts, Piece, Pieces, Wanted};

/// What passes on a connection, as the server sees it.
#[derive(Clone, Debug)]
enum Step {
    Read(Vec<u8>),
    Wrote(Vec<u8>),
    WroteOpaque(u64),
    ReadOpaque(u64),
    Last,
}

fn read(bytes: impl AsRef<[u8]>) -> Step {
    Step::Read(bytes.as_ref().to_vec())
}

fn wrote(bytes: impl AsRef<[u8]>) -> Step {
    Step::Wrote(bytes.as_ref().to_vec())
}

fn show(fact: Fact<'_>) -> String {
    match fact {
        Fact::RequestBegun => "begun".into(),
        Fact::Request {
            protocol,
            count,
            label,
        } => {
            let label = std::str::from_utf8(label).unwrap();
            format!("{protocol:?} {count} {label}")
        }
        Fact::Header {
            name,
            value,
            length,
        } => {
            let text = |bytes| std::str::from_utf8(bytes).unwrap();
            format!("header {}: {} ({length})", text(name), text(value))
        }
        Fact::Answer { count, status } => format!("answer {count} {status}"),
        Fact::Upgraded => "upgraded".into(),
        Fact::Messages => "messages".into(),
        Fact::Unseen(reason) => format!("unseen {reason:?}"),
    }
}

/// Headers that no other test sends.
const WANTED: Wanted<'static> = Wanted::new(b"traceparent\nx-request-id\n");

/// The facts of a conversation; `cut` says where a step of a length is cut into pieces.
fn facts_cut(steps: &[Step], mut cut: impl FnMut(usize) -> Vec<usize>) -> Vec<String> {
    let mut buffers = Box::new(Buffers::new());
    let mut connection = Connection::new();
    let mut facts = Vec::new();
    let mut emit = |fact: Fact<'_>| facts.push(show(fact));
    for step in steps {
        match step {
            Step::Read(bytes) => pieces(bytes, cut(bytes.len())).for_each(|piece| {
                connection.read(&mut buffers, Parts::of([piece]), WANTED, &mut emit);
            }),
            Step::Wrote(bytes) => pieces(bytes, cut(bytes.len()))
                .for_each(|piece| connection.wrote(&mut buffers, Parts::of([piece]), &mut emit)),
            Step::WroteOpaque(count) => connection.wrote_opaque(*count, &mut emit),
            Step::ReadOpaque(count) => connection.read_opaque(*count, &mut emit),
            Step::Last => connection.wrote_last(&mut emit),
        }
    }
    facts
}

/// Shows of what is moved only what matters, a few bytes at a time.
struct Sparing<'b> {
    bytes: &'b [u8],
    at_once: usize,
}

impl Pieces for Sparing<'_> {
    fn next_piece(&mut self, needless: u64) -> Option<Piece<'_>> {
        if self.bytes.is_empty() {
            return None;
        }
        let unseen = needless.min(self.bytes.len() as u64);
        let count = match unseen {
            0 => self.at_once.min(self.bytes.len()),
            count => count as usize,
        };
        let (piece, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        Some(match unseen {
            0 => Piece::Seen(piece),
            count => Piece::Unseen(count),
        })
    }
}

/// The facts of a conversation of whose bytes only those are shown that matter.
fn facts_of_little(steps: &[Step], at_once: usize) -> Vec<String> {
    let mut buffers = Box::new(Buffers::new());
    let mut connection = Connection::new();
    let mut facts = Vec::new();
    let mut emit = |fact: Fact<'_>| facts.push(show(fact));
    for step in steps {
        match step {
            Step::Read(bytes) => {
                connection.read(&mut buffers, Sparing { bytes, at_once }, WANTED, &mut emit);
            }
            Step::Wrote(bytes) => {
                connection.wrote(&mut buffers, Sparing { bytes, at_once }, &mut emit);
            }
            Step::WroteOpaque(count) => connection.wrote_opaque(*count, &mut emit),
            Step::ReadOpaque(count) => connection.read_opaque(*count, &mut emit),
            Step::Last => connection.wrote_last(&mut emit),
        }
    }
    facts
}

fn pieces(bytes: &[u8], mut cuts: Vec<usize>) -> impl Iterator<Item = &[u8]> {
    cuts.push(bytes.len());
    let mut start = 0;
    cuts.into_iter().map(move |end| {
        let piece = &bytes[start..end];
        start = end;
        piece
    })
}

/// The facts of a conversation whose steps come whole.
fn facts(steps: &[Step]) -> Vec<String> {
    facts_cut(steps, |_| Vec::new())
}

/// Facts one by one, and without what depends on where the stream was cut.
fn normal(facts: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for fact in facts.iter().filter(|fact| *fact != "begun") {
        let words: Vec<&str> = fact.splitn(3, ' ').collect();
        match words[..] {
            [kind, count, rest] if !matches!(kind, "unseen" | "header") => {
                let count = count.parse().unwrap();
                all.extend(std::iter::repeat_n(format!("{kind} {rest}"), count));
            }
            _ => all.push(fact.clone()),
        }
    }
    all
}

/// A small generator of numbers that look random; the same ones for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    fn cuts(&mut self, len: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (0..self.below(6)).map(|_| self.below(len + 1)).collect();
        cuts.sort_unstable();
        cuts
    }
}

/// How often to try what is tried `many` times: a few times under miri, which is a thousand times slower.
fn rounds(many: usize) -> usize {
    if cfg!(miri) { many.min(8) } else { many }
}

/// However a conversation is cut, it has the same facts.
fn assert_cuts_do_not_matter(steps: &[Step]) {
    let whole = normal(&facts(steps));
    let bytewise = facts_cut(steps, |len| (1..len).collect());
    assert_eq!(normal(&bytewise), whole, "byte by byte: {steps:?}");
    for at_once in [1, 7, 4096] {
        let little = facts_of_little(steps, at_once);
        assert_eq!(normal(&little), whole, "{at_once} at once: {steps:?}");
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..rounds(50) {
        let cut = facts_cut(steps, |len| random.cuts(len));
        assert_eq!(normal(&cut), whole, "{steps:?}");
    }
}
