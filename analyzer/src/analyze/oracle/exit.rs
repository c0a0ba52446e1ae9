//! What was live when processes began to end, by scanning.

use std::collections::HashMap;

use leak_wire::Event;

use super::super::script::{Script, Told};
use super::{Block, Oracle};
use crate::analysis::Analysis;
use crate::sample::Amount;

impl Oracle<'_> {
    /// When the process began to end by itself.
    fn exits(&self, process: u32) -> Option<usize> {
        self.steps.iter().position(|(of, _, told)| {
            *of == process && matches!(told, Told::Event(Event::ExitBegins))
        })
    }

    /// Whether the block was live then; in a process that did not, at its end.
    fn was_live(&self, block: &Block) -> bool {
        match self.exits(block.process) {
            Some(exit) => block.born < exit && block.ended.is_none_or(|ended| ended > exit),
            None => block.ended.is_none(),
        }
    }
}

fn sum<'b>(blocks: impl Iterator<Item = &'b Block>) -> Amount {
    blocks.fold(Amount::default(), |sum, block| Amount {
        blocks: sum.blocks + 1,
        bytes: sum.bytes + block.size,
    })
}

/// Compares all that the analysis says of it.
pub(super) fn compare(script: &Script, analysis: &Analysis) -> Result<(), String> {
    let oracle = Oracle::new(script);
    let own = || oracle.blocks.iter().filter(|block| !block.inherited);
    let live: Vec<&Block> = own().filter(|block| oracle.was_live(block)).collect();
    let mut all = None;
    for (process, figures) in (0..).zip(&analysis.processes) {
        let mine = || {
            live.iter()
                .copied()
                .filter(|block| block.process == process)
        };
        let expected = oracle.exits(process).map(|_| {
            let freed = sum(mine().filter(|block| block.ended.is_some()));
            (sum(mine()), freed)
        });
        all = all.or(expected.map(|_| sum(live.iter().copied())));
        let told = figures
            .before_exit
            .map(|before| (before.live, before.freed));
        same(&format!("process {process}"), told, expected)?;
    }
    let told = analysis.totals.before_exit.map(|before| before.live);
    same("totals", told, all)?;
    let mut by_site: HashMap<u32, Amount> = HashMap::new();
    let mut by_label: HashMap<&str, Amount> = HashMap::new();
    let mut outside = Amount::default();
    for block in live {
        let one = Amount::one(block.size);
        *by_site.entry(block.site).or_default() += one;
        let owner = oracle.owner(block).filter(|owner| owner.1);
        let request = owner.map(|owner| &oracle.requests[owner.0]);
        match request.filter(|request| !request.void) {
            Some(request) => *by_label.entry(&request.label).or_default() += one,
            None => outside += one,
        }
    }
    for site in &analysis.sites {
        let expected = by_site.remove(&site.id).unwrap_or_default();
        same(&format!("site {}", site.id), site.before_exit, expected)?;
    }
    same("sites that are not there", by_site, HashMap::new())?;
    for endpoint in &analysis.endpoints {
        let expected = by_label.remove(endpoint.label.as_str()).unwrap_or_default();
        same(&endpoint.label, endpoint.before_exit, expected)?;
    }
    same("endpoints that are not there", by_label, HashMap::new())?;
    same("outside", analysis.totals.outside.before_exit, outside)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, told: T, expected: T) -> Result<(), String> {
    match told == expected {
        true => Ok(()),
        false => Err(format!(
            "{what}: {told:?} before the exit, {expected:?} expected"
        )),
    }
}
