//! Makes traces of seeded random events, and reads them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use leak_wire::{Bytes, Common, Event, Order, Protocol, Transfer, Unseen, Wait};

use crate::sites::{NO_MODULE, SiteId, Sites};
use crate::trace::writer::{ThreadEvents, Writer};
use crate::trace::{
    At, Error, Facts, Note, NotedEnd, NotedOrigin, NotedOutcome, Steps, ThreadId, Trace, What, open,
};

/// xorshift64*.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Any magnitude up to `bits` bits.
    pub(super) fn number(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits) + 1;
        self.next() >> (64 - bits)
    }
}

/// A step as text, with sites as their runtime addresses: comparable without ids.
pub(super) type Line = (u64, u32, String);

/// One thread as it is written, and what a reader must see of it.
pub(super) struct Written {
    pub(super) events: ThreadEvents,
    pub(super) stamp: u64,
    /// Backtraces by node, innermost address first.
    pub(super) nodes: Vec<Vec<u64>>,
    pub(super) lines: Vec<Line>,
    /// Where it allocated last.
    last: u64,
}

pub(super) struct Made {
    pub(super) path: PathBuf,
    /// By thread number.
    pub(super) threads: Vec<Vec<Line>>,
}

impl Made {
    pub(super) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A path that no other call gets, tests being run at once.
pub(super) fn place(name: &str) -> PathBuf {
    static PLACES: AtomicU32 = AtomicU32::new(0);
    // Relaxed: only the number has to be its own.
    let number = PLACES.fetch_add(1, Ordering::Relaxed);
    let of_process = std::process::id();
    std::env::temp_dir().join(format!("leak-trace-{of_process}-{number}-{name}"))
}

pub(super) fn text(event: Event<'_>, backtrace: &[u64]) -> String {
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

pub(super) fn any_event<'a>(random: &mut Random, nodes: usize, label: &'a [u8]) -> Event<'a> {
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
        20 => Event::ExitBegins,
        21 => Event::ThreadCreate { thread: address },
        22 => Event::ThreadCreated { thread: address },
        23..38 => Event::Free { address },
        38 => Event::Collected {
            young: 700,
            middle: random.number(4) as u32,
            full: 1,
        },
        39 => Event::CollectionAsked,
        40 => Event::Header {
            connection,
            length: random.number(32) as u32,
            text: label,
        },
        41 => Event::Messages { connection },
        _ => Event::Allocation {
            address,
            size: random.number(64),
            site,
        },
    }
}

impl Written {
    pub(super) fn new(thread: u32) -> Written {
        let mut events = ThreadEvents::new(thread, 1);
        events.epoch(1000);
        Written {
            events,
            stamp: 1000,
            nodes: vec![Vec::new()],
            lines: Vec::new(),
            last: 0,
        }
    }

    /// Adds a random event, and what it looks like when read.
    pub(super) fn step(&mut self, random: &mut Random) {
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
            // Right after it, or after what it is no brief block by.
            10..30 => Event::Free { address: self.last },
            _ => any_event(random, self.nodes.len(), b"GET /users/{id}/photos"),
        };
        if let Event::Allocation { address, .. } = event {
            self.last = address;
        }
        // What has no stamp of its own has the epoch that was told last.
        let at = match (event.order(), random.below(3)) {
            (Order::Fact, _) | (Order::Block(_), 0) => At::Stamp(stamp),
            (_, 1) => {
                self.events.epoch(stamp);
                self.stamp = self.stamp.max(stamp);
                At::Epoch
            }
            _ => At::Epoch,
        };
        if at != At::Epoch {
            self.stamp = self.stamp.max(stamp);
        }
        if kind >= 10 {
            let site = match event {
                Event::Allocation { site, .. } | Event::ReallocationEnd { site, .. } => site,
                _ => 0,
            };
            let line = text(event, &self.nodes[site as usize]);
            self.lines.push((self.stamp, self.events.thread, line));
        }
        self.events.push(at, event);
    }
}

/// A trace of random events on four threads, in chunks of random length.
pub(super) fn make(name: &str, seed: u64, events: usize, ended: Option<NotedEnd>) -> Made {
    make_told(name, seed, (events, usize::MAX), ended)
}

/// The same; after every so many events all of them are written, and told to be there.
pub(super) fn make_told(
    name: &str,
    seed: u64,
    (events, told): (usize, usize),
    ended: Option<NotedEnd>,
) -> Made {
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
    for number in 1..=events {
        let thread = &mut threads[random.below(4) as usize];
        thread.step(&mut random);
        if number % told == 0 {
            for thread in &mut threads {
                writer.write_events(&mut thread.events).unwrap();
            }
            let stamp = threads.iter().map(|thread| thread.stamp).min().unwrap() - 1;
            writer.note(Note::Through { stamp });
            writer.write_notes().unwrap();
            continue;
        }
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

pub(super) fn addresses(sites: &Sites, site: SiteId) -> Vec<u64> {
    let frames = sites.backtrace(site);
    frames
        .map(|frame| {
            assert_eq!(frame.module, NO_MODULE);
            frame.file_address
        })
        .collect()
}

/// Gives all events in order; `in_runs`: those that come in runs as such, as a reader in a hurry takes them.
pub(super) fn each_event(
    trace: &Trace,
    sites: &mut Sites,
    in_runs: bool,
    take: impl FnMut(u64, ThreadId, Event<'_>),
) -> Result<(), Error> {
    each_step(&mut trace.steps(sites), in_runs, take)
}

/// The same, of what there is of a trace.
pub(super) fn each_step(
    steps: &mut Steps<'_>,
    in_runs: bool,
    mut take: impl FnMut(u64, ThreadId, Event<'_>),
) -> Result<(), Error> {
    while let Some(step) = steps.next() {
        let step = step?;
        if let What::Event(event) = step.what {
            take(step.stamp, step.thread, event);
        }
        if let Some(mut run) = steps.run().filter(|_| in_runs) {
            let (stamp, thread) = (run.stamp, run.thread);
            // Little room, so that it ends everywhere.
            let mut room = [Common::Free { address: 0 }; 5];
            for size in (2..=room.len()).cycle() {
                let read = run.read(&mut room[..size]);
                if read == 0 {
                    break;
                }
                for common in &room[..read] {
                    take(stamp, thread, common.event());
                }
            }
        }
    }
    Ok(())
}

/// Everything that reading gives: the facts' end, whether they call it complete, all event lines in order.
pub(super) fn read(path: &Path) -> Result<(Facts, Vec<Line>), Error> {
    let trace = open(path)?;
    let mut sites = Sites::default();
    let mut raw = Vec::new();
    each_event(&trace, &mut sites, true, |stamp, thread, event| {
        raw.push(raw_line(stamp, thread, event));
    })?;
    Ok((trace.facts.clone(), lines(raw, &sites)))
}

/// An event whose call site is still to be written out.
pub(super) type RawLine = (u64, ThreadId, Option<SiteId>, String);

pub(super) fn raw_line(stamp: u64, thread: ThreadId, event: Event<'_>) -> RawLine {
    let site = match event {
        Event::Allocation { site, .. } | Event::ReallocationEnd { site, .. } => Some(site),
        _ => None,
    };
    (stamp, thread, site, text(event, &[]))
}

pub(super) fn lines(raw: Vec<RawLine>, sites: &Sites) -> Vec<Line> {
    let line = |(stamp, thread, site, line): RawLine| {
        let line = match site {
            Some(site) => line.replace("[]", &format!("{:?}", addresses(sites, site))),
            None => line,
        };
        (stamp, thread, line)
    };
    raw.into_iter().map(line).collect()
}

pub(super) fn by_thread(lines: &[Line]) -> HashMap<u32, Vec<Line>> {
    let mut threads: HashMap<u32, Vec<Line>> = HashMap::new();
    for line in lines {
        threads.entry(line.1).or_default().push(line.clone());
    }
    threads
}
