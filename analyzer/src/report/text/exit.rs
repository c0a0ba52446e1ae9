//! What a tear-down freed: where it did, what is live is shown as it was before.

use super::page::Page;
use crate::analysis::{Site, Totals};
use crate::figures::{bytes, counted};
use crate::ledger::BeforeExit;
use crate::report::Input;
use crate::sample::Amount;

/// Live blocks that are shown.
#[derive(Clone, Copy)]
pub(super) struct Live {
    /// Those that are shown: before the tear-down, where that freed any.
    pub(super) shown: Amount,
    /// Those of the end.
    pub(super) at_end: Amount,
}

impl Live {
    /// All of a site.
    pub(super) fn of(site: &Site, input: &Input<'_>) -> Live {
        let at_end = Amount {
            blocks: site.live_blocks,
            bytes: site.live_bytes,
        };
        Live::shown(site.before_exit, at_end, input)
    }

    /// Those of a site that belong to no request.
    pub(super) fn outside(site: &Site, input: &Input<'_>) -> Live {
        let at_end = Amount {
            blocks: site.outside_blocks,
            bytes: site.outside_bytes,
        };
        Live::shown(site.outside_before_exit, at_end, input)
    }

    /// Of these two, the one that is shown.
    pub(super) fn shown(before_exit: Amount, at_end: Amount, input: &Input<'_>) -> Live {
        let shown = match tear_down(&input.analysis.totals) {
            Some(_) => before_exit,
            None => at_end,
        };
        Live { shown, at_end }
    }

    /// Whether there are any, at one of the two moments.
    pub(super) fn any(&self) -> bool {
        self.shown.blocks > 0 || self.at_end.blocks > 0
    }

    /// What they are sorted by.
    pub(super) fn most_bytes(&self) -> u64 {
        self.shown.bytes.max(self.at_end.bytes)
    }
}

/// What was live before tear-downs, if they freed any of it.
fn tear_down(totals: &Totals) -> Option<BeforeExit> {
    totals.before_exit.filter(|before| before.freed.blocks > 0)
}

/// The moment that live blocks are shown of.
pub(super) fn moment(input: &Input<'_>) -> &'static str {
    match tear_down(&input.analysis.totals) {
        Some(_) => "at exit",
        None => "at the end",
    }
}

/// Says what was freed, if anything was.
pub(super) fn write(page: &mut Page, input: &Input<'_>) {
    let Some(BeforeExit { live, freed }) = tear_down(&input.analysis.totals) else {
        return;
    };
    let were = if live.blocks == 1 { "was" } else { "were" };
    let whose = match input.facts.processes.len() {
        0 | 1 => "its tear-down",
        _ => "tear-downs",
    };
    let part = match live.blocks - freed.blocks {
        0 if live.blocks == 1 => "it".to_owned(),
        0 => "all of them".to_owned(),
        _ => format!("{} of them", crate::figures::count(freed.blocks)),
    };
    let text = format!(
        "At exit {}, {} {were} live; {whose} then freed {part}.",
        counted(live.blocks, "block"),
        bytes(live.bytes),
    );
    page.paragraph("  ", page.ink.dim, &text);
}
