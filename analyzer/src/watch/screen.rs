//! The whole terminal: tables that follow the program, and keys.

mod detail;
mod draw;
mod rows;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::live::Reached;
use super::openmetrics;
use super::options::{Options, Since};
use super::plain::Heading;
use super::view::View;
use super::watching::Watch;
use draw::{Drawn, draw};
use state::{History, State, Wish};
use terminal::Screen;

/// How long a key is waited for.
const KEY: Duration = Duration::from_millis(100);
/// How long is read before keys are looked at.
const READ: Duration = Duration::from_millis(50);
/// The time between two views, at least.
const REFRESH: Duration = Duration::from_secs(1);
/// Views take this part of the time, at most.
const PART: u32 = 10;

/// Shows the watch until the viewer goes.
///
/// # Errors
/// One line: what went wrong.
pub(super) fn run(watch: &mut Watch, options: &Options) -> Result<(), String> {
    let failed = |error: io::Error| format!("the terminal can't be used: {error}; try --plain");
    let mut screen = Screen::take().map_err(failed)?;
    let done = show(watch, options, &mut screen);
    drop(screen);
    let last = done?;
    if let Some(last) = last {
        // Nobody may be there to read it.
        let _ = writeln!(io::stdout(), "{last}");
    }
    Ok(())
}

/// A watch on a screen.
struct Show<'w> {
    watch: &'w mut Watch,
    state: State,
    history: History,
    heading: Heading,
    view: View,
    /// When the next view is due, and the next look.
    view_due: Instant,
    look_due: Instant,
    reached: Reached,
    /// It has read all that there was, once.
    caught_up: bool,
    /// A page that is being made.
    page: Option<Receiver<String>>,
}

/// Gives what is to be said at the end.
fn show(
    watch: &mut Watch,
    options: &Options,
    screen: &mut Screen,
) -> Result<Option<String>, String> {
    let now = Instant::now();
    let heading = watch.heading();
    let mut show = Show {
        watch,
        state: State::default(),
        history: History::default(),
        heading,
        view: View::default(),
        view_due: now,
        look_due: now,
        reached: Reached::More,
        caught_up: false,
        page: None,
    };
    loop {
        show.go_on(options)?;
        let status = show.status();
        let drawn = Drawn {
            heading: &show.heading,
            view: &show.view,
            history: &show.history,
            status: &status,
        };
        let state = &mut show.state;
        if screen
            .terminal
            .draw(|frame| draw(frame, &drawn, state))
            .is_err()
        {
            // The terminal is gone, and the viewer with it.
            return Ok(None);
        }
        if screen.is_told_to_end() || !show.keys()? {
            break;
        }
    }
    let has_ended = show.reached == Reached::End;
    Ok(has_ended.then(|| show.watch.ended().1))
}

impl Show<'_> {
    /// Reads on, and makes a new view where one is due.
    fn go_on(&mut self, options: &Options) -> Result<(), String> {
        if self.reached != Reached::End {
            self.reached = self.watch.read_on(Instant::now() + READ)?;
            if self.reached == Reached::End {
                (self.view_due, self.look_due) = (Instant::now(), Instant::now());
            }
        }
        self.watch.judge.hear(Duration::ZERO);
        self.hear_of_page();
        self.caught_up |= self.reached != Reached::More;
        // What is compared with now is to be now.
        let is_early = !self.caught_up && self.watch.since == Since::Now;
        if Instant::now() < self.view_due || is_early || self.state.paused {
            return Ok(());
        }
        let requests = self.watch.live.replay.ended;
        let is_last = self.reached == Reached::End;
        self.watch.judge.begin(requests, is_last);
        let begun = Instant::now();
        let is_look = begun >= self.look_due;
        self.view = match is_look {
            true => self.watch.look(),
            false => {
                let now = self.watch.live.standing();
                self.watch.view(&now)
            }
        };
        if is_look {
            self.look_due = begun + options.every;
            if let Some(path) = &options.openmetrics {
                openmetrics::write(path, &self.view)?;
            }
        }
        self.heading = self.watch.heading();
        self.history.note(&self.view);
        self.view_due = Instant::now() + REFRESH.max(begun.elapsed() * PART);
        Ok(())
    }

    fn status(&self) -> String {
        match self.reached {
            Reached::More => format!("reading {:.0} %", self.watch.live.part() * 100.0),
            Reached::Now => "following".to_owned(),
            Reached::End => "ENDED".to_owned(),
        }
    }

    /// Follows keys that were pressed; false: the viewer goes.
    fn keys(&mut self) -> Result<bool, String> {
        let mut patience = match self.reached {
            Reached::More => Duration::ZERO,
            Reached::Now | Reached::End => KEY,
        };
        // A terminal that is gone has no keys.
        while let Ok(true) = event::poll(patience) {
            patience = Duration::ZERO;
            let Ok(event) = event::read() else {
                return Ok(false);
            };
            if let Event::Key(key) = event
                && key.kind != KeyEventKind::Release
            {
                self.state.message.clear();
                let rows = rows::rows(&self.view, &self.state, u16::MAX).rows.len();
                match self.state.key(key, rows) {
                    Wish::Quit => return Ok(false),
                    Wish::NewBaseline => self.new_baseline(),
                    Wish::Page => self.make_page(),
                    Wish::Nothing => {}
                }
            }
        }
        Ok(true)
    }

    fn new_baseline(&mut self) {
        let now = self.watch.live.standing().to_compare();
        let baselines = &mut self.watch.live.replay.baselines;
        baselines.chosen = Some(now.clone());
        baselines.before = Some(now);
        self.view_due = Instant::now();
        self.state.message = "compared with this moment from now on".to_owned();
    }

    fn make_page(&mut self) {
        if self.page.is_some() {
            return;
        }
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = seconds.unwrap_or_default().as_secs();
        let name = PathBuf::from(format!("leak-{seconds}.html"));
        let mut command = self.watch.judge.page(&name);
        let (tell, told) = channel();
        self.state.message = format!("{} is being written", name.display());
        let make = move || {
            let made = command.status().is_ok_and(|status| status.success());
            let text = match made {
                true => format!("{} is written", name.display()),
                false => format!("{} can't be written here", name.display()),
            };
            // Nobody hears it where the viewer has gone.
            let _ = tell.send(text);
        };
        if std::thread::Builder::new().spawn(make).is_ok() {
            self.page = Some(told);
        }
    }

    fn hear_of_page(&mut self) {
        if let Some(Ok(text)) = self.page.as_ref().map(Receiver::try_recv) {
            self.state.message = text;
            self.page = None;
        }
    }
}
