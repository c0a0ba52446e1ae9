//! What an endpoint's requests left behind, in words.

use super::leaking::Leaking;
use crate::analysis::{Endpoint, SiteLabel};
use crate::figures::{count, counted};
use crate::report::Input;
use crate::sites::Memory;

/// How much, and threads, of which bytes do not tell.
pub(super) fn left(input: &Input<'_>, leaking: &Leaking<'_>) -> String {
    let memory = input.estimate(leaking.bytes);
    match threads(input, leaking.endpoint) {
        None => memory,
        Some(threads) if leaking.bytes == 0 => threads,
        Some(threads) => format!("{memory} and {threads}"),
    }
}

/// Threads that the endpoint's requests left.
fn threads(input: &Input<'_>, endpoint: &Endpoint) -> Option<String> {
    let endpoints = &input.analysis.endpoints;
    let is_it = |part: &&SiteLabel| {
        let of = endpoints.get(part.endpoint as usize);
        of.is_some_and(|of| std::ptr::eq(of, endpoint))
    };
    let stacks = input.analysis.sites.iter();
    let stacks = stacks.filter(|site| input.sites.memory(site.id) == Memory::Stack);
    let (mut left, mut ended) = (0, 0);
    for site in stacks {
        let parts = site.labels.iter().filter(is_it);
        let blocks: u64 = parts.map(|part| part.leaked.blocks).sum();
        left += blocks;
        ended += site.unjoined_threads.min(blocks);
    }
    let unjoined = match ended {
        0 => String::new(),
        ended => format!(" ({} ended, joined by nobody)", count(ended)),
    };
    (left > 0).then(|| format!("{}{unjoined}", counted(left, "thread")))
}
