//! Groups of processes whose memory is limited.

use std::fs;
use std::path::{Path, PathBuf};

use crate::artifacts;
use crate::process::Ended;
use crate::run::Place;

/// A group of processes whose memory is limited, in either version of the kernel's interface.
#[derive(Debug)]
pub struct MemoryGroup {
    path: PathBuf,
    /// The file that tells the most that was in use.
    peak: &'static str,
}

impl MemoryGroup {
    /// One that may have so many bytes; `None` where none can be made.
    pub fn of(bytes: u64) -> Option<MemoryGroup> {
        let name = format!("leak-tests.{}.{bytes}", std::process::id());
        let versions = [
            (
                "memory",
                "memory.limit_in_bytes",
                "memory.max_usage_in_bytes",
            ),
            ("", "memory.max", "memory.peak"),
        ];
        versions.into_iter().find_map(|(mount, limit, peak)| {
            let path = Path::new("/sys/fs/cgroup").join(mount).join(&name);
            fs::create_dir(&path).ok()?;
            let group = MemoryGroup { path, peak };
            let set = fs::write(group.path.join(limit), bytes.to_string()).is_ok();
            (set && group.peak() == Some(0)).then_some(group)
        })
    }

    /// The most bytes that were in use; `None`: the kernel does not tell.
    pub fn peak(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join(self.peak)).ok()?;
        text.trim().parse().ok()
    }

    /// Runs `program` in it, traced.
    pub fn run(&self, place: &Place, program: &Path) -> Ended {
        self.run_with(place, program, &[])
    }

    /// The same with arguments.
    pub fn run_with(&self, place: &Place, program: &Path, arguments: &[&str]) -> Ended {
        let mut command = place.plain("bash");
        let script = r#"echo $$ >$GROUP/cgroup.procs && LD_PRELOAD=$LIBRARY exec $PROGRAM "$@""#;
        command.args(["-c", script, "bash"]).args(arguments);
        command.env("GROUP", &self.path);
        command.env("LIBRARY", artifacts::libleak());
        command.env("PROGRAM", program);
        place.run(command)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Its last process may be leaving still: then it is left, empty.
        let _ = fs::remove_dir(&self.path);
    }
}
