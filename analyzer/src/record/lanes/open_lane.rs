//! A lane that a thread has claimed, as the recorder knows it.

use std::time::Instant;

use super::super::live::Follower;
use crate::trace::ThreadEvents;

/// One thread's use of a lane.
#[derive(Debug)]
pub(crate) struct OpenLane {
    /// Number of the image.
    pub(crate) image: u32,
    /// Kernel thread id.
    pub(crate) tid: u32,
    /// Its events on their way to the file.
    pub(crate) events: ThreadEvents,
    /// When the oldest of them was taken.
    pub(crate) oldest: Option<Instant>,
    /// A stamp before that of any of them.
    pub(crate) unwritten: Option<u64>,
    /// When something was drained last.
    pub(crate) active: Instant,
    /// The same, whatever was asked since.
    pub(crate) heard: Instant,
    /// The last of it was that the thread began to wait, or to end.
    pub(crate) waits: bool,
    /// How often the thread was asked for in vain since then.
    pub(crate) asked: u32,
    /// The thread said that it ends.
    pub(crate) ending: bool,
    /// The producer broke the rules: nothing more of it is believed.
    pub(crate) broken: bool,
    /// What its blocks are followed by.
    pub(crate) follower: Follower,
    pub(super) tail: u64,
}

impl OpenLane {
    /// A lane that was claimed just now.
    pub(crate) fn new(image: u32, tid: u32, thread: u32, now: Instant) -> OpenLane {
        OpenLane {
            image,
            tid,
            events: ThreadEvents::new(thread, image),
            oldest: None,
            unwritten: None,
            active: now,
            heard: now,
            waits: false,
            asked: 0,
            ending: false,
            broken: false,
            follower: Follower::new(thread),
            tail: 0,
        }
    }
}
