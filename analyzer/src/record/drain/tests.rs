//! A session with fake targets in this process: honest ones, and ones that scribble.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use leak_wire::layout::{LaneHeader, ProcessSlot, claim};
use leak_wire::{Bytes, Event, Record, Wait, ring};

use super::*;
use crate::record::control::Watch;
use crate::record::procfs::Program;
use crate::record::settings::Settings;
use crate::sites::Sites;
use crate::trace::{self, Ended, Outcome, What};

struct Fake {
    drain: Drain,
    tell: Sender<Told>,
    path: PathBuf,
}

fn fake(name: &str) -> Fake {
    fake_of(name, std::process::id())
}

/// A target that is the process `pid`, though it calls itself by our number.
fn fake_of(name: &str, pid: u32) -> Fake {
    let settings = Settings::default();
    let mapping = Mapping::create("leak-test", 4 << 20, &settings).unwrap();
    crate::record::lanes::allocate_first(&mapping).unwrap();
    let path = std::env::temp_dir().join(format!("leak-drain-{}-{name}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    let writer = Writer::create(file, u64::MAX).unwrap();
    let mut images = Images::new(Arc::new(Watch::new().unwrap()), String::new());
    images.expect(std::process::id(), pid, 0, Program::default());
    let (tell, told) = channel();
    let place = Place {
        name: "leak-nobody".to_owned(),
        trace: path.clone(),
        clock: Clock::start(),
    };
    let drain = Drain::new(Arc::new(mapping), writer, images, told, place, false, false);
    Fake { drain, tell, path }
}

/// The producer's side of a claimed lane.
struct Producer {
    mapping: Arc<Mapping>,
    index: usize,
    head: u64,
}

impl Producer {
    fn header(&self) -> &LaneHeader {
        &self.mapping.lanes()[self.index]
    }

    fn write(&mut self, event: Event<'_>) {
        let stamp = self.mapping.stamp();
        let words = self.mapping.words(self.index);
        let mut at = self.head;
        Record { stamp, event }.encode(|word| {
            ring::put(words, at, word);
            at += 1;
        });
        self.head = at;
        ring::publish(&self.header().head, at);
    }
}

impl Fake {
    fn slot(&self, index: usize) -> &ProcessSlot {
        &self.drain.mapping.slots()[index]
    }

    fn claim_slot(&self, index: usize, image: u32) {
        let slot = self.slot(index);
        slot.start
            .store(self.drain.mapping.stamp(), Ordering::Relaxed);
        slot.image.store(image, Ordering::Relaxed);
        let live = claim::pack(claim::LIVE, std::process::id());
        slot.claim.store(live, Ordering::Release);
        self.drain
            .mapping
            .header()
            .next_image
            .store(image + 1, Ordering::Relaxed);
    }

    fn claim_lane(&self, tid: u32, image: u32) -> Producer {
        let mapping = Arc::clone(&self.drain.mapping);
        let is_free =
            |lane: &LaneHeader| lane.claim.load(Ordering::Acquire) == claim::pack(claim::FREE, 0);
        let index = mapping.lanes().iter().position(is_free).unwrap();
        let header = &mapping.lanes()[index];
        header.thread.store(tid, Ordering::Relaxed);
        header.image.store(image, Ordering::Relaxed);
        header.start.store(mapping.stamp(), Ordering::Relaxed);
        header.head.store(0, Ordering::Relaxed);
        header.tail.store(0, Ordering::Relaxed);
        let live = claim::pack(claim::LIVE, std::process::id());
        header.claim.store(live, Ordering::Release);
        Producer {
            mapping,
            index,
            head: 0,
        }
    }

    fn end(&mut self, status: Option<i32>) {
        let pid = std::process::id();
        self.tell.send(Told::Ended { pid, status }).unwrap();
        self.drain.pass().unwrap();
        assert!(self.drain.has_ended());
        self.drain.finish(NotedEnd::Complete);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn what_threads_record_is_in_the_trace() {
    let mut fake = fake("honest");
    fake.claim_slot(0, 1);
    let mut first = fake.claim_lane(std::process::id(), 1);
    let mut second = fake.claim_lane(999_999_999, 1);
    for round in 0..40_000_u64 {
        // Far more than a lane holds, over many passes.
        first.write(Event::Allocation {
            address: round * 32,
            size: round,
            site: 0,
        });
        second.write(Event::Enter {
            wait: Wait::Poll,
            connection: 7,
        });
        if round % 1000 == 0 {
            fake.drain.pass().unwrap();
        }
    }
    first.write(Event::Exit { code: 5 });
    first.header().dropped_frees.store(3, Ordering::Relaxed);
    fake.tell
        .send(Told::Mark {
            pid: std::process::id(),
            label: b"now".to_vec(),
        })
        .unwrap();
    fake.end(Some(5 << 8));
    let trace = trace::open(&fake.path).unwrap();
    let facts = trace.facts();
    assert_eq!(facts.ended, Ended::Complete);
    assert_eq!(facts.dropped.frees, 3);
    assert_eq!(facts.processes.len(), 1);
    assert_eq!(facts.processes[0].outcome, Outcome::Exit(Some(5)));
    assert_eq!(facts.threads.len(), 3);
    // At its begin, and at its exit.
    assert!(facts.rss.len() >= 2);
    assert!(facts.rss.iter().all(|reading| reading.bytes > 0));
    let mut sites = Sites::default();
    let mut steps = trace.steps(&mut sites);
    let (mut allocations, mut waits, mut marks, mut ends) = (0, 0, 0, 0);
    while let Some(step) = steps.next() {
        match step.unwrap().what {
            What::Event(Event::Allocation { address, size, .. }) => {
                assert_eq!((address, size), (allocations * 32, allocations));
                allocations += 1;
            }
            What::Event(Event::Enter { .. }) => waits += 1,
            What::Event(Event::Mark { label }) => {
                assert_eq!(label, Bytes::Slice(b"now"));
                marks += 1;
            }
            What::ThreadEnds => ends += 1,
            _ => {}
        }
    }
    assert_eq!((allocations, waits, marks, ends), (40_000, 40_000, 1, 3));
}

#[test]
fn a_recorder_that_was_stopped_looks_once_more() {
    let mut fake = fake("stopped");
    fake.drain.pass().unwrap();
    // Stopped here, for a minute.
    fake.drain.last_tick -= Duration::from_secs(60);
    assert!(!fake.drain.has_ended());
    fake.claim_slot(0, 1);
    fake.drain.pass().unwrap();
    assert!(fake.drain.images.any && !fake.drain.has_ended());
}

#[test]
fn a_target_that_never_begins_is_given_up() {
    let mut fake = fake("unborn");
    let seconds = (1..100).find(|_| {
        fake.drain.last_tick -= TICK;
        fake.drain.pass().unwrap();
        fake.drain.has_ended()
    });
    assert_eq!(seconds, Some(11));
}

#[test]
fn what_an_unwatched_process_did_last_is_in_the_trace() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let mut fake = fake_of("unwatched", child.id());
    assert!(fake.drain.images.unwatched.contains(&child.id()));
    fake.drain.pass().unwrap();
    // After the pass has looked for slots and lanes.
    fake.claim_slot(0, 1);
    fake.claim_lane(999_999_999, 1).write(Event::Allocation {
        address: 32,
        size: 32,
        site: 0,
    });
    fake.drain.tick().unwrap();
    assert!(!fake.drain.has_ended());
    fake.drain.pass().unwrap();
    assert!(fake.drain.has_ended());
    fake.drain.finish(NotedEnd::Complete);
    let trace = trace::open(&fake.path).unwrap();
    let mut sites = Sites::default();
    let mut steps = trace.steps(&mut sites);
    let mut allocations = 0;
    while let Some(step) = steps.next() {
        let what = step.unwrap().what;
        allocations += usize::from(matches!(what, What::Event(Event::Allocation { .. })));
    }
    assert_eq!(allocations, 1);
}

#[test]
fn a_lane_whose_thread_is_gone_is_free_again() {
    let mut fake = fake("gone");
    fake.claim_slot(0, 1);
    let mut producer = fake.claim_lane(999_999_999, 1);
    producer.write(Event::ThreadEnd);
    fake.drain.pass().unwrap();
    let claimed = producer.header().claim.load(Ordering::Acquire);
    assert_eq!(claim::state(claimed), claim::FREE);
    let again = fake.claim_lane(std::process::id(), 1);
    assert_eq!(again.index, producer.index);
    fake.drain.pass().unwrap();
    fake.end(None);
    let trace = trace::open(&fake.path).unwrap();
    assert_eq!(trace.facts().threads.len(), 2);
    assert_eq!(trace.facts().processes[0].outcome, Outcome::Unknown);
}

#[test]
fn a_target_is_idle_sooner_when_all_its_threads_wait_or_end() {
    let mut fake = fake("idle");
    fake.claim_slot(0, 1);
    let mut producer = fake.claim_lane(std::process::id(), 1);
    let waits = Event::Enter {
        wait: Wait::Poll,
        connection: 0,
    };
    let works = Event::Free { address: 16 };
    let until_idle = |fake: &mut Fake, now| {
        fake.drain.pass().unwrap();
        fake.drain.pace.until_idle(now)
    };
    let mut seen = Vec::new();
    for event in [waits, works, waits, Event::ThreadEnd] {
        // Of a moment before all that follows: what is left then is the whole of it, or more.
        let now = Instant::now();
        producer.write(event);
        seen.push(until_idle(&mut fake, now) > Duration::from_millis(200));
        // A pass that finds nothing changes nothing.
        assert!(!fake.drain.pass().unwrap().busy);
    }
    assert_eq!(seen, [false, true, false, false]);
}

#[test]
fn an_impossible_lane_is_closed_and_counted() {
    let mut fake = fake("impossible");
    fake.claim_slot(0, 1);
    // Threads that live, or a slow pass would find them gone.
    let claim = || fake.claim_lane(std::process::id(), 1);
    let (mut good, mut bad, worse) = (claim(), claim(), claim());
    good.write(Event::Free { address: 16 });
    bad.write(Event::Free { address: 32 });
    let words = bad.mapping.words(bad.index);
    ring::put(words, bad.head, 0xff << 56);
    ring::publish(&bad.header().head, bad.head + 2);
    ring::publish(&worse.header().head, u64::MAX);
    for _ in 0..3 {
        fake.drain.pass().unwrap();
    }
    // Its producer is never kept waiting.
    assert_eq!(worse.header().tail.load(Ordering::Acquire), u64::MAX);
    fake.end(Some(9));
    let trace = trace::open(&fake.path).unwrap();
    let facts = trace.facts();
    assert_eq!(facts.dropped.other, 2);
    let damaged = facts
        .warnings
        .iter()
        .filter(|warning| warning.code == "lane_damaged");
    assert_eq!(damaged.count(), 2);
    assert_eq!(facts.ended, Ended::Killed);
    let mut sites = Sites::default();
    let mut steps = trace.steps(&mut sites);
    let mut frees = 0;
    while let Some(step) = steps.next() {
        frees += u32::from(matches!(
            step.unwrap().what,
            What::Event(Event::Free { .. })
        ));
    }
    assert_eq!(frees, 2);
}

#[test]
fn scribbling_over_the_mapping_harms_nothing() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..5 {
        let mut fake = fake(&format!("scribble-{round}"));
        fake.claim_slot(0, 1);
        let mapping = Arc::clone(&fake.drain.mapping);
        let lanes: Vec<usize> = fake.drain.lanes.ready().collect();
        for _ in 0..200 {
            for _ in 0..20 {
                let index = lanes[random() as usize % lanes.len()];
                let header = &mapping.lanes()[index];
                let small = random() % 64;
                let value = if random() % 2 == 0 { small } else { random() };
                match random() % 8 {
                    0 => header
                        .claim
                        .store(value % 6 + (small << 32), Ordering::Relaxed),
                    1 => header.image.store(value as u32 % 4, Ordering::Relaxed),
                    2 => header.head.store(value, Ordering::Relaxed),
                    3 => header.tail.store(value, Ordering::Relaxed),
                    4 => header.thread.store(value as u32, Ordering::Relaxed),
                    5 => header.dropped_facts.store(value, Ordering::Relaxed),
                    6 => {
                        let slot = &mapping.slots()[small as usize];
                        slot.claim.store(value % 6 + (1 << 50), Ordering::Relaxed);
                        slot.image.store(value as u32, Ordering::Relaxed);
                        slot.parent_image.store(random() as u32, Ordering::Relaxed);
                        slot.start.store(random(), Ordering::Relaxed);
                    }
                    _ => {
                        let words = mapping.words(index);
                        for _ in 0..50 {
                            let word = ((random() % 32) << 56) + random() % 4096;
                            ring::put(words, random(), word);
                        }
                    }
                }
            }
            fake.drain.pass().unwrap();
        }
        fake.drain.finish(NotedEnd::Complete);
        let trace = trace::open(&fake.path).unwrap();
        let mut sites = Sites::default();
        let mut steps = trace.steps(&mut sites);
        while let Some(step) = steps.next() {
            step.unwrap();
        }
    }
}
