//! Aligned columns that fit the width.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Blanks between two columns.
const GAP: usize = 2;
/// What stays on the line of the number before it.
const UNITS: [&str; 10] = ["%", "B", "KiB", "MiB", "GiB", "TiB", "h", "min", "s", "ms"];

/// Which side of its column a cell stands on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// One cell; its text must be escaped already.
#[derive(Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn new(text: impl Into<String>) -> Cell {
        Cell::styled(text, Style::new())
    }

    pub(super) fn styled(text: impl Into<String>, style: Style) -> Cell {
        Cell {
            text: text.into(),
            style,
        }
    }
}

/// Rows of cells.
pub(super) struct Table {
    sides: Vec<Side>,
    /// The column that gives way where the width does not suffice.
    elastic: usize,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(elastic: usize, sides: &[Side]) -> Table {
        Table {
            sides: sides.to_vec(),
            elastic,
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether the elastic column need not give way.
    pub(super) fn fits(&self, indent: usize, width: usize) -> bool {
        let all: usize = self.widths(usize::MAX).iter().sum();
        all + GAP * self.sides.len().saturating_sub(1) + indent <= width
    }

    /// The lines, each after `indent` blanks and at most `width` columns wide.
    pub(super) fn lines(&self, indent: usize, width: usize) -> Vec<String> {
        let widths = self.widths(width.saturating_sub(indent));
        self.rows
            .iter()
            .map(|row| " ".repeat(indent) + &self.line(row, &widths))
            .collect()
    }

    fn widths(&self, room: usize) -> Vec<usize> {
        let mut widths = vec![0; self.sides.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let gaps = GAP * widths.len().saturating_sub(1);
        let all = widths.iter().sum::<usize>() + gaps;
        if let Some(elastic) = widths.get_mut(self.elastic) {
            *elastic = elastic
                .saturating_sub(all.saturating_sub(room))
                .max(8.min(*elastic));
        }
        widths
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut out = String::new();
        // Blanks are written only before something, so that no line ends in them.
        let mut blanks = 0;
        for ((cell, width), side) in row.iter().zip(widths).zip(&self.sides) {
            let text = cut(&cell.text, *width);
            let rest = width.saturating_sub(text.width());
            let (before, after) = match side {
                Side::Left => (0, rest),
                Side::Right => (rest, 0),
            };
            if !text.is_empty() {
                out.push_str(&" ".repeat(blanks + before));
                out.push_str(&paint(cell.style, &text));
                blanks = after + GAP;
            } else {
                blanks += width + GAP;
            }
        }
        out
    }
}

/// `text` in `style`; a plain style leaves it as it is.
pub(super) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// `text` in at most `width` columns: its end is kept, and most of its beginning.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let tail_room = room / 3;
    let head = fitting(text.chars(), room - tail_room);
    let tail: String = fitting(text.chars().rev(), tail_room)
        .chars()
        .rev()
        .collect();
    format!("{head}…{tail}")
}

/// `text`, a path, in at most `width` columns: its end is what matters, from a directory on if possible.
pub(super) fn cut_front(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let tail = fitting(text.chars().rev(), width.saturating_sub(1));
    let tail: String = tail.chars().rev().collect();
    let whole = tail.find('/').and_then(|at| tail.get(at..));
    format!("…{}", whole.unwrap_or(&tail))
}

/// As many of `chars` as `room` columns have room for.
pub(super) fn fitting(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= room
        })
        .collect()
}

/// `text` broken at blanks into lines of at most `width` columns; a number keeps its unit.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let unit = UNITS.contains(&word.trim_end_matches([',', '.', ')', ':', ';']));
        match words.last_mut() {
            Some(last) if unit && last.ends_with(|c: char| c.is_ascii_digit()) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    for word in words {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_elastic_one_gives_way() {
        let mut table = Table::new(0, &[Side::Left, Side::Right]);
        table.row(vec![Cell::new("GET /"), Cell::new("7")]);
        table.row(vec![
            Cell::new("GET /a/long/path/indeed"),
            Cell::new("1,000"),
        ]);
        assert_eq!(
            table.lines(2, 80),
            [
                "  GET /                        7",
                "  GET /a/long/path/indeed  1,000"
            ]
        );
        assert_eq!(
            table.lines(0, 20),
            ["GET /              7", "GET /a/l…deed  1,000"]
        );
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefgh", 6), "abcd…h");
        assert_eq!(cut_front("/src/main.c", 7), "…main.c");
        assert_eq!(cut_front("/src/main.c", 10), "…/main.c");
        assert!(cut("日本語日本語", 5).width() <= 5);
    }

    #[test]
    fn wrapping() {
        assert_eq!(wrapped("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrapped("averylongword b", 4), ["averylongword", "b"]);
        assert_eq!(wrapped("or 50 %, b", 6), ["or", "50 %,", "b"]);
        assert!(wrapped("  ", 4).is_empty());
    }
}
