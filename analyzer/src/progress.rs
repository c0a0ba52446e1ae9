//! A bar on a terminal that says how far a long reading has come.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// The bar's steps.
const WHOLE: f64 = 1000.0;

/// A bar on the standard error where that is a terminal, from the first second on and until dropped.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    doing: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Nothing is to be seen yet; the bar will say that this is being done.
    pub fn of(doing: String) -> Progress {
        Progress {
            started: Instant::now(),
            doing,
            bar: None,
        }
    }

    /// So much of it is done, from 0 to 1.
    pub fn at(&mut self, part: f64) {
        let waited = self.started.elapsed();
        if waited < PATIENCE {
            return;
        }
        let doing = &self.doing;
        let bar = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr();
            let style = ProgressStyle::with_template("{msg} {bar:30} {percent} %, {eta} left");
            ProgressBar::with_draw_target(Some(WHOLE as u64), target)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(doing.clone())
                .with_elapsed(waited)
        });
        bar.set_position((part.clamp(0.0, 1.0) * WHOLE) as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
