//! JSON reports against `docs/report.schema.json`, and comparisons against `docs/diff.schema.json`, more strictly than a reader is to be: that allows fields which it does
//! not know, so that some may be added; here each field has to be described.
//!
//! Only the keywords that the schema uses are understood, and any other one panics: a schema that says more than is
//! checked would be a test that can't fail.

use std::fs;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::artifacts;

/// Items of one array that are checked: a report may have millions of requests, of one kind.
const ITEMS: usize = 1_000;

/// What a report breaks the schema by, with the place; at most one line for each value.
pub fn faults(report: &Value) -> Vec<String> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    faults_of(report, SCHEMA.get_or_init(|| read("report")))
}

/// The same of what `leak-analyze diff --format json` prints.
pub fn diff_faults(diff: &Value) -> Vec<String> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    faults_of(diff, SCHEMA.get_or_init(|| read("diff")))
}

fn read(name: &str) -> Value {
    let path = artifacts::source(format!("../docs/{name}.schema.json"));
    let text = fs::read_to_string(path).expect("the schema");
    serde_json::from_str(&text).expect("the schema is JSON")
}

fn faults_of(report: &Value, schema: &Value) -> Vec<String> {
    let mut check = Check {
        root: schema,
        faults: Vec::new(),
    };
    check.value(report, schema, "");
    check.faults
}

struct Check<'s> {
    root: &'s Value,
    faults: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, value: &Value, schema: &Value, at: &str) {
        let schema = object(schema);
        let mut is_described = false;
        for (keyword, argument) in schema {
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "format" => true,
                "type" => is_any_of(value, argument),
                "const" => value == argument,
                "enum" => list(argument).contains(value),
                "minimum" => value
                    .as_f64()
                    .is_none_or(|number| number >= limit(argument)),
                "maximum" => value
                    .as_f64()
                    .is_none_or(|number| number <= limit(argument)),
                "minItems" => size(value).is_none_or(|size| size >= limit(argument)),
                "maxItems" => size(value).is_none_or(|size| size <= limit(argument)),
                "minLength" => length(value).is_none_or(|length| length >= limit(argument)),
                "maxLength" => length(value).is_none_or(|length| length <= limit(argument)),
                "required" => list(argument).iter().all(|name| has(value, name)),
                "anyOf" => list(argument).iter().any(|one| self.fits(value, one)),
                "$ref" => {
                    self.value(value, definition(self.root, argument), at);
                    true
                }
                "items" => {
                    for (place, item) in value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .take(ITEMS)
                        .enumerate()
                    {
                        self.value(item, argument, &format!("{at}/{place}"));
                    }
                    true
                }
                "properties" => {
                    is_described = true;
                    self.fields(value, object(argument), at);
                    true
                }
                // Only where there are no `properties`: names are data.
                "additionalProperties" => {
                    is_described = true;
                    for (name, field) in value.as_object().into_iter().flatten() {
                        self.value(field, argument, &format!("{at}/{name}"));
                    }
                    !schema.contains_key("properties")
                }
                other => panic!("the schema's keyword {other} is not checked"),
            };
            if !holds {
                self.faults.push(format!(
                    "{at}: {keyword} {argument}, but it is {}",
                    short(value)
                ));
            }
        }
        let is_elsewhere = schema.contains_key("$ref") || schema.contains_key("anyOf");
        if value.is_object() && !is_described && !is_elsewhere {
            self.faults
                .push(format!("{at}: no description of its fields"));
        }
    }

    fn fields(&mut self, value: &Value, described: &Map<String, Value>, at: &str) {
        for (name, field) in value.as_object().into_iter().flatten() {
            match described.get(name) {
                Some(schema) => self.value(field, schema, &format!("{at}/{name}")),
                None => self.faults.push(format!("{at}/{name} is not described")),
            }
        }
    }

    fn fits(&self, value: &Value, schema: &Value) -> bool {
        let mut check = Check {
            root: self.root,
            faults: Vec::new(),
        };
        check.value(value, schema, "");
        check.faults.is_empty()
    }
}

/// What a reference such as `#/$defs/site` leads to.
fn definition<'s>(root: &'s Value, reference: &Value) -> &'s Value {
    let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
    let found = pointer.and_then(|pointer| root.pointer(pointer));
    found.unwrap_or_else(|| panic!("the schema has no {reference}"))
}

fn is_any_of(value: &Value, types: &Value) -> bool {
    match types {
        Value::Array(types) => types.iter().any(|one| is_of(value, one)),
        one => is_of(value, one),
    }
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type's name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema's type {other} is none"),
    }
}

fn has(value: &Value, name: &Value) -> bool {
    let name = name.as_str().expect("a field's name");
    value
        .as_object()
        .is_none_or(|fields| fields.contains_key(name))
}

fn size(value: &Value) -> Option<f64> {
    value.as_array().map(|items| items.len() as f64)
}

fn length(value: &Value) -> Option<f64> {
    value.as_str().map(|text| text.chars().count() as f64)
}

fn limit(argument: &Value) -> f64 {
    argument.as_f64().expect("a limit is a number")
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(80).collect()
}
