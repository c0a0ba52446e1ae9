//! What the recorder does with any bytes (see `crate::fuzz`).

use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use leak_wire::detour::{Entries, Request, SHAPES};
use leak_wire::layout::claim;
use leak_wire::{Record, ring};

use super::lanes::{self, Lanes, OpenLane, Take};
use super::mapping::Mapping;
use super::settings::Settings;
use crate::trace::{At, Commons, NotedEnd, WriteError, Writer};

pub(crate) use super::types::fuzz as types;

/// Drains a lane that holds `words`, into a trace.
pub(crate) fn drain(words: &[u64], trace: File) {
    let settings = Settings::default();
    let Ok(mapping) = Mapping::create("leak-fuzz", 4 << 20, &settings) else {
        return;
    };
    let Ok(mut writer) = Writer::create(trace, 1 << 30) else {
        return;
    };
    if lanes::allocate_first(&mapping).is_err() {
        return;
    }
    let (mut lanes, ring) = (Lanes::new(&mapping), mapping.words(0));
    let (Some(header), Some(place)) = (mapping.lanes().first(), lanes.open.first_mut()) else {
        return;
    };
    *place = Some(Box::new(OpenLane::new(1, 1, 1, Instant::now())));
    // Relaxed: nobody else has this mapping.
    let live = claim::pack(claim::LIVE, 1);
    header.claim.store(live, Ordering::Relaxed);
    let mut head = 0;
    for part in words.chunks(ring.len()) {
        for word in part {
            ring::put(ring, head, *word);
            head += 1;
        }
        ring::publish(&header.head, head);
        let drained = lanes.drain(&mapping, 0, &mut Written(&mut writer));
        assert!(drained.is_ok());
    }
    for lane in lanes.open.iter_mut().flatten() {
        assert!(writer.write_events(&mut lane.events).is_ok());
    }
    assert!(writer.finish(NotedEnd::Complete, mapping.stamp()).is_ok());
}

/// Everything goes into the trace.
struct Written<'a>(&'a mut Writer);

impl Take<WriteError> for Written<'_> {
    fn common(&mut self, lane: &mut OpenLane, commons: Commons<'_>) -> Result<usize, WriteError> {
        let (used, full) = lane.events.common(commons);
        if full {
            self.0.write_events(&mut lane.events)?;
        }
        Ok(used)
    }

    fn record(
        &mut self,
        lane: &mut OpenLane,
        at: At,
        record: Record<'_>,
    ) -> Result<(), WriteError> {
        match lane.events.push(at, record.event) {
            true => self.0.write_events(&mut lane.events),
            false => Ok(()),
        }
    }
}

/// Makes detours for whatever allocator and tasks the file has.
pub(crate) fn detours(path: &Path) {
    for entries in [Entries::Allocator, Entries::Tasks] {
        let request = Request {
            entries,
            bias: 0x5555_5555_4000,
            code: 0x5555_5550_0000,
            code_bytes: 16 << 10,
            hooks: [0x7fff_ffff_0000; SHAPES],
            path: b"",
        };
        let _ = super::detours::plan(path, &request);
    }
}
