//! The innermost frames alone: those that a frame further out, known by a place that lies in it, called.

use super::memory::Memory;
use super::nodes::Nodes;
use super::rules;
use super::step::{Cursor, Step, step};
use super::tree::{At, Refused};
use crate::modules;
use leak_wire::Event;

/// Frames, at most.
const MOST: usize = 64;

impl Nodes<'_> {
    /// The node of the frames that the one around `edge` called, as if nobody had called that one; of the
    /// innermost frame if `edge` lies in it. `None`: a walk of `limit` frames does not get there.
    pub fn inside(
        &mut self,
        edge: u64,
        limit: usize,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Result<Option<u32>, Refused> {
        let mut frames = [0; MOST];
        let Some(count) = self.walk_to(edge, limit, &mut frames, tell) else {
            return Ok(None);
        };
        let mut at = At::default();
        for address in frames.into_iter().take(count.max(1)).rev() {
            let parent = at.node();
            at = self.tree.child(at, address, |id| {
                tell(Event::Frame {
                    id,
                    parent,
                    address,
                })
            })?;
        }
        Ok(Some(at.node()))
    }

    /// Writes the return addresses of the frames from the hook's caller to the one around `edge`; how many
    /// there are before that.
    fn walk_to(
        &self,
        edge: u64,
        limit: usize,
        frames: &mut [u64; MOST],
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Option<usize> {
        let (caller, bounds) = self.place;
        let memory = Memory::new(caller.sp, bounds);
        let mut cursor = Cursor {
            address: caller.pc(),
            sp: caller.sp + 8,
            bp: caller.bp,
            bx_slot: 0,
        };
        for (index, frame) in frames.iter_mut().take(limit).enumerate() {
            *frame = cursor.address;
            let rule = rules::rule_for(cursor.address, |object| modules::tell_of(object, tell));
            let Step::Caller(caller) = step(rule, &cursor, &memory) else {
                return None;
            };
            // What a frame keeps lies between its own stack pointer and its caller's.
            if (cursor.sp..caller.sp).contains(&edge) {
                return Some(index);
            }
            cursor = caller;
        }
        None
    }
}
