//! Call sites under known laws, with the traffic at random: how often each is called a leak. A visit is a request
//! that reaches the site; it keeps something or not, which is freed at a later visit or never. Rates are over 200
//! seeds of each law, those that are allowed are the measured ones, rounded up.

use super::*;

/// A small generator of pseudo-random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.next()
    }

    fn count(&mut self, from: usize, to: usize) -> usize {
        self.between(from as f64, to as f64) as usize
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.next()).ln()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.next()).ln()).sqrt() * (2.0 * std::f64::consts::PI * self.next()).cos()
    }
}

/// Which group a visit belongs to, and what became of what it kept.
#[derive(Clone, Copy, Debug)]
struct Visit {
    group: u32,
    keeps: bool,
    /// Freed at this visit.
    death: Option<usize>,
}

fn keeps(death: usize, visits: usize) -> Visit {
    Visit {
        group: 0,
        keeps: true,
        death: (death < visits).then_some(death),
    }
}

const NOTHING: Visit = Visit {
    group: 0,
    keeps: false,
    death: None,
};
const FOR_EVER: Visit = Visit {
    group: 0,
    keeps: true,
    death: None,
};

/// Whether any group of the site's is called a leak.
fn leaks(visits: &[Visit]) -> bool {
    let ended = visits.len() as u64;
    let of = |group: u32| {
        let mut lives = GroupLives {
            label: group,
            status: None,
            births: Default::default(),
            keepings: 0,
            freed: Default::default(),
        };
        let mut keepings = Vec::new();
        for (at, visit) in visits.iter().enumerate() {
            if visit.group == group && visit.keeps {
                lives.births.add(at as u64, 1);
                lives.keepings += 1;
                keepings.push(at);
            }
        }
        for at in &keepings {
            if let Some(death) = visits[*at].death {
                let life = (death - at) as u64;
                let since = keepings
                    .iter()
                    .filter(|other| **other > *at && **other <= death)
                    .count();
                let lived = [life, life, since as u64, life];
                for (lives, life) in lives.freed.iter_mut().zip(lived) {
                    lives.add(life);
                }
            }
        }
        let kept = keepings
            .iter()
            .filter(|at| visits[**at].death.is_none())
            .map(|at| {
                let age = ended - 1 - *at as u64;
                let since = keepings.iter().filter(|other| *other > at).count() as u64;
                Kept {
                    request: *at as u32,
                    order: *at as u64,
                    age: [Some(age), Some(age), Some(since), Some(age)],
                    first: false,
                }
            });
        let kept: Vec<Kept> = kept.collect();
        (lives, kept)
    };
    let groups = [of(0), of(1)];
    let mut freed: [Lives; MEASURES] = Default::default();
    for (lives, _) in &groups {
        for (sum, lives) in freed.iter_mut().zip(&lives.freed) {
            sum.merge(lives);
        }
    }
    (0..2).any(|group| {
        let (lives, kept) = &groups[group as usize];
        let orders = visits
            .iter()
            .enumerate()
            .filter(|(_, visit)| visit.group == group);
        let judged = Group {
            processes: vec![InProcess {
                orders: orders.map(|(at, _)| at as u64).collect(),
                ended,
                kept: kept.clone(),
                lives: Some(lives),
                mass_death: None,
                unowned: None,
            }],
            freed: freed.clone(),
            survivors: lives.keepings,
            newest: 1,
            ..Group::default()
        };
        judged.judge().0 == Verdict::Leak
    })
}

/// How many of 200 worlds of this law are called a leak.
fn rate(law: impl Fn(&mut Dice) -> Vec<Visit>) -> usize {
    (1..=200)
        .filter(|seed| leaks(&law(&mut Dice(*seed))))
        .count()
}

fn lru(visits: usize, capacity: usize) -> Vec<Visit> {
    (0..visits).map(|at| keeps(at + capacity, visits)).collect()
}

fn collector(visits: usize, every: usize) -> Vec<Visit> {
    (0..visits)
        .map(|at| keeps((at / every + 1) * every, visits))
        .collect()
}

fn keyed(dice: &mut Dice, visits: usize, keys: usize) -> Vec<Visit> {
    let mut seen = vec![false; keys];
    let visit = |_| match std::mem::replace(&mut seen[dice.count(0, keys)], true) {
        true => NOTHING,
        false => FOR_EVER,
    };
    (0..visits).map(visit).collect()
}

/// Some of the visits fail, and keep for ever; the others keep by `base`.
fn failing(base: Vec<Visit>, fails: impl Fn(usize) -> bool) -> Vec<Visit> {
    let visit = |(at, visit): (usize, Visit)| match fails(at) {
        true => Visit {
            group: 1,
            ..FOR_EVER
        },
        false => visit,
    };
    base.into_iter().enumerate().map(visit).collect()
}

/// A shape of memory: its name, how often it is tried, and one run's visits.
type Law<'a> = (&'a str, usize, &'a dyn Fn(&mut Dice) -> Vec<Visit>);

#[test]
fn what_does_not_leak_is_not_called_a_leak() {
    let laws: [Law<'_>; 9] = [
        ("LRU", 1, &|dice| {
            let visits = dice.count(60, 2_000);
            lru(
                visits,
                (visits as f64 * dice.between(0.02, 0.9)) as usize + 1,
            )
        }),
        ("collector", 1, &|dice| {
            let visits = dice.count(60, 2_000);
            collector(
                visits,
                (visits as f64 * dice.between(0.005, 0.3)) as usize + 2,
            )
        }),
        ("random lives", 1, &|dice| {
            let visits = dice.count(100, 2_000);
            let mean = visits as f64 * dice.between(0.01, 0.1);
            (0..visits)
                .map(|at| keeps(at + 1 + dice.exponential(mean) as usize, visits))
                .collect()
        }),
        ("lognormal lives", 2, &|dice| {
            let visits = dice.count(200, 2_000);
            let (mean, sigma) = (
                visits as f64 * dice.between(0.003, 0.03),
                dice.between(0.5, 1.3),
            );
            (0..visits)
                .map(|at| {
                    keeps(
                        at + 1 + (mean * (sigma * dice.normal()).exp()) as usize,
                        visits,
                    )
                })
                .collect()
        }),
        ("map of k keys", 2, &|dice| {
            let visits = dice.count(100, 2_000);
            let keys = (visits as f64 * dice.between(0.02, 0.3)) as usize + 1;
            keyed(dice, visits, keys)
        }),
        ("warm-up", 1, &|dice| {
            let visits = dice.count(40, 2_000);
            let warm = (visits as f64 * dice.between(0.005, 0.15)) as usize + 1;
            (0..visits)
                .map(|at| if at < warm { FOR_EVER } else { NOTHING })
                .collect()
        }),
        ("connection state, freed at the close", 1, &|dice| {
            let (visits, each) = (dice.count(100, 2_000), dice.count(5, 40));
            let keep = |at: usize| match at % each {
                0 => keeps(at + each, visits),
                _ => NOTHING,
            };
            (0..visits).map(keep).collect()
        }),
        ("sawtooth by count", 1, &|dice| {
            let (visits, full) = (dice.count(100, 2_000), dice.count(8, 60));
            collector(visits, full)
        }),
        ("ring fed by errors, after an outage", 1, &|dice| {
            let (visits, ring) = (dice.count(400, 2_000), dice.count(8, 30));
            let outage = visits / 2;
            let mut fed: Vec<usize> = Vec::new();
            let mut all = vec![NOTHING; visits];
            for at in 0..visits {
                let rate = if at > outage && at < outage + 4 * ring {
                    1.0
                } else {
                    0.02
                };
                if dice.next() < rate {
                    all[at] = FOR_EVER;
                    fed.push(at);
                    if fed.len() > ring {
                        all[fed[fed.len() - 1 - ring]].death = Some(at);
                    }
                }
            }
            all
        }),
    ];
    for (name, allowed, law) in laws {
        let called = rate(law);
        assert!(
            called <= allowed,
            "{name}: {called} of 200 are called leaks"
        );
    }
}

#[test]
fn what_leaks_is_found() {
    let laws: [Law<'_>; 9] = [
        ("steady", 200, &|dice| {
            let (visits, part) = (dice.count(20, 1_000), dice.between(0.2, 1.0));
            (0..visits)
                .map(|_| {
                    if dice.next() < part {
                        FOR_EVER
                    } else {
                        NOTHING
                    }
                })
                .collect()
        }),
        ("rare", 190, &|dice| {
            let (visits, part) = (dice.count(500, 2_000), dice.between(0.01, 0.05));
            (0..visits)
                .map(|_| {
                    if dice.next() < part {
                        FOR_EVER
                    } else {
                        NOTHING
                    }
                })
                .collect()
        }),
        ("late", 200, &|dice| {
            let (visits, last) = (dice.count(100, 1_000), dice.count(8, 40));
            (0..visits)
                .map(|at| {
                    if at + last >= visits {
                        FOR_EVER
                    } else {
                        NOTHING
                    }
                })
                .collect()
        }),
        ("failing ones at the end, others collected", 150, &|dice| {
            let (visits, bad) = (dice.count(60, 600), dice.count(6, 12));
            failing(collector(visits, 3), |at| at + bad >= visits)
        }),
        ("failing ones at the start", 180, &|dice| {
            let (visits, bad, every) = (dice.count(60, 600), dice.count(4, 12), dice.count(2, 9));
            failing(collector(visits, every), |at| at < bad)
        }),
        ("failing ones in the middle", 195, &|dice| {
            let (visits, bad, every) = (dice.count(60, 600), dice.count(4, 12), dice.count(2, 9));
            failing(collector(visits, every), |at| {
                (visits / 2..visits / 2 + bad).contains(&at)
            })
        }),
        ("failing ones strewn among collected", 190, &|dice| {
            let (visits, every) = (dice.count(100, 1_000), dice.count(2, 9));
            let step = visits / dice.count(6, 20);
            failing(collector(visits, every), |at| at % step == step / 2)
        }),
        ("failing ones strewn among a cache", 185, &|dice| {
            let (visits, capacity) = (dice.count(200, 1_000), dice.count(2, 20));
            let step = visits / dice.count(6, 20);
            failing(lru(visits, capacity), |at| at % step == step / 2)
        }),
        ("a hidden share of one group", 190, &|dice| {
            let (visits, part, every) = (
                dice.count(200, 2_000),
                dice.between(0.03, 0.3),
                dice.count(2, 9),
            );
            let base = collector(visits, every);
            base.into_iter()
                .map(|visit| if dice.next() < part { FOR_EVER } else { visit })
                .collect()
        }),
    ];
    for (name, wanted, law) in laws {
        let called = rate(law);
        assert!(called >= wanted, "{name}: only {called} of 200 are found");
    }
}

/// What is made of workers of 25 requests each, one after another in fours, of whose requests those keep a block
/// for ever that `keeps`. A worker that keeps nothing has no part in the call site.
fn of_workers(keeps: impl Fn(u32) -> bool) -> Verdict {
    const WORKERS: u32 = 12;
    const EACH: u32 = 25;
    let everywhere: Vec<RequestId> = (0..WORKERS * EACH).collect();
    let request = |worker: u32, order: u32| (worker / 4 * EACH + order) * 4 + worker % 4;
    let process = |worker: u32| {
        let kept = (0..EACH).filter(|order| keeps(request(worker, *order)));
        let age = |order: u32| Some(u64::from(EACH - 1 - order));
        let mut kept: Vec<Kept> = kept
            .map(|order| Kept {
                request: request(worker, order),
                order: u64::from(order),
                age: [age(order); MEASURES],
                first: false,
            })
            .collect();
        kept.first_mut()?.first = true;
        Some(InProcess {
            orders: (0..u64::from(EACH)).collect(),
            ended: u64::from(EACH),
            kept,
            ..InProcess::default()
        })
    };
    let processes: Vec<InProcess<'_>> = (0..WORKERS).filter_map(process).collect();
    let survivors = processes.iter().map(|process| process.kept.len() as u64);
    let group = Group {
        survivors: survivors.sum(),
        processes,
        everywhere: &everywhere,
        newest: 1,
        ..Group::default()
    };
    group.judge().0
}

#[test]
fn what_the_first_workers_keep_is_no_leak_of_those_that_replace_them() {
    assert_eq!(of_workers(|request| request < 12), Verdict::WarmUp);
    assert_eq!(of_workers(|_| true), Verdict::Leak);
    assert_eq!(of_workers(|request| request % 7 == 3), Verdict::Leak);
    assert_eq!(of_workers(|request| request > 250), Verdict::Leak);
}
