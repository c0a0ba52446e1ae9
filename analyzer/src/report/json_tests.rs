//! The JSON report against the schema, field by field.

use serde_json::{Value, json};

use super::example;
use super::{Options, RequestFilter};

fn printed(example: &example::Example, requests: RequestFilter) -> Value {
    let options = Options {
        requests,
        ..Options::default()
    };
    serde_json::from_str(&example.print(&options, super::json)).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object();
    object
        .map(|o| o.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// Every name that the schema has; fields may be added, never renamed.
const SCHEMA: &[(&str, &str)] = &[
    (
        "",
        "schema trace processes totals growth timeline requests endpoints sites sites_left_out modules",
    ),
    (
        "/trace",
        "path tool_version host started_at duration_ns ended complete events dropped_events \
         waited_ns sample_bytes boundaries warnings unseen",
    ),
    ("/trace/warnings/0", "code text"),
    ("/trace/unseen/0", "port connections reason"),
    (
        "/processes/0",
        "id pid parent_id executable arguments end exit_code signal requests allocations frees \
         reallocations live_blocks live_bytes before_exit_blocks before_exit_bytes inherited_live_blocks \
         inherited_live_bytes",
    ),
    (
        "/totals",
        "allocations frees reallocations allocated_bytes live_blocks live_bytes before_exit_blocks \
         before_exit_bytes peak_live_bytes \
         unknown_frees python_live_blocks python_live_bytes outside ownership",
    ),
    ("/totals/outside", "allocations live_blocks live_bytes"),
    (
        "/totals/ownership",
        "proved_bytes associated_bytes unknown_bytes",
    ),
    (
        "/growth",
        "from_bytes to_bytes by_verdict explained_share undecided_bytes",
    ),
    (
        "/timeline/0",
        "t_ns process_id live_bytes rss_bytes requests",
    ),
    (
        "/requests/0",
        "id process_id thread source label count status start_ns end_ns allocations \
         allocated_bytes inferred_blocks live_blocks live_bytes survivor_blocks survivor_bytes \
         retained_blocks retained_bytes",
    ),
    (
        "/endpoints/0",
        "label verdict requests leaking_requests leaking_requests_range proved_blocks proved_bytes \
         associated_blocks associated_bytes survivor_blocks survivor_bytes retained_blocks \
         retained_bytes before_exit_blocks before_exit_bytes inferred_blocks \
         retained_bytes_per_leaking_request site_ids statuses",
    ),
    (
        "/endpoints/0/statuses/0",
        "status requests leaking_requests retained_blocks retained_bytes",
    ),
    (
        "/sites/0",
        "id fingerprint verdict evidence requests survivor_blocks survivor_bytes retained_blocks \
         retained_bytes inferred_blocks live_blocks live_bytes before_exit_blocks before_exit_bytes labels \
         types frames python_frames",
    ),
    ("/sites/0/evidence", "text"),
    (
        "/sites/0/labels/0",
        "label requests retained_blocks retained_bytes",
    ),
    (
        "/sites/0/frames/0",
        "function file line module file_address inlined language",
    ),
    ("/modules/0", "path build_id"),
];

#[test]
fn every_field_of_the_schema_is_there() {
    let report = printed(&example::leaking(), RequestFilter::All);
    for (place, fields) in SCHEMA {
        let there = keys(report.pointer(place).unwrap_or(&Value::Null));
        for field in fields.split_whitespace() {
            assert!(there.contains(&field), "{place}/{field} in {there:?}");
        }
    }
}

#[test]
fn what_is_known_is_told_and_what_is_not_is_null() {
    let report = printed(&example::leaking(), RequestFilter::All);
    let at = |place: &str| report.pointer(place).cloned().unwrap_or(json!("nothing"));
    assert_eq!(at("/schema"), json!(1));
    assert_eq!(at("/trace/started_at"), json!("2023-11-14T22:13:20Z"));
    assert_eq!(at("/trace/ended"), json!("complete"));
    assert_eq!(at("/trace/complete"), json!(true));
    assert_eq!(at("/trace/boundaries"), json!(["http"]));
    assert_eq!(at("/processes/0/parent_id"), Value::Null);
    assert_eq!(at("/processes/0/end"), json!("exit"));
    assert_eq!(at("/processes/0/exit_code"), json!(0));
    assert_eq!(at("/processes/0/signal"), Value::Null);
    assert_eq!(at("/requests/2/count"), json!(3901));
    assert_eq!(at("/requests/0/label"), json!("POST /orders/{id}"));
    assert_eq!(at("/endpoints/0/verdict"), json!("leak"));
    assert_eq!(at("/endpoints/1/verdict"), json!("growing_buffer"));
    assert_eq!(
        at("/endpoints/4/retained_bytes_per_leaking_request"),
        Value::Null
    );
    assert_eq!(at("/sites/0/frames/0/function"), Value::Null);
    assert_eq!(at("/sites/0/frames/0/file_address"), json!(0x9_9000));
    assert_eq!(
        at("/sites/0/frames/0/module"),
        json!("/nowhere/lib/libc.so.6")
    );
    assert_eq!(at("/modules/0/build_id"), Value::Null);
}

#[test]
fn what_was_live_before_the_exit_is_null_where_no_process_had_one() {
    let figures = |example: &example::Example, place: &str| {
        let report = printed(example, RequestFilter::All);
        let row = report.pointer(place).cloned().unwrap_or_default();
        [
            row["before_exit_blocks"].clone(),
            row["before_exit_bytes"].clone(),
        ]
    };
    let torn_down = example::torn_down();
    for place in ["/processes/0", "/totals"] {
        assert_eq!(figures(&torn_down, place), [json!(9_500), json!(1_258_291)]);
    }
    assert_eq!(figures(&torn_down, "/sites/0"), [json!(300), json!(30_000)]);
    assert_eq!(figures(&torn_down, "/sites/1"), [json!(0), json!(0)]);
    let whole = [json!(9_200), json!(1_228_291)];
    assert_eq!(figures(&torn_down, "/sites/2"), whole);
    for place in [
        "/processes/0",
        "/totals",
        "/sites/0",
        "/endpoints/0",
        "/sites_left_out",
    ] {
        assert_eq!(
            figures(&example::leaking(), place),
            [Value::Null, Value::Null],
            "{place}"
        );
    }
}

#[test]
fn requests_can_be_left_out() {
    let requests = |filter| {
        let report = printed(&example::leaking(), filter);
        let requests = report["requests"].as_array().cloned().unwrap_or_default();
        let ids = requests.iter().map(|request| request["id"].as_u64());
        ids.map(Option::unwrap_or_default).collect::<Vec<_>>()
    };
    assert_eq!(requests(RequestFilter::All), [0, 1, 2]);
    assert_eq!(requests(RequestFilter::Leaking), [0, 2]);
    assert_eq!(requests(RequestFilter::None), Vec::<u64>::new());
}

#[test]
fn an_incomplete_trace_says_so() {
    let report = printed(&example::plain(), RequestFilter::All);
    assert_eq!(report["trace"]["ended"], "truncated");
    assert_eq!(report["trace"]["complete"], false);
    assert_eq!(report["trace"]["dropped_events"], 7);
    assert_eq!(report["processes"][0]["end"], "killed");
    assert_eq!(report["processes"][0]["signal"], 9);
    assert_eq!(report["processes"][1]["end"], "running");
    let warnings = report["trace"]["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|w| w["code"] == "missing_module"));
}
