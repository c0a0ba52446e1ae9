//! Which leaking requests are shown where there are too many for all.

use std::cmp::Reverse;

use crate::analysis::{Analysis, Request};

/// The leaking requests, in order of their begin; of very many half are the largest, and half come evenly out of the
/// others.
pub(super) fn leaking_requests(analysis: &Analysis, most: usize) -> Vec<&Request> {
    let requests = analysis.requests.iter();
    let mut all: Vec<&Request> = requests.filter(|r| r.leaking_blocks > 0).collect();
    if all.len() > most {
        all.sort_by_key(|request| Reverse(request.retained_bytes));
        let others = all.split_off(most / 2);
        let wanted = most - all.len();
        all.extend((0..wanted).map(|at| others[at * others.len() / wanted]));
        all.sort_by_key(|request| request.start_ns);
    }
    all
}
