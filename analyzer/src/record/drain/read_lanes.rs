//! Reads all lanes, opens those that threads have claimed, and writes what has waited.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::lanes::{Claimed, Lanes, OpenLane};
use super::take::Taker;
use super::{AGE, BUSY, Drain, FEW_LANES, Pass};
use crate::trace::{Note, WriteError};

impl Drain {
    pub(super) fn drain_all(&mut self, now: Instant) -> Result<Pass, WriteError> {
        let mut pass = Pass::default();
        let mapping = Arc::clone(&self.mapping);
        for (count, index) in self.lanes.ready().enumerate() {
            let Some(header) = mapping.lanes().get(index) else {
                break;
            };
            if count % FEW_LANES == 0 && self.lanes.are_wanted(&mapping) {
                // Who waits for one is not to wait for what others have written, too.
                self.scarce = self.lanes.replenish(&mapping);
            }
            let known = matches!(self.lanes.open.get(index), Some(Some(_)));
            if known && !self.lanes.has_news(&mapping, index) {
                continue;
            }
            if !known {
                if Lanes::look(header) != Claimed::Live {
                    continue;
                }
                // Relaxed, all: the claim's Acquire came before.
                let image = header.image.load(Ordering::Relaxed);
                let tid = header.thread.load(Ordering::Relaxed);
                let start = header.start.load(Ordering::Relaxed);
                self.open_lane(index, image, (tid, start), now);
                // Threads come: more lanes may be wanted soon.
                pass.fullest = pass.fullest.max(BUSY);
            }
            let fill = self.drain_lane(index, now)?;
            // Relaxed: as above. One pass may take long on a busy machine.
            mapping.header().progress.fetch_add(1, Ordering::Relaxed);
            pass.busy |= fill > 0;
            pass.fullest = pass.fullest.max(fill);
        }
        let images = self.images.running.values_mut();
        for live in images.filter_map(|image| image.types.live.as_mut()) {
            live.pass_ends();
        }
        Ok(pass)
    }

    /// Events came.
    pub(super) fn hear_lanes(&mut self) {
        let lanes = self.lanes.open.iter().flatten();
        let working = lanes.filter(|lane| !lane.waits && !lane.broken);
        let working = working.map(|lane| lane.heard).max();
        self.pace.hear(Instant::now(), working);
    }

    /// A thread has claimed lane `index`.
    fn open_lane(&mut self, index: usize, image: u32, (tid, start): (u32, u64), now: Instant) {
        if !self.images.running.contains_key(&image) {
            self.discover(true);
        }
        let thread = self.threads;
        let mut lane = Box::new(OpenLane::new(image, tid, thread, now));
        if self.keep_lasting {
            lane.events.keep_lasting();
        }
        if self.images.running.contains_key(&image) {
            self.threads += 1;
            self.writer.note(Note::ThreadBegin {
                thread,
                image,
                tid,
                start: start.min(self.mapping.stamp()),
            });
        } else {
            // An image that is not there can't record; what claims to be its is let go.
            lane.broken = true;
        }
        if let Some(slot) = self.lanes.open.get_mut(index) {
            *slot = Some(lane);
        }
    }

    pub(super) fn drain_lane(&mut self, index: usize, now: Instant) -> Result<u32, WriteError> {
        let before = self.lanes.open.get(index).and_then(Option::as_ref);
        let was_broken = before.is_none_or(|lane| lane.broken);
        let of = before.map(|lane| lane.image);
        let running = &mut self.images.running;
        let mut taker = Taker {
            live: of.and_then(|of| running.get_mut(&of)?.types.live.take()),
            images: &mut self.images,
            build_ids: &mut self.build_ids,
            writer: &mut self.writer,
        };
        let drained = self.lanes.drain(&self.mapping, index, &mut taker);
        if let Some(live) = taker.live
            && let Some(image) = of.and_then(|of| self.images.running.get_mut(&of))
        {
            image.types.live = Some(live);
        }
        let fill = drained?;
        let Some(Some(lane)) = self.lanes.open.get_mut(index) else {
            return Ok(fill);
        };
        if fill > 0 {
            lane.active = now;
            lane.heard = now;
            lane.asked = 0;
            lane.oldest.get_or_insert(now);
            lane.unwritten.get_or_insert(self.passes[2]);
            if let Some(image) = self.images.running.get_mut(&lane.image) {
                image.active = true;
                image.looks.is_due = true;
            }
        }
        if lane.broken && !was_broken {
            self.writer.note(Note::Lost {
                allocations: 0,
                frees: 0,
                other: 1,
            });
            self.writer.note(Note::Warning {
                code: "lane_damaged".to_owned(),
                text: format!(
                    "thread {} overwrote its lane with something else; its later events are missing, look for stray writes in the program",
                    lane.tid
                ),
            });
        }
        Ok(fill)
    }

    /// Writes what has waited for long enough.
    pub(super) fn write_old(&mut self, now: Instant) -> Result<(), WriteError> {
        for lane in self.lanes.open.iter_mut().flatten() {
            if lane.oldest.is_some_and(|oldest| now - oldest >= AGE) {
                (lane.oldest, lane.unwritten) = (None, None);
                self.writer.write_events(&mut lane.events)?;
            }
        }
        Ok(())
    }
}
