//! Traces of seeded random events, written, read, cut and damaged, against what was put in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use leak_wire::{Bytes, Event, Protocol, Transfer, Unseen, Wait};

use super::format::{CHUNK_HEADER, FILE_HEADER};
use super::writer::{ThreadEvents, Writer};
use super::{Ended, Error, Note, NotedEnd, NotedOrigin, NotedOutcome, What, open};
use crate::sites::{NO_MODULE, SiteId, Sites};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Any magnitude up to `bits` bits.
    fn number(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits) + 1;
        self.next() >> (64 - bits)
    }
}

/// A step as text, with sites as their runtime addresses: comparable without ids.
type Line = (u64, u32, String);

/// One thread as it is written, and what a reader must see of it.
struct Written {
    events: ThreadEvents,
    stamp: u64,
    /// Backtraces by node, innermost address first.
    nodes: Vec<Vec<u64>>,
    lines: Vec<Line>,
}

struct Made {
    path: PathBuf,
    /// By thread number.
    threads: Vec<Vec<Line>>,
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn place(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("leak-trace-{}-{name}", std::process::id()))
}

fn text(event: Event<'_>, backtrace: &[u64]) -> String {
    match event {
        Event::Allocation { address, size, .. } => {
            format!("allocate {address} {size} {backtrace:?}")
        }
        Event::ReallocationEnd { address, size, .. } => {
            format!("reallocate {address} {size} {backtrace:?}")
        }
        other => format!("{other:?}"),
    }
}

fn any_event<'a>(random: &mut Random, nodes: usize, label: &'a [u8]) -> Event<'a> {
    let connection = random.number(32) as u32;
    let label = Bytes::Slice(&label[..random.below(label.len() as u64 + 1) as usize]);
    let address = random.number(56);
    let site = random.below(nodes as u64) as u32;
    match random.below(60) {
        0 => Event::ReallocationBegin { address },
        1 => Event::ReallocationEnd {
            address,
            size: random.number(64),
            site,
        },
        2 => Event::ReallocationFailed,
        3 => Event::ReallocationFreed,
        4 => Event::Exec,
        5 => Event::ExecFailed,
        6 => Event::Exit {
            code: random.number(32) as u32,
        },
        7 => Event::Accept {
            connection,
            local: label,
        },
        8 => Event::Enter {
            wait: Wait::Poll,
            connection,
        },
        9 => Event::Transferred {
            connection,
            transfer: Transfer::Write,
            bytes: random.number(64),
        },
        10 => Event::RequestBegun { connection },
        11 => Event::Request {
            connection,
            count: 3,
            protocol: Protocol::Redis,
            label,
        },
        12 => Event::Answer {
            connection,
            count: 1,
            status: random.number(32) as u32,
        },
        13 => Event::Upgraded { connection },
        14 => Event::Unseen {
            connection,
            reason: Unseen::Http2,
        },
        15 => Event::Close { connection },
        16 => Event::MarkBegin { label },
        17 => Event::MarkEnd,
        18 => Event::Mark { label },
        19 => Event::ThreadEnd,
        20..40 => Event::Free { address },
        _ => Event::Allocation {
            address,
            size: random.number(64),
            site,
        },
    }
}

impl Written {
    fn new(thread: u32) -> Written {
        Written {
            events: ThreadEvents::new(thread, 1),
            stamp: 1000,
            nodes: vec![Vec::new()],
            lines: Vec::new(),
        }
    }

    /// Adds a random event, and what it looks like when read.
    fn step(&mut self, random: &mut Random) {
        // Now and then a stamp goes back, as a signal handler's does.
        let stamp = match random.below(20) {
            0 if self.stamp > 1000 => self.stamp.saturating_sub(random.below(50)),
            _ => self.stamp + random.number(12),
        };
        let kind = random.below(100);
        let event = match kind {
            0 => {
                self.nodes.truncate(1);
                Event::TreeReset
            }
            1..10 => {
                let parent = random.below(self.nodes.len() as u64) as u32;
                let address = random.number(47) + 1;
                let mut backtrace = vec![address];
                backtrace.extend(&self.nodes[parent as usize]);
                self.nodes.push(backtrace);
                let id = self.nodes.len() as u32 - 1;
                Event::Frame {
                    id,
                    parent,
                    address,
                }
            }
            _ => any_event(random, self.nodes.len(), b"GET /users/{id}/photos"),
        };
        self.stamp = self.stamp.max(stamp);
        if kind >= 10 {
            let site = match event {
                Event::Allocation { site, .. } | Event::ReallocationEnd { site, .. } => site,
                _ => 0,
            };
            let line = text(event, &self.nodes[site as usize]);
            self.lines.push((self.stamp, self.events.thread, line));
        }
        self.events.push(stamp, event);
    }
}

/// A trace of random events on four threads, in chunks of random length.
fn make(name: &str, seed: u64, events: usize, ended: Option<NotedEnd>) -> Made {
    let mut random = Random(seed);
    let path = place(name);
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = Writer::create(file, u64::MAX).unwrap();
    writer.note(Note::Clock { stamp: 0, ns: 0 });
    writer.note(Note::ProcessBegin {
        image: 1,
        pid: 7,
        parent: 0,
        origin: NotedOrigin::First,
        start: 1,
        executable: "/bin/x".to_owned(),
        arguments: vec!["x".to_owned()],
    });
    let mut threads: Vec<Written> = (0..4).map(Written::new).collect();
    for thread in 0..4 {
        // Their order of start is their number.
        let start = 10 + u64::from(thread);
        writer.note(Note::ThreadBegin {
            thread,
            image: 1,
            tid: 70 + thread,
            start,
        });
    }
    for _ in 0..events {
        let thread = &mut threads[random.below(4) as usize];
        thread.step(&mut random);
        if random.below(200) == 0 {
            writer.write_events(&mut thread.events).unwrap();
        }
    }
    for thread in &mut threads {
        writer.write_events(&mut thread.events).unwrap();
    }
    let outcome = NotedOutcome::Exit { code: Some(0) };
    writer.note(Note::ProcessEnd {
        image: 1,
        stamp: 1 << 40,
        outcome,
    });
    match ended {
        Some(ended) => writer.finish(ended, 1 << 40).unwrap(),
        None => writer.write_notes().unwrap(),
    }
    let threads = threads.into_iter().map(|thread| thread.lines).collect();
    Made { path, threads }
}

fn addresses(sites: &Sites, site: SiteId) -> Vec<u64> {
    let frames = sites.backtrace(site);
    frames
        .map(|frame| {
            assert_eq!(frame.module, NO_MODULE);
            frame.file_address
        })
        .collect()
}

/// Everything that reading gives: the facts' end, whether they call it complete, all event lines in order.
fn read(path: &Path) -> Result<(super::Facts, Vec<Line>), Error> {
    let trace = open(path)?;
    let mut sites = Sites::default();
    let mut raw: Vec<(u64, u32, Option<SiteId>, String)> = Vec::new();
    let mut steps = trace.steps(&mut sites);
    while let Some(step) = steps.next() {
        let step = step?;
        if let What::Event(event) = step.what {
            let site = match event {
                Event::Allocation { site, .. } | Event::ReallocationEnd { site, .. } => Some(site),
                _ => None,
            };
            raw.push((step.stamp, step.thread, site, text(event, &[])));
        }
    }
    drop(steps);
    let lines = raw.into_iter().map(|(stamp, thread, site, line)| {
        let line = match site {
            Some(site) => line.replace("[]", &format!("{:?}", addresses(&sites, site))),
            None => line,
        };
        (stamp, thread, line)
    });
    let lines = lines.collect();
    Ok((trace.facts.clone(), lines))
}

fn by_thread(lines: &[Line]) -> HashMap<u32, Vec<Line>> {
    let mut threads: HashMap<u32, Vec<Line>> = HashMap::new();
    for line in lines {
        threads.entry(line.1).or_default().push(line.clone());
    }
    threads
}

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
    for bit in early.into_iter().chain(bits.collect::<Vec<u64>>()) {
        let mut bytes = whole.clone();
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        match read(&path) {
            Ok((facts, lines)) => {
                assert!(is_part(&lines, &made), "bit {bit}");
                assert!(!facts.complete(), "bit {bit}");
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
    let mut newer = super::format::file_header();
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
    parent.push(10, load(0x1000, Bytes::Slice(b"/lib/a")));
    parent.push(30, load(0x3000, Bytes::Slice(b"/lib/b")));
    // The frame's address is the end of the module: the call is its last instruction.
    child.push(
        28,
        Event::Frame {
            id: 1,
            parent: 0,
            address: 0x2000,
        },
    );
    child.push(
        28,
        Event::Frame {
            id: 2,
            parent: 1,
            address: 0x3010,
        },
    );
    child.push(
        29,
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
