//! Servers whose memory follows a known law, under traffic at random: is what leaks called a leak, and nothing else?
//!
//! A law is a piece of code that keeps and frees blocks as requests come ([`catalogue`]); [`traffic`] says which
//! come when, and to which process; [`world`] tells what happens to the analyzer, event by event, and knows from
//! the blocks' histories what the run can show. `scripts/laws` runs many seeds and writes `tests/truth/laws.md`.

mod caches;
mod catalogue;
mod collectors;
mod dice;
mod law;
mod leaks;
mod table;
mod tables;
mod traffic;
mod world;

use std::env;

use catalogue::LAWS;
use law::{Law, Truth};
use table::{Row, is_wrong, lines};
use traffic::{Traffic, kinds};
use world::Run;

/// Of a law's runs that show that it does not leak, so many of a hundred may be called a leak.
const FALSE: f64 = 1.0;
/// Of those that show that it leaks, so many may be undecided: two tests say of one in a hundred each that it ends.
/// These are few runs: two standard errors are allowed besides.
const MISSED: f64 = 3.0;
/// Seeds of each law in the tests, each under another traffic.
const SEEDS: u64 = 4;

/// What came of a law.
struct Judged {
    law: &'static Law,
    /// In exact traces, and in sampled ones.
    rows: [Row; 2],
    /// Runs that were judged falsely.
    wrong: Vec<String>,
}

/// Runs a law with so many seeds: each under one kind of traffic in turn, or under all.
fn judge(law: &'static Law, seeds: u64, all: bool) -> Judged {
    let mut judged = Judged {
        law,
        rows: Default::default(),
        wrong: Vec::new(),
    };
    let kinds = kinds();
    for seed in 1..=seeds {
        let one = std::slice::from_ref(&kinds[seed as usize * 5 % kinds.len()]);
        for traffic in if all { &kinds } else { one } {
            judged.add(*traffic, seed);
        }
    }
    judged
}

impl Judged {
    fn add(&mut self, traffic: Traffic, seed: u64) {
        for (sampled, row) in [false, true].into_iter().zip(&mut self.rows) {
            let run = Run {
                law: self.law,
                traffic,
                seed,
                sampled,
            };
            let outcome = run.outcome();
            row.add(self.law, &outcome);
            if is_wrong(self.law, &outcome) {
                let trace = if sampled { "sampled" } else { "exact" };
                self.wrong.push(format!(
                    "{}; {traffic}; {trace}, seed {seed}; shows it: {}; {:?}: {}",
                    self.law.name, outcome.shown, outcome.verdict, outcome.text,
                ));
            }
        }
    }

    fn holds(&self) -> bool {
        let holds = |row: &Row| {
            let part = |percent: f64| row.shown.runs as f64 * percent / 100.0;
            let allowed = match self.law.truth {
                Truth::Holds(_) => part(FALSE),
                Truth::Leaks | Truth::Grows => part(MISSED) + 2.0 * part(MISSED).sqrt(),
            };
            row.shown.wrong <= allowed.ceil() as usize
        };
        !self.law.exception.is_empty() || self.rows.iter().all(holds)
    }
}

/// `LAWS_SEEDS` seeds under all traffic, of laws whose name contains `LAWS_ONLY`; what comes of it goes to the file
/// `LAWS_TABLE`, and runs that were judged falsely beside it. Without them a few seeds.
#[test]
fn laws_get_their_verdicts() {
    let set = |name| env::var(name).ok();
    let seeds = set("LAWS_SEEDS").and_then(|seeds| seeds.parse().ok());
    let only = set("LAWS_ONLY").unwrap_or_default();
    let laws = LAWS.iter().filter(|law| law.name.contains(&only));
    let laws: Vec<&'static Law> = laws.collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let judged = std::thread::scope(|scope| {
        let part = |at: usize| {
            let mine: Vec<&'static Law> = laws.iter().skip(at).step_by(threads).copied().collect();
            let judge = |law| judge(law, seeds.unwrap_or(SEEDS), seeds.is_some());
            scope.spawn(move || mine.into_iter().map(judge).collect::<Vec<Judged>>())
        };
        let parts: Vec<_> = (0..threads).map(part).collect();
        let parts = parts.into_iter().map(|part| part.join().unwrap());
        let mut parts: Vec<_> = parts.map(Vec::into_iter).collect();
        (0..laws.len())
            .filter_map(|at| parts[at % threads].next())
            .collect::<Vec<Judged>>()
    });
    if let Some(path) = set("LAWS_TABLE") {
        let rows: String = judged.iter().map(|of| lines(of.law, &of.rows)).collect();
        let named = judged.iter().filter(|of| !of.law.exception.is_empty());
        let named: String = named
            .map(|of| format!("- **{}**: {}\n", of.law.name, of.law.exception))
            .collect();
        std::fs::write(&path, format!("{rows}\n{named}")).unwrap();
        let wrong: Vec<&str> = judged
            .iter()
            .flat_map(|of| &of.wrong)
            .map(String::as_str)
            .collect();
        std::fs::write(format!("{path}.wrong"), wrong.join("\n")).unwrap();
    }
    let wrong = judged.iter().filter(|of| !of.holds());
    let wrong: Vec<&str> = wrong.flat_map(|of| &of.wrong).map(String::as_str).collect();
    assert!(wrong.is_empty(), "judged falsely:\n{}", wrong.join("\n"));
}
