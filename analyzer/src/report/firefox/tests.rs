//! Profiles of the examples.

use super::*;
use crate::analysis::course::Course;
use crate::analysis::{SiteCell, Verdict};
use crate::report::example::{self, Example};
use crate::sample::Amount;

fn profile(example: &Example, what: What) -> Value {
    let options = Options {
        what,
        ..Options::default()
    };
    serde_json::from_str(&example.print(&options, firefox)).unwrap()
}

fn column<'v>(table: &'v Value, name: &str) -> &'v Vec<Value> {
    let column = table[name].as_array();
    let column = column.unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(table["length"], column.len(), "{name}");
    column
}

/// That every index of a column lies in a table of so many rows, or is null.
fn refers(column: &[Value], rows: usize) {
    for index in column.iter().filter(|index| !index.is_null()) {
        assert!((index.as_u64().unwrap() as usize) < rows);
    }
}

#[test]
fn tables_refer_to_each_other_and_weights_add_up() {
    for example in [example::leaking(), example::torn_down(), example::plain()] {
        for what in [What::Retained, What::Survivors, What::Live] {
            let profile = profile(&example, what);
            let shared = &profile["shared"];
            let texts = shared["stringArray"].as_array().unwrap().len();
            let categories = profile["meta"]["categories"].as_array().unwrap();
            let (frames, stacks) = (&shared["frameTable"], &shared["stackTable"]);
            let functions = column(&shared["funcTable"], "name");
            refers(functions, texts);
            refers(column(&shared["sources"], "filename"), texts);
            refers(column(frames, "func"), functions.len());
            refers(column(frames, "category"), categories.len());
            refers(column(stacks, "frame"), column(frames, "line").len());
            for (at, prefix) in column(stacks, "prefix").iter().enumerate() {
                assert!(prefix.as_u64().is_none_or(|prefix| prefix < at as u64));
            }
            let thread = &profile["threads"][0];
            let samples = &thread["samples"];
            refers(column(samples, "stack"), column(stacks, "frame").len());
            let times: Vec<f64> = column(samples, "time")
                .iter()
                .map(|time| time.as_f64().unwrap())
                .collect();
            assert!(times.is_sorted());
            refers(column(&thread["markers"], "category"), categories.len());
            refers(column(&thread["markers"], "name"), texts);
            let weights = column(samples, "weight").iter();
            let weights: u64 = weights.map(|weight| weight.as_u64().unwrap()).sum();
            let analysis = &example.analysis;
            let all = super::super::samples::sampled(analysis, &example.sites)
                .flat_map(|site| super::super::samples::samples(analysis, site));
            let all: u64 = all.map(|sample| what.of(&sample).bytes).sum();
            assert_eq!(weights, all);
        }
    }
}

#[test]
fn what_is_retained_stands_where_its_requests_began() {
    let mut example = example::leaking();
    let half = Amount {
        blocks: 1,
        bytes: 1000,
    };
    let cell = SiteCell {
        endpoint: 0,
        status: Some(200),
        process: 0,
        verdict: Verdict::Leak,
        requests: 2,
        retained: Amount {
            blocks: 2,
            bytes: 2500,
        },
        associated: half,
        leaked: half,
        leaking_requests: 1,
        leaked_squares: 0.0,
        early: Default::default(),
        before_exit: Amount::default(),
    };
    let site = &mut example.analysis.sites[0];
    let id = site.id;
    site.cells = vec![cell];
    example.analysis.sites.truncate(1);
    example.analysis.course = Some(Course {
        lived: Vec::new(),
        kept: vec![Kept {
            site: id,
            endpoint: 0,
            status: Some(200),
            period: 3,
            retained: half,
            associated: half,
            leaked: half,
        }],
    });
    let profile = profile(&example, What::Retained);
    let samples = &profile["threads"][0]["samples"];
    let duration = example.facts.duration_ns as f64 / 1e6;
    for (at, (time, bytes)) in [(duration * 3.0 / 48.0, 1000), (duration, 1500)]
        .into_iter()
        .enumerate()
    {
        assert!((samples["time"][at].as_f64().unwrap() - time).abs() < 0.001);
        assert_eq!(samples["weight"][at], bytes);
    }
    assert_eq!(samples["length"], 2);
}
