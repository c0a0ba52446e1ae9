//! Ends recording in this process, and tells once in a session why.

use core::sync::atomic::Ordering;

use leak_wire::layout::Stop;

use super::{ENDING, MAPPED, OFF, SERIAL, STATE, Session, TRACING, current, serial, turn};
use crate::{alternate_stack, arena, birth, environment, kernel, notice, process, window};

/// Bits that targets add to `SessionHeader::quiet` (1 from the recorder: say nothing at all) for what
/// one of them has said.
const STOP_TOLD: u32 = 1;

pub(super) const ALLOCATOR_TOLD: u32 = 1 << 1;

const FOLLOW_TOLD: u32 = 1 << 2;

/// Ends recording in this process's session `serial` because the recorder asked for it or is gone; says so once in the
/// whole session, unless a user asked for it. Recording may begin again.
pub fn stop(serial: u32) {
    // Who comes to know it late does not end another one.
    if let Some(session) = current().filter(|session| session.serial == serial) {
        alternate_stack::run(|| session.stop());
    }
}

/// A program that this one runs can't be traced, for the reason `bit`, which the trace is to have; of those the first
/// in the session says so.
pub fn cant_follow(bit: u32, why: &[u8]) {
    process::warn(bit);
    if let Some(session) = current()
        // Relaxed: a bit by itself.
        && session.header().quiet.fetch_or(FOLLOW_TOLD, Ordering::Relaxed) & FOLLOW_TOLD == 0
    {
        alternate_stack::run(|| notice::say(&[why]));
    }
}

/// Asks whether the recorder is still there, and notes for all if not.
pub fn recorder_gone() -> bool {
    let Some(session) = current() else {
        return true;
    };
    let header = session.header();
    // Relaxed: the recorder's number, written before the session. Both must say so: in another network
    // namespace nobody listens, in another pid namespace it has another number.
    let recorder = header.recorder_pid.load(Ordering::Relaxed);
    let is_there = alternate_stack::run(|| birth::is_there(&session.name));
    if is_there || kernel::process_exists(recorder) {
        return false;
    }
    // Relaxed: a word by itself.
    let _ = header.stopped.compare_exchange(
        0,
        Stop::RecorderGone as u32,
        Ordering::Relaxed,
        Ordering::Relaxed,
    );
    true
}

impl Session {
    /// See [`stop`].
    pub(super) fn stop(&self) {
        // Acquire: pairs with the Release in `turn`; of the threads that see it one takes leave.
        let won = STATE.compare_exchange(TRACING, ENDING, Ordering::Acquire, Ordering::Relaxed);
        if won.is_err() {
            return;
        }
        // Relaxed, all: words by themselves. This one may have ended meanwhile, and another one begun.
        if serial() != self.serial {
            return turn(TRACING);
        }
        SERIAL.fetch_add(1, Ordering::Relaxed);
        let header = self.header();
        let stopped = header.stopped.load(Ordering::Relaxed);
        let told = header.quiet.fetch_or(STOP_TOLD, Ordering::Relaxed) & STOP_TOLD != 0;
        // Whoever asked for it knows.
        if !told && stopped != Stop::Asked as u32 {
            notice::say(&[match stopped {
                stopped if stopped == Stop::Limit as u32 => {
                    b"the trace reached LEAK_MAX_TRACE: recording has ended, the program goes on"
                }
                stopped if stopped == Stop::Disk as u32 => {
                    b"the trace can't be written any more (is the disk full?): recording has ended, the program goes on"
                }
                _ => b"the recorder is gone: recording has ended, the program goes on",
            }]);
        }
        environment::stay_off();
        self.mapping.leave();
        arena::leave(self.mapping.start(), self.mapping.bytes(), self.serial);
        MAPPED.store(0, Ordering::Relaxed);
        process::remember();
        // Before another session can begin: the gate that is shut is this one's.
        window::shut_after_session();
        turn(OFF);
    }

    /// Whether recording has ended, or nobody is there any more to record.
    pub(super) fn has_ended(&self) -> bool {
        // Relaxed: a word by itself.
        self.header().stopped.load(Ordering::Relaxed) != 0 || recorder_gone()
    }
}
