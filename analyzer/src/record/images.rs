//! The program images of the session: which slot each has, when it began, how it ended.

mod begin;
mod warnings;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use leak_wire::layout::claim;

use super::control::Watch;
use super::limits::Limits;
use super::mapping::Mapping;
use super::procfs::Program;
use super::resident::{self, Looks, Readings};
use super::system;
use super::types::{Forked, Types};
use crate::trace::{Note, NotedOutcome, ThreadEvents};

/// One program image.
#[derive(Debug)]
pub(crate) struct Image {
    /// Its pid as we see it.
    pub(crate) pid: u32,
    /// Its pid as it sees itself.
    pub(crate) own_pid: u32,
    /// What it runs.
    pub(crate) program: Program,
    /// Stamp of its last `Exec` without an `ExecFailed` after it.
    pub(crate) exec: Option<u64>,
    /// Status of its `Exit`, if told.
    pub(crate) exit: Option<u32>,
    /// Something was drained from it since the last reading of its resident set.
    pub(crate) active: bool,
    /// When its resident set is read.
    pub(crate) readings: Readings,
    /// When it is looked at what that is made of.
    pub(crate) looks: Looks,
    /// What is known of its blocks' types.
    pub(crate) types: Types,
    /// Marks from outside, as a thread of its own.
    pub(crate) marks: Option<ThreadEvents>,
    /// Index of its slot.
    pub(crate) slot: usize,
    warned: u32,
}

/// What a forked child has of its parent.
#[derive(Clone, Debug)]
struct Inherited {
    program: Program,
    /// The parent is in a pid namespace of its own.
    inside: bool,
    types: Forked,
}

impl Image {
    fn to_child(&self) -> Inherited {
        Inherited {
            program: self.program.clone(),
            inside: self.pid != self.own_pid,
            types: self.types.to_child(),
        }
    }
}

/// Images that ended last, so many: a child may claim its slot after its parent has ended.
const REMEMBERED: usize = 1024;

/// An image that attached.
struct Expected {
    pid: u32,
    program: Program,
    /// Its number is this one or a later one; no later image of its process attached before it was taken.
    from: u32,
}

/// All images and the processes that they run in.
pub(crate) struct Images {
    /// By number; those that have not ended.
    pub(crate) running: HashMap<u32, Image>,
    /// Pids, as we see them, of all processes of the tree that have not ended.
    pub(crate) members: HashSet<u32>,
    /// Of them, those whose end nobody tells: looked after now and then.
    pub(crate) unwatched: HashSet<u32>,
    /// Images that attached and were not seen to claim a slot yet, by their own pid, in order.
    expected: HashMap<u32, VecDeque<Expected>>,
    /// Numbers of images that have ended.
    ended: HashSet<u32>,
    /// The last of them, with what is their children's, the oldest first.
    parents: VecDeque<(u32, Inherited)>,
    watch: Arc<Watch>,
    /// The session's name.
    name: String,
    seen_images: u32,
    half_claimed: bool,
    /// Libraries that bypass libleak and were told.
    bypassing: HashSet<String>,
    /// Whether any image ever began.
    pub(crate) any: bool,
    /// What limits the first one's memory.
    pub(crate) limits: Limits,
}

impl Images {
    /// No images yet.
    pub(crate) fn new(watch: Arc<Watch>, name: String) -> Images {
        Images {
            running: HashMap::new(),
            members: HashSet::new(),
            unwatched: HashSet::new(),
            expected: HashMap::new(),
            ended: HashSet::new(),
            parents: VecDeque::new(),
            watch,
            name,
            seen_images: 1,
            half_claimed: false,
            bypassing: HashSet::new(),
            any: false,
            limits: Limits::default(),
        }
    }

    /// `pid` belongs to the tree: the session lasts until it has ended.
    pub(crate) fn join(&mut self, pid: u32) {
        if self.members.insert(pid) && !self.watch.add(pid) {
            self.unwatched.insert(pid);
        }
    }

    /// An image is about to claim its slot, with a number from `from` on.
    pub(crate) fn expect(&mut self, own_pid: u32, pid: u32, from: u32, program: Program) {
        self.join(pid);
        let expected = self.expected.entry(own_pid).or_default();
        expected.push_back(Expected { pid, program, from });
    }

    /// The images that those of `pid` from the number `from` on replace.
    pub(crate) fn replaced(&self, pid: u32, from: u32) -> Vec<u32> {
        let mut images = self.of_process(pid);
        images.retain(|number| *number < from);
        images
    }

    /// A process has ended: nothing more is expected of it.
    pub(crate) fn leave(&mut self, pid: u32) {
        self.members.remove(&pid);
        if self.unwatched.remove(&pid) {
            self.watch.forget(pid);
        }
        self.expected
            .retain(|_, expected| expected.iter().any(|one| one.pid != pid));
    }

    /// The running images of `pid`.
    pub(crate) fn of_process(&self, pid: u32) -> Vec<u32> {
        let images = self.running.iter();
        let of = images.filter(|(_, image)| image.pid == pid);
        of.map(|(number, _)| *number).collect()
    }

    /// Looks for claimed slots, unless no new ones can be; `always`: looks anyhow. Numbers, indices and own
    /// pids, for `begin_new`: by then, what attached before this must be expected.
    pub(crate) fn look(&mut self, mapping: &Mapping, always: bool) -> Vec<(u32, usize, u32)> {
        // Relaxed: a hint; a slot that is not seen yet is seen by the next pass.
        let images = mapping.header().next_image.load(Ordering::Relaxed);
        if images == self.seen_images && !self.half_claimed && !always {
            return Vec::new();
        }
        self.seen_images = images;
        self.half_claimed = false;
        let mut live = Vec::new();
        for (index, slot) in mapping.slots().iter().enumerate() {
            // Acquire: pairs with the claimer's Release; what it filled in is there.
            let seen = slot.claim.load(Ordering::Acquire);
            match claim::state(seen) {
                claim::CLAIMED => self.half_claimed = true,
                claim::LIVE | claim::GONE => {
                    // Relaxed: the Acquire came before.
                    let number = slot.image.load(Ordering::Relaxed);
                    live.push((number, index, claim::pid(seen)));
                }
                _ => {}
            }
        }
        // In order of their numbers: parents before children, a process's images one after the other.
        live.sort_unstable();
        live
    }

    /// Resident sets of the images that did something, as far as they are due.
    pub(crate) fn readings(&mut self, now: Instant, idle: bool, mapping: &Mapping) -> Vec<Note> {
        let mut notes = Vec::new();
        // After an exec the process is the next image's.
        let running = self.running.iter_mut();
        for (number, image) in running.filter(|(_, image)| image.exec.is_none()) {
            if image.active && image.readings.is_due(now) {
                image.active = false;
                notes.extend(resident::note(*number, image.pid, mapping.stamp()));
            }
            if image.looks.may(now, idle) {
                notes.extend(image.looks.look(*number, image.pid, mapping.stamp()));
            }
        }
        notes
    }

    /// Ends image `number` and frees its slot. `status`: the process's wait status; `replaced`: its
    /// process runs another image by now.
    pub(crate) fn end(
        &mut self,
        mapping: &Mapping,
        number: u32,
        status: Option<i32>,
        replaced: bool,
    ) -> Option<(Image, NotedOutcome)> {
        let image = self.running.remove(&number)?;
        self.ended.insert(number);
        if self.parents.len() == REMEMBERED {
            self.parents.pop_front();
        }
        self.parents.push_back((number, image.to_child()));
        let mut told = image.exit;
        if let Some(slot) = mapping.slots().get(image.slot) {
            // Relaxed: the process has ended, or is one image further.
            let exit = slot.exit.load(Ordering::Relaxed).checked_sub(1);
            told = told.or(exit);
            if slot.image.load(Ordering::Relaxed) == number {
                // Release: pairs with the next claimer's Acquire.
                let free = claim::pack(claim::FREE, 0);
                slot.claim.store(free, Ordering::Release);
            }
        }
        let outcome = match (replaced || image.exec.is_some(), status, told) {
            (true, ..) => NotedOutcome::Exec,
            (_, Some(status), _) if libc::WIFSIGNALED(status) => NotedOutcome::Killed {
                signal: Some(libc::WTERMSIG(status)),
            },
            (_, Some(status), _) => NotedOutcome::Exit {
                code: Some(libc::WEXITSTATUS(status)),
            },
            (_, None, Some(code)) => NotedOutcome::Exit {
                code: Some((code & 0xff) as i32),
            },
            // Reaped before we looked, and gone by a raw system call, or by a signal.
            (_, None, None) => NotedOutcome::Unknown,
        };
        Some((image, outcome))
    }

    /// Frees slots whose claimer died before it filled them.
    pub(crate) fn free_abandoned(&mut self, mapping: &Mapping) {
        if !self.half_claimed {
            return;
        }
        for slot in mapping.slots() {
            // Acquire: as in `discover`.
            let seen = slot.claim.load(Ordering::Acquire);
            if claim::state(seen) == claim::CLAIMED && !system::exists(claim::pid(seen)) {
                let free = claim::pack(claim::FREE, 0);
                // Release: pairs with the next claimer's Acquire. Not if it changed meanwhile.
                let _ =
                    slot.claim
                        .compare_exchange(seen, free, Ordering::Release, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
