//! A JUnit file: a case for each endpoint, and one for what belongs to no request.

use std::fmt::Write as _;

use super::leaks::{Leak, Outcome};
use crate::analysis::Verdict;
use crate::report::Outline;
use crate::warm_up::WARM_UP;

/// The file's text. Of `doubt`, why nothing found does not mean that nothing is there, a case of its own is an error.
pub fn junit(outline: &Outline, outcome: &Outcome<'_>, doubt: Option<&str>) -> String {
    let endpoints: Vec<_> = outline
        .endpoints
        .iter()
        .filter(|part| part.label != WARM_UP)
        .collect();
    let mut cases = String::new();
    let (mut failures, mut skipped) = (0, 0);
    for part in &endpoints {
        let of = |leak: &&Leak<'_>| leak.label == Some(part.label.as_str());
        let found: Vec<&Leak<'_>> = outcome.found.iter().filter(of).collect();
        let covered = outcome.covered.iter().filter(of).count();
        let body = match part.verdict {
            _ if !found.is_empty() => failure(&found),
            Verdict::TooFewRequests => {
                skipped += 1;
                "<skipped message=\"too few requests to tell\"/>".to_owned()
            }
            _ if covered > 0 => format!("<system-out>{covered} known</system-out>"),
            _ => String::new(),
        };
        failures += usize::from(!found.is_empty());
        case(&mut cases, &part.label, &body);
    }
    let outside: Vec<&Leak<'_>> = outcome
        .found
        .iter()
        .filter(|leak| leak.label.is_none())
        .collect();
    failures += usize::from(!outside.is_empty());
    case(
        &mut cases,
        "(no request)",
        &if outside.is_empty() {
            String::new()
        } else {
            failure(&outside)
        },
    );
    let mut tests = endpoints.len() + 1;
    if let Some(doubt) = doubt {
        tests += 1;
        case(
            &mut cases,
            "(the trace)",
            &format!("<error message=\"{}\"/>", escaped(doubt)),
        );
    }
    let errors = usize::from(doubt.is_some());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"libleak\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" \
         time=\"{:.3}\">\n{cases}</testsuite>\n",
        outline.duration_ns as f64 / 1e9
    )
}

fn case(cases: &mut String, name: &str, body: &str) {
    let written = writeln!(
        cases,
        "  <testcase classname=\"libleak\" name=\"{}\">{body}</testcase>",
        escaped(name)
    );
    debug_assert!(written.is_ok());
}

fn failure(leaks: &[&Leak<'_>]) -> String {
    let lines: Vec<String> = leaks.iter().map(|leak| escaped(&leak.line())).collect();
    let first = leaks.first().map_or("", |leak| leak.verdict.name());
    format!(
        "<failure type=\"{first}\" message=\"{}\">{}</failure>",
        lines.first().map_or("", String::as_str),
        lines.join("\n")
    )
}

/// Text for XML, of which control characters can't be part.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::escape::escaped(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
