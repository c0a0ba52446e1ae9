//! The JSON report and its schema say the same: every report that any test reads is checked (`Report::with`); here, that
//! the check sees a difference wherever there is one.

use leak_tests::artifacts;
use leak_tests::report::Report;
use leak_tests::schema::faults;
use serde_json::{Value, json};

/// The report of a kept trace, with two items of each array: what is wrong in one is wrong in all.
fn report() -> Value {
    let trace = artifacts::source("traces/version-4.trace");
    let mut report = Report::of(&trace).json;
    shorten(&mut report);
    assert_eq!(faults(&report), [""; 0]);
    report
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.truncate(2);
            items.iter_mut().for_each(shorten);
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// The JSON pointers of all values of `value`.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(place, item)| pointers(item, &format!("{at}/{place}"), found));
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            fields.for_each(|(name, field)| pointers(field, &format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

fn all_pointers(report: &Value) -> Vec<String> {
    let mut found = Vec::new();
    pointers(report, "", &mut found);
    assert!(found.len() > 400, "{} values", found.len());
    found
}

#[test]
fn every_field_is_required() {
    let report = report();
    let mut removed = 0;
    for pointer in all_pointers(&report) {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        let mut without = report.clone();
        let parent = without.pointer_mut(parent).expect("a parent");
        if let Some(fields) = parent.as_object_mut()
            && fields.remove(name).is_some()
        {
            assert_ne!(faults(&without), [""; 0], "{pointer} may be missing");
            removed += 1;
        }
    }
    assert!(removed > 300, "{removed} fields");
}

#[test]
fn every_value_has_a_type() {
    let report = report();
    for pointer in all_pointers(&report) {
        let mut other = report.clone();
        let value = other.pointer_mut(&pointer).expect("a value");
        *value = json!([{ "of another": "type" }]);
        assert_ne!(faults(&other), [""; 0], "{pointer} may be anything");
    }
}

#[test]
fn fields_that_are_not_described_are_seen() {
    let report = report();
    for pointer in all_pointers(&report) {
        let mut more = report.clone();
        let value = more.pointer_mut(&pointer).expect("a value");
        if let Some(fields) = value.as_object_mut() {
            fields.insert("more".into(), json!(1));
            assert_eq!(faults(&more).len(), 1, "{pointer}");
        }
    }
}

#[test]
fn limits_are_seen() {
    let report = report();
    for (pointer, wrong) in [
        ("/schema", json!(2)),
        ("/trace/ended", json!("somehow")),
        ("/trace/events", json!(-1)),
        ("/trace/events", json!(1.5)),
        ("/growth/explained_share", json!(1.1)),
        ("/endpoints/0/verdict", json!("fine")),
        ("/endpoints/0/leaking_requests_range", json!([1])),
        ("/endpoints/0/leaking_requests_range", json!([1, 2, 3])),
        ("/sites/0/fingerprint", json!("12")),
        ("/sites/0/fingerprint", json!("12345678901234567")),
    ] {
        let mut other = report.clone();
        *other.pointer_mut(pointer).expect("a value") = wrong.clone();
        assert_ne!(faults(&other), [""; 0], "{pointer} may be {wrong}");
    }
}
