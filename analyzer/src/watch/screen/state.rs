//! What the viewer has chosen to see, and what each key does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::watch::view::View;

/// What can be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Endpoints,
    Sites,
    Types,
    Memory,
    Requests,
}

impl Tab {
    pub(super) const ALL: [Tab; 5] = [
        Tab::Endpoints,
        Tab::Sites,
        Tab::Types,
        Tab::Memory,
        Tab::Requests,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Tab::Endpoints => "Endpoints",
            Tab::Sites => "Sites",
            Tab::Types => "Types",
            Tab::Memory => "Memory",
            Tab::Requests => "Requests",
        }
    }

    fn step(self, by: usize) -> Tab {
        Tab::ALL[(self as usize + by) % Tab::ALL.len()]
    }
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Bytes since the baseline.
    #[default]
    Size,
    /// Blocks since the baseline.
    Count,
    /// Bytes this time.
    ThisTime,
    Name,
}

impl Sort {
    pub(super) fn title(self) -> &'static str {
        match self {
            Sort::Size => "size",
            Sort::Count => "count",
            Sort::ThisTime => "this time",
            Sort::Name => "name",
        }
    }

    fn next(self) -> Sort {
        match self {
            Sort::Size => Sort::Count,
            Sort::Count => Sort::ThisTime,
            Sort::ThisTime => Sort::Name,
            Sort::Name => Sort::Size,
        }
    }
}

/// What a key asks of the watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    NewBaseline,
    Page,
    Quit,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tab: Tab,
    pub(super) sort: Sort,
    /// Rows without this in their names are left out.
    pub(super) filter: String,
    /// It is being typed.
    pub(super) types_filter: bool,
    pub(super) selected: usize,
    /// How far the detail of the selected row is scrolled; `None`: it is not shown.
    pub(super) detail: Option<usize>,
    /// What is shown stays as it is.
    pub(super) paused: bool,
    /// What there is to be told.
    pub(super) message: String,
    /// Rows that fit.
    pub(super) page: usize,
}

impl State {
    /// Follows a key, with so many rows to choose from.
    pub(super) fn key(&mut self, key: KeyEvent, rows: usize) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Wish::Quit;
        }
        if self.types_filter {
            self.type_filter(key.code);
            return Wish::Nothing;
        }
        let page = self.page.max(1);
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Char('b') => return Wish::NewBaseline,
            KeyCode::Char('e') => return Wish::Page,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => {
                self.types_filter = true;
                self.detail = None;
            }
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Tab | KeyCode::Right => self.go_to(self.tab.step(1)),
            KeyCode::BackTab | KeyCode::Left => self.go_to(self.tab.step(Tab::ALL.len() - 1)),
            KeyCode::Char(digit @ '1'..='5') => {
                self.go_to(Tab::ALL[digit as usize - '1' as usize]);
            }
            KeyCode::Enter if self.detail.is_none() && rows > 0 => self.detail = Some(0),
            KeyCode::Enter => self.detail = None,
            KeyCode::Esc if self.detail.is_some() => self.detail = None,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Down | KeyCode::Char('j') => self.walk(1, true),
            KeyCode::Up | KeyCode::Char('k') => self.walk(1, false),
            KeyCode::PageDown => self.walk(page, true),
            KeyCode::PageUp => self.walk(page, false),
            KeyCode::Home => self.walk(usize::MAX, false),
            KeyCode::End => self.walk(usize::MAX, true),
            _ => {}
        }
        self.stay_within(rows);
        Wish::Nothing
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.types_filter = false,
            KeyCode::Esc => {
                self.types_filter = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
        self.selected = 0;
    }

    fn go_to(&mut self, tab: Tab) {
        self.tab = tab;
        self.selected = 0;
        self.detail = None;
    }

    fn walk(&mut self, by: usize, down: bool) {
        let place = self.detail.as_mut().unwrap_or(&mut self.selected);
        *place = match down {
            true => place.saturating_add(by),
            false => place.saturating_sub(by),
        };
    }

    /// There are so many rows.
    pub(super) fn stay_within(&mut self, rows: usize) {
        self.selected = self.selected.min(rows.saturating_sub(1));
    }

    /// Whether a row of this name is shown.
    pub(super) fn shows(&self, name: &str) -> bool {
        self.filter.is_empty() || name.to_lowercase().contains(&self.filter.to_lowercase())
    }
}

/// The moments that were seen: live and resident bytes.
#[derive(Debug, Default)]
pub(super) struct History {
    points: std::collections::VecDeque<(u64, u64)>,
}

/// So many are kept: the newest.
const MOST_POINTS: usize = 300;

impl History {
    pub(super) fn note(&mut self, view: &View) {
        self.points.push_back((view.live_bytes, view.resident));
        if self.points.len() > MOST_POINTS {
            self.points.pop_front();
        }
    }

    /// The newest, so many: live bytes, and resident ones.
    pub(super) fn newest(&self, most: usize) -> (Vec<u64>, Vec<u64>) {
        let skip = self.points.len().saturating_sub(most);
        self.points.iter().skip(skip).copied().unzip()
    }
}
