//! Ranges, by hand.

use super::super::judged::JudgedGroup;
use super::spans::{candidates, fewest, made_by};
use super::*;
use crate::ledger::{Certain, Retained};
use crate::requests::record::RequestId;
use crate::sites::{Frame, Module, NO_SITE};

const LABEL: LabelId = 0;
const OTHER: LabelId = 1;

/// One request after the other: every second is of `LABEL`.
fn records() -> Vec<Record> {
    let record = |at: u64| {
        let label = if at.is_multiple_of(2) { LABEL } else { OTHER };
        Record::answered(label, (at * 100, at * 100 + 50))
    };
    (0..10).map(record).collect()
}

#[test]
fn what_nobody_in_flight_made_may_be_of_the_last_before() {
    let span = |request, start, end| Span {
        request,
        status: None,
        count: 1,
        start,
        end,
    };
    let spans = [span(1, 30, 40), span(0, 10, 20), span(2, 32, 50)];
    let mut births = made_by(&[5, 15, 25, 33, 60], &spans);
    births.sort_unstable();
    assert_eq!(births, [5, 15, 20, 20, 25, 33, 50, 60]);
    let none = FxHashSet::default();
    assert_eq!(candidates(&[20], &spans, (&none, 0)), 1);
    assert_eq!(candidates(&births, &spans, (&none, 0)), 3);
    assert_eq!(
        candidates(&births, &spans, (&FxHashSet::from_iter([2]), 0)),
        2
    );
    assert_eq!(candidates(&[20], &spans, (&none, 31)), 2);
    assert_eq!(fewest(&[15, 33, 35], &spans, &none), 2);
}

/// What a request kept.
fn kept(request: RequestId, certain: Certain) -> Retained {
    Retained {
        blocks: 5,
        associated: certain != Certain::Request,
        certain,
        ..Retained::block(request, u64::from(request) * 100 + 10)
    }
}

fn site(id: SiteId, outside: Verdict, labels: Vec<JudgedLabel>) -> Judged {
    Judged {
        outside,
        ..Judged::of_labels(id, Verdict::Clean, labels)
    }
}

/// Two ways to one line, and a line of its own.
fn places() -> (Sites, [SiteId; 3]) {
    let mut sites = Sites::default();
    let module = sites.module(Module {
        path: "server".into(),
        build_id: None,
    });
    let mut site = |frames: [u64; 4]| {
        frames.into_iter().fold(NO_SITE, |outer, file_address| {
            let frame = Frame {
                module,
                file_address,
            };
            sites.child(outer, frame)
        })
    };
    let all = [site([1, 5, 6, 7]), site([2, 5, 6, 7]), site([1, 8, 6, 7])];
    (sites, all)
}

fn ranges(sites: &[Judged], unknown: &Unknown, places: &Sites) -> Vec<(LabelId, [u64; 2])> {
    ranges_of(sites, &records(), unknown, places)
}

fn ranges_of(
    sites: &[Judged],
    records: &[Record],
    unknown: &Unknown,
    places: &Sites,
) -> Vec<(LabelId, [u64; 2])> {
    let kept = sites.iter().flat_map(|site| &site.labels);
    let kept = kept.filter(|part| part.verdict.leaks());
    let leaking: Leaking = kept
        .flat_map(|part| &part.retained)
        .map(|kept| (kept.request, (1, 8)))
        .collect();
    let none = FxHashSet::default();
    let verdicts = crate::analyze::endpoints::endpoint_verdicts(sites, places);
    let found = leaking_ranges(
        (sites, &verdicts),
        &leaking,
        records,
        (unknown, [&none, &none]),
        places,
    );
    let mut found: Vec<(LabelId, [u64; 2])> = found.of_labels.into_iter().collect();
    found.sort_unstable();
    found
}

#[test]
fn what_a_rare_way_to_the_line_leaves_may_leak_too() {
    let (places, [common, rare, other]) = places();
    let leaks = || {
        let all = [2, 4, 6].map(|request| kept(request, Certain::Request));
        site(
            common,
            Verdict::Clean,
            vec![JudgedLabel::retaining(LABEL, Verdict::Leak, all.into())],
        )
    };
    let early = |at: SiteId, verdict: Verdict| {
        let first = Retained {
            blocks: 3,
            ..kept(0, Certain::Request)
        };
        let first = vec![first];
        site(
            at,
            Verdict::Clean,
            vec![JudgedLabel::retaining(LABEL, verdict, first)],
        )
    };
    let none = Unknown::default();
    let told = |second: Judged| ranges(&[leaks(), second], &none, &places);
    assert_eq!(told(early(rare, Verdict::WarmUp)), [(LABEL, [3, 4])]);
    assert_eq!(
        told(early(rare, Verdict::TooFewRequests)),
        [(LABEL, [3, 4])]
    );
    assert_eq!(told(early(rare, Verdict::Bounded)), []);
    assert_eq!(told(early(other, Verdict::TooFewRequests)), []);
    // What is as much is a way of its own.
    let mut much = early(rare, Verdict::TooFewRequests);
    much.labels[0].retained[0].blocks = 4;
    assert_eq!(told(much), []);
    // Where nothing proves whose the others are, it may be as much.
    let mut associated = leaks();
    associated.labels[0].retained[0].associated = true;
    let mut much = early(rare, Verdict::TooFewRequests);
    much.labels[0].retained[0].blocks = 4;
    assert_eq!(
        ranges(&[associated, much], &none, &places),
        [(LABEL, [3, 4])]
    );
    // The same of what nobody was found for.
    let nobody = || site(rare, Verdict::WarmUp, Vec::new());
    let unknown: Unknown = [(rare, vec![(0, 810)])].into_iter().collect();
    let found = ranges(&[leaks(), nobody()], &unknown, &places);
    assert_eq!(found, [(LABEL, [3, 4])]);
}

#[test]
fn what_is_young_may_be_freed_yet() {
    let (places, [common, ..]) = places();
    for (certain, range) in [(Certain::Request, [2, 3]), (Certain::Label, [2, 3])] {
        let mut all = [2, 4, 6].map(|request| kept(request, certain));
        all[2].may_go = true;
        let leak = JudgedLabel::retaining(LABEL, Verdict::Leak, all.into());
        let sites = [site(common, Verdict::Clean, vec![leak])];
        assert_eq!(
            ranges(&sites, &Unknown::default(), &places),
            [(LABEL, range)],
            "{certain:?}"
        );
    }
}

#[test]
fn what_grows_and_is_nobodys_may_be_of_whoever_was_there() {
    let (places, [leaking, _, grows]) = places();
    let sites = |certain: Certain| {
        let all = [1, 3, 5].map(|request| kept(request, certain));
        [
            site(
                leaking,
                Verdict::Clean,
                vec![JudgedLabel::retaining(OTHER, Verdict::Leak, all.into())],
            ),
            site(grows, Verdict::Leak, Vec::new()),
        ]
    };
    // Made while requests of LABEL are in flight, but for one.
    let births = [20, 220, 420, 330].map(|born| (0, born));
    let unknown: Unknown = [(grows, births.into())].into_iter().collect();
    let found = ranges(&sites(Certain::Label), &unknown, &places);
    assert!(found.contains(&(LABEL, [0, 3])), "{found:?}");
    // Where all is proved, nothing else is theirs.
    assert_eq!(ranges(&sites(Certain::Request), &unknown, &places), []);
    // What does not grow counts for nobody.
    let mut still = sites(Certain::Label);
    still[1].outside = Verdict::Bounded;
    let found = ranges(&still, &unknown, &places);
    assert!(found.iter().all(|(label, _)| *label == OTHER), "{found:?}");
}

#[test]
fn only_answers_with_a_status_that_leaks_count() {
    let (places, [leaking, ..]) = places();
    let all = [0, 4].map(|request| kept(request, Certain::Neither));
    let mut leaks = JudgedLabel::retaining(LABEL, Verdict::Leak, all.into());
    // Made when the last request had begun: any before may have left it to be done.
    leaks.retained[1].last = 860;
    let ranges_with = |groups: Vec<JudgedGroup>| {
        let mut leaks = JudgedLabel::retaining(LABEL, Verdict::Leak, leaks.retained.clone());
        leaks.groups = groups;
        let site = site(leaking, Verdict::Clean, vec![leaks]);
        ranges(&[site], &Unknown::default(), &places)
    };
    let both = [200, 500].map(|status| JudgedGroup::of_status(status, Verdict::Leak));
    assert_eq!(ranges_with(both.into()), [(LABEL, [0, 5])]);
    let errors = vec![
        JudgedGroup::of_status(200, Verdict::Clean),
        JudgedGroup::of_status(500, Verdict::Leak),
    ];
    assert_eq!(ranges_with(errors), [(LABEL, [0, 0])]);
}

/// One request is in flight at 100 to 150, another label's at 200 to 250.
#[test]
fn who_was_in_flight_or_had_just_ended_may_have_made_it() {
    let span = |start, end| Span {
        request: 0,
        status: None,
        count: 1,
        start,
        end,
    };
    let mine = FxHashMap::from_iter([(0, vec![span(100, 150)])]);
    let other = FxHashMap::from_iter([(0, vec![span(200, 250)])]);
    let all = ends(&FxHashMap::from_iter([(1, mine.clone()), (2, other)]));
    // In flight, left to others, longer ago than it took, and after another one.
    let births = [120, 199, 201, 260].map(|born| (0, born));
    assert_eq!(beside(&births, &mine, &all), [true, true, false, false]);
}

/// A growing buffer of one byte in a thousand does not make the label leak, nor what is undecided less so.
#[test]
fn what_has_no_say_leaves_the_rest_undecided() {
    let (places, [common, rare, _]) = places();
    let all = [2, 4, 6].map(|request| Retained {
        bytes: 80_000,
        ..kept(request, Certain::Request)
    });
    let buffer = vec![kept(8, Certain::Request)];
    let sites = [
        site(
            common,
            Verdict::Clean,
            vec![JudgedLabel::retaining(
                LABEL,
                Verdict::TooFewRequests,
                all.into(),
            )],
        ),
        site(
            rare,
            Verdict::Clean,
            vec![JudgedLabel::retaining(
                LABEL,
                Verdict::GrowingBuffer,
                buffer,
            )],
        ),
    ];
    let found = ranges(&sites, &Unknown::default(), &places);
    assert_eq!(found, [(LABEL, [0, 4])]);
}

/// The first generation of workers comes to the line by another way, from a frame that is among the innermost ones.
#[test]
fn another_way_of_other_processes_may_leak_too() {
    let mut places = Sites::default();
    let module = places.module(Module {
        path: "server".into(),
        build_id: None,
    });
    let mut way = |outer: u64| {
        [outer, 5, 6]
            .into_iter()
            .fold(NO_SITE, |outer, file_address| {
                let frame = Frame {
                    module,
                    file_address,
                };
                places.child(outer, frame)
            })
    };
    let [first, later] = [1, 2].map(&mut way);
    let of = |id, verdict, requests: &[RequestId]| {
        let all = requests.iter().map(|id| kept(*id, Certain::Request));
        site(
            id,
            Verdict::Clean,
            vec![JudgedLabel::retaining(LABEL, verdict, all.collect())],
        )
    };
    let sites = [
        of(later, Verdict::Leak, &[4, 6, 8]),
        of(first, Verdict::WarmUp, &[0, 2]),
    ];
    let mut apart = records();
    apart
        .iter_mut()
        .take(4)
        .for_each(|record| record.process = 1);
    assert_eq!(
        ranges_of(&sites, &apart, &Unknown::default(), &places),
        [(LABEL, [3, 5])]
    );
    // Where a process has both ways, they are two.
    assert_eq!(ranges(&sites, &Unknown::default(), &places), []);
}
