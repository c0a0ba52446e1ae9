//! Runs a program under libleak, or without, in a directory of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::artifacts;
use crate::process::{Ended, Group};
use crate::report::Report;

/// Longer than anything here takes on a busy machine: only what hangs reaches it.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A directory in which programs run, and in which their trace lies.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
}

/// Where `LEAK_TESTS_KEEP` is set, what a failed test ran in is kept, and its path printed.
impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("LEAK_TESTS_KEEP").is_some() {
            self.directory.disable_cleanup(true);
            eprintln!("kept: {}", self.directory.path().display());
        }
    }
}

impl Place {
    /// An empty directory, gone with the value, open to other users (servers drop their rights).
    pub fn new() -> Place {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::Builder::new()
            .prefix("leak-tests.")
            .tempdir()
            .expect("the temporary directory can be written");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).expect("the directory is ours");
        Place { directory }
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The default trace.
    pub fn trace(&self) -> PathBuf {
        self.path("trace.bin")
    }

    /// A command that runs here as if libleak did not exist.
    pub fn plain(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path());
        for variable in ["LD_PRELOAD", "LEAK_SESSION"] {
            command.env_remove(variable);
        }
        command
    }

    /// The same under libleak, with nothing set but `LD_PRELOAD`.
    pub fn traced(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.plain(program);
        command.env("LD_PRELOAD", artifacts::libleak());
        command
    }

    /// Starts `command`, whose output is kept in this directory.
    pub fn start(&self, command: Command) -> Group {
        Group::start(command, self.directory.path())
    }

    /// Runs `command` to its end, and to that of everything that it started.
    pub fn run(&self, command: Command) -> Ended {
        let mut group = self.start(command);
        let ended = group.wait(LIMIT);
        group.assert_nothing_left(LIMIT);
        ended
    }

    /// The report of the default trace.
    pub fn report(&self) -> Report {
        Report::of(&self.trace())
    }
}

impl Default for Place {
    fn default() -> Self {
        Place::new()
    }
}
