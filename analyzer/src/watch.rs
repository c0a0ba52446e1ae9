//! `leak-analyze watch`: says of a program that runs what is left over, again and again.
//!
//! It follows the trace, which the recorder writes anyway: the program and its recorder know nothing of it, any number
//! may look at once, and come and go. What is live, and whose, is exact up to the moment that a block names; verdicts are
//! those of the ordinary report, which another process makes of the same trace now and then.

mod json;
mod lines;
mod live;
mod openmetrics;
mod options;
mod plain;
mod replay;
mod screen;
mod standing;
mod target;
mod verdicts;
mod view;
mod watching;
mod words;

pub use options::{Mode, Options, Since};
use watching::Watch;

/// Watches until recording ends, or the viewer goes.
///
/// # Errors
/// One line: why there is nothing to be watched.
pub fn watch(options: &Options) -> Result<(), String> {
    let mut watch = Watch::begin(options)?;
    match options.mode {
        Mode::Screen => screen::run(&mut watch, options),
        Mode::Plain | Mode::Json => lines::lines(&mut watch, options),
    }
}
