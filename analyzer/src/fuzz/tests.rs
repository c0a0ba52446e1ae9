//! Each target on seeded mutations of real inputs, with a bound on its time.

use std::process::Command;
use std::time::{Duration, Instant};

use leak_wire::{Backing, Bytes, Event, Record};

use super::*;

/// A real trace, of `tests/targets/lost/hostile.c`: marks, requests, threads, names that steer.
const TRACE: &[u8] = include_bytes!("hostile.trace");
/// `LEAK_FUZZ` mutations of each input, else so many.
const ROUNDS: u64 = 60;
/// No single input may take so long, on a busy machine with assertions.
const PATIENCE: Duration = Duration::from_secs(20);

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Changes some bytes, copies or cuts some.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            let special = [0, 1, 0x7f, 0x80, 0xff, 0x40];
            match self.below(8) {
                0..=2 => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte = special[at % 6]),
                3..=4 => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << (at % 8)),
                5 => {
                    let value = self.next() >> self.below(64);
                    let word = value.to_le_bytes();
                    bytes
                        .iter_mut()
                        .skip(at)
                        .zip(word)
                        .for_each(|(byte, new)| *byte = new);
                }
                6 => {
                    let (from, length) = (self.below(bytes.len()), self.below(64));
                    let end = bytes.len().min(from + length);
                    let part = bytes[from..end].to_vec();
                    bytes.splice(at..at, part);
                }
                _ => bytes.truncate(bytes.len() - self.below(bytes.len() / 4)),
            }
        }
    }
}

fn rounds() -> u64 {
    let asked = std::env::var("LEAK_FUZZ").ok();
    asked
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(ROUNDS)
}

fn run(name: &str, seeds: &[Vec<u8>], rounds: u64, target: impl Fn(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (number, seed) in seeds.iter().enumerate() {
        target(seed);
        for round in 0..rounds {
            let mut bytes = seed.clone();
            random.mutate(&mut bytes);
            let began = Instant::now();
            target(&bytes);
            assert!(
                began.elapsed() < PATIENCE,
                "{name}: seed {number}, round {round}"
            );
        }
    }
}

#[test]
fn traces() {
    assert_eq!(&packing::pack(&unpacked(TRACE))[..16], &TRACE[..16]);
    run("trace", &[unpacked(TRACE)], rounds(), trace);
    run("whole trace", &[TRACE.to_vec()], rounds(), whole_trace);
}

#[test]
fn lanes() {
    let mut seed = Vec::new();
    let long = [b'x'; 300];
    let events = [
        Event::Allocation {
            address: 4096,
            size: 1 << 40,
            site: 1,
        },
        Event::Frame {
            id: 1,
            parent: 0,
            address: 0x1234,
        },
        Event::Free { address: 4096 },
        Event::ReallocationBegin { address: 64 },
        Event::ReallocationFailed,
        Event::Mark {
            label: Bytes::Slice(&long),
        },
        Event::MarkEnd,
        Event::ThreadCreate { thread: 4096 },
        Event::ThreadCreated { thread: 4096 },
        Event::ExitBegins,
        Event::Collected {
            young: 1,
            middle: 2,
            full: 3,
        },
        Event::CollectionAsked,
        Event::Mapped {
            address: 4096,
            size: 1 << 20,
            backing: Backing::Private,
            site: 1,
        },
        Event::Unmapped {
            address: 8192,
            size: 4096,
        },
        Event::UnmapFailed,
        Event::ThreadStack {
            thread: 4096,
            handle: 4096,
            size: 8 << 20,
            detached: false,
            site: 1,
        },
        Event::ThreadReleased {
            handle: 4096,
            joined: true,
        },
        Event::Discarded {
            address: 4096,
            size: 4096,
        },
        Event::Header {
            connection: 1,
            length: 300,
            text: Bytes::Slice(b"x-request-id\0abc"),
        },
        Event::Exit { code: 3 },
    ];
    for event in events {
        let record = Record { stamp: 7, event };
        record.encode(|word| seed.extend(word.to_le_bytes()));
    }
    run("lane", &[seed, unpacked(TRACE)], 10 * rounds(), lane);
}

#[test]
fn modules() {
    let dir = std::env::temp_dir().join(format!("leak-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let source = "#include <stdlib.h>
        static inline void *inner(int n) { return malloc(n); }
        void *malloc(size_t n) { return (void *)(n + 16); }
        void free(void *p) { (void)p; }
        int main(int c, char **v) { (void)v; return inner(c) != 0; }";
    std::fs::write(dir.join("a.c"), source).unwrap();
    let mut seeds = Vec::new();
    for options in [&["-g", "-O1"][..], &["-s", "-shared", "-fPIC"]] {
        let mut compiler = Command::new("gcc");
        compiler
            .args(options)
            .args(["-fno-builtin", "a.c", "-o", "a"]);
        assert!(compiler.current_dir(&dir).status().unwrap().success());
        seeds.push(std::fs::read(dir.join("a")).unwrap());
    }
    std::fs::remove_dir_all(&dir).unwrap();
    run("module", &seeds, rounds(), module);
}

#[test]
fn line_tables() {
    let seeds = [
        vec![0, 1, 0, 0, 6, 1, 8, 255, 4, 0, 0, 2],
        vec![2, 9, 0, 0, 4, 1, 6, 128, 2, 254],
        vec![
            3, 9, 0, 0, 0x80, 0, 1, 0xd8, 3, 9, 0xf0, 5, 2, 3, 4, 0xe8, 0x41, 2,
        ],
    ];
    run("python_lines", &seeds, 50 * rounds(), python_lines);
}

#[test]
fn memories() {
    // A type that is its own metatype at 0, and objects of it after.
    let mut words = vec![0_u64; 200];
    (words[0], words[1], words[3], words[4]) = (1, 0, 800, 64);
    (words[21], words[32]) = (1 << 12 | 1 << 31 | 1 << 9, 8);
    words.extend([1, 0, 2, 0, 1, 8].repeat(20));
    let seed = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    run("types", &[seed], rounds() / 4, types);
}

#[test]
fn access_logs() {
    let seeds = [
        "h - u [29/Nov/2026:17:30:15 +0000] \"GET /a?b=c&d HTTP/1.1\" 200 5 \"-\" \"x \\\" \\x41\" id-1\n",
        "{\"ts\":1764437415.123,\"request\":{\"method\":\"GET\",\"uri\":\"/a?b\"},\"status\":200}\n",
        "{\"@timestamp\":\"2026-11-29T17:30:15.5+02:00\",\"path\":\"/c\",\"method\":\"GET\",\"status\":\"404\"}\n",
    ];
    let seeds = seeds.map(|seed| seed.as_bytes().to_vec());
    run("access_log", &seeds, 50 * rounds(), access_log);
}
