//! The terminal while the screen is ours, and as it was afterwards, whatever ends us.

use std::io::{self, Stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// The screen; what was there comes back when it is dropped.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
    is_told: Arc<AtomicBool>,
}

/// So long the screen has to end by itself after a signal. (Keys are waited for without end where the terminal is gone:
/// crossterm reads on behind its end.)
const GRACE: Duration = Duration::from_millis(500);

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Screen> {
        restore_after_panics();
        let is_told = signals()?;
        enable_raw_mode()?;
        let entered = execute!(io::stdout(), EnterAlternateScreen);
        let terminal = entered.and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match terminal {
            Ok(terminal) => Ok(Screen { terminal, is_told }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Whether a signal has come that ends programs.
    pub(super) fn is_told_to_end(&self) -> bool {
        // Relaxed: nothing is published with it.
        self.is_told.load(Ordering::Relaxed)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Signals that end programs are waited for, not delivered: the terminal is given back first. Children get none of this:
/// the standard library resets what they block.
fn signals() -> io::Result<Arc<AtomicBool>> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
    ] {
        set.add(signal);
    }
    set.thread_block()?;
    let is_told = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_told);
    std::thread::Builder::new().spawn(move || {
        if set.wait().is_ok() {
            // Relaxed: as above.
            told.store(true, Ordering::Relaxed);
            std::thread::sleep(GRACE);
            restore();
            std::process::exit(0);
        }
    })?;
    Ok(is_told)
}

fn restore() {
    // The terminal may be gone: then there is nothing to be given back.
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
}

/// A panic's message is to be read, on the terminal as it was.
fn restore_after_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}
