//! Requests of a trace, one a line: to look at, and to send again. A trace has methods and paths, and headers that
//! were asked for: queries and bodies are never recorded.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use wildmatch::WildMatch;

use super::json::{sent, sent_cut};
use crate::access::{AccessLog, Entry};
use crate::analysis::{Analysis, Request, Source};
use crate::asked::trace_id;
use crate::figures::{self, counted};
use crate::trace::Facts;

/// What to list.
#[derive(Debug)]
pub struct Listing<'l> {
    /// Of the trace.
    pub facts: &'l Facts,
    /// Its analysis, with paths.
    pub analysis: &'l Analysis,
    /// What the server's access log tells of them.
    pub access_log: Option<&'l AccessLog>,
    /// Only requests that leak.
    pub leaking: bool,
    /// Only of endpoints with such labels.
    pub label: Option<WildMatch>,
    /// Where addresses lead; `None`: to the local end of each connection.
    pub base: Option<&'l str>,
}

/// Requests of which there is no line, and what lines don't have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Without a path of their own: no HTTP, or several that were read together.
    pub pathless: u64,
    /// Not GET, in a list of addresses.
    pub other_methods: u64,
    /// Paths that no client sends.
    pub odd: u64,
    /// Lines that were written, of which nobody knows the query, the headers and the body.
    pub bare: u64,
}

impl LeftOut {
    /// What to say of it.
    pub fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if self.pathless > 0 {
            texts.push(format!(
                "{} without a path of their own left out (no HTTP, or several read together): --format ndjson has them",
                counted(self.pathless, "request")
            ));
        }
        if self.other_methods > 0 {
            texts.push(format!(
                "{} other than GET left out: --format curl has them",
                counted(self.other_methods, "request")
            ));
        }
        if self.odd > 0 {
            texts.push(format!(
                "{} left out whose path holds control characters or blanks",
                counted(self.odd, "request")
            ));
        }
        if self.bare > 0 {
            texts.push(
                "queries, headers and bodies are not in a trace: add what the requests need".into(),
            );
        }
        texts
    }
}

#[derive(Serialize)]
struct Row<'l> {
    id: usize,
    label: &'l str,
    method: Option<&'l str>,
    path: Option<&'l str>,
    local: Option<&'l str>,
    source: &'static str,
    count: u32,
    status: Option<u32>,
    headers: Option<BTreeMap<&'l str, &'l str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers_cut: Vec<&'l str>,
    trace_id: Option<&'l str>,
    process_id: u32,
    pid: Option<u32>,
    thread: u32,
    started_at: String,
    start_ns: u64,
    end_ns: Option<u64>,
    leaking: bool,
    retained_blocks: u64,
    retained_bytes: u64,
    associated_bytes: u64,
    /// Where a log was given; `null`: none of its lines is known to be this request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_log: Option<Option<&'l Entry>>,
}

impl Listing<'_> {
    /// Whether requests with this label are listed.
    pub fn is_wanted(&self, label: &str) -> bool {
        self.label.as_ref().is_none_or(|glob| glob.matches(label))
    }

    fn rows(&self) -> impl Iterator<Item = (usize, &Request, &str)> {
        let rows = self.analysis.requests.iter().enumerate();
        rows.filter_map(|(id, request)| {
            let endpoint = self.analysis.endpoints.get(request.endpoint as usize)?;
            let listed = !self.leaking || request.leaking_blocks > 0;
            (listed && self.is_wanted(&endpoint.label)).then_some((
                id,
                request,
                endpoint.label.as_str(),
            ))
        })
    }

    /// Method and address of a request that can be sent again.
    fn address(
        &self,
        id: usize,
        request: &Request,
        left_out: &mut LeftOut,
    ) -> Option<(&str, String)> {
        let asked = self
            .analysis
            .asked
            .of(id)
            .filter(|_| request.source == Source::Http);
        let split = asked.and_then(|(head, local)| Some((head.split_once(' ')?, local)));
        let Some(((method, path), local)) = split else {
            left_out.pathless += u64::from(request.count);
            return None;
        };
        let odd = |c: char| c.is_control() || c.is_whitespace();
        if path.contains(odd) || method.contains(odd) {
            left_out.odd += u64::from(request.count);
            return None;
        }
        Some((method, format!("{}{path}", self.base_of(local))))
    }

    fn base_of(&self, local: &str) -> String {
        match (self.base, local.strip_prefix("tcp:")) {
            (Some(base), _) => base.trim_end_matches('/').to_owned(),
            (None, Some("80") | None) => "http://localhost".into(),
            (None, Some(port)) => format!("http://localhost:{port}"),
        }
    }
}

/// The addresses of GET requests; one that stands for several is there as often.
///
/// # Errors
/// Of the writing.
pub fn urls(listing: &Listing<'_>, out: &mut dyn Write) -> io::Result<LeftOut> {
    let mut left_out = LeftOut::default();
    for (id, request, _) in listing.rows() {
        let Some((method, address)) = listing.address(id, request, &mut left_out) else {
            continue;
        };
        if method != "GET" {
            left_out.other_methods += u64::from(request.count);
            continue;
        }
        for _ in 0..request.count {
            writeln!(out, "{address}")?;
            left_out.bare += 1;
        }
    }
    Ok(left_out)
}

/// A command of curl for each request.
///
/// # Errors
/// Of the writing.
pub fn curl(listing: &Listing<'_>, out: &mut dyn Write) -> io::Result<LeftOut> {
    let mut left_out = LeftOut::default();
    for (id, request, _) in listing.rows() {
        let Some((method, address)) = listing.address(id, request, &mut left_out) else {
            continue;
        };
        let asks = match method {
            "GET" => String::new(),
            "HEAD" => " --head".into(),
            other => format!(" --request {}", quoted(other)),
        };
        for _ in 0..request.count {
            // No globs: brackets of a path are its own.
            writeln!(
                out,
                "curl --silent --show-error --globoff --path-as-is --output /dev/null{asks} {}",
                quoted(&address)
            )?;
            left_out.bare += 1;
        }
    }
    Ok(left_out)
}

/// For a shell: within single quotes nothing has a meaning but such a quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// An object for each request.
///
/// # Errors
/// Of the writing.
pub fn ndjson(listing: &Listing<'_>, out: &mut dyn Write) -> io::Result<LeftOut> {
    for (id, request, label) in listing.rows() {
        let asked = listing.analysis.asked.of(id);
        let split = asked.and_then(|(head, _)| head.split_once(' '));
        let process = listing.facts.processes.get(request.process as usize);
        let row = Row {
            id,
            label,
            method: split.map(|(method, _)| method),
            path: split.map(|(_, path)| path),
            local: asked.map(|(_, local)| local),
            source: request.source.name(),
            count: request.count,
            status: request.status,
            headers: sent(listing.analysis, id),
            headers_cut: sent_cut(listing.analysis, id),
            trace_id: trace_id(listing.analysis.asked.sent.of(id)),
            process_id: request.process,
            pid: process.map(|process| process.pid),
            thread: request.thread,
            started_at: figures::moment(
                listing.facts.started_at_ns.saturating_add(request.start_ns),
            ),
            start_ns: request.start_ns,
            end_ns: request.end_ns,
            leaking: request.leaking_blocks > 0,
            retained_blocks: request.retained_blocks,
            retained_bytes: request.retained_bytes,
            associated_bytes: request.associated.bytes,
            access_log: listing.access_log.map(|log| log.of(id)),
        };
        serde_json::to_writer(&mut *out, &row)?;
        out.write_all(b"\n")?;
    }
    Ok(LeftOut::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_path_as_it_is() {
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("/'$(rm -rf x)'"), r"'/'\''$(rm -rf x)'\'''");
    }
}
