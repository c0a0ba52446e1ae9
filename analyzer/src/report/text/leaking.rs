//! The endpoints that leak, and how much.

use crate::analysis::{Analysis, Endpoint};

/// An endpoint that leaks, and what it left behind at the sites that leak: what a cache keeps of its
/// requests is no part of it.
pub(super) struct Leaking<'r> {
    pub(super) endpoint: &'r Endpoint,
    pub(super) bytes: u64,
}

/// Those that leak.
pub(super) fn leaking(analysis: &Analysis) -> Vec<Leaking<'_>> {
    let mut leaked = vec![0; analysis.endpoints.len()];
    for part in analysis.sites.iter().flat_map(|site| &site.labels) {
        if let Some(sum) = leaked.get_mut(part.endpoint as usize) {
            *sum += part.leaked.bytes;
        }
    }
    let endpoints = analysis.endpoints.iter().zip(leaked);
    endpoints
        .filter(|(endpoint, _)| endpoint.verdict.leaks())
        .map(|(endpoint, bytes)| Leaking {
            endpoint,
            bytes: bytes + endpoint.open_leaked.bytes,
        })
        .collect()
}
