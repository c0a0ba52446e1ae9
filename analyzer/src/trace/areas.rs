//! What of a process's address space is resident at a moment, as the recorder found it.

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// What the kernel tells of an area that is no file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaKind {
    /// Nothing.
    Anonymous,
    /// It is the C library's, for malloc: its heap, or a further arena.
    Heap,
    /// The first thread's stack.
    MainStack,
    /// It follows a file's: data of a program or library that is zero at first.
    Data,
    /// Memory shared between processes.
    Shared,
}

impl AreaKind {
    const ALL: [AreaKind; 5] = [
        AreaKind::Anonymous,
        AreaKind::Heap,
        AreaKind::MainStack,
        AreaKind::Data,
        AreaKind::Shared,
    ];
}

/// Mapped memory that is no file's, some of it resident. All addresses are those of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// What is known of it.
    pub kind: AreaKind,
    /// Its start.
    pub from: u64,
    /// Past its end.
    pub to: u64,
    /// Bytes of it that are resident.
    pub resident: u64,
    /// Which, from and to, in order; none: all of it, or nobody knows.
    pub runs: Vec<(u64, u64)>,
}

/// Areas as a note has them, each a list of numbers: kind, pages since the end of the one before, pages, pages that are
/// resident, and for each run of those the pages left out before it and its own.
pub(crate) fn to_note(areas: &[Area]) -> Vec<Vec<u64>> {
    let mut end = 0;
    let numbers = areas.iter().map(|area| {
        let mut numbers = vec![
            area.kind as u64,
            (area.from - end) / PAGE,
            (area.to - area.from) / PAGE,
            area.resident / PAGE,
        ];
        end = area.to;
        let mut at = area.from;
        for (from, to) in &area.runs {
            numbers.extend([(from - at) / PAGE, (to - from) / PAGE]);
            at = *to;
        }
        numbers
    });
    numbers.collect()
}

/// The areas of such a note; of what makes no sense nothing.
pub(crate) fn from_note(note: &[Vec<u64>]) -> Vec<Area> {
    let mut end = 0;
    note.iter().map_while(|area| one(area, &mut end)).collect()
}

fn one(numbers: &[u64], end: &mut u64) -> Option<Area> {
    let [kind, gap, pages, resident, runs @ ..] = numbers else {
        return None;
    };
    let after = |at: u64, pages: u64| at.checked_add(pages.checked_mul(PAGE)?);
    let from = after(*end, *gap)?;
    let to = after(from, *pages)?;
    let mut at = from;
    let mut found = Vec::with_capacity(runs.len() / 2);
    for [gap, pages] in runs.as_chunks::<2>().0 {
        let start = after(at, *gap)?;
        at = after(start, *pages)?;
        found.push((start, at));
    }
    *end = to;
    (at <= to && resident <= pages).then_some(Area {
        kind: *AreaKind::ALL.get(usize::try_from(*kind).ok()?)?,
        from,
        to,
        resident: resident * PAGE,
        runs: found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_read_as_they_were_written() {
        let area = |kind, from: u64, to: u64, runs: &[(u64, u64)]| Area {
            kind,
            from: from * PAGE,
            to: to * PAGE,
            resident: (to - from) * PAGE,
            runs: runs
                .iter()
                .map(|(from, to)| (from * PAGE, to * PAGE))
                .collect(),
        };
        let areas = [
            area(AreaKind::Heap, 5, 9, &[(5, 6), (8, 9)]),
            area(AreaKind::Anonymous, 9, 12, &[]),
            area(AreaKind::Shared, 100, 101, &[]),
        ];
        assert_eq!(from_note(&to_note(&areas)), areas);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        assert_eq!(from_note(&[vec![1, 5, 4]]), []);
        assert_eq!(from_note(&[vec![9, 5, 4, 4]]), []);
        assert_eq!(from_note(&[vec![0, 5, 4, 5]]), []);
        assert_eq!(from_note(&[vec![0, 5, 4, 1, 3, 2]]), []);
        assert_eq!(from_note(&[vec![0, u64::MAX, 1, 1]]), []);
        assert_eq!(
            from_note(&[vec![0, 1, 1, 1], vec![0, u64::MAX / PAGE, 1, 1]]).len(),
            1
        );
    }
}
