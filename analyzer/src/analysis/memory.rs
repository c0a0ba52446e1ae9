//! Where resident memory is, at three moments, and who keeps free pages from being given back: as data.

use crate::sites::SiteId;

/// Start of serving, its middle, its end; of a trace without requests of the trace.
pub const MOMENTS: usize = 3;

/// What resident memory is made of. Rows add up to `resident` at each moment. Sums over processes: what those share
/// counts in each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// In the order in which they are shown; empty: nothing could be read, or only a sample was recorded.
    pub rows: Vec<Row>,
    /// All rows together.
    pub resident: [u64; MOMENTS],
    /// The moments, in time. The readings of the processes are those that lie nearest.
    pub at_ns: [u64; MOMENTS],
    /// How far from its moment a reading lies at most.
    pub off_ns: [u64; MOMENTS],
    /// How many processes lived and were read at each.
    pub processes: [u64; MOMENTS],
    /// Who pins pages at the end, the most bytes first.
    pub pins: Vec<Pin>,
    /// Kinds of which call sites are told to leak: their growth is told with those.
    pub told: Vec<RowKind>,
}

/// One kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub kind: RowKind,
    /// Its bytes at each moment.
    pub bytes: [u64; MOMENTS],
}

/// Blocks of a call site that keep pages from being given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Which.
    pub site: SiteId,
    /// Blocks on pages that are filled less than a quarter.
    pub blocks: u64,
    /// Their share of what is free on those.
    pub bytes: u64,
}

/// Kinds of memory, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKind {
    /// Left by requests, at call sites that leak or grow.
    LeakingRequests,
    /// The same of no request.
    GrowingOutside,
    /// It can't be told yet.
    Undecided,
    /// Of bounded size: caches, pools.
    Bounded,
    /// Of requests in flight, or freed later.
    InUse,
    /// It was there before the first request, or came by fork.
    StartUp,
    /// Live blocks of a program without requests.
    Live,
    /// Free bytes on pages that live blocks fill less than a quarter.
    FreePinned,
    /// Free bytes on other pages with live blocks, and what malloc keeps there for itself.
    FreeBetween,
    /// Pages without live blocks that malloc holds.
    FreePages,
    /// Mapped by the program, and neither leaking nor undecided.
    Mapped,
    /// Stacks of threads.
    Stacks,
    /// Code, data of programs and libraries, mapped files.
    CodeAndFiles,
    /// libleak's own.
    Libleak,
    /// Neither: what the loader and the C library keep, shared memory of nobody known.
    Rest,
}

impl RowKind {
    /// Its name in reports for programs.
    pub fn name(self) -> &'static str {
        match self {
            RowKind::LeakingRequests => "leaking_requests",
            RowKind::GrowingOutside => "growing_outside",
            RowKind::Undecided => "undecided",
            RowKind::Bounded => "bounded",
            RowKind::InUse => "in_use",
            RowKind::StartUp => "start_up",
            RowKind::Live => "live",
            RowKind::FreePinned => "free_pinned",
            RowKind::FreeBetween => "free_between",
            RowKind::FreePages => "free_pages",
            RowKind::Mapped => "mapped",
            RowKind::Stacks => "stacks",
            RowKind::CodeAndFiles => "code_and_files",
            RowKind::Libleak => "libleak",
            RowKind::Rest => "rest",
        }
    }
}

/// What is free, and grew more than what is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragmentation {
    /// How much resident memory grew from the start on.
    pub grown: u64,
    /// How much live blocks did.
    pub live: u64,
    /// How much free bytes of pinned pages did.
    pub pinned: u64,
    /// Of `pinned`, what came after the middle.
    pub late: u64,
}

/// Resident memory that grew and of which no verdict is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// How much grew.
    pub bytes: u64,
    /// What it is, the most first.
    pub kinds: Vec<(RowKind, u64)>,
}

/// What grows goes on where at least this part of it came after the middle.
const LATE: u64 = 8;
/// Growth of resident memory below this is none.
const LEAST_GROWTH: u64 = 8 << 20;

impl Memory {
    /// Bytes of a kind at each moment.
    pub fn of(&self, kind: RowKind) -> [u64; MOMENTS] {
        let row = self.rows.iter().find(|row| row.kind == kind);
        row.map_or([0; MOMENTS], |row| row.bytes)
    }

    /// How much a sum of kinds grew from one moment to the end.
    fn grown(&self, kinds: &[RowKind], from: usize) -> u64 {
        let at = |moment: usize| kinds.iter().map(|kind| self.of(*kind)[moment]).sum::<u64>();
        at(MOMENTS - 1).saturating_sub(at(from))
    }

    /// What grew of memory that has no verdict, from the start on and after the middle; where processes came meanwhile,
    /// after the middle. `None`: nothing did, or not so much that it says anything.
    pub fn untold(&self) -> Option<Untold> {
        const KINDS: [RowKind; 4] = [
            RowKind::Mapped,
            RowKind::Stacks,
            RowKind::CodeAndFiles,
            RowKind::Rest,
        ];
        let end = self.processes[MOMENTS - 1];
        let from = self.processes.iter().position(|number| *number == end)?;
        if from == MOMENTS - 1 {
            return None;
        }
        let kinds = KINDS.into_iter().filter(|kind| !self.told.contains(kind));
        let late: u64 = kinds.clone().map(|kind| self.grown(&[kind], 1)).sum();
        let kinds = kinds.map(|kind| (kind, self.grown(&[kind], from)));
        let mut kinds: Vec<_> = kinds.filter(|(_, grown)| *grown > 0).collect();
        kinds.sort_by_key(|(kind, grown)| (std::cmp::Reverse(*grown), *kind));
        let bytes = kinds.iter().map(|(_, grown)| grown).sum();
        let goes_on = late.saturating_mul(LATE) >= bytes;
        let is_much = bytes >= LEAST_GROWTH && bytes.saturating_mul(LATE) >= self.resident[from];
        (goes_on && is_much).then_some(Untold { bytes, kinds })
    }

    /// `None`: pinned pages are not what grew.
    pub fn fragmentation(&self) -> Option<Fragmentation> {
        const LIVE: [RowKind; 7] = [
            RowKind::LeakingRequests,
            RowKind::GrowingOutside,
            RowKind::Undecided,
            RowKind::Bounded,
            RowKind::InUse,
            RowKind::StartUp,
            RowKind::Live,
        ];
        let found = Fragmentation {
            grown: self.resident[MOMENTS - 1].saturating_sub(self.resident[0]),
            live: self.grown(&LIVE, 0),
            pinned: self.grown(&[RowKind::FreePinned], 0),
            late: self.grown(&[RowKind::FreePinned], 1),
        };
        let pins_most = found.pinned >= found.grown / 2 && found.pinned / 2 > found.live;
        (found.grown >= LEAST_GROWTH && pins_most).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn memory(live: [u64; 3], pinned: [u64; 3]) -> Memory {
        let row = |kind, bytes: [u64; 3]| Row {
            kind,
            bytes: bytes.map(|mib| mib * MIB),
        };
        Memory {
            rows: vec![
                row(RowKind::Bounded, live),
                row(RowKind::FreePinned, pinned),
            ],
            resident: std::array::from_fn(|at| (live[at] + pinned[at]) * MIB),
            ..Memory::default()
        }
    }

    #[test]
    fn fragmentation_is_what_pins_more_than_it_uses() {
        let found = memory([10, 12, 14], [0, 60, 100]).fragmentation();
        let expected = Fragmentation {
            grown: 104 * MIB,
            live: 4 * MIB,
            pinned: 100 * MIB,
            late: 40 * MIB,
        };
        assert_eq!(found, Some(expected));
        // A leak, with as much pinned beside it; and too little to tell.
        assert_eq!(memory([10, 60, 110], [0, 60, 100]).fragmentation(), None);
        assert_eq!(memory([10, 10, 10], [0, 5, 7]).fragmentation(), None);
    }

    #[test]
    fn what_grows_without_a_verdict_is_told() {
        let of = |kind, mib: [u64; 3], processes| {
            let bytes = mib.map(|mib| mib * MIB);
            Memory {
                rows: vec![Row { kind, bytes }],
                resident: bytes,
                processes,
                ..Memory::default()
            }
        };
        let grows = of(RowKind::Mapped, [1, 20, 41], [1; 3]);
        let kinds = vec![(RowKind::Mapped, 40 * MIB)];
        let bytes = 40 * MIB;
        assert_eq!(grows.untold(), Some(Untold { bytes, kinds }));
        // It has come to its end, is little, has a verdict, or comes with processes.
        assert_eq!(of(RowKind::Mapped, [1, 40, 41], [1; 3]).untold(), None);
        assert_eq!(of(RowKind::Rest, [200, 208, 217], [1; 3]).untold(), None);
        assert_eq!(of(RowKind::InUse, [1, 20, 41], [1; 3]).untold(), None);
        assert_eq!(of(RowKind::Stacks, [1, 20, 41], [1, 2, 3]).untold(), None);
        let late = of(RowKind::Rest, [1, 20, 41], [1, 3, 3]).untold();
        assert_eq!(late.map(|late| late.bytes), Some(21 * MIB));
        let told = Memory {
            told: vec![RowKind::Mapped],
            ..grows
        };
        assert_eq!(told.untold(), None);
    }
}
