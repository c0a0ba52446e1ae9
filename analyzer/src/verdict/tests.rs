use super::*;
use crate::analysis::Verdict;

/// `n` requests; request i (from 0) leaves what `leaves` says: (bytes survived, bytes retained); live
/// bytes after it are `live(i)`.
fn series(n: usize, leaves: impl Fn(usize) -> (u64, u64), live: impl Fn(usize) -> u64) -> Series {
    let mut series = Series {
        processes: 1,
        judged: n as u64,
        served: n as u64,
        newest: 1,
        ..Series::default()
    };
    for request in 0..n {
        let slice = ((request + 1) * SLICES - 1) / n;
        let (survived, retained) = leaves(request);
        series.survivor_blocks += u64::from(survived > 0);
        series.retained_blocks += u64::from(retained > 0);
        series.retaining += u64::from(retained > 0);
        series.retaining_late += u64::from(retained > 0 && slice >= QUARTER);
        series.retained_bytes[slice] += retained;
        if slice < SLICES - 1 {
            series.older_survivor_bytes += survived;
        }
        for later in slice..SLICES {
            series.live_bytes[later] = live(request);
        }
    }
    series
}

fn verdict_of(series: &Series) -> Verdict {
    judge(series).0
}

#[test]
fn every_request_leaks() {
    for n in [3, 4, 8, 1000] {
        let series = series(n, |_| (10, 10), |i| 10 * i as u64 + 10);
        assert_eq!(verdict_of(&series), Verdict::Leak, "{n}");
    }
}

#[test]
fn one_request_in_twenty_leaks() {
    let leaves = |i: usize| if i % 20 == 7 { (10, 10) } else { (0, 0) };
    let series = series(100, leaves, |i| 10 * (i as u64 / 20));
    assert_eq!(verdict_of(&series), Verdict::Leak);
}

#[test]
fn two_requests_are_too_few() {
    for n in [1, 2] {
        let series = series(n, |_| (10, 10), |i| 10 * i as u64 + 10);
        let (verdict, evidence) = judge(&series);
        assert_eq!(verdict, Verdict::TooFewRequests);
        assert_eq!(evidence.requests_needed, Some(8 - n as u64));
    }
}

#[test]
fn a_cache_that_fills_is_bounded() {
    for capacity in [4, 20, 40] {
        let leaves = |i: usize| (10, if i >= 100 - capacity { 10 } else { 0 });
        let live = |i: usize| 10 * (i + 1).min(capacity) as u64;
        assert_eq!(
            verdict_of(&series(100, leaves, live)),
            Verdict::Bounded,
            "{capacity}"
        );
    }
}

#[test]
fn filled_by_the_first_requests_is_a_warm_up() {
    let leaves = |i: usize| if i < 5 { (10, 10) } else { (0, 0) };
    let series = series(100, leaves, |i| 10 * (i + 1).min(5) as u64);
    assert_eq!(verdict_of(&series), Verdict::WarmUp);
}

#[test]
fn freed_by_the_next_request_is_freed_later() {
    for n in [3, 10, 500] {
        let leaves = |i: usize| (10, if i == n - 1 { 10 } else { 0 });
        assert_eq!(
            verdict_of(&series(n, leaves, |_| 10)),
            Verdict::FreedLater,
            "{n}"
        );
    }
}

#[test]
fn a_buffer_that_doubles_grows() {
    let capacity = |i: usize| 16 * (i as u64 + 1).next_power_of_two();
    let grown = |i: usize| i == 0 || capacity(i) != capacity(i - 1);
    for n in [100, 127, 128, 129, 1000] {
        let last = (0..n).rev().find(|i| grown(*i));
        let leaves = |i: usize| match grown(i) {
            true => (capacity(i), if Some(i) == last { capacity(i) } else { 0 }),
            false => (0, 0),
        };
        let mut series = series(n, leaves, capacity);
        series.reallocations = 1;
        assert_eq!(verdict_of(&series), Verdict::GrowingBuffer, "{n}");
    }
}

#[test]
fn no_survivors_are_clean() {
    assert_eq!(verdict_of(&series(10, |_| (0, 0), |_| 0)), Verdict::Clean);
}

#[test]
fn a_few_rare_leaks_are_too_few_to_tell() {
    let leaves = |i: usize| if i == 50 || i == 80 { (10, 10) } else { (0, 0) };
    let (verdict, evidence) = judge(&series(100, leaves, |i| i as u64));
    assert_eq!(verdict, Verdict::TooFewRequests);
    assert_eq!(evidence.requests_needed, Some(50));
}

#[test]
fn processes_are_added_up_unless_one_leaks_by_itself() {
    let leak = series(100, |_| (1, 1), |i| i as u64 + 1);
    let cache = series(
        100,
        |i| (1000, if i >= 80 { 1000 } else { 0 }),
        |i| 1000 * (i as u64 + 1).min(20),
    );
    assert_eq!(combine(&[leak.clone(), leak.clone()]).0, Verdict::Leak);
    assert_eq!(combine(&[cache.clone(), cache.clone()]).0, Verdict::Bounded);
    let (verdict, evidence) = combine(&[leak, cache]);
    assert_eq!(verdict, Verdict::Leak);
    assert!(
        evidence
            .text
            .starts_with("in one of 2 processes, 100 of 100")
    );
}

#[test]
fn processes_of_one_request_each_are_too_few() {
    let once = series(1, |_| (10, 10), |_| 10);
    let (verdict, _) = combine(&vec![once; 2]);
    assert_eq!(verdict, Verdict::TooFewRequests);
}

#[test]
fn evidence_is_short_and_has_units() {
    let leak = series(1000, |_| (16_384, 16_384), |i| 16_384 * i as u64);
    let text = judge(&leak).1.text;
    assert_eq!(
        text,
        "1,000 of 1,000 requests kept blocks (leak: 3+), 750 after the first quarter (2+); \
         100 % of 13.7 MiB of older survivors stayed (50 %+)"
    );
    assert!(text.len() <= 140, "two lines beside its title");
    let by_sixteen = Series {
        served: 16_000,
        ..leak
    };
    let text = judge(&by_sixteen).1.text;
    assert!(text.starts_with("1,000 of 16,000 requests kept"), "{text}");
    let one = series(1, |_| (10, 10), |_| 10);
    assert_eq!(
        judge(&one).1.text,
        "1 of 1 request kept blocks; at least 7 more requests are needed to tell"
    );
}

#[test]
fn what_was_there_before_hides_no_growth() {
    let series = Series {
        live_bytes: [1010, 1020, 1030, 1040, 1050, 1060, 1070, 1080],
        ..Series::default()
    };
    assert!(is_steady(std::slice::from_ref(&series), 0));
    assert!(!is_steady(&[series], 1000));
}

#[test]
fn where_requests_are_untold_their_keepings_are_counted() {
    let evidence = GroupEvidence {
        requests: 620,
        retaining: 718,
        mature: 717,
        needs: 3,
        in_times: true,
        ..GroupEvidence::default()
    };
    assert_eq!(
        evidence.text(Verdict::Leak),
        "some of 620 requests kept blocks, 718 times in all (leak: 3+); none was freed here"
    );
    let told = GroupEvidence {
        retaining: 208,
        in_times: false,
        ..evidence
    };
    assert_eq!(
        told.text(Verdict::Leak),
        "208 of 620 requests kept blocks (leak: 3+); none was freed here"
    );
}

#[test]
fn of_a_sure_leak_it_is_said_how_large_a_table_would_be() {
    let evidence = |most_of_one| GroupEvidence {
        requests: 40,
        retaining: 40,
        mature: 40,
        most_of_one,
        needs: 3,
        ..GroupEvidence::default()
    };
    assert_eq!(
        evidence(40).text(Verdict::Leak),
        "40 of 40 requests kept blocks (leak: 3+); none was freed here (as of a table with room for more than 40, not \
         full yet)"
    );
    // Of one that is unsure that is clear.
    assert_eq!(
        evidence(31).text(Verdict::Leak),
        "40 of 40 requests kept blocks (leak: 3+); none was freed here"
    );
}
