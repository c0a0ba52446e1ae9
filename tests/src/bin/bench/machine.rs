//! Where and when the figures were taken.

use std::fmt;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// The machine, and how the bench was run on it.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    libc: String,
    commit: String,
    date: String,
    load: String,
    /// Whether less was run than the whole.
    pub(crate) quick: bool,
    rounds: usize,
}

impl Machine {
    /// This one, now.
    pub(crate) fn here(quick: bool, rounds: usize) -> Machine {
        let value = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text
                .lines()
                .find(|line| line.starts_with(key))
                .unwrap_or_default();
            line.split_once(':')
                .map_or("", |(_, value)| value.trim())
                .to_owned()
        };
        let memory = value("/proc/meminfo", "MemTotal");
        let memory = memory
            .split(' ')
            .next()
            .and_then(|kib| kib.parse::<u64>().ok());
        Machine {
            processor: value("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory.unwrap_or_default() / 1024,
            kernel: said_by("uname", &["-r"]),
            libc: said_by("getconf", &["GNU_LIBC_VERSION"]),
            commit: said_by("git", &["rev-parse", "--short", "HEAD"]),
            date: said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            load: fs::read_to_string("/proc/loadavg")
                .unwrap_or_default()
                .trim_end()
                .to_owned(),
            quick,
            rounds,
        }
    }

    /// For the JSON file.
    pub(crate) fn json(&self) -> Value {
        json!({
            "processor": self.processor, "cores": self.cores, "memory_mib": self.memory_mib, "kernel": self.kernel,
            "libc": self.libc, "commit": self.commit, "date": self.date, "load_before": self.load,
            "quick": self.quick, "rounds": self.rounds,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            processor,
            cores,
            memory_mib,
            kernel,
            libc,
            commit,
            date,
            load,
            rounds,
            ..
        } = self;
        write!(
            out,
            "{date}, commit {commit}. {cores} cores of {processor}, {memory_mib} MiB, Linux {kernel}, {libc}; \
             load average before: {load}. {rounds} rounds."
        )
    }
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| {
            String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()
        },
    )
}
