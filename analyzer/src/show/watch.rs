//! `leak-analyze watch`.

use std::io::IsTerminal;

use clap::ValueEnum;

use super::reading::analysis_boundary;
use crate::analyze;
use crate::cli::report::Boundary;
use crate::cli::watch::WatchArguments;
use crate::watch::{Mode, Options, Since};

/// Watches what the arguments name.
///
/// # Errors
/// One line: why there is nothing to be watched.
pub fn watch(arguments: &WatchArguments) -> Result<(), String> {
    // With a mark to compare with, marks are no requests; to a report they are.
    let compares_with_mark = !["start", "now"].contains(&arguments.since.as_str());
    let boundary = match arguments.boundary {
        Boundary::Auto if compares_with_mark => Boundary::Http,
        boundary => boundary,
    };
    let boundary = boundary.to_possible_value();
    let boundary = boundary.map(|value| value.get_name().to_owned());
    let mut of_report = vec!["--boundary".to_owned(), boundary.unwrap_or_default()];
    for route in &arguments.route {
        of_report.extend(["--route".to_owned(), route.clone()]);
    }
    crate::watch::watch(&Options {
        target: arguments.target.clone(),
        mode: match (arguments.json, arguments.plain) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Plain,
            (false, false) if std::io::stdout().is_terminal() => Mode::Screen,
            (false, false) => Mode::Plain,
        },
        every: arguments.every,
        since: match arguments.since.as_str() {
            "start" => Since::Start,
            "now" => Since::Now,
            label => Since::Mark(label.to_owned()),
        },
        requests: analyze::Options {
            boundary: analysis_boundary(arguments.boundary),
            routes: arguments.route.clone(),
            ..analyze::Options::default()
        },
        arguments: of_report,
        openmetrics: arguments.openmetrics.clone(),
    })
}
