//! A trace that grows gives the same events in the same order as when it is whole.

use std::fs::File;
use std::io::Write;

use nix::fcntl::{Flock, FlockArg};

use super::make::{Random, each_step, lines, make_told, place, raw_line, read};
use crate::sites::Sites;
use crate::trace::{Ended, Follow, Grown, NotedEnd};

/// Follows a copy of the trace that is written in pieces of random length; gives all lines, how it ended, and how many
/// lines there were before it had.
fn follow(bytes: &[u8], random: &mut Random, name: &str) -> (Vec<super::make::Line>, Ended, usize) {
    let path = place(name);
    let file = File::create(&path).unwrap();
    let mut file = Flock::lock(file, FlockArg::LockExclusive).unwrap();
    file.write_all(&bytes[..16]).unwrap();
    let mut follow = Follow::open(&path).unwrap();
    let (mut sites, mut raw, mut rest) = (Sites::default(), Vec::new(), &bytes[16..]);
    let mut early = 0;
    let mut go_on = |follow: &mut Follow| {
        loop {
            let grown = follow.read().unwrap();
            let merged = follow.merge(&mut sites, |steps, _| {
                each_step(steps, true, |stamp, thread, event| {
                    raw.push(raw_line(stamp, thread, event));
                })
            });
            merged.unwrap();
            if grown != Grown::More {
                return (grown, raw.len());
            }
        }
    };
    while !rest.is_empty() {
        let piece = (1 + random.below(9000) as usize).min(rest.len());
        file.write_all(&rest[..piece]).unwrap();
        rest = &rest[piece..];
        let (grown, seen) = go_on(&mut follow);
        match grown {
            Grown::Waits => early = seen,
            Grown::More | Grown::Ended => {}
        }
    }
    drop(file);
    assert_eq!(go_on(&mut follow).0, Grown::Ended);
    let ended = follow.facts().ended;
    let _ = std::fs::remove_file(&path);
    (lines(raw, &sites), ended, early)
}

#[test]
fn what_grows_is_read_as_what_is_whole() {
    for seed in 1..12 {
        let ended = [Some(NotedEnd::Complete), None][seed as usize % 2];
        let name = format!("grown-{seed}");
        let made = make_told(&name, seed, (3000, 300), ended);
        let (facts, whole) = read(&made.path).unwrap();
        let mut random = Random(seed);
        let (grown, ended, early) = follow(&made.bytes(), &mut random, &format!("{name}-copy"));
        assert_eq!(ended, facts.ended, "seed {seed}");
        assert_eq!(grown.len(), whole.len(), "seed {seed}");
        let differing = grown
            .iter()
            .zip(&whole)
            .position(|(one, other)| one != other);
        assert_eq!(differing, None, "seed {seed}");
        assert!(
            early > whole.len() / 2,
            "seed {seed}: {early} of {}",
            whole.len()
        );
    }
}

#[test]
fn damaged_traces_are_followed_to_their_end() {
    let made = make_told("grown-damaged", 5, (2000, 200), Some(NotedEnd::Complete));
    let whole = made.bytes();
    for seed in 1..60 {
        let mut random = Random(seed);
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = 16 + random.below(bytes.len() as u64 - 16) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        if seed % 3 == 0 {
            bytes.truncate(16 + random.below(bytes.len() as u64 - 16) as usize);
        }
        follow(&bytes, &mut random, &format!("grown-damaged-{seed}"));
    }
}
