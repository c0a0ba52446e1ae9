//! The page that a text report is written on: lines, their width, their colours.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::table::{Table, paint, wrapped};

/// The styles of a report; all plain where it is not coloured.
#[derive(Clone, Copy, Default)]
pub(super) struct Ink {
    /// Leaks.
    pub(super) bad: Style,
    /// What the reader must know before believing the rest.
    pub(super) warn: Style,
    /// All is well.
    pub(super) good: Style,
    /// Headings, and the program's own frames.
    pub(super) strong: Style,
    /// What matters less.
    pub(super) dim: Style,
}

impl Ink {
    pub(super) fn new(color: bool) -> Ink {
        if !color {
            return Ink::default();
        }
        Ink {
            bad: AnsiColor::Red.on_default().bold(),
            warn: AnsiColor::Yellow.on_default().bold(),
            good: AnsiColor::Green.on_default().bold(),
            strong: Style::new().bold(),
            dim: Style::new().dimmed(),
        }
    }
}

/// Lines, as they are written.
pub(super) struct Page {
    lines: Vec<String>,
    pub(super) width: usize,
    pub(super) ink: Ink,
}

impl Page {
    pub(super) fn new(width: usize, color: bool) -> Page {
        Page {
            lines: Vec::new(),
            width: width.max(40),
            ink: Ink::new(color),
        }
    }

    /// An empty one of the same width and colours.
    pub(super) fn empty(&self) -> Page {
        Page {
            lines: Vec::new(),
            width: self.width,
            ink: self.ink,
        }
    }

    /// How many lines there are.
    pub(super) fn height(&self) -> usize {
        self.lines.len()
    }

    /// A line as it is.
    pub(super) fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// An empty line between parts; never two, never the first.
    pub(super) fn blank(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    /// The heading of a part.
    pub(super) fn heading(&mut self, text: &str) {
        self.blank();
        self.line(paint(self.ink.strong, text));
    }

    /// A paragraph after `first`, indented by as much as `first` is wide.
    pub(super) fn paragraph(&mut self, first: &str, style: Style, text: &str) {
        self.titled(first, Style::new(), style, text);
    }

    /// The same, `first` in a style of its own.
    pub(super) fn titled(&mut self, first: &str, first_style: Style, style: Style, text: &str) {
        let indent = first.width();
        let mut before = paint(first_style, first);
        for line in wrapped(text, self.width.saturating_sub(indent)) {
            self.line(before + &paint(style, &line));
            before = " ".repeat(indent);
        }
    }

    /// A table.
    pub(super) fn table(&mut self, indent: usize, table: &Table) {
        self.lines.extend(table.lines(indent, self.width));
    }

    /// Everything, a line feed after each line.
    pub(super) fn into_text(mut self) -> String {
        while self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Appends what was written on another page.
    pub(super) fn append(&mut self, other: Page) {
        if !other.lines.is_empty() {
            self.blank();
            self.lines.extend(other.lines);
        }
    }
}
