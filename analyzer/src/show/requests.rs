//! `leak-analyze requests`: lists the requests of a trace.

use std::path::Path;

use wildmatch::WildMatch;

use super::access;
use super::reading::{
    READ, Read, analysis_boundary, analysis_scope, cannot_write, read, refuse_same,
};
use crate::analysis::Analysis;
use crate::analyze;
use crate::cli::requests::{ListFormat, RequestsArguments};
use crate::figures::{count, counted};
use crate::notice;
use crate::report::{self, LeftOut, Listing};

/// Lists requests.
///
/// # Errors
/// One line: why they can't be listed.
pub fn requests(arguments: &RequestsArguments) -> Result<u8, String> {
    let output = arguments.output.as_deref();
    let output = output.filter(|output| *output != Path::new("-"));
    output.map_or(Ok(()), |output| refuse_same(&arguments.trace, output))?;
    if arguments.access_log.is_some() && arguments.format != ListFormat::Ndjson {
        return Err("--access-log is for --format ndjson: names of queries make no address".into());
    }
    let options = analyze::Options {
        boundary: analysis_boundary(arguments.boundary),
        scope: analysis_scope(arguments.scope),
        routes: arguments.route.clone(),
        keep_paths: true,
        ..analyze::Options::default()
    };
    let Read {
        trace, analysis, ..
    } = read(&arguments.trace, &options)?;
    let log = arguments.access_log.as_deref();
    let log = log.map(|log| access::read(log, trace.facts(), &analysis));
    let log = log.transpose()?;
    let listing = Listing {
        access_log: log.as_ref(),
        facts: trace.facts(),
        analysis: &analysis,
        leaking: arguments.leaking,
        label: arguments.label.as_deref().map(WildMatch::new),
        base: arguments.base.as_deref(),
    };
    let mut left_out = LeftOut::default();
    report::print_to(output, |out| {
        left_out = match arguments.format {
            ListFormat::Urls => report::urls(&listing, out)?,
            ListFormat::Curl => report::curl(&listing, out)?,
            ListFormat::Ndjson => report::ndjson(&listing, out)?,
        };
        Ok(())
    })
    .map_err(|error| cannot_write(output, &error))?;
    for text in left_out.texts() {
        notice::say(&text);
    }
    if let Some(log) = &log {
        notice::say(&format!("access log: {}", log.counts.text()));
    }
    if arguments.leaking {
        say_ranges(&analysis, &listing);
    }
    Ok(READ)
}

/// Where it is not known which requests leak, the listed ones are but likely.
fn say_ranges(analysis: &Analysis, listing: &Listing<'_>) {
    if analysis.endpoints.iter().any(|of| of.hidden.is_some()) {
        notice::say(
            "a sample: of the requests that leak, those are listed that have a block in it",
        );
        return;
    }
    for endpoint in &analysis.endpoints {
        let [low, high] = endpoint.leaking_requests_range;
        if low < high && listing.is_wanted(&endpoint.label) {
            notice::say(&format!(
                "{}: which of {} leak is not known for sure ({} to {} do); those listed are the likeliest",
                crate::escape::escaped(&endpoint.label),
                counted(endpoint.requests, "request"),
                count(low),
                count(high)
            ));
        }
    }
}
