//! What resident memory is made of, in rows that add up to it, and who keeps free pages from being given back.

use super::page::Page;
use super::table::{Cell, Side, Table};
use crate::analysis::memory::{Fragmentation, MOMENTS, Memory, Pin, RowKind, Untold};
use crate::figures::{bytes, counted, duration};
use crate::report::Input;
use crate::report::frames::Stacks;
use crate::sites::NO_SITE;

/// Call sites that are shown, unless more were asked for.
const MOST_PINS: usize = 3;
/// A kind is named where it is this part of all that grew without a verdict.
const LEAST_KIND: u64 = 20;
/// Less than that pinned is not worth a word, unless it was asked for.
const LEAST_PINNED: u64 = 1 << 20;
/// A call site that pins less than this part of all is not shown, unless it was asked for.
const LEAST_PART: u64 = 100;
/// Whole free pages are worth a word where they are so many bytes, and this part of what is resident.
const LEAST_FREE: (u64, u64) = (16 << 20, 4);
/// Readings that are farther from their moments than this part of the time between those are told to be so.
const FAR: u64 = 20;

impl RowKind {
    fn words(self) -> &'static str {
        match self {
            RowKind::LeakingRequests => "leaking requests",
            RowKind::GrowingOutside => "growing outside requests",
            RowKind::Undecided => "undecided",
            RowKind::Bounded => "caches and pools",
            RowKind::InUse => "in use, or freed later",
            RowKind::StartUp => "start-up",
            RowKind::Live => "live blocks",
            RowKind::FreePinned => "free, on pinned pages",
            RowKind::FreeBetween => "free, between live blocks",
            RowKind::FreePages => "free, whole pages",
            RowKind::Mapped => "mapped by the program",
            RowKind::Stacks => "stacks",
            RowKind::CodeAndFiles => "code and files",
            RowKind::Libleak => "libleak's own",
            RowKind::Rest => "the rest",
        }
    }
}

/// Writes the table; whether there is one.
pub(super) fn write(page: &mut Page, input: &Input<'_>) -> bool {
    let memory = &input.analysis.memory;
    if memory.rows.is_empty() {
        return false;
    }
    let ink = page.ink;
    let sides = [Side::Left, Side::Right, Side::Right, Side::Right];
    let mut table = Table::new(0, &sides);
    let end = match input.analysis.requests.is_empty() {
        true => "END",
        false => "END OF SERVING",
    };
    let heads = ["", "START", "MIDDLE", end];
    table.row(heads.map(|head| Cell::styled(head, ink.dim)).to_vec());
    for row in &memory.rows {
        let style = match row.kind {
            RowKind::LeakingRequests | RowKind::GrowingOutside => ink.bad,
            _ => anstyle::Style::new(),
        };
        let figures = row.bytes.map(|bytes| Cell::new(figure(bytes)));
        let cells = std::iter::once(Cell::styled(row.kind.words(), style)).chain(figures);
        table.row(cells.collect());
    }
    let sums = memory
        .resident
        .map(|bytes| Cell::styled(figure(bytes), ink.strong));
    let cells = std::iter::once(Cell::styled("resident", ink.strong)).chain(sums);
    table.row(cells.collect());
    page.table(2, &table);
    for text in remarks(memory) {
        page.paragraph("  ", ink.dim, &text);
    }
    true
}

fn figure(amount: u64) -> String {
    match amount {
        0 => "-".to_owned(),
        some => bytes(some),
    }
}

/// What has to be known to read the table.
fn remarks(memory: &Memory) -> Vec<String> {
    let mut all = Vec::new();
    let most = memory.processes.iter().max().copied().unwrap_or(0);
    if most > 1 {
        let [start, middle, end] = memory.processes;
        all.push(match start == most && middle == most && end == most {
            true => format!("Sums over {most} processes: what they share counts in each."),
            false => format!(
                "Sums over {start}, {middle} and {end} processes: what they share counts in each."
            ),
        });
    }
    let span = memory.at_ns[MOMENTS - 1].saturating_sub(memory.at_ns[0]);
    let off = memory.off_ns.iter().max().copied().unwrap_or(0);
    if off.saturating_mul(FAR) > span {
        all.push(format!(
            "Memory was read up to {} before or after these moments; live blocks are those of the readings.",
            duration(off)
        ));
    }
    let free = memory.of(RowKind::FreePages)[MOMENTS - 1];
    if free >= LEAST_FREE.0 && free.saturating_mul(LEAST_FREE.1) >= memory.resident[MOMENTS - 1] {
        all.push(format!(
            "{} of whole pages are free and held by malloc: the C library's gives them back by malloc_trim(0), and where \
             they lie at the heap's end, with a lower M_TRIM_THRESHOLD.",
            bytes(free)
        ));
    }
    all
}

/// Writes who pins pages.
pub(super) fn write_pins(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let memory = &input.analysis.memory;
    let pinned = memory.of(RowKind::FreePinned)[MOMENTS - 1];
    let most = input.options.pins.unwrap_or(match pinned >= LEAST_PINNED {
        true => MOST_PINS,
        false => 0,
    });
    // Beside those that pin most, the others are noise.
    let matters =
        |pin: &&Pin| input.options.pins.is_some() || pin.bytes.saturating_mul(LEAST_PART) >= pinned;
    let most = memory.pins.iter().take(most).filter(matters).count();
    if most == 0 {
        return;
    }
    let text = format!(
        "Pinned: {} are free on pages that live blocks fill less than a quarter, and keep from being given back",
        bytes(pinned)
    );
    page.paragraph("  ", anstyle::Style::new(), &text);
    let sides = [Side::Right, Side::Right, Side::Left, Side::Left];
    let mut table = Table::new(2, &sides);
    for pin in memory.pins.iter().take(most) {
        let (name, place) = named(pin, stacks);
        table.row(vec![
            Cell::new(bytes(pin.bytes)),
            Cell::styled(
                format!("{}{}", counted(pin.blocks, "block"), each(pin, input)),
                page.ink.dim,
            ),
            Cell::styled(name, page.ink.strong),
            Cell::new(place),
        ]);
    }
    page.table(4, &table);
    if memory.pins.len() > most {
        let more = counted((memory.pins.len() - most) as u64, "more call site");
        let text = format!("… and {more}: --pins {}", memory.pins.len());
        page.paragraph("    ", page.ink.dim, &text);
    }
}

/// The size of a site's blocks, where they have one.
fn each(pin: &Pin, input: &Input<'_>) -> String {
    let site = input.analysis.sites.iter().find(|site| site.id == pin.site);
    let whole = site.filter(|site| site.live_blocks > 0 && site.live_bytes % site.live_blocks == 0);
    whole.map_or_else(String::new, |site| {
        format!(" of {}", bytes(site.live_bytes / site.live_blocks))
    })
}

fn named(pin: &Pin, stacks: &mut Stacks<'_, '_, '_>) -> (String, String) {
    if pin.site == NO_SITE {
        return ("(came by fork)".to_owned(), String::new());
    }
    let stack = stacks.of(pin.site);
    match stack.lines.get(stack.head()) {
        Some(line) => (line.name.clone(), line.short_place().to_owned()),
        None => ("(no backtrace)".to_owned(), String::new()),
    }
}

/// That memory grew of which no verdict is, and which.
pub(super) fn untold(found: &Untold) -> String {
    let kinds = found.kinds.iter();
    let kinds = kinds.filter(|(_, grown)| grown.saturating_mul(LEAST_KIND) >= found.bytes);
    let kinds: Vec<String> = kinds
        .map(|(kind, grown)| format!("{} under “{}”", bytes(*grown), kind.words()))
        .collect();
    let files = match found.kinds.first() {
        Some((RowKind::CodeAndFiles, _)) => {
            " What was only read from files the kernel takes back when memory is short."
        }
        _ => "",
    };
    format!(
        "Resident memory grew by {} that no verdict is about: {} (Memory, below).{files}",
        bytes(found.bytes),
        kinds.join(", ")
    )
}

/// That pinned pages are what grew, with the arithmetic, and what to try.
pub(super) fn fragmentation(found: Fragmentation) -> String {
    let late = match found.late.saturating_mul(8) > found.pinned {
        true => format!("{} of that since the middle", bytes(found.late)),
        false => "hardly any of it since the middle".to_owned(),
    };
    let live = match found.live {
        0 => "live blocks did not".to_owned(),
        live => format!("live blocks by {}", bytes(live)),
    };
    format!(
        "Fragmentation: resident memory grew by {} while serving, {live}. {} are free bytes on pages that live blocks \
         fill less than a quarter, {late}; whose blocks those are stands under Memory. To try: fewer arenas \
         (MALLOC_ARENA_MAX=2), another allocator (jemalloc, by LD_PRELOAD), memory of its own for what stays. A lower \
         M_TRIM_THRESHOLD, or malloc_trim, gives back whole free pages only.",
        bytes(found.grown),
        bytes(found.pinned)
    )
}
