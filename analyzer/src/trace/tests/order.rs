//! The merge against executions whose true order is known: threads of a simulated process go step by
//! step, in random turn, through what the preload crate does (`preload/src/order/region.rs`).

use std::collections::{HashMap, HashSet};

use leak_wire::Event;
use leak_wire::order::shard;

use super::make::{Random, each_event, place};
use crate::sites::Sites;
use crate::trace::writer::{ThreadEvents, Writer};
use crate::trace::{At, Note, NotedEnd, NotedOrigin, open};

const SHARED: u32 = u32::MAX;
const ENDING: u32 = u32::MAX - 1;
/// Blocks lie in so many regions, a few in each.
const REGIONS: u64 = 3;
const BLOCKS: u64 = 4;

/// What may happen besides.
#[derive(Clone, Copy, Default)]
struct Chaos {
    /// Of 1000 records so many are never finished, though they have their turn.
    voided: u64,
    /// Of 1000 steps so many are the last of their thread; another one begins.
    killed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    LoadEpoch,
    ReadOwner,
    Bump(u32, u32),
    Replace(u32, u32),
    Reload,
    TakeTurn,
    Write(Option<u64>),
    RealFree,
}

/// A call that a thread is in.
#[derive(Clone, Copy, Debug)]
struct Call {
    address: u64,
    frees: bool,
    epoch: u64,
    phase: Phase,
}

struct Worker {
    owner: u32,
    events: ThreadEvents,
    call: Option<Call>,
    dead: bool,
}

struct World {
    random: Random,
    chaos: Chaos,
    epoch: u64,
    owners: HashMap<u64, u32>,
    turns: [u64; 256],
    unused: Vec<u64>,
    live: Vec<u64>,
    /// Addresses of which an event is lost.
    torn: HashSet<u64>,
    workers: Vec<Worker>,
    facts: u32,
    events: usize,
    writer: Writer,
}

fn region(address: u64) -> u64 {
    address >> 16
}

impl World {
    fn begin_thread(&mut self) {
        let thread = self.workers.len() as u32;
        self.epoch += 1;
        self.writer.note(Note::ThreadBegin {
            thread,
            image: 1,
            tid: 70 + thread,
            start: self.epoch,
        });
        self.workers.push(Worker {
            owner: thread + 1,
            events: ThreadEvents::new(thread, 1),
            call: None,
            dead: false,
        });
    }

    fn chance(&mut self, of_1000: u64) -> bool {
        of_1000 > 0 && self.random.below(1000) < of_1000
    }

    /// One step of thread `index`.
    fn step(&mut self, index: usize) {
        if self.chance(self.chaos.killed) {
            self.workers[index].dead = true;
            if let Some(call) = self.workers[index].call {
                self.torn.insert(call.address);
            }
            return self.begin_thread();
        }
        if self.random.below(100) == 0 {
            self.writer
                .write_events(&mut self.workers[index].events)
                .unwrap();
        }
        match self.workers[index].call {
            None => self.begin_call(index),
            Some(call) => {
                let call = self.go_on(index, call);
                self.workers[index].call = call;
            }
        }
    }

    fn begin_call(&mut self, index: usize) {
        let choice = self.random.below(10);
        let pick = |random: &mut Random, from: &mut Vec<u64>| {
            let at = random.below(from.len().max(1) as u64) as usize;
            (!from.is_empty()).then(|| from.swap_remove(at))
        };
        let (address, frees) = match choice {
            0 => {
                self.epoch += 1;
                self.facts += 1;
                let event = Event::Exit { code: self.facts };
                self.workers[index]
                    .events
                    .push(At::Stamp(self.epoch), event);
                return;
            }
            1..6 => (pick(&mut self.random, &mut self.unused), false),
            _ => (pick(&mut self.random, &mut self.live), true),
        };
        self.workers[index].call = address.map(|address| Call {
            address,
            frees,
            epoch: 0,
            phase: Phase::LoadEpoch,
        });
    }

    fn go_on(&mut self, index: usize, mut call: Call) -> Option<Call> {
        let me = self.workers[index].owner;
        let of = region(call.address);
        call.phase = match call.phase {
            Phase::LoadEpoch => {
                call.epoch = self.epoch;
                Phase::ReadOwner
            }
            Phase::ReadOwner => match self.owners.get(&of).copied().unwrap_or(0) {
                owner if owner == me => Phase::Write(None),
                SHARED => Phase::Reload,
                0 => Phase::Replace(0, me),
                ENDING => Phase::Bump(ENDING, SHARED),
                other if self.workers[other as usize - 1].dead => Phase::Bump(other, me),
                other => Phase::Replace(other, ENDING),
            },
            Phase::Bump(from, to) => {
                self.epoch += 1;
                Phase::Replace(from, to)
            }
            Phase::Replace(from, to) => {
                let owner = self.owners.entry(of).or_insert(0);
                if *owner == from {
                    *owner = to;
                }
                Phase::LoadEpoch
            }
            Phase::Reload => {
                call.epoch = self.epoch;
                Phase::TakeTurn
            }
            Phase::TakeTurn => {
                let next = &mut self.turns[usize::from(shard(call.address))];
                *next += 1;
                Phase::Write(Some(*next - 1))
            }
            Phase::Write(turn) => {
                self.write(index, call, turn);
                if !call.frees {
                    self.live.push(call.address);
                    return None;
                }
                Phase::RealFree
            }
            Phase::RealFree => {
                self.unused.push(call.address);
                return None;
            }
        };
        Some(call)
    }

    fn write(&mut self, index: usize, call: Call, turn: Option<u64>) {
        let address = call.address;
        if self.chance(self.chaos.voided) {
            self.torn.insert(address);
            return;
        }
        let event = match call.frees {
            true => Event::Free { address },
            false => Event::Allocation {
                address,
                size: 1,
                site: 0,
            },
        };
        self.events += 1;
        let events = &mut self.workers[index].events;
        events.epoch(call.epoch);
        events.push(turn.map_or(At::Epoch, At::Turn), event);
    }
}

/// Runs a process and checks that it reads back in an order in which it can have happened.
fn check(seed: u64, threads: usize, steps: usize, chaos: Chaos) {
    let path = place(&format!("order-{seed}-{threads}"));
    let mut writer = Writer::create(std::fs::File::create(&path).unwrap(), u64::MAX).unwrap();
    writer.note(Note::ProcessBegin {
        image: 1,
        pid: 7,
        parent: 0,
        origin: NotedOrigin::First,
        start: 1,
        executable: String::new(),
        arguments: Vec::new(),
    });
    let blocks = (0..REGIONS).flat_map(|region| (1..=BLOCKS).map(move |at| region << 16 | at << 4));
    let mut world = World {
        random: Random(seed),
        chaos,
        epoch: 1,
        owners: HashMap::new(),
        turns: [0; 256],
        unused: blocks.collect(),
        live: Vec::new(),
        torn: HashSet::new(),
        workers: Vec::new(),
        facts: 0,
        events: 0,
        writer,
    };
    (0..threads).for_each(|_| world.begin_thread());
    for _ in 0..steps {
        let alive: Vec<usize> = (0..world.workers.len())
            .filter(|index| !world.workers[*index].dead)
            .collect();
        let index = alive[world.random.below(alive.len() as u64) as usize];
        world.step(index);
    }
    // Who is still in a call never ends it.
    let unended = world.workers.iter().filter_map(|worker| worker.call);
    world.torn.extend(unended.map(|call| call.address));
    for worker in &mut world.workers {
        world.writer.write_events(&mut worker.events).unwrap();
    }
    world
        .writer
        .finish(NotedEnd::Complete, world.epoch + 1)
        .unwrap();

    let trace = open(&path).unwrap();
    for in_runs in [false, true] {
        let mut live: HashMap<u64, bool> = HashMap::new();
        let (mut facts, mut events) = (0, 0);
        let mut sites = Sites::default();
        let read = each_event(&trace, &mut sites, in_runs, |_, _, event| {
            let (address, lives) = match event {
                Event::Exit { code } => {
                    facts += 1;
                    assert_eq!(code, facts, "seed {seed}: facts out of order");
                    return;
                }
                Event::Allocation { address, .. } => (address, true),
                Event::Free { address } => (address, false),
                _ => return,
            };
            events += 1;
            let before = live.insert(address, lives);
            if !world.torn.contains(&address) {
                assert_eq!(before.unwrap_or(false), !lives, "seed {seed}: {address:#x}");
            }
        });
        read.unwrap();
        assert_eq!((facts, events), (world.facts, world.events), "seed {seed}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn blocks_alternate_and_facts_stay_in_order() {
    for seed in 1..60 {
        check(seed, 2 + seed as usize % 4, 4000, Chaos::default());
    }
}

#[test]
fn a_gap_is_passed_and_not_too_soon() {
    for seed in 1..60 {
        let chaos = Chaos {
            voided: 3,
            killed: 0,
        };
        check(seed, 2 + seed as usize % 4, 2000, chaos);
        let chaos = Chaos {
            voided: 1,
            killed: 1,
        };
        check(seed, 2 + seed as usize % 4, 2000, chaos);
    }
}
