//! What was live when a process began to end by itself.

use super::*;
use crate::analysis::Analysis;
use crate::sample::Amount;

fn analysis(text: &str) -> Analysis {
    let mut script = Script::default();
    script.tell(text);
    script.analysis(&Options::default())
}

fn amount(blocks: u64, bytes: u64) -> Amount {
    Amount { blocks, bytes }
}

/// What was live then, and what the tear-down freed of it.
fn before_exit(analysis: &Analysis) -> Option<(Amount, Amount)> {
    let before = analysis.totals.before_exit;
    before.map(|before| (before.live, before.freed))
}

#[test]
fn a_tear_down_frees_makes_and_moves() {
    let analysis = analysis(
        "t1 alloc a 1 @1; t1 alloc b 2 @1; t1 alloc c 4 @2; t1 alloc d 8 @2; t1 free d; t1 exits
         t1 free a; t1 alloc e 16 @1; t1 alloc f 32 @3; t1 free f; t1 realloc b g 64 @3; t2 realloc c c 128 @2
         dies p1",
    );
    assert_eq!(before_exit(&analysis), Some((amount(3, 7), amount(3, 7))));
    assert_eq!(analysis.totals.live_blocks, 3);
    let mut sites: Vec<_> = analysis.sites.iter().collect();
    sites.sort_unstable_by_key(|site| site.id);
    let sites: Vec<_> = sites
        .iter()
        .map(|site| (site.id, site.before_exit, site.live_bytes))
        .collect();
    assert_eq!(
        sites,
        [
            (1, amount(2, 3), 16),
            (2, amount(1, 4), 128),
            (3, amount(0, 0), 64)
        ]
    );
}

#[test]
fn the_first_begin_counts_and_a_child_has_its_own() {
    let analysis = analysis(
        "t1 alloc a 1; fork p1 p2; t1 exits; t1 free a; t1 exits; dies p1
         p2.t1 alloc b 2; p2.t1 free a; p2.t1 exits; p2.t1 free b; dies p2",
    );
    let of = |process: usize| analysis.processes[process].before_exit.map(|b| b.live);
    assert_eq!(of(0), Some(amount(1, 1)));
    assert_eq!(of(1), Some(amount(1, 2)));
}

#[test]
fn a_process_that_did_not_end_by_itself_counts_with_what_is_live() {
    let killed = "t1 alloc a 1; fork p1 p2; p2.t1 alloc b 2; dies p2";
    let analysis_of = |end: &str| analysis(&format!("{killed}; {end}"));
    assert_eq!(before_exit(&analysis_of("dies p1")), None);
    let one = analysis_of("t1 exits; t1 free a; dies p1");
    assert_eq!(one.processes[1].before_exit.map(|before| before.live), None);
    assert_eq!(before_exit(&one), Some((amount(2, 3), amount(1, 1))));
}

#[test]
fn endpoints_have_what_their_requests_held() {
    // `/a` keeps two blocks, of which one is freed before the exit; `/b` never ends.
    let analysis = analysis(
        "t1 waits; t1 accept c1; t1 read c1 GET /a; t1 alloc a 1; t1 alloc b 2; t1 answer c1 200; t1 reads c1
         t1 read c1 GET /b; t1 alloc c 4; t1 free a; t1 exits; t1 free b; t1 free c; t1 alloc d 8; dies p1",
    );
    let figures = analysis.endpoints.iter().map(|endpoint| {
        let label = endpoint.label.as_str();
        (label, endpoint.retained_bytes, endpoint.before_exit)
    });
    let mut figures: Vec<_> = figures.collect();
    figures.sort_unstable_by_key(|row| row.0);
    assert_eq!(
        figures,
        [("GET /a", 3, amount(1, 2)), ("GET /b", 0, amount(1, 4))]
    );
}

/// Answered twice, and the second answer is the last thing before the end.
const ANSWERED: &str =
    "t1 waits; t1 alloc start 100 @1; t1 accept c1; t1 read c1 GET /a; t1 alloc a 10 @2
     t1 answer c1 200; t1 reads c1; t1 read c1 GET /a; t1 alloc b 20 @2; t1 answer c1 200";

/// What grew while it served, and what requests retained.
fn grown(analysis: &Analysis) -> (u64, u64) {
    let retained = analysis.endpoints.iter();
    let retained = retained.map(|endpoint| endpoint.retained_bytes).sum();
    (analysis.growth.bytes(), retained)
}

#[test]
fn a_request_ends_where_its_thread_begins_the_exit() {
    // Interpreters wait for threads and locks amid their tear-down.
    let analysis = analysis(&format!(
        "{ANSWERED}; t1 exits; t1 alloc c 40 @3; t1 free start; t1 free a; t1 free b; t1 lock; t1 free c; dies p1"
    ));
    assert_eq!(grown(&analysis), (30, 30));
    let survivors = analysis.requests.iter().map(|one| one.survivor_blocks);
    assert_eq!(survivors.collect::<Vec<_>>(), [1, 1]);
    // What its thread tidies up before is no survivor.
    let analysis = self::analysis(&format!(
        "{ANSWERED}; t1 free b; t1 exits; t1 free a; t1 free start; t1 lock; dies p1"
    ));
    assert_eq!(grown(&analysis), (10, 10));
}

#[test]
fn what_others_free_before_the_end_was_live_while_it_served() {
    let analysis = analysis(&format!("{ANSWERED}; t2 free start; t2 free a; dies p1"));
    assert_eq!(grown(&analysis), (30, 30));
}
