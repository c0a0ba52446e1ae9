//! Takes in what one lane holds: passes events on to the trace, and notices those that the recorder itself has to know
//! of.

use leak_wire::{Event, Record};

use super::super::build_id::BuildIds;
use super::super::images::{Image, Images};
use super::super::lanes::{OpenLane, Take};
use super::super::live::LiveBlocks;
use super::super::resident;
use crate::trace::{At, Commons, Note, WriteError, Writer};

/// Takes in what one lane holds.
pub(super) struct Taker<'a> {
    /// The blocks of the lane's image; taken out once for all events, as nearly every one is of a block.
    pub(super) live: Option<Box<LiveBlocks>>,
    pub(super) images: &'a mut Images,
    pub(super) build_ids: &'a mut BuildIds,
    pub(super) writer: &'a mut Writer,
}

impl Take<WriteError> for Taker<'_> {
    #[inline]
    fn common(&mut self, lane: &mut OpenLane, commons: Commons<'_>) -> Result<usize, WriteError> {
        let (used, full) = lane.events.common(commons);
        lane.waits &= used == 0;
        if let Some(live) = &mut self.live {
            let taken = commons.within(used);
            live.see_common(taken, lane.events.order(At::Epoch), &mut lane.follower);
        }
        if full {
            self.writer.write_events(&mut lane.events)?;
        }
        Ok(used)
    }

    fn record(
        &mut self,
        lane: &mut OpenLane,
        at: At,
        record: Record<'_>,
    ) -> Result<(), WriteError> {
        if let Some(live) = &mut self.live {
            live.see(&record.event, lane.events.order(at), &mut lane.follower);
        }
        if is_news(&record.event)
            && let Some(image) = self.images.running.get_mut(&lane.image)
        {
            notice(&record, lane, image, self.build_ids, self.writer);
            // A module may be the first that brings types.
            self.live = self.live.take().or_else(|| image.types.live.take());
        }
        if serves(&record.event)
            && let Some(image) = self.images.running.get_mut(&lane.image)
        {
            image.looks.calls += 1;
        }
        lane.waits = match record.event {
            Event::Enter { wait, .. } => wait.may_be_idle(),
            Event::ThreadEnd => true,
            _ => false,
        };
        match lane.events.push(at, record.event) {
            true => self.writer.write_events(&mut lane.events),
            false => Ok(()),
        }
    }
}

/// Whether the recorder itself has to know of the event. Nearly all events are of memory: those pass
/// without a look at their image.
fn is_news(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Exec
            | Event::ExecFailed
            | Event::Exit { .. }
            | Event::ThreadEnd
            | Event::ModuleLoaded { .. }
            | Event::ModuleUnloaded { .. }
    )
}

/// Whether the event tells that the target is at work for a request.
fn serves(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::Transferred { .. }
            | Event::RequestBegun { .. }
            | Event::Request { .. }
            | Event::Answer { .. }
            | Event::MarkBegin { .. }
            | Event::MarkEnd
            | Event::Mark { .. }
    )
}

/// What the recorder itself needs to know of an event.
fn notice(
    record: &Record<'_>,
    lane: &mut OpenLane,
    image: &mut Image,
    build_ids: &mut BuildIds,
    writer: &mut Writer,
) {
    match record.event {
        Event::Exec => image.exec = Some(record.stamp),
        Event::ExecFailed => image.exec = None,
        Event::Exit { code } => {
            image.exit = Some(code);
            // It waits until this is drained: the last moment to read it.
            let reading = resident::note(lane.image, image.pid, record.stamp);
            reading.into_iter().for_each(|reading| writer.note(reading));
        }
        Event::ThreadEnd => lane.ending = true,
        Event::ModuleUnloaded { start } => image.types.module_unloaded(start),
        Event::ModuleLoaded {
            start, end, path, ..
        } => {
            let path: Vec<u8> = path.iter().collect();
            let path = String::from_utf8_lossy(&path).into_owned();
            let executable = &image.program.executable;
            image.types.module_loaded((start, end), &path, executable);
            if let Some(build_id) = build_ids.news(image.pid, &path) {
                writer.note(Note::BuildId {
                    path,
                    since: record.stamp,
                    build_id,
                });
            }
        }
        _ => {}
    }
}
