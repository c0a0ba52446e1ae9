//! The map in ARCHITECTURE.md holds: rooms use what its table says, and nobody above themselves. What goes up all the
//! same, and which files form circles, is listed there, and may only become less.

mod arrows;
mod map;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use arrows::Arrows;
use leak_tests::artifacts;
use map::Map;

/// Arrows that go up, at most.
const UPWARD: usize = 18;
/// Files that are part of a circle, at most.
const IN_CIRCLES: usize = 101;

fn map() -> Map {
    let path = artifacts::source("../ARCHITECTURE.md");
    Map::read(fs::read_to_string(path).expect("ARCHITECTURE.md"))
}

fn arrows() -> Arrows {
    let arrows = arrows::arrows(&artifacts::source(".."));
    let known = arrows.values().map(BTreeSet::len).sum::<usize>();
    assert!(known > 1_000, "{known} arrows");
    arrows
}

#[test]
fn rooms_use_those_below_them() {
    let rooms = map().rooms;
    for (place, room) in rooms.iter().enumerate() {
        let below: Vec<&str> = rooms[..place]
            .iter()
            .map(|room| room.name.as_str())
            .collect();
        for used in &room.uses {
            assert!(
                below.contains(&used.as_str()),
                "{} can't use {used}: it is not below",
                room.name
            );
        }
    }
}

#[test]
fn arrows_are_those_of_the_map() {
    let map = map();
    let (mut upward, mut uses) = (BTreeSet::new(), vec![BTreeSet::new(); map.rooms.len()]);
    let mut forbidden = Vec::new();
    for (file, others) in arrows() {
        let place = map.room(&file);
        for other in others {
            let used = map.room(&other);
            let name = &map.rooms[used].name;
            match used.cmp(&place) {
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Greater => drop(upward.insert((file.clone(), other))),
                std::cmp::Ordering::Less if map.rooms[place].uses.contains(name) => {
                    uses[place].insert(name.clone());
                }
                std::cmp::Ordering::Less => {
                    forbidden.push(format!("{file} uses {other}, of {name}"))
                }
            }
        }
    }
    assert!(
        forbidden.is_empty(),
        "ARCHITECTURE.md forbids that {forbidden:#?}"
    );
    for (room, used) in map.rooms.iter().zip(uses) {
        assert_eq!(
            room.uses, used,
            "{} doesn't use all that the map allows",
            room.name
        );
    }
    let listed = map.upward();
    let more: Vec<_> = upward.difference(&listed).collect();
    assert!(
        more.is_empty(),
        "these go up, from a room to one above it: {more:#?}"
    );
    let gone: Vec<_> = listed.difference(&upward).collect();
    assert!(
        gone.is_empty(),
        "these go up no more, strike them out: {gone:#?}"
    );
    assert!(listed.len() <= UPWARD, "{} arrows go up", listed.len());
}

#[test]
fn circles_are_those_of_the_map() {
    let found = circles(&arrows());
    let listed = map().circles();
    let more: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        more.is_empty() && gone.is_empty(),
        "there are {more:#?} instead of {gone:#?}"
    );
    let files: usize = found.iter().map(Vec::len).sum();
    assert!(files <= IN_CIRCLES, "{files} files are part of circles");
}

/// All sets of files that need each other, by Tarjan's algorithm.
fn circles(arrows: &Arrows) -> BTreeSet<Vec<String>> {
    let mut search = Search {
        arrows,
        places: BTreeMap::new(),
        open: Vec::new(),
        found: BTreeSet::new(),
    };
    for file in arrows.keys() {
        if !search.places.contains_key(file.as_str()) {
            search.visit(file);
        }
    }
    search.found
}

struct Search<'a> {
    arrows: &'a Arrows,
    /// When a file was met; `None`: all about it is known.
    places: BTreeMap<&'a str, Option<usize>>,
    open: Vec<&'a str>,
    found: BTreeSet<Vec<String>>,
}

impl<'a> Search<'a> {
    /// The earliest file that leads here and is led to from here.
    fn visit(&mut self, file: &'a str) -> usize {
        let place = self.places.len();
        self.places.insert(file, Some(place));
        self.open.push(file);
        let mut earliest = place;
        for other in &self.arrows[file] {
            earliest = match self.places.get(other.as_str()) {
                None => earliest.min(self.visit(other)),
                Some(Some(known)) => earliest.min(*known),
                Some(None) => earliest,
            };
        }
        if earliest == place {
            let begin = self
                .open
                .iter()
                .position(|open| *open == file)
                .expect("it is open");
            let mut circle: Vec<String> = self.open.drain(begin..).map(str::to_owned).collect();
            for file in &circle {
                *self
                    .places
                    .get_mut(file.as_str())
                    .expect("a file that was met") = None;
            }
            circle.sort();
            if circle.len() > 1 {
                self.found.insert(circle);
            }
        }
        earliest
    }
}

#[test]
fn circles_are_found() {
    let arrows: Arrows = ["a b", "b c", "c a d", "d e", "e d", "f a"]
        .map(|line| {
            let mut files = line.split(' ').map(str::to_owned);
            (files.next().expect("a file"), files.collect())
        })
        .into();
    let found = circles(&arrows);
    let expected = [vec!["a", "b", "c"], vec!["d", "e"]];
    assert!(found.iter().eq(&expected), "{found:?}");
}
