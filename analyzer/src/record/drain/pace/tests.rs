//! The pace over simulated time.

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);
const MICROSECOND: Duration = Duration::from_micros(1);

/// A recorder that has more to read than it ever can, and what it has spent.
struct Simulated {
    pace: Pace,
    now: Instant,
    spent: Duration,
}

impl Simulated {
    fn start() -> Simulated {
        let now = Instant::now();
        let pace = Pace::start(now);
        let spent = Duration::ZERO;
        Simulated { pace, now, spent }
    }

    /// One pass, which finds events or none, and then works for `slice` where it may; whether it may.
    fn pass(&mut self, events: bool, slice: Duration) -> bool {
        if events {
            self.pace.hear(self.now, None);
        }
        self.pace.refill(self.now);
        let may = self.pace.may_work(self.now);
        if may {
            self.pace.spend(self.now, slice);
            self.now += slice;
            self.spent += slice;
        }
        may
    }

    /// Passes with pauses of `pause` for a `time` in which events come every `gap`.
    fn busy(&mut self, time: Duration, gap: Duration, pause: Duration, slice: Duration) {
        let (end, mut next) = (self.now + time, self.now);
        while self.now < end {
            let events = next <= self.now;
            while next <= self.now {
                next += gap;
            }
            // It sleeps only where it may not work.
            if !self.pass(events, slice) {
                self.now += pause;
            }
        }
    }
}

#[test]
fn a_busy_target_costs_a_twentieth_whatever_a_slice_takes() {
    let (time, most) = (Duration::from_secs(60), Duration::from_millis(50));
    for pause in [MICROSECOND * 500, MILLISECOND * 20] {
        for gap in [MICROSECOND * 100, MILLISECOND * 20] {
            for slice in [MICROSECOND * 100, MILLISECOND * 4, MILLISECOND * 100] {
                let mut recorder = Simulated::start();
                recorder.busy(time, gap, pause, slice);
                // A single slice can't be foreseen: what it took too much is waited for.
                let bound = time / 20 + most + slice;
                assert!(recorder.spent <= bound, "{slice:?}: {:?}", recorder.spent);
                assert!(recorder.spent >= time / 20 - slice, "{:?}", recorder.spent);
            }
        }
    }
}

#[test]
fn an_idle_target_is_read_at_full_speed() {
    let mut recorder = Simulated::start();
    recorder.busy(MILLISECOND * 900, MILLISECOND, MILLISECOND, MILLISECOND * 4);
    let last = recorder.now;
    recorder.pass(true, MILLISECOND * 4);
    assert!(!recorder.pace.is_idle(recorder.now));
    recorder.now = last + QUIET;
    assert!(recorder.pace.is_idle(recorder.now));
    let before = recorder.spent;
    for _ in 0..100 {
        assert!(recorder.pass(false, MILLISECOND * 4));
    }
    assert_eq!(recorder.spent - before, MILLISECOND * 400);
    assert_eq!(recorder.now, last + QUIET + MILLISECOND * 400);
}

#[test]
fn a_thread_that_is_silent_outside_waits_may_be_at_work() {
    let mut recorder = Simulated::start();
    let now = recorder.now;
    recorder.pace.hear(now, Some(now));
    assert_eq!(recorder.pace.until_idle(now + QUIET), SILENT - QUIET);
    assert!(recorder.pace.is_idle(now + SILENT));
    // Others do not make it look busier, and once it waits the target is idle.
    recorder.pace.hear(now + SILENT, Some(now));
    assert_eq!(recorder.pace.until_idle(now + SILENT), QUIET);
    recorder.pace.hear(now + QUIET, None);
    assert!(recorder.pace.is_idle(now + QUIET * 2));
}

#[test]
fn half_a_second_is_enough_for_all_but_a_ninth_of_it() {
    let mut recorder = Simulated::start();
    recorder.busy(MILLISECOND * 900, MILLISECOND, MILLISECOND, MILLISECOND * 4);
    recorder.pass(true, MILLISECOND * 4);
    let heard = recorder.now;
    // It wakes when the target is idle, not when its own sleep would end.
    recorder.now += recorder.pace.until_idle(heard);
    while recorder.now < heard + MILLISECOND * 500 {
        assert!(recorder.pass(false, MILLISECOND * 2));
    }
    let idle = recorder.now - heard;
    assert!(recorder.pace.until_idle(recorder.now).is_zero());
    assert!(idle - QUIET >= idle * 8 / 9);
}

#[test]
fn reading_gives_way_at_the_first_event() {
    let mut recorder = Simulated::start();
    let slice = MILLISECOND * 4;
    recorder.busy(Duration::from_secs(10), MILLISECOND, MILLISECOND, slice);
    recorder.now += QUIET;
    for _ in 0..100 {
        assert!(recorder.pass(false, slice));
    }
    // What was read meanwhile is not owed, and saves nothing up beyond the bound.
    let (spent, begin) = (recorder.spent, recorder.now);
    recorder.busy(MILLISECOND * 400, MILLISECOND, MILLISECOND, slice);
    let time = recorder.now - begin;
    let bound = time / 20 + Duration::from_millis(50) + slice;
    assert!(recorder.spent - spent <= bound, "{:?}", recorder.spent);
    recorder.pass(true, slice);
    assert!(!recorder.pass(true, slice));
}

#[test]
fn looks_are_rare_while_busy_and_at_once_when_idle() {
    let mut recorder = Simulated::start();
    let looks = |recorder: &mut Simulated| {
        let mut looks = 0;
        for _ in 0..1000 {
            recorder.pace.hear(recorder.now, None);
            recorder.pace.refill(recorder.now);
            looks += u32::from(recorder.pace.may_look(recorder.now));
            recorder.now += MILLISECOND;
        }
        looks
    };
    assert_eq!(looks(&mut recorder), 9);
    // A long one is waited for.
    recorder.pace.spend(recorder.now, MILLISECOND * 100);
    recorder.pace.hear(recorder.now, None);
    assert!(!recorder.pace.may_look(recorder.now + QUIET - MILLISECOND));
    assert!(recorder.pace.may_look(recorder.now + QUIET));
    assert!(recorder.pace.may_look(recorder.now + QUIET));
}
