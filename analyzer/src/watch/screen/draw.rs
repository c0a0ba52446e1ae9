//! Draws the screen.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{
    Block, Cell, Clear, Paragraph, Row, Sparkline, Table, TableState, Tabs, Wrap,
};

use super::detail::detail;
use super::rows::{Rows, rows};
use super::state::{History, State, Tab};
use crate::escape::escaped;
use crate::figures::{self, counted};
use crate::watch::plain::Heading;
use crate::watch::view::View;
use crate::watch::words;

/// What is drawn.
pub(super) struct Drawn<'d> {
    pub(super) heading: &'d Heading,
    pub(super) view: &'d View,
    pub(super) history: &'d History,
    /// What goes on: `following`, `reading 30 %`, how it has ended.
    pub(super) status: &'d str,
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, drawn: &Drawn<'_>, state: &mut State) {
    let parts = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]);
    let [top, tabs, middle, bottom] = parts.areas(frame.area());
    frame.render_widget(head(drawn, state), top);
    let titles = Tab::ALL.map(|tab| format!("{} {}", tab as usize + 1, tab.title()));
    let chosen = Style::new().add_modifier(Modifier::REVERSED);
    let bar = Tabs::new(titles).select(state.tab as usize);
    frame.render_widget(bar.highlight_style(chosen), tabs);
    match state.tab {
        Tab::Memory => memory(frame, drawn, middle),
        _ => table(frame, drawn.view, state, middle),
    }
    frame.render_widget(foot(state), bottom);
}

fn head(drawn: &Drawn<'_>, state: &State) -> Paragraph<'static> {
    let (view, heading) = (drawn.view, drawn.heading);
    let ago = figures::duration(view.at_ns.saturating_sub(view.since_ns));
    let status = match state.paused {
        true => "PAUSED",
        false => drawn.status,
    };
    let rate = view.rate().map_or_else(|| "–".to_owned(), words::rate);
    let dropped = match view.dropped {
        0 => "nothing dropped".to_owned(),
        dropped => format!("{} DROPPED", counted(dropped, "event")),
    };
    let sample = match view.sample_bytes {
        0 => "",
        _ => "; estimated from a sample",
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let lines = vec![
        Line::from(vec![
            Span::styled(escaped(&heading.name).into_owned(), bold),
            Span::raw(format!(
                "  since {} ({ago})  {status}",
                escaped(&heading.since)
            )),
        ]),
        Line::from(format!(
            "live {} ({})  resident {} ({})",
            figures::bytes(view.live_bytes),
            words::bytes(view.live.since.bytes),
            figures::bytes(view.resident),
            words::bytes(view.resident_since),
        )),
        Line::from(format!(
            "{rate} requests/s, {} since, {} in flight; {dropped}{sample}",
            figures::count(view.requests_since),
            figures::count(view.flying),
        )),
        Line::from(format!(
            "left: {} proved, {} likely, {} in no request, {} untold",
            words::bytes(view.sure.proved),
            words::bytes(view.sure.likely),
            words::bytes(view.sure.outside),
            words::bytes(view.sure.untold),
        )),
    ];
    Paragraph::new(lines)
}

fn foot(state: &State) -> Paragraph<'static> {
    let dim = Style::new().add_modifier(Modifier::DIM);
    if state.types_filter {
        return Paragraph::new(format!("/{}▏ Enter keeps it, Esc drops it", state.filter));
    }
    if !state.message.is_empty() {
        return Paragraph::new(state.message.clone());
    }
    let filter = match state.filter.as_str() {
        "" => "/ filter".to_owned(),
        filter => format!("/{filter}"),
    };
    let keys = format!(
        "b baseline  s sort: {}  {filter}  Enter detail  e page  space pauses  q quits",
        state.sort.title()
    );
    Paragraph::new(keys).style(dim)
}

fn table(frame: &mut Frame<'_>, view: &View, state: &mut State, area: Rect) {
    let rows = rows(view, state, area.width);
    state.stay_within(rows.rows.len());
    state.page = usize::from(area.height.saturating_sub(1));
    let place = rows.places.get(state.selected).copied();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let head = cells(&rows, rows.head.iter().map(|title| (*title).to_owned()));
    let body = rows
        .rows
        .iter()
        .map(|row| Row::new(cells(&rows, row.iter().cloned())));
    let shown = Table::new(body, rows.widths.clone())
        .header(Row::new(head).style(bold))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut chosen = TableState::new().with_selected(Some(state.selected));
    frame.render_stateful_widget(shown, area, &mut chosen);
    if rows.rows.is_empty() {
        let text = Paragraph::new("nothing yet").alignment(Alignment::Center);
        frame.render_widget(text, area);
    }
    if let (Some(scrolled), Some(place)) = (state.detail, place)
        && let Some((title, lines)) = detail(view, state.tab, place)
    {
        let last = lines.len().saturating_sub(1);
        let scrolled = scrolled.min(last);
        state.detail = Some(scrolled);
        show_detail(frame, area, &title, lines, scrolled);
    }
}

fn cells(rows: &Rows, texts: impl Iterator<Item = String>) -> Vec<Cell<'static>> {
    let cell = |(column, text): (usize, String)| {
        let text = Text::from(text);
        Cell::from(match column < rows.figures {
            true => text.alignment(Alignment::Right),
            false => text,
        })
    };
    texts.enumerate().map(cell).collect()
}

fn show_detail(frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<String>, at: usize) {
    let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
    let scrolled = u16::try_from(at).unwrap_or(u16::MAX);
    let shown = Paragraph::new(lines)
        .block(Block::bordered().title(title.to_owned()))
        .wrap(Wrap { trim: false })
        .scroll((scrolled, 0));
    frame.render_widget(Clear, area);
    frame.render_widget(shown, area);
}

fn memory(frame: &mut Frame<'_>, drawn: &Drawn<'_>, area: Rect) {
    let view = drawn.view;
    let limit = match view.seconds_to_limit {
        Some(seconds) => figures::duration(seconds.saturating_mul(1_000_000_000)),
        None => "not in sight".to_owned(),
    };
    let lines = vec![
        Line::from(format!(
            "live          {:>11}  {:>11} since   {}",
            figures::bytes(view.live_bytes),
            words::bytes(view.live.since.bytes),
            counted(view.live_blocks, "block")
        )),
        Line::from(format!(
            "mapped        {:>11}",
            figures::bytes(view.mapped_bytes)
        )),
        Line::from(format!(
            "resident      {:>11}  {:>11} since   {}",
            figures::bytes(view.resident),
            words::bytes(view.resident_since),
            match view.processes {
                1 => "1 process".to_owned(),
                many => format!("{many} processes"),
            }
        )),
        Line::from(format!(
            "in flight     {:>11}  {:>11} since",
            figures::count(view.flying),
            words::bytes(view.flying_bytes)
        )),
        Line::from(format!("limit in      {limit:>11}")),
    ];
    let parts = Layout::vertical([
        Constraint::Length(lines.len() as u16 + 1),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ]);
    let [text, live, resident] = parts.areas(area);
    frame.render_widget(Paragraph::new(lines), text);
    let (of_live, of_resident) = drawn.history.newest(usize::from(area.width));
    for (area, title, points) in [(live, "live", of_live), (resident, "resident", of_resident)] {
        let line = Sparkline::default().data(points);
        frame.render_widget(line.block(Block::new().title(title)), area);
    }
}
