//! When the types of blocks are read, and how much of the time that may take.
//!
//! - Blocks that are due are looked for every tenth of a second, where some thread has come to a
//!   boundary since.
//! - Reading them takes a twentieth of the time at most; what has to wait is read later, if it lives.
//! - A process that ends on its own waits, bounded, until all are read, those again that showed no type.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use leak_wire::layout::reading;

use super::Drain;
use crate::record::images::Image;
use crate::record::mapping::Mapping;
use crate::record::system;
use crate::record::types::Unreadable;
use crate::trace::{Note, WriteError};

/// How long between two looks for blocks that are due.
const PAUSE: Duration = Duration::from_millis(100);
/// One part in so many of the time may be spent.
const SHARE: u32 = 20;
/// What may be saved up.
const MOST_CREDIT: Duration = Duration::from_millis(50);

/// What reading may cost.
#[derive(Debug)]
pub(crate) struct Looks {
    credit: Duration,
    refilled: Instant,
    last: Instant,
}

impl Looks {
    /// Nothing was spent yet.
    pub(crate) fn start(now: Instant) -> Looks {
        Looks {
            credit: MOST_CREDIT,
            refilled: now,
            last: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let more = now.saturating_duration_since(self.refilled) / SHARE;
        self.credit = self.credit.saturating_add(more).min(MOST_CREDIT);
        self.refilled = now;
    }

    fn has_credit(&self) -> bool {
        !self.credit.is_zero()
    }

    /// Does what takes time that is counted.
    fn spend<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = work();
        self.credit = self.credit.saturating_sub(start.elapsed());
        result
    }

    /// Whether it is time to look for blocks that are due.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.last) >= PAUSE;
        if due {
            self.last = now;
        }
        due
    }
}

impl Drain {
    /// Reads types where they are due; whether more can be read at once.
    pub(super) fn read_types(&mut self, now: Instant) -> Result<bool, WriteError> {
        self.looks.refill(now);
        let due = self.looks.is_due(now);
        let mut more = false;
        let mut running = self.images.running.values();
        if running.any(|image| image.pid == 1 && waits(&self.mapping, image)) {
            // With the first process of our own namespace we end, too, at once, maybe before all is read.
            self.write_out()?;
        }
        let running = self.images.running.iter_mut();
        for (number, image) in running.filter(|(_, image)| image.types.left.is_none()) {
            look_for_python(&self.mapping, image);
            if !image.types.ends && waits(&self.mapping, image) {
                image.types.ends = true;
                image.types.queue(true);
            } else if due && !image.types.is_queued() && image.types.has_news() {
                self.looks.spend(|| image.types.queue(false));
            }
            // After an exec the process is the next image's.
            if image.exec.is_some() {
                image.types.give_up();
            }
            if image.types.is_queued() && (image.types.ends || self.looks.has_credit()) {
                let stamp = || self.mapping.stamp();
                match self
                    .looks
                    .spend(|| image.types.read(*number, image.pid, stamp))
                {
                    Ok(reading) if reading.blocks.is_empty() => {}
                    Ok(reading) => self.writer.write_reading(&reading)?,
                    Err(Unreadable::Gone) => image.types.give_up(),
                    Err(Unreadable::Denied) => {
                        image.types.deny();
                        self.writer.note(denied(image));
                    }
                }
            }
            let queued = image.types.is_queued();
            if image.types.ends && !queued {
                if image.pid == 1 && image.exit.is_some() {
                    // It waits on, until the trace has its end.
                    self.dies_with = Some(*number);
                } else {
                    image.types.ends = false;
                    done(&self.mapping, image);
                }
            }
            more |= queued && (image.types.ends || self.looks.has_credit());
        }
        Ok(more)
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
    fn write_out(&mut self) -> Result<(), WriteError> {
        for lane in self.lanes.open.iter_mut().flatten() {
            self.writer.write_events(&mut lane.events)?;
        }
        self.writer.write_notes()
    }
}

/// Takes in what the image tells of its interpreter.
fn look_for_python(mapping: &Mapping, image: &mut Image) {
    let Some(slot) = mapping.slots().get(image.slot) else {
        return;
    };
    // Acquire: pairs with the target's Release; the two others came before.
    let runtime = slot.python_runtime.load(Ordering::Acquire);
    if runtime != 0 {
        // Relaxed, both: ordered by the Acquire.
        let type_type = slot.python_type.load(Ordering::Relaxed);
        let version = slot.python_version.load(Ordering::Relaxed);
        image.types.python(runtime, type_type, version);
    }
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
             that they are `unknown`: {why}, or rest a second after its last request",
            image.pid, image.program.executable
        ),
    })
}
