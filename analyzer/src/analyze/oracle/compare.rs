//! The comparison itself.

use std::collections::{HashMap, HashSet};

use super::super::script::Script;
use super::super::{Options, Scope};
use super::{Block, Oracle, exit, random};
use crate::analysis::Analysis;
use crate::sites::Sites;

/// A request's figures, or a process's, as one line.
type Lines = Vec<String>;

fn by_oracle(script: &Script) -> Lines {
    let oracle = Oracle::new(script);
    let owned: Vec<(&Block, Option<(usize, bool)>)> = oracle
        .blocks
        .iter()
        .filter(|block| !block.inherited)
        .map(|block| (block, oracle.owner(block)))
        .collect();
    let live_at = |block: &Block, step: usize| block.ended.is_none_or(|ended| ended > step);
    let mut lines = Lines::new();
    for (id, request) in oracle.requests.iter().enumerate() {
        if request.void {
            continue;
        }
        let mine = || {
            owned
                .iter()
                .filter(move |(_, owner)| owner.is_some_and(|owner| owner.0 == id))
        };
        let sum = |keep: &dyn Fn(&Block) -> bool| {
            let kept = mine().filter(|(block, _)| keep(block));
            kept.fold((0, 0), |sum, (block, _)| (sum.0 + 1, sum.1 + block.size))
        };
        let holds = |block: &Block| oracle.owner(block).is_some_and(|owner| owner.1);
        let process = oracle.process_at(id, usize::MAX);
        // One that ends with its process, ends there for its blocks.
        let end = request.end.map(|end| match request.last {
            true => oracle.died(process),
            false => end,
        });
        let survives = |block: &Block| {
            end.is_some_and(|end| {
                let there =
                    oracle.died(block.process) > end || request.last && block.process == process;
                block.born < end && live_at(block, end.max(oracle.known_from(block))) && there
            })
        };
        let retained = |block: &Block| {
            let with_its_process = request.last && block.process == process;
            survives(block) && (with_its_process || oracle.retained(block, end.unwrap_or(0)))
        };
        lines.push(format!(
            "{} x{} {} {}..{:?} p{} all {:?} live {:?} survive {:?} retained {:?}",
            request.label,
            request.count,
            request.status,
            request.begin,
            request.end,
            process,
            sum(&|_| true),
            sum(&|block| block.ended.is_none() && holds(block)),
            sum(&survives),
            sum(&|block| retained(block) && holds(block)),
        ));
    }
    for process in 0..script.facts.processes.len() as u32 {
        let all = || {
            oracle
                .blocks
                .iter()
                .filter(move |block| block.process == process)
        };
        let count = |keep: &dyn Fn(&Block) -> bool| {
            let kept = all().filter(|block| keep(block));
            kept.fold((0, 0), |sum, block| (sum.0 + 1, sum.1 + block.size))
        };
        lines.push(format!(
            "process {process}: {} {} {} live {:?} inherited {:?}",
            count(&|block| !block.inherited && !block.reallocated).0,
            oracle.frees.get(&process).unwrap_or(&0),
            count(&|block| !block.inherited && block.reallocated).0,
            count(&|block| !block.inherited && block.ended.is_none()),
            count(&|block| block.inherited && block.ended.is_none()),
        ));
    }
    let outside = owned.iter().filter(|(_, owner)| owner.is_none());
    lines.push(format!(
        "outside {} unknown frees {}",
        outside.count(),
        oracle.unknown_frees
    ));
    lines.sort();
    lines
}

/// How many requests have a block of their own from each call site.
fn requests_by_site(script: &Script) -> HashMap<u32, u64> {
    let oracle = Oracle::new(script);
    let own = oracle.blocks.iter().filter(|block| !block.inherited);
    let reached: HashSet<(u32, usize)> = own
        .filter_map(|block| Some((block.site, oracle.owner(block)?.0)))
        .filter(|(_, request)| !oracle.requests[*request].void)
        .collect();
    let mut by_site = HashMap::new();
    for (site, request) in reached {
        *by_site.entry(site).or_default() += u64::from(oracle.requests[request].count);
    }
    by_site
}

fn by_stream(analysis: &Analysis) -> Lines {
    let mut lines = Lines::new();
    for request in &analysis.requests {
        lines.push(format!(
            "{} x{} {} {}..{:?} p{} all {:?} live {:?} survive {:?} retained {:?}",
            analysis.endpoints[request.endpoint as usize].label,
            request.count,
            request.status.unwrap_or(0),
            // Stamps are numbered from 1, steps from 0.
            request.start_ns - 1,
            request.end_ns.map(|end| end - 1),
            request.process,
            (request.allocations, request.allocated_bytes),
            (request.live_blocks, request.live_bytes),
            (request.survivor_blocks, request.survivor_bytes),
            (request.retained_blocks, request.retained_bytes),
        ));
    }
    for (process, figures) in analysis.processes.iter().enumerate() {
        lines.push(format!(
            "process {process}: {} {} {} live {:?} inherited {:?}",
            figures.allocations,
            figures.frees,
            figures.reallocations,
            (figures.live_blocks, figures.live_bytes),
            (figures.inherited_live_blocks, figures.inherited_live_bytes),
        ));
    }
    lines.push(format!(
        "outside {} unknown frees {}",
        analysis.totals.outside.allocations, analysis.totals.unknown_frees
    ));
    lines.sort();
    lines
}

#[test]
fn random_traces_give_what_the_rules_say() {
    for seed in 1..=2400 {
        let length = 20 + (seed as usize % 7) * 30;
        let (script, text) = random::script(seed, length);
        // Association looks at all blocks together, and has tests of its own.
        let options = Options {
            scope: Scope::Thread,
            ..Options::default()
        };
        let analysis = script.analysis(&options);
        let in_runs = script.analysis_in_runs(&options);
        assert_eq!(
            by_stream(&in_runs),
            by_stream(&analysis),
            "seed {seed}:\n{text}"
        );
        // What nobody owns is counted by when it was born; in a run all blocks are born at once.
        let totals = [&in_runs, &analysis].map(|analysis| {
            let mut totals = analysis.totals.clone();
            totals.ownership = Default::default();
            format!("{totals:?}")
        });
        assert_eq!(totals[0], totals[1], "seed {seed}:\n{text}");
        let reached = requests_by_site(&script);
        for site in &analysis.sites {
            let requests = reached.get(&site.id).copied().unwrap_or(0);
            assert_eq!(
                site.requests, requests,
                "seed {seed}, site {}:\n{text}",
                site.id
            );
        }
        let (oracle, stream) = (by_oracle(&script), by_stream(&analysis));
        if oracle != stream {
            let missing: Vec<_> = oracle
                .iter()
                .filter(|line| !stream.contains(line))
                .collect();
            let surplus: Vec<_> = stream
                .iter()
                .filter(|line| !oracle.contains(line))
                .collect();
            let steps = script.steps.iter().enumerate();
            let steps: Vec<String> = steps.map(|(at, step)| format!("{at}: {step:?}")).collect();
            panic!(
                "seed {seed}:\n{text}\n{}\noracle: {missing:#?}\nstream: {surplus:#?}",
                steps.join("\n")
            );
        }
        for analysis in [&analysis, &in_runs] {
            if let Err(different) = exit::compare(&script, analysis) {
                panic!("seed {seed}: {different}\n{text}");
            }
        }
    }
}

#[test]
fn sums_of_random_traces_add_up() {
    for seed in 1..=600 {
        let length = 20 + (seed as usize % 7) * 60;
        let (script, text) = random::script(seed, length);
        let analysis = script.analysis(&Options::default());
        let of = format!("seed {seed}:\n{text}");
        super::super::tests::assert_sums(&analysis, &Sites::default(), &of);
    }
}
