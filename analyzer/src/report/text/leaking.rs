//! The endpoints that leak, and how much.

use std::cmp::Reverse;

use crate::analysis::{Analysis, Endpoint};
use crate::report::Input;
use crate::sites::{Memory, Sites};

/// An endpoint that leaks, and what it left behind at the sites that leak: what a cache keeps of its
/// requests is no part of it.
pub(super) struct Leaking<'r> {
    pub(super) endpoint: &'r Endpoint,
    pub(super) bytes: u64,
}

/// Those that leak, the largest first. Stacks of threads are no part of their bytes: most of one is never touched.
pub(super) fn leaking<'a>(analysis: &'a Analysis, places: &Sites) -> Vec<Leaking<'a>> {
    let mut leaked = vec![0; analysis.endpoints.len()];
    let sites = analysis.sites.iter();
    let counting = sites.filter(|site| places.memory(site.id) != Memory::Stack);
    for part in counting.flat_map(|site| &site.labels) {
        if let Some(sum) = leaked.get_mut(part.endpoint as usize) {
            *sum += part.leaked.bytes;
        }
    }
    let endpoints = analysis.endpoints.iter().zip(leaked);
    let mut leaking: Vec<Leaking<'_>> = endpoints
        .filter(|(endpoint, _)| endpoint.verdict.leaks())
        .map(|(endpoint, bytes)| Leaking {
            endpoint,
            bytes: bytes + endpoint.open_leaked.bytes,
        })
        .collect();
    leaking.sort_by_key(|leaking| Reverse(leaking.bytes));
    leaking
}

/// Of requests that leak, a sample shows some.
pub(super) fn at_least(input: &Input<'_>) -> &'static str {
    match input.facts.sample_bytes {
        0 => "",
        _ => "≥ ",
    }
}
