//! Every interleaving (and every value that a weaker memory could show) of a few threads that hand
//! blocks to each other.

use std::vec::Vec;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::thread;

use super::region::{Place, SHARED, Space, place};

/// The one region, and the memory between threads: an allocator that keeps one free block, and two
/// places in which a block is handed over.
struct World {
    epoch: AtomicU64,
    owner: AtomicU32,
    turns: AtomicU64,
    gone: AtomicU32,
    free: AtomicU32,
    handed: [AtomicU32; 2],
}

impl Space for World {
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn bump(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn owner(&self, _: usize) -> u32 {
        self.owner.load(Ordering::Acquire)
    }

    fn replace(&self, _: usize, from: u32, to: u32) -> bool {
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let replaced = self.owner.compare_exchange(from, to, order.0, order.1);
        replaced.is_ok()
    }

    fn is_gone(&self, owner: u32) -> bool {
        self.gone.load(Ordering::Acquire) == owner
    }
}

/// What a thread recorded of one block, in the order of its lane.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    lane: u32,
    at: usize,
    block: u32,
    /// The block's history: 0 the first allocation, 1 its free, 2 the next allocation.
    step: u32,
    epoch: u64,
    turn: Option<u64>,
}

struct Lane {
    me: u32,
    records: Vec<Recorded>,
}

impl Lane {
    fn new(me: u32) -> Lane {
        let records = Vec::new();
        Lane { me, records }
    }

    fn record(&mut self, world: &World, block: u32, step: u32) {
        let Place { epoch, shared } = place(world, self.me, 0);
        let turn = shared.then(|| world.turns.fetch_add(1, Ordering::AcqRel));
        self.records.push(Recorded {
            lane: self.me,
            at: self.records.len(),
            block,
            step,
            epoch,
            turn,
        });
    }

    /// Takes what was handed over, if anything was yet, and frees it.
    fn free_handed(&mut self, world: &World, place: usize) {
        let block = world.handed[place].swap(0, Ordering::Acquire);
        if block != 0 {
            self.record(world, block, 1);
            world.free.store(block, Ordering::Release);
        }
    }

    /// Allocates the block that was freed, if one was.
    fn allocate_freed(&mut self, world: &World) {
        let block = world.free.swap(0, Ordering::AcqRel);
        if block != 0 {
            self.record(world, block, 2);
        }
    }
}

fn world() -> Arc<World> {
    Arc::new(World {
        epoch: AtomicU64::new(1),
        owner: AtomicU32::new(0),
        turns: AtomicU64::new(0),
        gone: AtomicU32::new(0),
        free: AtomicU32::new(0),
        handed: [AtomicU32::new(0), AtomicU32::new(0)],
    })
}

/// Whether a reader puts `left` before `right`, whatever else there is.
fn is_before(left: &Recorded, right: &Recorded) -> bool {
    match (left.turn, right.turn) {
        _ if left.lane == right.lane => left.at < right.at,
        (Some(left), Some(right)) => left < right,
        _ => left.epoch < right.epoch,
    }
}

fn check(all: impl IntoIterator<Item = Lane>) {
    let records: Vec<Recorded> = all.into_iter().flat_map(|lane| lane.records).collect();
    for left in &records {
        for right in &records {
            if left.block == right.block && left.step < right.step {
                assert!(is_before(left, right), "{left:?} and {right:?}");
            }
        }
    }
}

#[test]
fn the_owner_and_a_thread_that_frees_what_it_was_handed() {
    loom::model(|| {
        let world = world();
        let mut owner = Lane::new(1);
        owner.record(&world, 7, 0);
        world.handed[0].store(7, Ordering::Release);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut lane = Lane::new(2);
                lane.free_handed(&world, 0);
                lane
            })
        };
        // Another block meanwhile, and maybe the same one again.
        owner.record(&world, 8, 0);
        owner.allocate_freed(&world);
        check([owner, other.join().unwrap()]);
    });
}

#[test]
fn two_threads_come_to_the_owners_region_at_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let world = world();
        let mut owner = Lane::new(1);
        owner.record(&world, 7, 0);
        owner.record(&world, 8, 0);
        world.handed[0].store(7, Ordering::Release);
        world.handed[1].store(8, Ordering::Release);
        let others = [0, 1].map(|index| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut lane = Lane::new(2 + index as u32);
                lane.free_handed(&world, index);
                lane.allocate_freed(&world);
                lane
            })
        });
        owner.allocate_freed(&world);
        let others = others.map(|other| other.join().unwrap());
        check(others.into_iter().chain([owner]));
    });
}

#[test]
fn a_gone_threads_region_is_taken_over_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let world = world();
        let mut gone = Lane::new(1);
        gone.record(&world, 7, 0);
        gone.record(&world, 7, 1);
        world.free.store(7, Ordering::Release);
        world.gone.store(1, Ordering::Release);
        let others = [2, 3].map(|me| {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut lane = Lane::new(me);
                lane.allocate_freed(&world);
                lane.record(&world, 10 + me, 0);
                lane
            })
        });
        let others = others.map(|other| other.join().unwrap());
        let owner = world.owner.load(Ordering::Acquire);
        assert!([2, 3, SHARED].contains(&owner) || owner == SHARED - 1);
        check(others.into_iter().chain([gone]));
    });
}
