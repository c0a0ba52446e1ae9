use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::draw::{Drawn, draw};
use super::state::{History, State, Tab, Wish};
use crate::report::Named;
use crate::sample::Amount;
use crate::watch::plain::{self, Heading};
use crate::watch::standing::{Change, Grown};
use crate::watch::verdicts::{Judged, Life};
use crate::watch::view::{EndpointRow, RequestRow, SiteRow, Sure, TypeRow, View, Whose};

fn grown(blocks: i64, bytes: i64) -> Grown {
    let change = Change { blocks, bytes };
    Grown {
        since: change,
        last: change,
    }
}

/// What a server that leaks 10,000 vehicles for each of two failures looks like.
fn view() -> View {
    let judged = Judged {
        verdict: "too_few_requests".to_owned(),
        needed: Some(4),
        text: "2 of 2 requests kept blocks".to_owned(),
        lives: vec![Life {
            up_to_requests: 3,
            freed: 1,
            alive: 2,
        }],
    };
    let endpoint = EndpointRow {
        whose: Whose::Endpoint,
        label: "GET /areas/{id}/vehicles".to_owned(),
        status: Some(500),
        requests: 2,
        holding: 2,
        left: grown(20_000, 1_120_000),
        likely: Grown::default(),
        judged: Some(judged.clone()),
        types: vec![TypeRow {
            name: "FloatingVehicle".to_owned(),
            left: grown(20_000, 1_120_000),
        }],
    };
    View {
        at_ns: 30_000_000_000,
        last_ns: 30_000_000_000,
        requests: 8,
        requests_since: 8,
        requests_last: 8,
        live: grown(20_000, 1_120_000),
        live_bytes: 9_000_000,
        live_blocks: 80_000,
        resident: 40_000_000,
        processes: 1,
        sure: Sure {
            proved: 1_120_000,
            ..Sure::default()
        },
        endpoints: vec![endpoint],
        types: vec![TypeRow {
            name: "FloatingVehicle".to_owned(),
            left: grown(20_000, 1_120_000),
        }],
        sites: vec![SiteRow {
            fingerprint: "00".to_owned(),
            named: Named {
                function: "answer".to_owned(),
                place: "/srv/city.py:68".to_owned(),
                frames: vec![("answer".to_owned(), "/srv/city.py:68".to_owned())],
            },
            of: "GET /areas/{id}/vehicles → 500".to_owned(),
            left: grown(20_000, 1_120_000),
            judged: Some(judged),
        }],
        recent: vec![RequestRow {
            label: "GET /areas/{id}/vehicles".to_owned(),
            status: Some(500),
            ended_ns: 29_000_000_000,
            took_ns: 12_000_000,
            survivors: Amount::one(560_000),
            holds: Amount::one(560_000),
        }],
        ..View::default()
    }
}

fn heading() -> Heading {
    Heading {
        name: "python3 city.py (pid 7)".to_owned(),
        since: "start".to_owned(),
        started_at_ns: 1_700_000_000_000_000_000,
    }
}

/// The lines of a screen of this size.
fn screen(state: &mut State, (width, height): (u16, u16)) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut history = History::default();
    history.note(&view());
    let drawn = Drawn {
        heading: &heading(),
        view: &view(),
        history: &history,
        status: "following",
    };
    terminal.draw(|frame| draw(frame, &drawn, state)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y: u16| (0..width).map(move |x| buffer[(x, y)].symbol().to_owned());
    (0..height).map(|y| row(y).collect::<String>()).collect()
}

fn press(state: &mut State, code: KeyCode) -> Wish {
    state.key(KeyEvent::from(code), 1)
}

#[test]
fn all_that_matters_fits_into_80_columns() {
    let mut state = State::default();
    let lines = screen(&mut state, (80, 24));
    let row = lines.iter().find(|line| line.contains("→ 500")).unwrap();
    assert!(row.contains("GET /areas/{id}/vehicles → 500"), "{row}");
    assert!(
        row.contains("+1.1 MiB") && row.contains("needs 4 more"),
        "{row}"
    );
    assert!(lines[0].contains("python3 city.py (pid 7)"), "{lines:?}");
    assert!(lines[23].contains("q quits"), "{lines:?}");
    press(&mut state, KeyCode::Char('3'));
    let lines = screen(&mut state, (80, 24));
    let head = "Index      Count   %       Size   % Cumulative   % Kind";
    assert!(lines.iter().any(|line| line.contains(head)), "{lines:?}");
}

#[test]
fn every_tab_is_drawn_at_every_size() {
    for (width, height) in [(1, 1), (20, 5), (80, 24), (200, 60)] {
        for tab in 1..=Tab::ALL.len() {
            let mut state = State::default();
            let digit = char::from_digit(tab as u32, 10).unwrap();
            press(&mut state, KeyCode::Char(digit));
            screen(&mut state, (width, height));
            press(&mut state, KeyCode::Enter);
            press(&mut state, KeyCode::End);
            screen(&mut state, (width, height));
        }
    }
}

#[test]
fn a_detail_has_the_call_site_and_how_long_survivors_live() {
    let mut state = State::default();
    press(&mut state, KeyCode::Enter);
    let text = screen(&mut state, (80, 24)).join("\n");
    assert!(text.contains("answer  /srv/city.py:68"), "{text}");
    assert!(text.contains("1 freed, 2 alive"), "{text}");
    press(&mut state, KeyCode::Esc);
    assert!(!screen(&mut state, (80, 24)).join("\n").contains("freed"));
}

#[test]
fn keys_do_what_the_last_line_says() {
    let mut state = State::default();
    assert_eq!(press(&mut state, KeyCode::Char('b')), Wish::NewBaseline);
    assert_eq!(press(&mut state, KeyCode::Char('e')), Wish::Page);
    press(&mut state, KeyCode::Char(' '));
    assert!(state.paused);
    press(&mut state, KeyCode::Char('/'));
    for letter in "quiet".chars() {
        assert_eq!(press(&mut state, KeyCode::Char(letter)), Wish::Nothing);
    }
    press(&mut state, KeyCode::Enter);
    assert!(
        screen(&mut state, (80, 24))
            .join("\n")
            .contains("nothing yet")
    );
    press(&mut state, KeyCode::Esc);
    assert!(screen(&mut state, (80, 24)).join("\n").contains("→ 500"));
    assert_eq!(press(&mut state, KeyCode::Char('q')), Wish::Quit);
}

#[test]
fn a_block_has_guppys_columns_and_what_each_request_left() {
    let mut out = Vec::new();
    plain::block(&heading(), &view(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let head: Vec<&str> = "Index Count % Size % Cumulative % Kind"
        .split(' ')
        .collect();
    let is_head = |line: &str| line.split_whitespace().collect::<Vec<_>>() == head;
    assert!(text.lines().any(is_head), "{text}");
    assert!(text.contains("FloatingVehicle: 10,000 a request"), "{text}");
    assert!(text.contains("[too_few_requests, needs 4 more]"), "{text}");
}
