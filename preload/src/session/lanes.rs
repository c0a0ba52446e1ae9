//! A thread gets its lane, and gives it back.

use core::sync::atomic::{AtomicU64, Ordering};

use leak_wire::layout::claim;

use super::{Session, is_tracing, stop};
use crate::kernel;
use crate::mapping::Lane;
use crate::process::Identity;

impl Session {
    /// A lane for the thread `tid`; waits for the recorder to make one ready.
    pub fn claim_lane(&self, identity: &Identity, tid: u32) -> Option<Lane> {
        // Relaxed, all: written before the state by which the identity became known.
        let slot = identity.slot.load(Ordering::Relaxed);
        let image = identity.image.load(Ordering::Relaxed);
        let header = self.header();
        // Relaxed, here and below: a count that is a futex, too, and hints.
        let before = header.lanes_looked.load(Ordering::Relaxed);
        let start = kernel::now_ns();
        while is_tracing() {
            // Before the claim: whoever makes a lane after it wakes us.
            let looked = header.lanes_looked.load(Ordering::Relaxed);
            let lane = self.mapping.claim_lane(slot, image, tid);
            if lane.is_some() {
                return lane;
            }
            let now = kernel::now_ns();
            let waited = now - start;
            if waited >= ASK_NS && is_time_to_ask(now) && self.has_ended() {
                // Nobody makes a lane any more, and the next thread need not find that out by waiting.
                stop(self.serial);
                break;
            }
            let is_enough = self.has_waited(waited, looked.wrapping_sub(before));
            if is_enough || now < SCARCE_UNTIL.load(Ordering::Relaxed) {
                SCARCE_UNTIL.fetch_max(now + SCARCE_NS, Ordering::Relaxed);
                return None;
            }
            // Taken by the recorder's next look, whichever that is.
            header.lanes_wanted.fetch_add(1, Ordering::Relaxed);
            self.mapping.ring_doorbell();
            kernel::futex_wait(&header.lanes_looked, looked, LANE_LOOK);
        }
        None
    }

    /// Whether a thread has waited long enough for a lane, during so many looks of the recorder. Where it can make
    /// more, or has some to take back from threads that are gone, it does so with a look: that is waited for.
    fn has_waited(&self, waited: u64, looks: u32) -> bool {
        let header = self.header();
        // Relaxed, both: a hint, and the recorder's setting, made before the session.
        let in_vain = header.lanes_scarce.load(Ordering::Relaxed) == 1 && looks >= LOOKS_IN_VAIN;
        let waits = header.full.load(Ordering::Relaxed) == 0;
        waited > GROWTH_PATIENCE_NS || waited > LANE_PATIENCE_NS && (in_vain || !waits)
    }
}

/// How long a starting thread waits for a lane where the recorder can make more, or drain one whose
/// thread is gone.
const GROWTH_PATIENCE_NS: u64 = 30_000_000_000;

/// The same where all lanes are in use.
const LANE_PATIENCE_NS: u64 = 200_000_000;

/// So many looks of the recorder find none, if there are none: the first may have been under way.
const LOOKS_IN_VAIN: u32 = 2;

/// How often one of the threads that wait for a lane asks whether the recorder is there.
const ASK_NS: u64 = 50_000_000;

/// How long it sleeps at most: the recorder wakes it when there is a lane.
const LANE_LOOK: core::time::Duration = core::time::Duration::from_millis(100);

/// Once a thread has waited in vain, no other one waits for so long.
const SCARCE_NS: u64 = 10_000_000_000;

static SCARCE_UNTIL: AtomicU64 = AtomicU64::new(0);

/// When one asked last.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Whether the calling thread is the one to ask.
fn is_time_to_ask(now: u64) -> bool {
    // Relaxed, both: a number by itself, and who exchanges it asks.
    let asked = ASKED.load(Ordering::Relaxed);
    now.saturating_sub(asked) >= ASK_NS
        && ASKED
            .compare_exchange(asked, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}

/// Tells the recorder that a lane's thread is gone, so that it need not find out by itself.
pub fn lane_is_gone(lane: Lane) {
    let pid = kernel::getpid();
    // Release: pairs with the recorder's Acquire: the thread's last head came before.
    let _ = lane.header.claim.compare_exchange(
        claim::pack(claim::LIVE, pid),
        claim::pack(claim::GONE, pid),
        Ordering::Release,
        Ordering::Relaxed,
    );
}
