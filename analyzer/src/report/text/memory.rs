//! Live bytes and resident memory at start, middle and end: a leak, fragmentation, and memory mapped
//! without malloc look different in them.

use super::page::Page;
use super::rows;
use super::table::{Cell, Side, Table};
use crate::analysis::TimelinePoint;
use crate::escape::escaped;
use crate::figures::bytes;
use crate::report::Input;
use crate::report::frames::Stacks;
use crate::trace::ProcessId;

/// Processes that are shown: those with the most requests, then those that grew most.
const MOST_PROCESSES: usize = 3;
/// Growth of live bytes below this is none; they are exact.
const LEAST_LIVE: u64 = 16 << 10;
/// Growth of resident memory below this is none.
const LEAST_RESIDENT: u64 = 1 << 20;
/// By so much libleak's own lanes and tables, which are resident in the target, may grow in a few
/// threads: no more growth beside live blocks than this is put down to anything else.
const OWN_RESIDENT: u64 = 8 << 20;
/// Growth below this part of what was there is none.
const LEAST_PART: u64 = 50;

/// Live and resident bytes of a process at three moments.
struct Course {
    process: ProcessId,
    live: [u64; 3],
    resident: [Option<u64>; 3],
    most_live: u64,
    requests: u64,
}

/// Writes what resident memory is made of, and what its course looks like.
pub(super) fn write(page: &mut Page, input: &Input<'_>, stacks: &mut Stacks<'_, '_, '_>) {
    let processes = 0..input.facts.processes.len() as ProcessId;
    let mut courses: Vec<Course> = processes
        .filter_map(|process| course(&input.analysis.timeline, process))
        .collect();
    if courses.is_empty() {
        return;
    }
    courses.sort_by_key(|course| {
        let grown = course.live[2].saturating_sub(course.live[0]);
        std::cmp::Reverse((course.requests, grown, course.live[2]))
    });
    page.heading("Memory");
    let is_told = rows::write(page, input);
    if !is_told {
        write_courses(page, input, &courses);
    }
    if let Some(first) = courses.first().filter(|_| !is_told) {
        page.paragraph("  ", page.ink.dim, looks_like(first));
    }
    rows::write_pins(page, input, stacks);
    if !is_told && courses.len() > MOST_PROCESSES {
        let more = courses.len() - MOST_PROCESSES;
        page.paragraph(
            "  ",
            page.ink.dim,
            &format!("{more} more processes: --format json."),
        );
    }
}

/// Live blocks and resident memory of each process, where no more is known.
fn write_courses(page: &mut Page, input: &Input<'_>, courses: &[Course]) {
    let several = courses.len() > 1;
    let ink = page.ink;
    let sides = [Side::Left, Side::Right, Side::Right, Side::Right];
    let mut table = Table::new(0, &sides);
    let end = match input.analysis.requests.is_empty() {
        true => "END",
        false => "END OF SERVING",
    };
    table.row(
        ["", "START", "MIDDLE", end]
            .map(|head| Cell::styled(head, ink.dim))
            .to_vec(),
    );
    for course in courses.iter().take(MOST_PROCESSES) {
        let whose = match (several, input.facts.processes.get(course.process as usize)) {
            (true, Some(process)) => {
                let program = process.executable.rsplit('/').next().unwrap_or_default();
                format!(", {} {}", escaped(program), process.pid)
            }
            _ => String::new(),
        };
        let row = |what: &str, figures: [String; 3]| {
            let cells = figures.map(Cell::new).into_iter();
            std::iter::once(Cell::new(format!("{what}{whose}")))
                .chain(cells)
                .collect()
        };
        table.row(row("live blocks", course.live.map(bytes)));
        let unknown = || "?".to_owned();
        table.row(row(
            "resident",
            course.resident.map(|at| at.map_or_else(unknown, bytes)),
        ));
    }
    page.table(2, &table);
}

/// Where there were requests, the end is the end of serving, and the middle is after half of them:
/// what is freed on the way out, or only then, says nothing about a server that goes on.
fn course(timeline: &[TimelinePoint], process: ProcessId) -> Option<Course> {
    let points: Vec<&TimelinePoint> = timeline
        .iter()
        .filter(|point| point.process == process)
        .collect();
    let (first, last) = (points.first()?, points.last()?);
    let reached = |requests| points.iter().find(|point| point.requests >= requests);
    let (middle, end) = match last.requests {
        0 => {
            let half = first.t_ns + last.t_ns.saturating_sub(first.t_ns) / 2;
            (
                points
                    .iter()
                    .min_by_key(|point| point.t_ns.abs_diff(half))?,
                last,
            )
        }
        all => (reached(all.div_ceil(2))?, reached(all)?),
    };
    let moments = [first, middle, end];
    let known: Vec<&&TimelinePoint> = points.iter().filter(|p| p.rss_bytes.is_some()).collect();
    let resident = |moment: &TimelinePoint| {
        let nearest = known
            .iter()
            .min_by_key(|point| point.t_ns.abs_diff(moment.t_ns));
        moment
            .rss_bytes
            .or_else(|| nearest.and_then(|point| point.rss_bytes))
    };
    Some(Course {
        process,
        live: moments.map(|point| point.live_bytes),
        resident: moments.map(|point| resident(point)),
        requests: last.requests,
        most_live: points.iter().map(|point| point.live_bytes).max()?,
    })
}

/// Growth from the middle to the end that is worth a word: what grows at the start is starting.
fn growth(middle: u64, end: u64, least: u64) -> u64 {
    let growth = end.saturating_sub(middle);
    match growth >= least && growth >= middle / LEAST_PART {
        true => growth,
        false => 0,
    }
}

fn looks_like(course: &Course) -> &'static str {
    let live = growth(course.live[1], course.live[2], LEAST_LIVE);
    let [_, Some(middle), Some(end)] = course.resident else {
        return match live {
            0 => "Live blocks don't grow from the middle on. Resident memory was not read.",
            _ => "Live blocks grow from the middle on. Resident memory was not read.",
        };
    };
    let resident = growth(middle, end, LEAST_RESIDENT);
    match (live, resident) {
        (0, 0) => "Neither grows from the middle on.",
        (0, _) if end <= course.most_live => {
            "Resident memory grows while live blocks don't, below the most that was ever live: \
             freed memory that the allocator keeps, or fragmentation; no leak."
        }
        (0, _) => {
            "Resident memory grows while live blocks don't, beyond the most that was ever live: \
             memory mapped without malloc (mmap, thread stacks, another allocator), or heavy \
             fragmentation; no leak of malloc's blocks."
        }
        (_, 0) => {
            "Live blocks grow, resident memory hardly: they fit into what the allocator held \
             already, or are not touched."
        }
        (live, resident) if live >= resident / 2 || resident < OWN_RESIDENT => {
            "Live blocks and resident memory grow together: a leak, or a cache that still fills."
        }
        _ => {
            "Live blocks grow, and resident memory more than twice as much: a leak, and beside it \
             fragmentation or memory mapped without malloc."
        }
    }
}
