//! Traces of seeded random events, written, read, cut and damaged, against what was put in.

mod blocks;
mod follow;
mod lasting;
mod make;
mod order;
mod python;

use leak_wire::{Bytes, Event};

use super::columns::Columns;
use super::format::{CHUNK_HEADER, FILE_HEADER, FOOTER};
use super::writer::{ThreadEvents, Writer};
use super::{At, Ended, Error, Note, NotedEnd, NotedOrigin, NotedOutcome, What, open};
use crate::sites::{NO_MODULE, Sites};
use make::*;

#[test]
fn what_is_written_is_read_in_order() {
    for seed in 1..20 {
        let made = make(
            &format!("whole-{seed}"),
            seed,
            3000,
            Some(NotedEnd::Complete),
        );
        let (facts, lines) = read(&made.path).unwrap();
        assert!(facts.complete(), "{facts:?}");
        assert_eq!(
            facts
                .threads
                .iter()
                .map(|thread| thread.tid)
                .collect::<Vec<_>>(),
            [70, 71, 72, 73]
        );
        assert!(lines.is_sorted_by_key(|line| line.0), "seed {seed}");
        let read = by_thread(&lines);
        for (thread, expected) in made.threads.iter().enumerate() {
            assert!(
                &read[&(thread as u32)] == expected,
                "seed {seed}, thread {thread}"
            );
        }
    }
}

#[test]
fn a_brief_block_is_one_entry() {
    let mut columns = Columns::default();
    let allocation = Event::Allocation {
        address: 4096,
        size: 10,
        site: 3,
    };
    let free = Event::Free { address: 4096 };
    let block = |columns: &mut Columns, at| {
        columns.push(at, allocation);
        columns.push(at, free);
    };
    block(&mut columns, At::Epoch);
    // The epoch that begins a chunk is the other one.
    assert_eq!((columns.count(), columns.events()), (2, 2));
    block(&mut columns, At::Turn(0));
    assert_eq!((columns.count(), columns.events()), (4, 4));
    columns.push(At::Epoch, allocation);
    columns.epoch(8);
    columns.push(At::Epoch, free);
    assert_eq!((columns.count(), columns.events()), (7, 6));
    block(&mut columns, At::Stamp(9));
    columns.push(At::Epoch, free);
    assert_eq!((columns.count(), columns.events()), (10, 9));
}

/// A damaged trace: fewer events, in the order they had, and never other ones. Where the notes are
/// damaged, threads may have other numbers.
fn is_part(lines: &[Line], whole: &Made) -> bool {
    // A site may be unknown, or cut short, where the chunk with its frames is missing.
    let head = |line: &str| line.split('[').next().unwrap_or_default().to_owned();
    by_thread(lines).values().all(|lines| {
        whole.threads.iter().any(|thread| {
            let mut rest = thread.iter();
            lines
                .iter()
                .all(|line| rest.any(|expected| head(&expected.2) == head(&line.2)))
        })
    })
}

#[test]
fn a_cut_trace_is_read_to_its_last_whole_chunk() {
    let made = make("cut", 5, 3000, Some(NotedEnd::Complete));
    let bytes = made.bytes();
    let mut random = Random(99);
    let mut cuts: Vec<usize> = (0..300)
        .map(|_| random.below(bytes.len() as u64) as usize)
        .collect();
    let scan = super::reader::scan(
        &std::fs::File::open(&made.path).unwrap(),
        bytes.len() as u64,
    );
    let chunks = scan.unwrap().chunks;
    assert!(chunks.len() > 10);
    cuts.extend(chunks.iter().map(|chunk| chunk.at as usize - CHUNK_HEADER));
    cuts.extend(0..=FILE_HEADER);
    let path = place("cut-part");
    for cut in cuts {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        match read(&path) {
            Ok((facts, lines)) => {
                assert_eq!(facts.ended, Ended::Truncated, "cut at {cut}");
                assert!(!facts.complete() && facts.warnings[0].code == "truncated");
                for (thread, read) in by_thread(&lines) {
                    let whole = &made.threads[thread as usize];
                    assert!(whole[..read.len()] == read[..], "cut at {cut}");
                }
                let before = chunks
                    .iter()
                    .filter(|chunk| chunk.at as usize + chunk.header.stored as usize <= cut);
                let first = before.filter(|chunk| chunk.header.kind == super::format::Kind::Events);
                assert_eq!(lines.is_empty(), first.count() == 0, "cut at {cut}");
            }
            Err(Error::Empty(_)) => assert_eq!(cut, 0),
            Err(Error::Foreign(_)) => assert!(cut < FILE_HEADER),
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_flipped_bit_is_never_overlooked() {
    let made = make("flip", 6, 1500, Some(NotedEnd::Complete));
    let whole = made.bytes();
    let (_, untouched) = read(&made.path).unwrap();
    let mut random = Random(7);
    let path = place("flip-part");
    let early = (0..FILE_HEADER as u64 * 8).collect::<Vec<u64>>();
    let bits = (0..250).map(|_| random.below(whole.len() as u64 * 8));
    let late = whole.len() as u64 * 8 - FOOTER as u64 * 8..whole.len() as u64 * 8;
    let bits: Vec<u64> = bits.chain(late).collect();
    for bit in early.into_iter().chain(bits) {
        let mut bytes = whole.clone();
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        match read(&path) {
            Ok((facts, lines)) => {
                assert!(is_part(&lines, &made), "bit {bit}");
                // The footer only says where the trailer is: without it all is there.
                let in_footer = bit as usize / 8 >= whole.len() - FOOTER;
                assert_eq!(facts.complete(), in_footer, "bit {bit}");
                assert!(!facts.warnings.is_empty(), "bit {bit}");
                assert!(lines.len() * 2 > untouched.len(), "bit {bit}");
            }
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn other_files_are_refused_in_one_line() {
    let path = place("other");
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let text = read(&path).unwrap_err().to_string();
        assert!(!text.contains('\n'));
        text
    };
    assert!(refused(b"").contains("an empty file"));
    assert!(refused(b"\x7fELF\x02\x01\x01\0 some program").contains("not a trace"));
    assert!(refused(b"short").contains("not a trace"));
    let mut newer = super::format::file_header(1);
    newer[8] = 9;
    let crc = crc32fast::hash(&newer[..12]).to_le_bytes();
    newer[12..].copy_from_slice(&crc);
    assert!(refused(&newer).contains("a trace of version 9"));
    std::fs::remove_file(&path).unwrap();
    assert!(
        read(&path)
            .unwrap_err()
            .to_string()
            .contains("No such file")
    );
    let folder = std::env::temp_dir();
    assert!(read(&folder).unwrap_err().to_string().contains("directory"));
}

#[test]
fn how_it_ended_is_told() {
    for (ended, expected) in [
        (Some(NotedEnd::DiskFull), Ended::DiskFull),
        (Some(NotedEnd::Limit), Ended::Limit),
        (Some(NotedEnd::Complete), Ended::Complete),
        (None, Ended::Truncated),
    ] {
        let made = make(&format!("ended-{expected:?}"), 3, 50, ended);
        let (facts, lines) = read(&made.path).unwrap();
        assert_eq!(facts.ended, expected);
        assert_eq!(facts.warnings.is_empty(), expected == Ended::Complete);
        let all: usize = made.threads.iter().map(Vec::len).sum();
        assert_eq!(lines.len(), all);
    }
}

#[test]
fn a_full_disk_leaves_a_trace_that_knows_its_end() {
    // /dev/full takes no byte: not even a header can be written.
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    assert!(Writer::create(full, u64::MAX).is_err());
}

#[test]
fn forks_inherit_modules_and_begin_before_their_events() {
    let path = place("fork");
    let mut writer = Writer::create(std::fs::File::create(&path).unwrap(), u64::MAX).unwrap();
    let begin = |image, parent, origin, start| Note::ProcessBegin {
        image,
        pid: 100 + image,
        parent,
        origin,
        start,
        executable: String::new(),
        arguments: Vec::new(),
    };
    let build_id = Some("abc".to_owned());
    writer.note(Note::BuildId {
        path: "/lib/a".to_owned(),
        since: 10,
        build_id,
    });
    writer.note(begin(1, 0, NotedOrigin::First, 5));
    writer.note(begin(2, 1, NotedOrigin::Fork, 20));
    let outcome = NotedOutcome::Killed { signal: Some(9) };
    writer.note(Note::ProcessEnd {
        image: 2,
        stamp: 25,
        outcome,
    });
    let mut parent = ThreadEvents::new(0, 1);
    let mut child = ThreadEvents::new(1, 2);
    let load = |start, path| Event::ModuleLoaded {
        start,
        end: start + 0x1000,
        bias: start,
        path,
    };
    parent.push(At::Stamp(10), load(0x1000, Bytes::Slice(b"/lib/a")));
    parent.push(At::Stamp(30), load(0x3000, Bytes::Slice(b"/lib/b")));
    // The frame's address is the end of the module: the call is its last instruction.
    child.epoch(28);
    child.push(
        At::Epoch,
        Event::Frame {
            id: 1,
            parent: 0,
            address: 0x2000,
        },
    );
    child.push(
        At::Epoch,
        Event::Frame {
            id: 2,
            parent: 1,
            address: 0x3010,
        },
    );
    child.push(
        At::Stamp(29),
        Event::Allocation {
            address: 16,
            size: 1,
            site: 2,
        },
    );
    writer.write_events(&mut child).unwrap();
    writer.write_events(&mut parent).unwrap();
    writer.finish(NotedEnd::Complete, 40).unwrap();
    let trace = open(&path).unwrap();
    assert_eq!(trace.facts.ended, Ended::Killed);
    assert_eq!(trace.facts.processes[1].parent, Some(0));
    let mut sites = Sites::default();
    let mut seen = Vec::new();
    let mut steps = trace.steps(&mut sites);
    while let Some(Ok(step)) = steps.next() {
        let what = match step.what {
            What::Event(_) => "event",
            What::FreeLists { .. } => "free lists",
            What::Passed(_) => "passed",
            What::Types(_) => "types",
            What::ProcessBegins => "begins",
            What::ProcessEnds => "ends",
            What::ThreadBegins => "thread",
            What::ThreadEnds => "thread ends",
        };
        seen.push((step.stamp, step.process, what));
    }
    drop(steps);
    let expected = [
        (5, 0, "begins"),
        (10, 0, "thread"),
        (20, 1, "begins"),
        (28, 1, "thread"),
        (29, 1, "event"),
        (29, 1, "thread ends"),
        (29, 1, "ends"),
    ];
    assert_eq!(seen, expected);
    let frames: Vec<_> = sites
        .backtrace(2)
        .map(|frame| (frame.module, frame.file_address))
        .collect();
    assert_eq!(frames, [(NO_MODULE, 0x3010), (0, 0x1000)]);
    assert_eq!(sites.modules()[0].build_id.as_deref(), Some("abc"));
    std::fs::remove_file(&path).unwrap();
}

/// The recorder of a short program on a busy machine notes the clock late: all that came before has its time.
#[test]
fn what_came_before_the_clock_was_noted_has_a_time() {
    let clock = |points: &[(u64, u64)]| super::Clock {
        points: points.to_vec(),
    };
    let late = clock(&[(1000, 50_000), (2000, 60_000)]);
    assert_eq!(
        [0, 500, 1000, 1500, 3000].map(|stamp| late.ns(stamp)),
        [0, 25_000, 50_000, 55_000, 70_000]
    );
    let once = clock(&[(1000, 50_000)]);
    assert_eq!(
        [0, 500, 1000, 2000].map(|stamp| once.ns(stamp)),
        [0, 25_000, 50_000, 50_000]
    );
    assert_eq!(clock(&[]).ns(7), 0);
}
