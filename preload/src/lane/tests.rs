//! The protocol between a lane's thread and the recorder, step by step as `room` and the recorder take them, in
//! every interleaving of up to three preemptions and with every value that a weaker memory could show: no word
//! is read before it is there or written over before it was read, and whoever waits for room is woken (here no
//! look comes by itself).

use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

const CAPACITY: u64 = 1;
const WORDS: u64 = 2;

struct Lane {
    /// The ring, of one word.
    word: AtomicU64,
    head: AtomicU64,
    tail: AtomicU64,
    waiting: AtomicU32,
    room: AtomicU32,
    /// The kernel's part of the futex `room`.
    futex: Mutex<()>,
    woken: Condvar,
}

impl Lane {
    fn futex_wait(&self, seen: u32) {
        let kernel = self.futex.lock().unwrap();
        if self.room.load(Ordering::Relaxed) == seen {
            drop(self.woken.wait(kernel).unwrap());
        }
    }

    fn futex_wake(&self) {
        let _kernel = self.futex.lock().unwrap();
        self.woken.notify_all();
    }

    fn has_room(&self, end: u64) -> bool {
        end - self.tail.load(Ordering::Acquire) <= CAPACITY
    }

    /// The thread's side: as `wait_for_room`, then as a draft.
    fn write(&self, position: u64) {
        while !self.has_room(position + 1) {
            let seen = self.room.load(Ordering::Relaxed);
            self.waiting.store(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if self.has_room(position + 1) {
                break;
            }
            self.futex_wait(seen);
        }
        self.waiting.store(0, Ordering::Relaxed);
        self.word.store(position + 100, Ordering::Relaxed);
        self.head.store(position + 1, Ordering::Release);
    }

    /// The recorder's side: what was published, and room for more; the new tail.
    fn drain(&self, tail: u64) -> u64 {
        let head = self.head.load(Ordering::Acquire);
        if head == tail {
            return tail;
        }
        assert!(head - tail <= CAPACITY);
        for position in tail..head {
            assert_eq!(self.word.load(Ordering::Relaxed), position + 100);
        }
        self.tail.store(head, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) == 1 {
            self.room.fetch_add(1, Ordering::Relaxed);
            self.futex_wake();
        }
        head
    }
}

#[test]
fn words_arrive_whole_and_nobody_waits_for_ever() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let lane = Arc::new(Lane {
            word: AtomicU64::new(0),
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            waiting: AtomicU32::new(0),
            room: AtomicU32::new(0),
            futex: Mutex::new(()),
            woken: Condvar::new(),
        });
        let thread = {
            let lane = Arc::clone(&lane);
            thread::spawn(move || (0..WORDS).for_each(|position| lane.write(position)))
        };
        let mut tail = 0;
        while tail < WORDS {
            tail = lane.drain(tail);
            thread::yield_now();
        }
        thread.join().unwrap();
    });
}
