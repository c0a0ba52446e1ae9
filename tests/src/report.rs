//! `leak-analyze TRACE --format json`, read back.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::artifacts;
use crate::schema;
use crate::stated::Sum;

/// The JSON report of a trace.
#[derive(Clone, Debug)]
pub struct Report {
    /// The whole object.
    pub json: Value,
}

/// Runs `leak-analyze` with `arguments`.
pub fn leak_analyze<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Output {
    let mut command = Command::new(artifacts::leak_analyze());
    command.args(arguments);
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

impl Report {
    /// Analyses `trace`; panics, with what was said, where that fails.
    pub fn of(trace: &Path) -> Report {
        Report::with(trace, &[])
    }

    /// The same with more options.
    pub fn with(trace: &Path, options: &[&str]) -> Report {
        let mut arguments = vec![trace.as_os_str()];
        arguments.extend(["--format", "json"].map(std::ffi::OsStr::new));
        arguments.extend(options.iter().map(std::ffi::OsStr::new));
        let output = leak_analyze(&arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{arguments:?}: {}: {err}",
            output.status
        );
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {err}"));
        let faults = schema::faults(&json);
        assert!(faults.is_empty(), "{arguments:?}: {faults:#?}");
        let report = Report { json };
        report.assert_nothing_of_nothing_leaks();
        report
    }

    /// What leaks is there: no call site without a block is called a leak.
    fn assert_nothing_of_nothing_leaks(&self) {
        const FIELDS: [&str; 4] = [
            "retained_blocks",
            "live_blocks",
            "before_exit_blocks",
            "outside_grown_blocks",
        ];
        for site in self.list("/sites") {
            let leaks = ["leak", "growing_buffer"]
                .map(Value::from)
                .contains(&site["verdict"]);
            let has = |field: &&str| site[*field].as_u64() > Some(0);
            assert!(!leaks || FIELDS.iter().any(has), "{site:#}");
        }
    }

    /// The value at a JSON pointer; panics where there is none.
    pub fn at(&self, pointer: &str) -> &Value {
        let value = self.json.pointer(pointer);
        value.unwrap_or_else(|| panic!("no {pointer} in the report"))
    }

    /// The integer at a JSON pointer.
    pub fn number(&self, pointer: &str) -> u64 {
        number(self.at(pointer), pointer)
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> &str {
        text(self.at(pointer), pointer)
    }

    /// The array at a JSON pointer.
    pub fn list(&self, pointer: &str) -> &[Value] {
        let list = self.at(pointer).as_array();
        list.unwrap_or_else(|| panic!("{pointer} is no list"))
    }

    /// The endpoint with this label.
    pub fn endpoint(&self, label: &str) -> &Value {
        let mut endpoints = self.list("/endpoints").iter();
        let found = endpoints.find(|endpoint| endpoint["label"] == label);
        found.unwrap_or_else(|| panic!("no endpoint {label} among {:?}", self.labels()))
    }

    /// Asserts that the endpoint is not called leaking, nor any of its requests.
    pub fn assert_clean(&self, label: &str) {
        let endpoint = self.endpoint(label);
        let verdict = text(&endpoint["verdict"], "verdict");
        assert!(
            !["leak", "growing_buffer"].contains(&verdict),
            "{endpoint:#}"
        );
        assert_eq!(endpoint["leaking_requests"], 0, "{endpoint:#}");
    }

    /// All endpoints' labels with their number of requests.
    pub fn labels(&self) -> Vec<(String, u64)> {
        let endpoints = self.list("/endpoints").iter();
        endpoints
            .map(|endpoint| {
                let label = text(&endpoint["label"], "label").to_string();
                (label, number(&endpoint["requests"], "requests"))
            })
            .collect()
    }

    /// The same, sorted by label.
    pub fn labels_sorted(&self) -> Vec<(String, u64)> {
        let mut labels = self.labels();
        labels.sort();
        labels
    }

    /// The trace is whole: ended, complete, nothing dropped, nothing unknown.
    pub fn assert_complete(&self) {
        let trace = self.at("/trace");
        assert_eq!(trace["ended"], "complete", "{trace}");
        assert_eq!(trace["complete"], true, "{trace}");
        assert_eq!(trace["dropped_events"], 0, "{trace}");
        assert_eq!(self.number("/totals/unknown_frees"), 0);
    }
}

/// The sum in the fields `PREFIX_blocks` and `PREFIX_bytes` of `row`.
pub fn sum(row: &Value, prefix: &str) -> Sum {
    let field = |kind: &str| {
        let name = format!("{prefix}_{kind}");
        number(&row[&name], &name)
    };
    Sum {
        blocks: field("blocks"),
        bytes: field("bytes"),
    }
}

/// `value` as an integer; `what` names it in the panic.
pub fn number(value: &Value, what: &str) -> u64 {
    let number = value.as_u64();
    number.unwrap_or_else(|| panic!("{what} is {value}, not a number"))
}

/// `value` as text; `what` names it in the panic.
pub fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{what} is {value}, not a text"))
}
