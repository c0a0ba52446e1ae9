//! Where a report goes: a file, a terminal, a pipe.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Columns where there is no terminal to ask.
const WIDTH: usize = 80;
/// Columns beyond which lines are hard to follow.
const MOST_WIDTH: usize = 140;

/// Columns for a report that goes to `output`, or to the standard output.
pub fn width(output: Option<&Path>) -> usize {
    let size = match output {
        Some(_) => None,
        None => terminal_size::terminal_size_of(io::stdout()),
    };
    size.map_or(WIDTH, |(width, _)| {
        usize::from(width.0).clamp(40, MOST_WIDTH)
    })
}

/// Whether a report that goes there is coloured: on a terminal, unless `NO_COLOR` and its like say
/// otherwise.
pub fn color(output: Option<&Path>) -> bool {
    let stdout = io::stdout();
    output.is_none()
        && stdout.is_terminal()
        && anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never
}

/// Opens the page at `path` in the browser that the desktop has.
///
/// # Errors
/// One line: why not, and how to open it by hand.
pub fn open_page(path: &Path) -> Result<(), String> {
    let mut opener = Command::new("xdg-open");
    opener.arg(path).stdin(Stdio::null()).stdout(Stdio::null());
    let status = opener.stderr(Stdio::null()).status();
    let why = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("xdg-open failed ({status})"),
        Err(error) => format!("xdg-open can't be started ({error})"),
    };
    Err(format!(
        "{why}: open {} in a browser, it needs no network",
        path.display()
    ))
}

/// Prints to `output`, or to the standard output, whose reader may go away: that is no error.
pub fn print_to(
    output: Option<&Path>,
    print: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match output {
        Some(path) => buffered(File::create(path)?, print),
        None => match buffered(io::stdout().lock(), print) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        },
    }
}

fn buffered(
    out: impl Write,
    print: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    print(&mut out)?;
    out.flush()
}
