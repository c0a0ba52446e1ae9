//! Types of blocks are read between two passes over the lanes, a few milliseconds at once.
//!
//! - What requests leave is read first, and what was there before them when the target rests or ends.
//! - How fast, [`Pace`](super::pace::Pace) says: at full speed while the target is idle, and a twentieth of the time
//!   while it is busy. What has to wait is read later, if it lives.
//! - Blocks that are due are looked for where some thread has come to a boundary since the last look.
//! - A process that ends on its own waits, bounded, until all are read, those again that showed no type.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use leak_wire::layout::reading;

use super::Drain;
use crate::record::images::Image;
use crate::record::live::Extent;
use crate::record::mapping::Mapping;
use crate::record::system;
use crate::record::types::Unreadable;
use crate::trace::{Note, WriteError};
use crate::types::FREE_LISTS_UNREAD;

/// The first version of CPython, major · 256 + minor, whose free lists the target reads.
const FREE_LISTS_SINCE: u32 = 0x30a;

impl Drain {
    /// Reads types where they are due; how long until more can be, if anything waits for that.
    pub(super) fn read_types(&mut self, now: Instant) -> Result<Option<Duration>, WriteError> {
        self.pace.refill(now);
        let mut running = self.images.running.values();
        if running.any(|image| image.pid == 1 && waits(&self.mapping, image)) {
            // With the first process of our own namespace we end, too, at once, maybe before all is read.
            self.write_out()?;
        }
        let more_to_end = self.read_those_that_end()?;
        self.look_for_due(now);
        if let Some(number) = self.next_reading().filter(|_| self.pace.may_work(now)) {
            let start = system::own_time();
            self.read_some(number)?;
            self.pace
                .spend(now, system::own_time().saturating_sub(start));
            self.last_reading = number;
        }
        let waiting = self.next_reading().is_some();
        if more_to_end || waiting && self.pace.may_work(now) {
            return Ok(Some(Duration::ZERO));
        }
        if !waiting && self.pace.is_idle(now) {
            for image in self.images.running.values_mut() {
                image.types.shrink();
                image.types.seek_caches();
            }
        } else if self.pace.may_read_caches(now) {
            let images = self.images.running.values_mut();
            images.for_each(|image| image.types.seek_caches_in_passing());
        }
        let mut running = self.images.running.values();
        let waiting = waiting || running.any(|image| has_due(image, true));
        Ok(waiting.then(|| self.pace.until_idle(now)))
    }

    /// Reads some of each image that waits for its end; whether there is more to be read.
    fn read_those_that_end(&mut self) -> Result<bool, WriteError> {
        let mut ending = Vec::new();
        for (number, image) in &mut self.images.running {
            if let Some(note) = look_for_python(&self.mapping, image) {
                self.writer.note(note);
            }
            let types = &mut image.types;
            if types.left.is_none() && !types.ends && waits(&self.mapping, image) {
                image.types.ends = true;
                image.types.seek(Extent::All);
                // The last moment before the tear-down.
                let stamp = self.mapping.stamp();
                let note = image.looks.look(*number, image.pid, stamp);
                note.into_iter().for_each(|note| self.writer.note(note));
            }
            // After an exec the process is the next image's.
            if image.exec.is_some() {
                image.types.give_up();
            }
            if image.types.ends {
                ending.push(*number);
            }
        }
        let mut more = false;
        for number in ending {
            self.read_some(number)?;
            let Some(image) = self.images.running.get_mut(&number) else {
                continue;
            };
            if image.types.has_work() {
                more = true;
            } else if image.pid == 1 && image.exit.is_some() {
                // It waits on, until the trace has its end.
                self.dies_with = Some(number);
            } else {
                image.types.ends = false;
                done(&self.mapping, image);
            }
        }
        Ok(more)
    }

    /// Begins to look for blocks that are due, in every image that may have any.
    fn look_for_due(&mut self, now: Instant) {
        let rests = self.pace.is_idle(now);
        let extent = match rests {
            true => Extent::Due,
            false => Extent::Served,
        };
        let images = self.images.running.values_mut();
        let mut images = images.filter(|image| has_due(image, rests));
        let Some(first) = images.next() else {
            return;
        };
        if self.pace.may_look(now) {
            for image in std::iter::once(first).chain(images) {
                image.types.seek(extent);
            }
        }
    }

    /// The image whose turn it is to be read.
    fn next_reading(&self) -> Option<u32> {
        let images = self.images.running.iter();
        let work = images.filter(|(_, image)| !image.types.ends && image.types.has_work());
        let last = self.last_reading;
        work.map(|(number, _)| *number)
            .min_by_key(|number| (*number <= last, *number))
    }

    /// Reads types of an image for a few milliseconds.
    fn read_some(&mut self, number: u32) -> Result<(), WriteError> {
        let Some(image) = self.images.running.get_mut(&number) else {
            return Ok(());
        };
        let stamp = || self.mapping.stamp();
        match image.types.work(number, image.pid, stamp) {
            Ok(None) => {}
            Ok(Some(reading)) => self.writer.write_reading(&reading)?,
            Err(Unreadable::Gone) => image.types.give_up(),
            Err(Unreadable::Denied) => {
                image.types.deny();
                self.writer.note(denied(image));
            }
        }
        Ok(())
    }
}

impl Drain {
    /// Reads no more of images that waited in vain: they take apart what was to be read. Before the lanes are
    /// drained: what such an image frees then is unread all the same.
    pub(super) fn see_who_left(&mut self) {
        for image in self.images.running.values_mut() {
            let slot = self.mapping.slots().get(image.slot);
            // Acquire: pairs with the target's Release.
            let state = slot.map(|slot| slot.reading.load(Ordering::Acquire));
            if state == Some(reading::LEFT) && image.types.left.is_none() {
                image.types.leave();
            }
        }
    }

    /// Writes all that is held back.
    pub(super) fn write_out(&mut self) -> Result<(), WriteError> {
        for lane in self.lanes.open.iter_mut().flatten() {
            self.writer.write_events(&mut lane.events)?;
        }
        self.writer.write_notes()
    }
}

/// Whether a look for blocks that are due may find any.
fn has_due(image: &Image, rests: bool) -> bool {
    let types = &image.types;
    types.left.is_none() && image.exec.is_none() && !types.has_work() && types.has_news(rests)
}

/// Takes in what the image tells of its interpreter; gives what is to be said of that.
fn look_for_python(mapping: &Mapping, image: &mut Image) -> Option<Note> {
    let slot = mapping.slots().get(image.slot)?;
    // Acquire: pairs with the target's Release; the two others came before.
    let runtime = slot.python_runtime.load(Ordering::Acquire);
    if runtime != 0 {
        // Relaxed, both: ordered by the Acquire.
        let type_type = slot.python_type.load(Ordering::Relaxed);
        let version = slot.python_version.load(Ordering::Relaxed);
        let is_new = image.types.python(runtime, type_type, version);
        return is_new.then(|| unread_lists(image, version)).flatten();
    }
    None
}

/// What is to be said of an interpreter whose free lists are not read.
fn unread_lists(image: &Image, version: u32) -> Option<Note> {
    (version >> 16 < FREE_LISTS_SINCE).then(|| Note::Warning {
        code: FREE_LISTS_UNREAD.to_owned(),
        text: format!(
            "process {} ({}) runs CPython {}.{}, whose free lists are not read (3.10 and later are): an object taken \
             from one counts as that request's for which its block was first allocated. At any time 80 lists, 80 \
             dicts and as many tables of keys, 100 floats, 200 frames and 2,000 tuples of each length may have come \
             to another one, so that no request is blamed for as few",
            image.pid,
            image.program.executable,
            version >> 24,
            version >> 16 & 0xff,
        ),
    })
}

/// Whether the image waits for its last reading.
fn waits(mapping: &Mapping, image: &Image) -> bool {
    let slot = mapping.slots().get(image.slot);
    // Acquire: pairs with the target's Release: its lanes were drained before.
    slot.is_some_and(|slot| slot.reading.load(Ordering::Acquire) == reading::WANTED)
}

/// The image need not wait any more.
fn done(mapping: &Mapping, image: &Image) {
    if let Some(slot) = mapping.slots().get(image.slot) {
        // Release: pairs with the target's Acquire; nothing of it is read any more.
        slot.reading.store(reading::NONE, Ordering::Release);
        system::futex_wake(&slot.reading);
    }
}

fn denied(image: &Image) -> Note {
    Note::Warning {
        code: "types_unreadable".to_owned(),
        text: format!(
            "process {} ({}) does not let its memory be read, so that the types of its blocks are \
             unknown; set kernel.yama.ptrace_scope to 0 or 1, or give leak-analyze CAP_SYS_PTRACE \
             (in a container: --cap-add SYS_PTRACE)",
            image.pid, image.program.executable
        ),
    }
}

/// What is to be said of blocks whose types were not read.
pub(super) fn unread(image: &Image) -> Option<Note> {
    let left = image.types.left;
    let unread = image.types.unread().max(left.unwrap_or(0));
    if image.types.named == 0 && left.is_none() || unread == 0 {
        return None;
    }
    let (at_most, why) = match left {
        // Some may have been freed before: of who left, that is not told from what it frees then.
        Some(_) => (
            "up to ",
            "it waited for that, in vain: the recorder showed no sign of life for 2 s, or took more than the \
             10 s that an exit waits; give it CPU time and a disk that keeps up",
        ),
        None => ("", "it was killed; let it end by exit"),
    };
    Some(Note::Warning {
        code: "types_unread".to_owned(),
        text: format!(
            "{at_most}{unread} blocks of process {} ({}) were live when it ended and their types not read, so \
             that they are `unknown`: {why}, or rest half a second after its last request",
            image.pid, image.program.executable
        ),
    })
}
