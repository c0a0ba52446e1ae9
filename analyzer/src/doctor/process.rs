//! A process that runs.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use leak_wire::settings::matches_any;

use super::finding::Findings;
use super::image::{self, Image};
use super::surroundings::{self, Variables};
use crate::figures::{counted, duration, moment};
use crate::record::names;
use crate::record::preflight;
use crate::record::state::What;
use crate::run;
use crate::run::program::{self, Obstacle};
use crate::traced::{self, Traced};
use crate::window::control;

/// Looks at the process `pid`.
///
/// # Errors
/// One line: it is not there, or can't be looked at.
pub(super) fn look_at(
    pid: u32,
    preload: Option<&Path>,
    findings: &mut Findings,
) -> Result<(), String> {
    let maps = traced::maps(pid)?;
    let process = Process::of(pid, &maps);
    if maps.is_empty() {
        let text = format!("process {pid} has no memory: it has ended, or is the kernel's own");
        findings.cant("process", text, "name another one");
        return Ok(());
    }
    let age = preflight::age(pid).map_or(String::new(), |age| {
        format!(", has run for {}", duration(age.as_nanos() as u64))
    });
    let shown = process.executable.display();
    match program::obstacle_in(&process.file()) {
        None => findings.ok("process", format!("{pid}, {shown}{age}")),
        Some(Obstacle::NoProgram) => findings.note(
            "process",
            format!("{pid}, {shown}{age}: its file can't be read"),
            "run leak-analyze as root",
        ),
        Some(obstacle) => {
            let (what, todo) = obstacle.parts();
            findings.cant("process", format!("{pid}, {shown}: {what}"), todo);
        }
    }
    if process.is_secure() {
        findings.cant(
            "process",
            "it was started with rights that are not its user's: nothing is traced in it",
            "start it as the user whose rights it has",
        );
    }
    let is_recorded = match process.library() {
        Some(library) => loaded(&process, &library, findings)?,
        None => {
            absent(&process, preload, findings);
            false
        }
    };
    around(&process, is_recorded, findings);
    let (file, name) = (process.exe(), process.executable.as_path());
    let image = Image {
        file: &file,
        name,
        libraries: &process.libraries,
        variables: &process.variables,
    };
    image::look_at(&image, findings);
    Ok(())
}

/// What /proc tells of it.
struct Process {
    pid: u32,
    folder: PathBuf,
    executable: PathBuf,
    variables: Variables,
    /// As we see them.
    libraries: Vec<PathBuf>,
}

impl Process {
    fn of(pid: u32, maps: &str) -> Process {
        let folder = preflight::folder_of(pid);
        let paths: BTreeSet<&str> = maps
            .lines()
            .filter_map(|line| Some(line.get(line.find('/')?..)?.trim_end()))
            .filter(|path| path.contains(".so"))
            .collect();
        let root = folder.join("root");
        let seen = |path: &str| root.join(path.trim_start_matches('/'));
        let variables = fs::read(folder.join("environ")).unwrap_or_default();
        let variables = variables.split(|byte| *byte == 0).filter_map(|entry| {
            let equals = entry.iter().position(|byte| *byte == b'=')?;
            let (name, value) = entry.split_at(equals);
            let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            Some((owned(name), owned(value.get(1..)?)))
        });
        Process {
            pid,
            executable: preflight::program(pid).executable.into(),
            variables: variables.collect(),
            libraries: paths.into_iter().map(seen).collect(),
            folder,
        }
    }

    fn exe(&self) -> PathBuf {
        self.folder.join("exe")
    }

    fn file(&self) -> Vec<u8> {
        fs::read(self.exe()).unwrap_or_default()
    }

    fn value(&self, name: &str) -> Option<&OsStr> {
        surroundings::value(&self.variables, name)
    }

    /// libleak.so, as the process knows it.
    fn library(&self) -> Option<PathBuf> {
        let mut libraries = self.libraries.iter();
        let found = libraries.find(|path| path.file_name() == Some(OsStr::new("libleak.so")))?;
        let own = found.strip_prefix(self.folder.join("root")).ok()?;
        Some(Path::new("/").join(own))
    }

    /// Whether its loader heeded no `LD_PRELOAD`.
    fn is_secure(&self) -> bool {
        let auxv = fs::read(self.folder.join("auxv")).unwrap_or_default();
        auxv.chunks_exact(16).any(|pair| {
            let word = |at: usize| pair.get(at..at + 8).and_then(|word| word.first_chunk());
            let words = (word(0), word(8));
            matches!(words, (Some(tag), Some(value))
                if u64::from_le_bytes(*tag) == libc::AT_SECURE && *value != [0; 8])
        })
    }

    /// Whether `LEAK_ONLY` names it.
    fn is_meant(&self) -> bool {
        let Some(only) = self.value("LEAK_ONLY") else {
            return true;
        };
        let started = preflight::program(self.pid).arguments.into_iter().next();
        let started = started.unwrap_or_default();
        let names = [self.executable.as_path(), Path::new(&started)];
        let mut names = names.into_iter().filter_map(Path::file_name);
        names.any(|name| matches_any(only.as_bytes(), name.as_bytes()))
    }
}

/// libleak is in it: says how that stands; whether it is recorded.
fn loaded(process: &Process, library: &Path, findings: &mut Findings) -> Result<bool, String> {
    if traced::session_of(process.pid)?.is_some() {
        return Ok(in_session(process.pid, findings));
    }
    let library = library.display();
    if !process.is_meant() {
        let only = process.value("LEAK_ONLY").unwrap_or_default().display();
        findings.cant(
            "recording",
            format!("{library} is in it, and LEAK_ONLY={only} does not name it"),
            "start it again with its name in LEAK_ONLY",
        );
        return Ok(false);
    }
    let pid = process.pid;
    let start = process.value("LEAK_START");
    match control::look(pid) {
        Err(why) => {
            let (what, todo) = parts(&why);
            findings.cant(
                "recording",
                what,
                todo.unwrap_or("run leak-analyze as root"),
            );
        }
        Ok(look) if look.told.contains("not traced") && start.is_none() => findings.cant(
            "recording",
            format!("{library} is in it, and said at its start: {}", look.told),
            "mend that, and start it again",
        ),
        Ok(look) => {
            let waits = start.map_or("its recording has ended".to_owned(), |when| {
                format!("LEAK_START={}", when.display())
            });
            let told = match look.told.as_str() {
                "" => String::new(),
                told => format!("; it said last: {told}"),
            };
            findings.ready(
                "recording",
                format!("{library} is in it and records nothing ({waits}){told}"),
                format!("leak-analyze start {pid} begins"),
            );
        }
    }
    Ok(false)
}

/// It is in a session: whether that is recorded still.
fn in_session(pid: u32, findings: &mut Findings) -> bool {
    match Traced::find(pid).and_then(|traced| traced.state(What::Status)) {
        Ok(state) => {
            let since = moment(state.started_at_ns / 1_000_000_000 * 1_000_000_000);
            findings.ready(
                "recording",
                format!(
                    "it is recorded since {}, to {}, {} so far",
                    since.replace('T', " ").replace('Z', " UTC"),
                    state.trace.display(),
                    counted(state.events, "event")
                ),
                format!("leak-analyze watch {pid} looks at it, leak-analyze stop {pid} ends that"),
            );
            true
        }
        Err(why) => {
            let (what, todo) = parts(&why);
            let anew = format!("leak-analyze start {pid} begins anew");
            findings.note("recording", what, todo.map_or(anew, str::to_owned));
            false
        }
    }
}

/// What an error line says is the matter, and what it says to do.
fn parts(line: &str) -> (&str, Option<&str>) {
    match line.split_once("; ") {
        Some((what, todo)) => (what, Some(todo)),
        None => (line, None),
    }
}

/// libleak is not in it: says so, and how it comes there.
fn absent(process: &Process, preload: Option<&Path>, findings: &mut Findings) {
    let library = run::preload(preload).unwrap_or_else(|_| "libleak.so".into());
    let preloaded = process.value("LD_PRELOAD");
    let named = preloaded.filter(|value| value.to_string_lossy().contains("libleak.so"));
    let text = match named {
        Some(value) => format!(
            "its LD_PRELOAD={} names libleak.so, which is not in it: a file that is not there or can't be read, or a \
             program into which nothing can be loaded",
            value.display()
        ),
        None => "libleak.so is not in it, and can't be put into a process that runs".to_owned(),
    };
    let all = match preloaded.filter(|_| named.is_none()) {
        Some(others) => format!("{}:{}", library.display(), others.display()),
        None => library.display().to_string(),
    };
    let todo = format!(
        "start it again with LD_PRELOAD={all} (and LEAK_START=off, to have it recorded when leak-analyze start PID says so)"
    );
    findings.cant("recording", text, todo);
}

/// What is around it.
fn around(process: &Process, is_recorded: bool, findings: &mut Findings) {
    let namespaces = elsewhere(process);
    if !namespaces.is_empty() {
        findings.note(
            "container",
            format!(
                "it runs in namespaces of its own ({})",
                namespaces.join(", ")
            ),
            "run leak-analyze in the same container, with libleak.so and leak-analyze there",
        );
    }
    if let Some(value) = process.value("LD_PRELOAD") {
        findings.ok("environment", format!("LD_PRELOAD={}", value.display()));
    }
    surroundings::settings(&process.variables, findings);
    if surroundings::is_filtered(&process.folder.to_string_lossy()) {
        findings.note(
            "kernel",
            "a filter for system calls is in force in it: if it allows no recorder, recording can't begin, and threads and \
             children that begin while it is recorded may go untraced",
            "start it with LEAK_START=on, so that recording begins before the filter",
        );
    }
    if is_recorded {
        return;
    }
    surroundings::memory(process.pid, process.value("LEAK_MEMORY"), findings);
    if !namespaces.contains(&"mnt")
        && let Ok(folder) = fs::read_link(process.folder.join("cwd"))
    {
        let pattern = process
            .value("LEAK_TRACE")
            .unwrap_or(OsStr::new("trace.bin"));
        let names = names(Some(&process.executable)).with_pid(process.pid);
        let path = folder.join(names.expand(&pattern.to_string_lossy()));
        surroundings::trace(&path, process.value("LEAK_MAX_TRACE"), findings);
    }
}

/// In which namespaces of its own it is, of those that matter.
fn elsewhere(process: &Process) -> Vec<&'static str> {
    let of = |folder: &Path, kind: &str| fs::read_link(folder.join("ns").join(kind)).ok();
    let is_other = |kind: &&'static str| {
        let theirs = of(&process.folder, kind);
        theirs.is_some() && theirs != of(Path::new("/proc/self"), kind)
    };
    ["mnt", "net", "pid", "user"]
        .into_iter()
        .filter(is_other)
        .collect()
}
