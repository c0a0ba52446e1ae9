//! What tells an endpoint's leaking requests from its others: of all that is known of a request, the fact that goes
//! with leaking, and the pair of facts that does so better. By Fisher's exact test, corrected by Holm for all that
//! was tried (R. A. Fisher 1922; S. Holm, "A simple sequentially rejective multiple test procedure", 1979). That a
//! fact goes with leaking does not say that it is the reason.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::analysis::{Analysis, Apart, Endpoint, Fact, Request, Tell};

/// Leaking requests, and others, that are needed at least.
const LEAST: u64 = 5;
/// By chance, a fact goes so well with leaking less often than this, all that was tried together.
const CHANCE: f64 = 0.001;
/// A pair is told beside a single fact where it leaves this part at most of what that gets wrong.
const PAIR_LEAVES: f64 = 0.5;
/// Values of one fact that are tried, the most frequent ones; thresholds of one that is a number.
const MOST_VALUES: usize = 8;

/// Fills in what tells the requests of each leaking endpoint apart.
pub(super) fn tell(analysis: &mut Analysis) {
    let endpoints = (0..).zip(&analysis.endpoints);
    let told: Vec<usize> = endpoints
        .filter(|(_, of)| is_known(of))
        .map(|(at, _)| at)
        .collect();
    if told.is_empty() {
        return;
    }
    let in_flight = in_flight(&analysis.requests);
    let places = places(&analysis.requests);
    for at in told {
        let of = (0..).zip(&analysis.requests);
        let of = of.filter(|(_, request)| request.endpoint as usize == at && request.count == 1);
        let rows: Vec<Row> = of
            .map(|(id, request): (usize, &Request)| Row {
                leaks: request.leaking_blocks > 0,
                status: request.status,
                duration_ns: request
                    .end_ns
                    .map_or(0, |end| end.saturating_sub(request.start_ns)),
                place: places[id],
                in_flight: in_flight[id],
                thread: (request.process, request.thread),
            })
            .collect();
        analysis.endpoints[at].apart = apart(&rows);
    }
}

/// Whether some of its requests leak, some don't, and it is known for sure which.
fn is_known(endpoint: &Endpoint) -> bool {
    let [low, high] = endpoint.leaking_requests_range;
    endpoint.verdict.leaks()
        && endpoint.associated.blocks == 0
        && low == high
        && endpoint.leaking_requests == low
        && (LEAST..=endpoint.requests.saturating_sub(LEAST)).contains(&low)
}

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
struct Row {
    leaks: bool,
    status: Option<u32>,
    duration_ns: u64,
    /// Which of its connection it is, from 1; 0: it came by none.
    place: u32,
    /// Others that had begun and not ended when it began.
    in_flight: u32,
    thread: (u32, u32),
}

/// Which request of its connection each is.
fn places(requests: &[Request]) -> Vec<u32> {
    let mut seen: FxHashMap<u32, u32> = FxHashMap::default();
    let place = |request: &Request| {
        if request.connection == 0 {
            return 0;
        }
        let place = seen.entry(request.connection).or_default();
        *place += 1;
        *place
    };
    requests.iter().map(place).collect()
}

/// How many others were in flight when each began; requests are in order of their begin.
fn in_flight(requests: &[Request]) -> Vec<u32> {
    let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
    let mut running = 0;
    let count = |request: &Request| {
        while let Some(first) = ends
            .first_entry()
            .filter(|first| *first.key() <= request.start_ns)
        {
            running -= first.remove();
        }
        let others = running;
        *ends.entry(request.end_ns.unwrap_or(u64::MAX)).or_default() += 1;
        running += 1;
        others
    };
    requests.iter().map(count).collect()
}

/// Nothing where there are too few of either kind.
fn apart(rows: &[Row]) -> Option<Apart> {
    let leaking = rows.iter().filter(|row| row.leaks).count() as u64;
    let others = rows.len() as u64 - leaking;
    if leaking < LEAST || others < LEAST {
        return None;
    }
    let leaks = bits(rows, |row| row.leaks);
    let facts: Vec<(Fact, Vec<u64>)> = facts(rows)
        .into_iter()
        .map(|fact| (fact, bits(rows, |row| fact_holds(fact, row))))
        .collect();
    let try_out = |facts: &[Fact], holds: &dyn Fn(usize) -> u64| {
        let with: u64 = (0..leaks.len())
            .map(|at| u64::from(holds(at).count_ones()))
            .sum();
        let both = (0..leaks.len()).map(|at| (holds(at) & leaks[at]).count_ones());
        let leaking_with = both.map(u64::from).sum();
        let tell = Tell {
            facts: facts.to_vec(),
            leaking,
            leaking_with,
            others,
            others_with: with - leaking_with,
        };
        (ln_chance(&tell), tell)
    };
    let mut tried: Vec<(f64, Tell)> = Vec::new();
    for (fact, holds) in &facts {
        tried.push(try_out(&[*fact], &|at| holds[at]));
    }
    let singles = tried.len();
    for (at, (one, holds)) in facts.iter().enumerate() {
        for (other, also) in facts.get(at + 1..).unwrap_or_default() {
            if std::mem::discriminant(one) != std::mem::discriminant(other) {
                tried.push(try_out(&[*one, *other], &|at| holds[at] & also[at]));
            }
        }
    }
    let all = tried.len() as f64;
    let best = |tried: &[(f64, Tell)]| {
        let best = tried.iter().min_by(|one, other| {
            // The first of several that are as good: facts stand in the order in which they are looked at.
            one.0.total_cmp(&other.0)
        });
        // The smallest of all is compared with the whole number of tests (Holm's first step).
        best.filter(|(ln_p, _)| ln_p.exp() * all < CHANCE)
            .map(|(_, tell)| tell.clone())
    };
    let single = best(&tried[..singles]);
    let pair = best(&tried[singles..]).filter(|pair| {
        let wrong = |tell: &Tell| (tell.leaking - tell.leaking_with) + tell.others_with;
        single.as_ref().is_none_or(|single| {
            wrong(single) > 0 && wrong(pair) as f64 <= wrong(single) as f64 * PAIR_LEAVES
        })
    });
    Some(Apart {
        single,
        pair,
        tried: tried.len() as u64,
    })
}

/// Every fact that may tell some of the requests from others.
fn facts(rows: &[Row]) -> Vec<Fact> {
    let mut facts = Vec::new();
    let statuses = most(rows.iter().map(|row| row.status));
    if statuses.len() > 1 {
        facts.extend(statuses.into_iter().map(Fact::Status));
    }
    facts.extend([Fact::FirstOfConnection, Fact::LaterOfConnection]);
    let flight = thresholds(rows.iter().map(|row| u64::from(row.in_flight)));
    facts.extend(flight.into_iter().map(Fact::InFlightAtLeast));
    let durations = thresholds(rows.iter().map(|row| row.duration_ns));
    for duration in durations {
        facts.extend([Fact::LastsAtLeast(duration), Fact::LastsLessThan(duration)]);
    }
    let threads = most(rows.iter().map(|row| row.thread));
    if threads.len() > 1 {
        let threads = threads.into_iter();
        facts.extend(threads.map(|(process, thread)| Fact::Thread(process, thread)));
    }
    facts.retain(|fact| {
        let with = rows.iter().filter(|row| fact_holds(*fact, row)).count();
        with > 0 && with < rows.len()
    });
    facts
}

/// The most frequent values.
fn most<V: Ord + Copy>(values: impl Iterator<Item = V>) -> Vec<V> {
    let mut counts: BTreeMap<V, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let mut sorted: Vec<(V, usize)> = counts.into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    sorted
        .into_iter()
        .take(MOST_VALUES)
        .map(|(value, _)| value)
        .collect()
}

/// Values that cut into parts of about the same size; the smallest is none, as all are at least that.
fn thresholds(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut sorted: Vec<u64> = values.collect();
    sorted.sort_unstable();
    let cut = |part: usize| sorted.get(sorted.len() * part / (MOST_VALUES + 1)).copied();
    let mut cuts: Vec<u64> = (1..=MOST_VALUES).filter_map(cut).collect();
    cuts.dedup();
    cuts.retain(|cut| sorted.first().is_some_and(|first| cut > first));
    cuts
}

fn fact_holds(fact: Fact, row: &Row) -> bool {
    match fact {
        Fact::Status(status) => row.status == status,
        Fact::FirstOfConnection => row.place == 1,
        Fact::LaterOfConnection => row.place > 1,
        Fact::InFlightAtLeast(others) => u64::from(row.in_flight) >= others,
        Fact::LastsAtLeast(duration_ns) => row.duration_ns >= duration_ns,
        Fact::LastsLessThan(duration_ns) => row.duration_ns < duration_ns,
        Fact::Thread(process, thread) => row.thread == (process, thread),
    }
}

/// A bit for each row: there may be a million rows, and hundreds of pairs of facts.
fn bits(rows: &[Row], holds: impl Fn(&Row) -> bool) -> Vec<u64> {
    let word = |rows: &[Row]| {
        let bits = rows.iter().enumerate();
        bits.fold(0, |word, (at, row)| word | u64::from(holds(row)) << at)
    };
    rows.chunks(64).map(word).collect()
}

/// Fisher's exact test, one-sided: the logarithm of the probability of so many leaking ones with the facts, or more, if
/// facts and leaking had nothing to do with each other.
fn ln_chance(tell: &Tell) -> f64 {
    let (all, with) = (
        tell.leaking + tell.others,
        tell.leaking_with + tell.others_with,
    );
    let most = with.min(tell.leaking);
    let ln_all = ln_choose(all, with);
    let mut sum = f64::NEG_INFINITY;
    for number in tell.leaking_with..=most {
        let one = ln_choose(tell.leaking, number) + ln_choose(tell.others, with - number) - ln_all;
        // ln(e^a + e^b), without leaving the range of numbers.
        let (large, small) = (f64::max(sum, one), f64::min(sum, one));
        sum = match small == f64::NEG_INFINITY {
            true => large,
            false => large + (small - large).exp().ln_1p(),
        };
    }
    sum.min(0.0)
}

fn ln_choose(all: u64, part: u64) -> f64 {
    if part > all {
        return f64::NEG_INFINITY;
    }
    ln_factorial(all) - ln_factorial(part) - ln_factorial(all - part)
}

/// Exact up to 255, from there by Stirling's series, whose next term is below 10⁻¹⁵ there.
fn ln_factorial(number: u64) -> f64 {
    if number < 256 {
        return (2..=number).map(|factor| (factor as f64).ln()).sum();
    }
    let x = number as f64;
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + 1.0 / (12.0 * x)
        - 1.0 / (360.0 * x.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(leaks: bool, status: u32, in_flight: u32) -> Row {
        Row {
            leaks,
            status: Some(status),
            duration_ns: 1_000,
            place: 2,
            in_flight,
            thread: (0, 7),
        }
    }

    fn tell(leaking: u64, leaking_with: u64, others: u64, others_with: u64) -> Tell {
        Tell {
            facts: Vec::new(),
            leaking,
            leaking_with,
            others,
            others_with,
        }
    }

    /// Tables from R 4.3: `fisher.test(matrix(c(3, 1, 1, 3), 2), alternative = "greater")` and so on.
    #[test]
    fn fishers_test_is_exact() {
        for (of, p) in [
            (tell(4, 3, 4, 1), 17.0 / 70.0),
            (tell(4, 4, 4, 0), 1.0 / 70.0),
            (tell(10, 0, 10, 0), 1.0),
            (tell(5, 5, 5, 5), 1.0),
        ] {
            let found = ln_chance(&of).exp();
            assert!((found - p).abs() < 1e-12, "{found}, {p}: {of:?}");
        }
        // Both ways of a logarithm agree where they meet.
        let by_sum: f64 = (2..=256_u64).map(|factor| (factor as f64).ln()).sum();
        assert!((ln_factorial(256) - by_sum).abs() < 1e-9);
    }

    #[test]
    fn a_status_tells_them_apart() {
        let mut rows = vec![row(true, 500, 0); 20];
        rows.extend(vec![row(false, 200, 0); 380]);
        let apart = apart(&rows).expect("enough of both");
        let single = apart.single.expect("a fact");
        assert_eq!(single.facts, [Fact::Status(Some(500))]);
        assert_eq!((single.leaking_with, single.others_with), (20, 0));
        assert_eq!(apart.pair, None);
    }

    #[test]
    fn a_pair_tells_more_than_one() {
        let mut rows = Vec::new();
        for number in 0..200 {
            let (fails, crowded) = (number % 2 == 0, number % 4 < 2);
            rows.push(row(
                fails && crowded,
                if fails { 500 } else { 200 },
                u32::from(crowded),
            ));
        }
        let apart = apart(&rows).expect("enough of both");
        let pair = apart.pair.expect("a pair");
        assert_eq!(
            pair.facts,
            [Fact::Status(Some(500)), Fact::InFlightAtLeast(1)]
        );
        assert_eq!(
            (pair.leaking, pair.leaking_with, pair.others_with),
            (50, 50, 0)
        );
    }

    #[test]
    fn chance_tells_nothing() {
        // A thousand endpoints whose leaks have nothing to do with anything: at most a few are told so.
        let mut seed = 1_u64;
        let mut next = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        let mut told = 0;
        for _ in 0..1_000 {
            let rows: Vec<Row> = (0..60)
                .map(|_| Row {
                    leaks: next() % 3 == 0,
                    status: Some(200 + (next() % 3) as u32),
                    duration_ns: next() % 1_000,
                    place: (next() % 4) as u32,
                    in_flight: (next() % 4) as u32,
                    thread: (0, (next() % 4) as u32),
                })
                .collect();
            let apart = apart(&rows);
            told += usize::from(
                apart.is_some_and(|apart| apart.single.is_some() || apart.pair.is_some()),
            );
        }
        assert!(told <= 4, "{told} of 1,000");
    }

    #[test]
    fn too_few_tell_nothing() {
        let mut rows = vec![row(true, 500, 0); 4];
        rows.extend(vec![row(false, 200, 0); 380]);
        assert_eq!(apart(&rows), None);
    }
}
