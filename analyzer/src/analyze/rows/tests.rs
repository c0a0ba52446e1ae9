use super::*;

fn readings(list: &[(ProcessId, u64, u64)]) -> Vec<Resident> {
    let reading = |(process, stamp, calls): &(ProcessId, u64, u64)| Resident {
        process: *process,
        stamp: *stamp,
        calls: *calls,
        ..Resident::default()
    };
    list.iter().map(reading).collect()
}

#[test]
fn it_is_looked_around_the_begin_the_middle_and_the_end_of_serving() {
    // Nothing for 100, requests up to 900, nothing from then on.
    let list: Vec<(ProcessId, u64, u64)> = (0..200)
        .map(|at| (0, at * 10, (at * 10).clamp(100, 900) - 100))
        .collect();
    let mut all = chosen(&readings(&list));
    all.sort_unstable();
    assert_eq!(all, [10, 11, 50, 51, 89, 90]);
    // One that serves, and its parent, which doesn't.
    let list = [
        (0, 5, 0),
        (0, 10, 0),
        (1, 20, 0),
        (1, 30, 4),
        (1, 60, 9),
        (0, 70, 0),
    ];
    let mut all = chosen(&readings(&list));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, [1, 2, 3, 4, 5]);
    assert!(chosen(&[]).is_empty());
}

#[test]
fn readings_are_due_one_after_the_other() {
    let facts = Facts {
        resident: readings(&[(0, 5, 0), (0, 10, 1)]),
        ..Facts::default()
    };
    let mut looks = Looks::of(&facts);
    assert!(!looks.are_due(4) && looks.are_due(5));
    assert_eq!(looks.take(&facts, 7).map(|reading| reading.stamp), Some(5));
    assert!(looks.take(&facts, 7).is_none());
    assert_eq!(
        looks.take(&facts, u64::MAX).map(|reading| reading.stamp),
        Some(10)
    );
    assert!(looks.take(&facts, u64::MAX).is_none());
    let sampled = Facts {
        sample_bytes: 1000,
        ..facts
    };
    assert!(!Looks::of(&sampled).are_due(u64::MAX));
}

#[test]
fn what_is_live_is_split_as_it_is_at_the_end() {
    let mut weights = Weights::default();
    weights.add(Verdict::Leak, true, 600);
    weights.add(Verdict::WarmUp, false, 300);
    weights.live = 1000;
    let expected = [
        (RowKind::LeakingRequests, 300),
        (RowKind::Bounded, 150),
        (RowKind::InUse, 51),
    ];
    assert_eq!(weights.split(501), expected);
    // All of it is judged.
    weights.live = 900;
    let expected = [(RowKind::LeakingRequests, 67), (RowKind::Bounded, 33)];
    assert_eq!(weights.split(100), expected);
    assert_eq!(Weights::default().split(7), [(RowKind::InUse, 7)]);
}
