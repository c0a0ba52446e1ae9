//! The lines of a backtrace, of which long runs are left out.

use unicode_width::UnicodeWidthStr;

use super::super::page::Page;
use super::super::table::{cut, cut_front, paint};
use crate::figures::counted;
use crate::report::frames::{Kind, Line, Stack};

/// Columns before a frame's name.
pub(super) const INDENT: usize = 6;
/// Lines of a backtrace, at most; one of them says how many are hidden.
const MOST_LINES: usize = 12;

/// Of these, at the outer end.
const OUTER_LINES: usize = 3;

/// A row of a printed backtrace.
pub(super) enum Row<'s> {
    Frame(&'s Line),
    /// What the program called to get the block.
    Via(&'s Line),
    Hidden(usize),
}

impl Row<'_> {
    fn is_own(&self) -> bool {
        matches!(self, Row::Frame(line) if line.kind == Kind::Own)
    }

    /// Whether both are frames at the same line.
    fn shows(&self, other: &Row<'_>) -> bool {
        match (self, other) {
            (Row::Frame(line), Row::Frame(other)) => {
                (&line.name, &line.place) == (&other.name, &other.place)
            }
            _ => false,
        }
    }
}

pub(super) fn write_stack(page: &mut Page, stack: &Stack) {
    if stack.lines.is_empty() {
        let line = format!("{}(no backtrace)", " ".repeat(INDENT));
        page.line(paint(page.ink.dim, &line));
        return;
    }
    let rows = rows(stack);
    let head = stack.lines.get(stack.head());
    let room = page.width.saturating_sub(INDENT + 2);
    let widest = |part: fn(&Line) -> &str| {
        let widths = rows.iter().map(|row| match row {
            Row::Frame(line) => part(line).width(),
            Row::Via(_) | Row::Hidden(_) => 0,
        });
        widths.max().unwrap_or(0)
    };
    // Names give way to places, but not beyond three fifths of the room.
    let places = widest(|line| &line.place) + 2;
    let most = room.saturating_sub(places).max(room * 3 / 5);
    let name_width = widest(|line| &line.name).min(most);
    for row in &rows {
        let line = row_text(page, row, head, name_width, room);
        page.line(line);
    }
}

fn row_text(
    page: &Page,
    row: &Row<'_>,
    head: Option<&Line>,
    name_width: usize,
    room: usize,
) -> String {
    let ink = page.ink;
    let indent = " ".repeat(INDENT - 2);
    match row {
        Row::Hidden(frames) => {
            let text = format!("{indent}  … {}", counted(*frames as u64, "frame"));
            paint(ink.dim, &text)
        }
        Row::Via(line) => {
            let name = cut(&line.name, room.saturating_sub(5));
            paint(ink.dim, &format!("{indent}  (by {name})"))
        }
        Row::Frame(line) => {
            // Where nothing is the program's own, the next best is shown as such.
            let own = line.kind == Kind::Own || head.is_some_and(|head| std::ptr::eq(head, *line));
            let (mark, style) = if own {
                ("> ", ink.strong)
            } else {
                ("  ", ink.dim)
            };
            let alone = line.place.is_empty();
            let name = cut(&line.name, if alone { room } else { name_width });
            let blanks = name_width.saturating_sub(name.width()) + 2;
            let place = cut_front(&line.place, room.saturating_sub(name_width + 2));
            match alone {
                true => format!("{indent}{mark}{}", paint(style, &name)),
                false => {
                    let place = paint(if own { anstyle::Style::new() } else { ink.dim }, &place);
                    let blanks = " ".repeat(blanks);
                    format!("{indent}{mark}{}{blanks}{place}", paint(style, &name))
                }
            }
        }
    }
}

/// Leading frames of the runtime become one, runs of them within become a count, and a long rest is
/// cut in its middle: from Python's stacks, only frames of installed code, and what is shown already.
pub(super) fn rows(stack: &Stack) -> Vec<Row<'_>> {
    let leading = stack.leading();
    let (inner, rest) = stack.lines.split_at(leading);
    let mut rows = Vec::new();
    if let Some(called) = inner.last() {
        rows.push(Row::Via(called));
    }
    let all_runtime = stack.lines.iter().all(|line| line.kind == Kind::Runtime);
    let mut at = rest.iter().peekable();
    while let Some(line) = at.next() {
        let mut hidden = 0;
        if line.kind == Kind::Runtime && !all_runtime {
            hidden = 1;
            while at.next_if(|next| next.kind == Kind::Runtime).is_some() {
                hidden += 1;
            }
        }
        rows.push(match hidden {
            0 | 1 => Row::Frame(line),
            _ => Row::Hidden(hidden),
        });
    }
    shorten(rows, stack.is_python)
}

fn shorten(mut rows: Vec<Row<'_>>, is_python: bool) -> Vec<Row<'_>> {
    if rows.len() <= MOST_LINES {
        return rows;
    }
    let inner = MOST_LINES - OUTER_LINES - 1;
    let outer = rows.split_off(rows.len() - OUTER_LINES);
    let middle = rows.split_off(inner);
    let mut hidden = 0;
    for row in middle {
        let stays =
            is_python && row.is_own() && !rows.iter().chain(&outer).any(|of| of.shows(&row));
        match row {
            _ if stays => {
                rows.extend((hidden > 0).then_some(Row::Hidden(hidden)));
                hidden = 0;
                rows.push(row);
            }
            Row::Hidden(frames) => hidden += frames,
            Row::Frame(_) | Row::Via(_) => hidden += 1,
        }
    }
    rows.extend((hidden > 0).then_some(Row::Hidden(hidden)));
    rows.extend(outer);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of frames by name (`own...` is the program's), the innermost first: `…3` hides three.
    fn shown(names: &[&str], is_python: bool) -> Vec<String> {
        let line = |name: &&str| Line {
            name: (*name).into(),
            place: "file:1".into(),
            kind: match name.starts_with("own") {
                true => Kind::Own,
                false => Kind::Library,
            },
            is_python,
            whole: String::new(),
        };
        let stack = Stack {
            lines: names.iter().map(line).collect(),
            is_python,
        };
        let shown = rows(&stack).into_iter().map(|row| match row {
            Row::Frame(line) | Row::Via(line) => line.name.clone(),
            Row::Hidden(frames) => format!("…{frames}"),
        });
        shown.collect()
    }

    #[test]
    fn a_users_own_line_is_never_hidden() {
        let mut names = vec!["boto"; 8];
        names.extend([
            "boto",
            "own handler",
            "boto",
            "boto",
            "own view",
            "own view",
        ]);
        names.extend(["boto", "own handler", "flask", "flask", "flask"]);
        let mut expected = vec!["boto"; 8];
        expected.extend(["…1", "own handler", "…2", "own view", "…3"]);
        expected.extend(["flask", "flask", "flask"]);
        assert_eq!(shown(&names, true), expected);
        // A native program's frames are all its own.
        assert_eq!(shown(&names, false)[8], "…8");
        assert_eq!(shown(&["own"; 40], true)[8], "…29");
        assert_eq!(shown(&names[..12], true), names[..12]);
    }
}
