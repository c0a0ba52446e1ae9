//! Blocks that are read and written many at once, against a reader and a writer that take every event by itself.

use leak_wire::{Common, Event, Prefix, Record};

use super::make::Random;
use crate::trace::columns::{ColumnReader, Columns, Found, Taken};
use crate::trace::{At, Commons};

/// The columns of random blocks: in runs, with turns, brief ones, with numbers of all lengths; and their count.
fn written(random: &mut Random) -> (Vec<u8>, u32) {
    let mut columns = Columns::default();
    let mut address = 4096;
    for step in 0..300_u64 {
        let bits = [4, 12, 20, 40, 64][random.below(5) as usize];
        address = random.number(bits) ^ address & 0xff_fff0;
        let at = match random.below(8) {
            0 => At::Turn(random.number(20)),
            _ => At::Epoch,
        };
        match random.below(12) {
            0 => columns.epoch(1000 + step),
            1 => columns.push(at, Event::ReallocationBegin { address }),
            2..5 => columns.push(at, Event::Free { address }),
            5..8 => {
                let (size, site) = (random.number(16), random.number(10) as u32);
                columns.push(at, allocation(address, size, site));
                columns.push(at, Event::Free { address });
            }
            _ => {
                let (size, site) = (random.number(bits), random.number(32) as u32);
                columns.push(at, allocation(address, size, site));
            }
        }
    }
    let (mut raw, count) = (Vec::new(), columns.count());
    columns.take(&mut raw);
    (raw, count)
}

fn allocation(address: u64, size: u64, site: u32) -> Event<'static> {
    Event::Allocation {
        address,
        size,
        site,
    }
}

const DAMAGED: &str = "damaged";

/// What comes next, by itself; `None` at the end.
fn next(reader: &mut ColumnReader, raw: &[u8]) -> Option<String> {
    let damaged = DAMAGED.to_owned();
    match reader.next(raw) {
        Ok(Found::Event { .. }) => {
            let event = reader.event(raw);
            Some(event.map_or(damaged, |event| format!("{event:?}")))
        }
        Ok(Found::End) => None,
        Ok(other) => Some(format!("{other:?}")),
        Err(_) => Some(damaged),
    }
}

/// What the columns hold, up to their end or to what is damaged, with so much room for blocks that are read at once;
/// and how many were. Without room: each by itself.
fn read(raw: &[u8], count: u32, room: usize) -> (Vec<String>, usize) {
    let (mut lines, mut together) = (Vec::new(), 0);
    let Ok(mut reader) = ColumnReader::new(raw, count, 4) else {
        return (lines, 0);
    };
    let mut room = vec![Common::Free { address: 0 }; room];
    while lines.last().is_none_or(|last| last != DAMAGED) {
        let takes = |_, turn| match turn % 7 {
            0 => Taken::NotYet,
            1 => Taken::Last,
            _ => Taken::Now,
        };
        let read = match room.len() {
            0 => 0,
            _ => reader.blocks(raw, &mut room, |site| site, takes),
        };
        together += read;
        let blocks = room[..read].iter();
        lines.extend(blocks.map(|common| format!("{:?}", common.event())));
        let Some(line) = next(&mut reader, raw) else {
            break;
        };
        lines.push(line);
    }
    (lines, together)
}

#[test]
fn blocks_read_at_once_are_those_read_one_by_one() {
    let mut random = Random(7);
    let (mut whole, mut bad, mut together) = (0, 0, 0);
    for _ in 0..2000 {
        let (mut raw, count) = written(&mut random);
        // As a hostile file may have it: lengths and numbers that lie.
        for _ in 0..random.below(4) {
            let at = match random.below(2) {
                0 => random.below(20.min(raw.len() as u64)),
                _ => random.below(raw.len() as u64),
            };
            raw[at as usize] = random.number(8) as u8;
        }
        let (expected, _) = read(&raw, count, 0);
        let room = 1 + random.below(40) as usize;
        let (lines, at_once) = read(&raw, count, room);
        assert_eq!(lines, expected);
        together += at_once;
        match expected.last().is_some_and(|last| last == DAMAGED) {
            true => bad += 1,
            false => whole += 1,
        }
    }
    assert!(
        whole > 500 && bad > 500 && together > 100_000,
        "{whole} {bad} {together}"
    );
}

/// Random blocks as a lane has them, with the first at its place already told: their words, and each with its place.
fn recorded(random: &mut Random, first: At) -> (Vec<u64>, Vec<(At, Event<'static>)>) {
    let (mut words, mut events) = (Vec::new(), Vec::new());
    let mut address = 4096;
    for _ in 0..1 + random.below(700) {
        let bits = [4, 12, 20, 40, 56][random.below(5) as usize];
        // Often where the last one was: the free of a block that was gone at once.
        if random.below(3) > 0 {
            address = random.number(bits) & ((1 << 56) - 1);
        }
        let at = match random.below(6) {
            _ if events.is_empty() => first,
            0 => At::Turn(random.number(48)),
            _ => At::Epoch,
        };
        if let (At::Turn(turn), false) = (at, events.is_empty()) {
            words.push(Prefix::Turn(turn).word());
        }
        let event = match random.below(2) {
            0 => Event::Free { address },
            _ => allocation(address, random.number(32), random.number(32) as u32),
        };
        Record { stamp: 0, event }.encode(|word| words.push(word));
        events.push((at, event));
    }
    (words, events)
}

#[test]
fn blocks_written_at_once_are_those_written_one_by_one() {
    let mut random = Random(11);
    let (mut brief, mut calls) = (0, 0);
    for round in 0..1000 {
        let (mut at_once, mut by_one) = (Columns::default(), Columns::default());
        for columns in [&mut at_once, &mut by_one] {
            columns.epoch(round);
            // What lies before may be a block, or anything else, or nothing.
            match round % 3 {
                0 => columns.push(At::Epoch, allocation(4096, 1, 1)),
                1 => columns.push(At::Stamp(round), Event::MarkEnd),
                _ => {}
            }
        }
        let first = [At::Epoch, At::Turn(round)][random.below(2) as usize];
        let (words, events) = recorded(&mut random, first);
        let (mut place, mut rest) = (first, &words[..]);
        while !rest.is_empty() {
            let used = at_once.blocks(Commons::new(place, rest));
            (place, rest) = (At::Epoch, &rest[used..]);
            calls += 1;
        }
        events
            .iter()
            .for_each(|(at, event)| by_one.push(*at, *event));
        let told = |columns: &mut Columns| {
            let numbers = (columns.count(), columns.events(), columns.span());
            let mut bytes = Vec::new();
            columns.take(&mut bytes);
            (numbers, bytes)
        };
        brief += events.len() as u32 + 2 - by_one.count();
        assert_eq!(told(&mut at_once), told(&mut by_one), "round {round}");
    }
    assert!(brief > 10_000 && calls > 1500, "{brief} {calls}");
}
