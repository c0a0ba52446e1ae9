//! Blocks that are only counted: of one made-up run two traces are written, with every block and with those
//! that last, and both must be judged the same.
//!
//! One file on purpose: all checks are of the one run that it makes up.

use std::path::{Path, PathBuf};

use leak_wire::order::{REGION_BITS, SHARDS, shard};
use leak_wire::{Bytes, Event, Protocol, Transfer, Wait};

use super::make::{Random, place};
use crate::analyze::{Boundary, Options, Scope, analyze};
use crate::sites::Sites;
use crate::trace::writer::{ThreadEvents, Writer};
use crate::trace::{At, Note, NotedEnd, NotedOrigin, NotedOutcome, Passed, What, open};

const THREADS: u32 = 4;
/// Addresses in a region, few so that they are used again.
const PLACES: u64 = 40;
/// Threads share this region; each has one of its own besides.
const SHARED: u64 = 99;

/// A trace on its way to a file.
struct Output {
    path: PathBuf,
    writer: Writer,
    events: Vec<ThreadEvents>,
}

impl Output {
    fn new(name: &str, lasting: bool) -> Output {
        let path = place(name);
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = Writer::create(file, u64::MAX).unwrap();
        writer.note(Note::Clock { stamp: 0, ns: 0 });
        writer.note(Note::Clock {
            stamp: 1_000_000,
            ns: 1_000_000_000_000,
        });
        writer.note(Note::ProcessBegin {
            image: 1,
            pid: 7,
            parent: 0,
            origin: NotedOrigin::First,
            start: 1,
            executable: "/bin/x".to_owned(),
            arguments: Vec::new(),
        });
        let events = (0..THREADS).map(|thread| {
            writer.note(Note::ThreadBegin {
                thread,
                image: 1,
                tid: 70 + thread,
                start: 1,
            });
            let mut events = ThreadEvents::new(thread, 1);
            if lasting {
                events.keep_lasting();
            }
            events
        });
        let events = events.collect();
        Output {
            path,
            writer,
            events,
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A thread as it goes.
#[derive(Default)]
struct Thread {
    told: u64,
    nodes: u32,
    live: Vec<u64>,
    marks: u32,
}

/// What happens, told to both.
struct World {
    random: Random,
    epoch: u64,
    turns: [u64; SHARDS],
    threads: Vec<Thread>,
    /// Addresses with a block, whoever has it.
    used: Vec<u64>,
    connections: u32,
    outputs: [Output; 2],
}

impl World {
    fn fact(&mut self, thread: u32, event: Event<'_>) {
        self.epoch += 1 + self.random.below(3);
        self.threads[thread as usize].told = self.epoch;
        self.tell(thread, At::Stamp(self.epoch), event);
    }

    fn tell(&mut self, thread: u32, at: At, event: Event<'_>) {
        for output in &mut self.outputs {
            output.events[thread as usize].push(at, event);
        }
    }

    fn see_epoch(&mut self, thread: u32) {
        let epoch = self.epoch;
        if std::mem::replace(&mut self.threads[thread as usize].told, epoch) != epoch {
            for output in &mut self.outputs {
                output.events[thread as usize].epoch(epoch);
            }
        }
    }

    fn memory(&mut self, thread: u32, address: u64, event: Event<'_>) {
        self.see_epoch(thread);
        let at = if address >> REGION_BITS == SHARED {
            let turn = &mut self.turns[usize::from(shard(address))];
            *turn += 1;
            At::Turn(*turn - 1)
        } else if self.random.below(60) == 0 {
            self.epoch += 1;
            self.threads[thread as usize].told = self.epoch;
            At::Stamp(self.epoch)
        } else {
            At::Epoch
        };
        self.tell(thread, at, event);
    }

    fn site(&mut self, thread: u32) -> u32 {
        let state = &mut self.threads[thread as usize];
        if state.nodes > 0 && self.random.below(15) > 0 {
            return self.random.below(u64::from(state.nodes)) as u32 + 1;
        }
        state.nodes += 1;
        let id = state.nodes;
        let parent = self.random.below(u64::from(id)) as u32;
        let address = 0x1000 + self.random.below(300);
        self.see_epoch(thread);
        self.tell(
            thread,
            At::Epoch,
            Event::Frame {
                id,
                parent,
                address,
            },
        );
        id
    }

    fn allocate(&mut self, thread: u32) {
        let region = match self.random.below(6) {
            0 => SHARED,
            _ => u64::from(thread) + 1,
        };
        let start = self.random.below(PLACES);
        let mut free = (0..PLACES).map(|n| (region << REGION_BITS) + (start + n) % PLACES * 16);
        let Some(address) = free.find(|address| !self.used.contains(address)) else {
            return;
        };
        let site = self.site(thread);
        let size = self.random.number(12);
        self.used.push(address);
        self.threads[thread as usize].live.push(address);
        let event = Event::Allocation {
            address,
            size,
            site,
        };
        self.memory(thread, address, event);
    }

    /// Takes one of the thread's blocks, the newest as a rule; or another thread's in the shared region.
    fn pick(&mut self, thread: u32) -> Option<u64> {
        let from = match self.random.below(8) {
            0 => self.random.below(u64::from(THREADS)) as usize,
            _ => thread as usize,
        };
        let back = self.random.below(3) as usize;
        let live = &mut self.threads[from].live;
        let at = live.len().checked_sub(1 + back)?;
        let mine = from == thread as usize;
        (mine || live[at] >> REGION_BITS == SHARED).then(|| live.remove(at))
    }

    fn free(&mut self, thread: u32) {
        let Some(address) = self.pick(thread) else {
            return;
        };
        self.used.retain(|used| *used != address);
        // Now and then the end of a block is not seen.
        if self.random.below(40) > 0 {
            self.memory(thread, address, Event::Free { address });
        }
    }

    fn reallocate(&mut self, thread: u32) {
        let Some(address) = self.pick(thread) else {
            return;
        };
        self.memory(thread, address, Event::ReallocationBegin { address });
        if self.random.below(3) == 0 {
            self.allocate(thread);
        }
        match self.random.below(5) {
            0 => {
                self.threads[thread as usize].live.push(address);
                self.see_epoch(thread);
                self.tell(thread, At::Epoch, Event::ReallocationFailed);
            }
            1 => {
                self.used.retain(|used| *used != address);
                self.see_epoch(thread);
                self.tell(thread, At::Epoch, Event::ReallocationFreed);
            }
            _ => {
                let site = self.site(thread);
                self.threads[thread as usize].live.push(address);
                let size = self.random.number(12);
                let event = Event::ReallocationEnd {
                    address,
                    size,
                    site,
                };
                self.memory(thread, address, event);
            }
        }
    }

    fn serve(&mut self, thread: u32) {
        self.connections += 1;
        let connection = self.connections;
        let label = format!("GET /{}", self.random.below(3));
        let local = Bytes::Slice(b"tcp:80");
        self.fact(thread, Event::Accept { connection, local });
        for _ in 0..1 + self.random.below(3) {
            self.fact(
                thread,
                Event::Transferred {
                    connection,
                    transfer: Transfer::Read,
                    bytes: 10,
                },
            );
            let request = Event::Request {
                connection,
                count: 1,
                protocol: Protocol::Http,
                label: Bytes::Slice(label.as_bytes()),
            };
            self.fact(thread, request);
            let steps = self.random.below(30);
            self.steps(thread, steps);
            let status = 200;
            self.fact(
                thread,
                Event::Answer {
                    connection,
                    count: 1,
                    status,
                },
            );
            let steps = self.random.below(5);
            self.steps(thread, steps);
            let wait = [Wait::Poll, Wait::Read][self.random.below(2) as usize];
            self.fact(thread, Event::Enter { wait, connection });
        }
        self.fact(thread, Event::Close { connection });
    }

    fn steps(&mut self, thread: u32, steps: u64) {
        for _ in 0..steps {
            match self.random.below(9) {
                0..4 => self.allocate(thread),
                4..7 => self.free(thread),
                7 => self.reallocate(thread),
                // Another thread works meanwhile.
                _ => {
                    let other = self.random.below(u64::from(THREADS)) as u32;
                    self.allocate(other);
                    self.free(other);
                }
            }
        }
    }

    fn act(&mut self, marks: bool) {
        let thread = self.random.below(u64::from(THREADS)) as u32;
        match self.random.below(20) {
            0..8 => self.steps(thread, 20),
            8..12 => self.serve(thread),
            12 if marks => {
                self.threads[thread as usize].marks += 1;
                let label = Bytes::Slice(b"job");
                self.fact(thread, Event::MarkBegin { label });
            }
            13 if self.threads[thread as usize].marks > 0 => {
                self.threads[thread as usize].marks -= 1;
                self.fact(thread, Event::MarkEnd);
            }
            14 => self.epoch += self.random.below(100),
            15 => self.fact(
                thread,
                Event::Enter {
                    wait: Wait::Lock,
                    connection: 0,
                },
            ),
            16 => {
                self.threads[thread as usize].nodes = 0;
                self.see_epoch(thread);
                self.tell(thread, At::Epoch, Event::TreeReset);
            }
            17 => {
                // Chunks end anywhere, in each trace elsewhere.
                let output = &mut self.outputs[self.random.below(2) as usize];
                let events = &mut output.events[thread as usize];
                output.writer.write_events(events).unwrap();
            }
            _ => self.steps(thread, 3),
        }
    }
}

/// Both traces, whole.
fn make(seed: u64, acts: usize, marks: bool) -> [Output; 2] {
    let threads = (0..THREADS).map(|_| Thread::default()).collect();
    let mut world = World {
        random: Random(seed * 7919),
        epoch: 10,
        turns: [0; SHARDS],
        threads,
        used: Vec::new(),
        connections: 0,
        outputs: [
            Output::new(&format!("all-{seed}-{marks}"), false),
            Output::new(&format!("lasting-{seed}-{marks}"), true),
        ],
    };
    for _ in 0..acts {
        world.act(marks);
    }
    let end = world.epoch + 1;
    for output in &mut world.outputs {
        for events in &mut output.events {
            output.writer.write_events(events).unwrap();
        }
        output.writer.note(Note::ProcessEnd {
            image: 1,
            stamp: end,
            outcome: NotedOutcome::Exit { code: Some(0) },
        });
        output.writer.finish(NotedEnd::Complete, end).unwrap();
    }
    world.outputs
}

fn judged(path: &Path, options: &Options) -> String {
    let trace = open(path).unwrap();
    let mut sites = Sites::default();
    let analysis = analyze(&trace, &mut sites, options, |_| ()).unwrap();
    format!("{analysis:#?}")
}

/// Blocks that are only counted.
fn passed(path: &Path) -> u64 {
    let trace = open(path).unwrap();
    let mut sites = Sites::default();
    let mut steps = trace.steps(&mut sites);
    let mut sum = 0;
    while let Some(step) = steps.next() {
        if let What::Passed(Passed::Blocks { blocks, .. }) = step.unwrap().what {
            sum += blocks;
        }
    }
    sum
}

#[test]
fn what_is_only_counted_changes_no_figure() {
    let mut counted = 0;
    for seed in 1..=20 {
        let marks = seed % 4 == 0;
        let [all, lasting] = make(seed, 150, marks);
        for boundary in [Boundary::Auto, Boundary::Turn, Boundary::Connection] {
            for scope in [Scope::Default, Scope::Thread, Scope::Process] {
                let options = Options {
                    boundary,
                    scope,
                    ..Options::default()
                };
                let expected = judged(&all.path, &options);
                let found = judged(&lasting.path, &options);
                assert!(
                    found == expected,
                    "seed {seed}, {boundary:?}, {scope:?}: {}",
                    first_difference(&expected, &found)
                );
            }
        }
        assert_eq!(passed(&all.path), 0);
        counted += passed(&lasting.path);
    }
    assert!(counted > 1_500, "{counted}");
}

fn first_difference(expected: &str, found: &str) -> String {
    let lines = expected.lines().zip(found.lines()).enumerate();
    let mut different = lines.filter(|(_, (expected, found))| expected != found);
    let Some((at, (expected, found))) = different.next() else {
        return "one is longer".to_owned();
    };
    format!("line {at}: {expected} is now {found}")
}
