use super::*;

fn area(kind: AreaKind, from: u64, pages: u64) -> Area {
    Area {
        kind,
        from,
        to: from + pages * PAGE,
        resident: pages * PAGE,
        runs: Vec::new(),
    }
}

/// A row of numbers that looks random, and is the same each time (G. Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Byte by byte: which blocks lie on each page, and what is free there.
fn counted(blocks: &[(u64, u64)], area: &Area) -> (Held, Vec<f64>, u64) {
    let mut held = Held::default();
    let mut pins = vec![0.0; blocks.len()];
    let mut live_bytes = 0;
    let is_resident = |page: u64| match area.runs.is_empty() {
        true => true,
        false => area.runs.iter().any(|run| (run.0..run.1).contains(&page)),
    };
    let pages = (area.from..area.to).step_by(PAGE as usize);
    for page in pages.filter(|page| is_resident(*page)) {
        let mut taken = vec![false; PAGE as usize];
        let mut here = Vec::new();
        for (number, (address, size)) in blocks.iter().enumerate() {
            let (from, to) = ((*address).max(page), (address + size).min(page + PAGE));
            if from < to {
                here.push(number);
                (from..to).for_each(|byte| taken[(byte - page) as usize] = true);
            }
        }
        let live = taken.iter().filter(|taken| **taken).count() as u64;
        live_bytes += live;
        let free = PAGE - live;
        if here.is_empty() {
            held.whole += PAGE;
        } else if live < PAGE / 4 {
            held.pinned += free;
            here.iter()
                .for_each(|at| pins[*at] += free as f64 / here.len() as f64);
        } else {
            held.between += free;
        }
    }
    (held, pins, live_bytes)
}

#[test]
fn pins_are_what_counting_byte_by_byte_gives() {
    let mut numbers = Numbers(88_172_645_463_325_252);
    for round in 0..200 {
        let mut area = area(AreaKind::Heap, 0x10_0000, 64);
        if round % 2 == 1 {
            let at = |page| area.from + page * PAGE;
            area.runs = vec![(at(0), at(20)), (at(22), at(23)), (at(40), at(60))];
            area.resident = 41 * PAGE;
        }
        // Blocks one after the other, some freed, of sizes from a word to several pages.
        let mut blocks = Vec::new();
        let mut at = area.from + 16;
        let most = [64, 700, 30_000][round % 3];
        loop {
            let size = 8 + numbers.next(most);
            if at + size > area.to {
                break;
            }
            if numbers.next(8) == 0 {
                blocks.push((at, size));
            }
            at += size.next_multiple_of(16);
        }
        let areas = [area];
        let (expected, pins, live) = counted(&blocks, &areas[0]);
        let mut pages = Pages::new(&areas);
        blocks.iter().for_each(|block| pages.add(block.0, block.1));
        pages.close();
        assert_eq!(pages.held(), expected, "{round}");
        let mut resident = 0.0;
        for (block, expected) in blocks.iter().zip(pins) {
            let (bytes, pinned) = pages.of_block(block.0, block.1);
            resident += bytes;
            assert!(
                (pinned - expected).abs() < 1e-6,
                "{round} {pinned} {expected}"
            );
        }
        assert_eq!(resident as u64, live, "{round}");
        let Held {
            pinned,
            between,
            whole,
            ..
        } = expected;
        assert_eq!(live + pinned + between + whole, areas[0].resident);
    }
}

#[test]
fn what_is_claimed_is_no_allocators() {
    let from = 0x10_0000;
    let areas = [
        area(AreaKind::Anonymous, from, 10),
        area(AreaKind::Anonymous, from + 20 * PAGE, 20),
        area(AreaKind::Data, from + 40 * PAGE, 2),
        area(AreaKind::MainStack, from + 50 * PAGE, 3),
    ];
    let mut pages = Pages::new(&areas);
    pages.add(from, 100);
    assert_eq!(pages.claim(from + 2 * PAGE, from + 4 * PAGE), 2 * PAGE);
    assert_eq!(pages.claim(from + 38 * PAGE, from + 41 * PAGE), 3 * PAGE);
    pages.add(from + 20 * PAGE, 17 * PAGE);
    pages.close();
    let held = Held {
        pinned: PAGE - 100,
        // With a small block in it, it is an allocator's.
        whole: 7 * PAGE,
        stacks: 3 * PAGE,
        data: PAGE,
        rest: PAGE,
        ..Held::default()
    };
    assert_eq!(pages.held(), held);
}

#[test]
fn where_pages_are_not_known_no_more_is_told_than_is_resident() {
    let mut areas = [area(AreaKind::Heap, 0x10_0000, 100)];
    areas[0].resident = 30 * PAGE;
    let mut pages = Pages::new(&areas);
    pages.add(0x10_0000, 60 * PAGE);
    pages.close();
    assert_eq!(pages.of_block(0x10_0000, 60 * PAGE).0 as u64, 30 * PAGE);
    assert_eq!(pages.held(), Held::default());
}
