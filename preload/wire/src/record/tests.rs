use super::*;
use crate::{Asked, Backing, Protocol, Transfer, Unseen, Wait};
use std::vec::Vec;

fn samples() -> Vec<Event<'static>> {
    let text = Bytes::Slice(b"GET /users/{id}");
    std::vec![
        Event::Allocation {
            address: 0x7fff_dead_beef,
            size: 24,
            site: 7
        },
        Event::Allocation {
            address: 16,
            size: 1 << 40,
            site: u32::MAX
        },
        Event::Free { address: 0x10 },
        Event::ReallocationBegin { address: 0x10 },
        Event::ReallocationEnd {
            address: 0x20,
            size: 0,
            site: 1
        },
        Event::ReallocationEnd {
            address: 0x20,
            size: 1 << 33,
            site: 1
        },
        Event::ReallocationFailed,
        Event::ReallocationFreed,
        Event::Frame {
            id: 1,
            parent: 0,
            address: 0x40_1000
        },
        Event::TreeReset,
        Event::Task { task: 0x7fff_1230 },
        Event::ModuleLoaded {
            start: 1,
            end: 2,
            bias: u64::MAX,
            path: Bytes::Slice(b"/bin/x")
        },
        Event::ModuleUnloaded { start: 1 },
        Event::Exec,
        Event::ExecFailed,
        Event::ExitBegins,
        Event::ThreadCreate { thread: 0x7000 },
        Event::ThreadCreated { thread: 0x7000 },
        Event::Collected {
            young: 7,
            middle: 1,
            full: u32::MAX
        },
        Event::CollectionAsked,
        Event::Mapped {
            address: 1 << 46,
            size: 1 << 30,
            backing: Backing::Shared,
            site: 7
        },
        Event::UnmapFailed,
        Event::ThreadStack {
            thread: 0x7000,
            handle: 1 << 46,
            size: 8 << 20,
            detached: true,
            site: 9
        },
        Event::ThreadReleased {
            handle: 1 << 46,
            joined: false
        },
        Event::Discarded {
            address: 1 << 46,
            size: 8192
        },
        Event::Unmapped {
            address: 1 << 46,
            size: 4096
        },
        Event::Exit { code: 3 },
        Event::Accept {
            connection: 1,
            local: Bytes::Slice(b"tcp:80")
        },
        Event::Enter {
            wait: Wait::Lock,
            connection: 0
        },
        Event::Transferred {
            connection: 1,
            transfer: Transfer::Write,
            bytes: 1 << 50
        },
        Event::RequestBegun { connection: 9 },
        Event::Header {
            connection: 7,
            length: 300,
            text: Bytes::Slice(b"x-request-id\0abc"),
        },
        Event::Request {
            connection: 9,
            count: 16,
            protocol: Protocol::Redis,
            label: text
        },
        Event::Answer {
            connection: 9,
            count: 1,
            status: 404
        },
        Event::Upgraded { connection: 9 },
        Event::Messages { connection: 9 },
        Event::Unseen {
            connection: 9,
            reason: Unseen::Http2
        },
        Event::Close { connection: 9 },
        Event::MarkBegin {
            label: Bytes::Slice(b"")
        },
        Event::MarkEnd,
        Event::Mark { label: text },
        Event::ThreadEnd,
        Event::FreeLists {
            changes: Bytes::Slice(&[16, 0, 0, 0, 0, 0, 0, 3])
        },
        Event::PythonFrame {
            id: 3,
            parent: 2,
            code: u32::MAX,
            instruction: 18
        },
        Event::Pair {
            id: 4,
            native: 1,
            python: 3,
            asked: Asked::Native
        },
        Event::PythonCode {
            code: 1,
            first_line: 7,
            version: 0x30b,
            text: Bytes::Slice(b"a.py\0K.go")
        },
        Event::PythonLines {
            code: 1,
            offset: 4096,
            bytes: Bytes::Slice(&[0x80, 0, 255])
        },
    ]
}

fn encoded(record: Record<'_>) -> Vec<u64> {
    let mut words = Vec::new();
    record.encode(|word| words.push(word));
    words
}

#[test]
fn every_event_reads_back() {
    for event in samples() {
        let stamp = match event.order() {
            Order::Fact => 42,
            _ => 0,
        };
        let record = Record { stamp, event };
        let words = encoded(record);
        assert_eq!(words.len(), record.words());
        let read = Entry::decode(&words);
        assert_eq!(read, Ok((Entry::Record(record), words.len())));
        // The short way says the same, or nothing.
        let small = matches!(
            event,
            Event::Allocation { size: 24, .. } | Event::Free { .. }
        );
        let common = small.then_some((event, words.len()));
        let read = Common::decode(&words).map(|(common, used)| (common.event(), used));
        assert_eq!(read, common);
        assert_eq!(Common::decode(&words[..words.len() - 1]), None);
    }
}

#[test]
fn every_prefix_reads_back() {
    let most = (1 << 56) - 1;
    for prefix in [
        Prefix::Epoch(most),
        Prefix::Turn(0),
        Prefix::Stamp(1 << 50),
        Prefix::Skip {
            shard: 255,
            turn: most >> 8,
        },
        Prefix::Nothing,
    ] {
        let words = [prefix.word()];
        assert_eq!(Entry::decode(&words), Ok((Entry::Prefix(prefix), 1)));
    }
}

#[test]
fn a_block_takes_two_words_and_its_free_one() {
    let address = 0x7fff_dead_beef;
    let allocation = Event::Allocation {
        address,
        size: 24,
        site: 7,
    };
    let words = |event| encoded(Record { stamp: 0, event });
    assert_eq!(words(allocation), super::allocation(address, 24, 7));
    assert_eq!(words(Event::Free { address }), free(address));
}

#[test]
fn nodes_take_three_words() {
    let words = |event| encoded(Record { stamp: 0, event });
    let (id, parent, code, instruction) = (1, 2, 3, u32::MAX);
    let frame = Event::PythonFrame {
        id,
        parent,
        code,
        instruction,
    };
    assert_eq!(words(frame), python_frame(id, parent, code, instruction));
    for asked in [Asked::Native, Asked::Interpreter] {
        let (native, python) = (5, 6);
        let pair = Event::Pair {
            id,
            native,
            python,
            asked,
        };
        assert_eq!(words(pair), python_pair(id, native, python, asked));
    }
}

#[test]
fn a_cut_record_says_how_much_is_missing() {
    for event in samples() {
        let words = encoded(Record { stamp: 1, event });
        for cut in 0..words.len() {
            let Err(Malformed::Short { needed }) = Entry::decode(&words[..cut]) else {
                panic!("{event:?} cut to {cut} words was read");
            };
            assert!(needed > cut && needed <= words.len());
        }
    }
}

#[test]
fn the_longest_record_fits_its_bound() {
    let long = [b'x'; Bytes::MAX + 100];
    let event = Event::ModuleLoaded {
        start: 1,
        end: 2,
        bias: 3,
        path: Bytes::Slice(&long),
    };
    let words = encoded(Record { stamp: 1, event });
    assert!(words.len() <= MAX_WORDS);
    let (entry, _) = Entry::decode(&words).unwrap();
    let Entry::Record(Record {
        event: Event::ModuleLoaded { path, .. },
        ..
    }) = entry
    else {
        panic!("another kind")
    };
    assert_eq!(path.len(), Bytes::MAX);
}

#[test]
fn no_words_panic_the_reader() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let rounds = if cfg!(miri) { 500 } else { 100_000 };
    for _ in 0..rounds {
        let kind = next() % 48;
        let words = [
            kind << 56 | next() >> 8,
            next(),
            next() % 64,
            next() % 64,
            next(),
        ];
        let _ = Entry::decode(&words);
    }
}
