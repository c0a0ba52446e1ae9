//! Opens a trace: checks what it is, waits for a recorder that is about to end, reads the facts.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use super::facts::{BuildIds, Gathered, Lane};
use super::format::{self, Kind};
use super::notes::{self, NotedEnd, Trailer};
use super::reader::{self, Chunk, Scan};
use super::{Ended, Facts, ProcessId, Warning};
use crate::figures::counted;
use crate::notice;

/// Why a trace can't be read. Each is one line.
#[derive(Debug)]
pub enum Error {
    /// The file can't be opened or read.
    Io(PathBuf, io::Error),
    /// It has no bytes at all.
    Empty(PathBuf),
    /// It is something else.
    Foreign(PathBuf),
    /// It is of a later version than this program reads.
    Newer(PathBuf, u32),
    /// A chunk whose checksum is right makes no sense.
    Malformed(PathBuf, u64),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(path, error) => write!(out, "{}: {error}", path.display()),
            Error::Empty(path) => write!(
                out,
                "{}: an empty file, not a trace; record one with LD_PRELOAD=libleak.so",
                path.display()
            ),
            Error::Foreign(path) => write!(
                out,
                "{}: not a trace of libleak (it begins with other bytes)",
                path.display()
            ),
            Error::Newer(path, version) => write!(
                out,
                "{}: a trace of version {version}, and this leak-analyze reads up to {}; use the one that recorded it",
                path.display(),
                format::VERSION
            ),
            Error::Malformed(path, at) => write!(
                out,
                "{}: the chunk at byte {at} makes no sense though its checksum is right; please report it",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {}

/// An open trace: its facts, and where its events lie.
#[derive(Debug)]
pub struct Trace {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) version: u32,
    pub(crate) facts: Facts,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) build_ids: BuildIds,
    /// Where types of blocks lie, with the processes whose they are.
    pub(crate) readings: Vec<(ProcessId, Chunk)>,
}

impl Trace {
    /// Everything but the events.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens the trace at `path`. Where the recorder still writes it but all its targets are gone, waits
/// until it is whole; past one second `waiting` is called, once.
///
/// # Errors
/// [`Error`]: what the file is instead.
pub fn open_or_wait(path: &Path, mut waiting: impl FnMut()) -> Result<Trace, Error> {
    let started = Instant::now();
    let mut said = false;
    loop {
        if let Some(trace) = attempt(path)? {
            return Ok(trace);
        }
        if !said && started.elapsed() > Duration::from_secs(1) {
            said = true;
            waiting();
        }
        std::thread::sleep(Duration::from_millis(if said { 200 } else { 20 }));
    }
}

/// [`open_or_wait`], with a line on stderr when it waits.
///
/// # Errors
/// [`Error`]: what the file is instead.
pub fn open(path: impl AsRef<Path>) -> Result<Trace, Error> {
    let path = path.as_ref();
    open_or_wait(path, || {
        let path = path.display();
        notice::say(&format!("waiting for the recorder to finish {path}"));
    })
}

/// `None`: the recorder is about to finish it.
fn attempt(path: &Path) -> Result<Option<Trace>, Error> {
    let failed = |error| Error::Io(path.to_path_buf(), error);
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    // The lock first, the length after it: without a writer the length stays.
    let (file, locked) = is_locked(file).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    if len < format::FILE_HEADER as u64 && locked {
        return Ok(None);
    }
    let (version, header) = check_header(path, &file, len)?;
    let scan = reader::scan(&file, len).map_err(failed)?;
    let (mut gathered, trailer, mut damage) = gather(&file, &scan).map_err(failed)?;
    damage.extend(header);
    let recording = locked && trailer.is_none();
    if recording && !gathered.running().any(is_alive) {
        return Ok(None);
    }
    if !recording {
        say_what_is_missing(&mut gathered, &scan, trailer.as_ref(), &damage);
    }
    let readings = std::mem::take(&mut gathered.readings);
    let (mut facts, lanes, build_ids, index) = gathered.finish(trailer.as_ref());
    let of_process = |chunk: Chunk| Some((*index.get(&chunk.header.image)?, chunk));
    let readings = readings.into_iter().filter_map(of_process).collect();
    if recording {
        facts.ended = Ended::Recording;
    }
    facts.damaged = !damage.is_empty() || scan.damaged > 0;
    say_what_was_dropped(&mut facts);
    Ok(Some(Trace {
        path: path.to_path_buf(),
        file,
        version,
        facts,
        lanes,
        build_ids,
        readings,
    }))
}

/// Whether another process holds the trace's lock.
pub(super) fn is_locked(file: File) -> io::Result<(File, bool)> {
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(lock) => match lock.unlock() {
            Ok(file) => Ok((file, false)),
            Err((_, errno)) => Err(errno.into()),
        },
        Err((file, nix::errno::Errno::EWOULDBLOCK)) => Ok((file, true)),
        // A file system without locks has no recorder that holds one.
        Err((file, _)) => Ok((file, false)),
    }
}

/// The file's version, and what of its header is damaged.
pub(super) fn check_header(
    path: &Path,
    file: &File,
    len: u64,
) -> Result<(u32, Option<Damage>), Error> {
    let path = || path.to_path_buf();
    if len == 0 {
        return Err(Error::Empty(path()));
    }
    let mut bytes = [0; format::FILE_HEADER];
    let size = len.min(bytes.len() as u64) as usize;
    file.read_exact_at(&mut bytes[..size], 0)
        .map_err(|error| Error::Io(path(), error))?;
    let version = format::u32_at(&bytes, 8).unwrap_or(0);
    // A damaged header is no other version: the checksum tells.
    let crc = format::u32_at(&bytes, 12);
    if bytes.starts_with(&format::MAGIC)
        && version > format::VERSION
        && crc == Some(crc32fast::hash(&bytes[..12]))
    {
        return Err(Error::Newer(path(), version));
    }
    let differing = |version: &u32| {
        let pairs = bytes.iter().zip(format::file_header(*version));
        pairs.filter(|(left, right)| *left != right).count()
    };
    // One damaged byte does not make it another file; the chunks have checksums of their own.
    let nearest = (1..=format::VERSION).min_by_key(differing);
    // What a short file lacks reads as zeros here.
    let nearest = nearest.filter(|_| size == bytes.len());
    match nearest.map(|version| (version, differing(&version))) {
        Some((version, 0)) => Ok((version, None)),
        Some((version, 1)) => Ok((version, Some("some bits of the file's header".to_owned()))),
        _ => Err(Error::Foreign(path())),
    }
}

/// A chunk that can't be read, in words.
type Damage = String;

fn gather(file: &File, scan: &Scan) -> io::Result<(Gathered, Option<Trailer>, Vec<Damage>)> {
    let mut gathered = Gathered::default();
    let mut trailer = None;
    let mut damage = Vec::new();
    let mut raw = Vec::new();
    for chunk in &scan.chunks {
        let header = &chunk.header;
        let good = match header.kind {
            Kind::Events | Kind::Types => reader::is_whole(file, chunk, &mut raw)?,
            _ => reader::load(file, chunk, &mut raw)?,
        };
        let mut good = good;
        match header.kind {
            _ if !good => {}
            Kind::Events => gathered.chunk(*chunk),
            Kind::Types => gathered.reading(*chunk),
            Kind::Notes => match notes::parse(&raw) {
                Some(notes) => notes.into_iter().for_each(|note| gathered.note(note)),
                None => good = false,
            },
            Kind::Trailer => match serde_json::from_slice(&raw) {
                Ok(found) => trailer = Some(found),
                Err(_) => good = false,
            },
        }
        if !good {
            let what = match header.kind {
                Kind::Events => format!("{} events of one thread", header.count),
                Kind::Notes => format!("{} notes about processes and threads", header.count),
                Kind::Types => format!("the types of {} blocks", header.count),
                Kind::Trailer => "the end marker".to_owned(),
            };
            damage.push(format!("{what} at byte {}", chunk.at));
        }
    }
    Ok((gathered, trailer, damage))
}

fn say_what_is_missing(
    gathered: &mut Gathered,
    scan: &Scan,
    trailer: Option<&Trailer>,
    damage: &[Damage],
) {
    let mut say = |code: &str, text: String| {
        let code = code.to_owned();
        gathered.note(notes::Note::Warning { code, text });
    };
    match trailer.map(|trailer| trailer.ended) {
        None => say(
            "truncated",
            format!(
                "the trace was cut short{}: the recorder was killed, or the file copied too early; \
                 what follows covers all that is readable",
                match scan.cut {
                    0 => String::new(),
                    bytes => format!(" and its last {bytes} bytes are no whole chunk"),
                }
            ),
        ),
        Some(NotedEnd::Limit) => say(
            "limit",
            "recording ended when the trace reached LEAK_MAX_TRACE (by default four fifths of the free space); set it higher to see more"
                .to_owned(),
        ),
        Some(NotedEnd::DiskFull) => say(
            "disk_full",
            "recording ended when the trace could not be written any more; make room or set LEAK_TRACE"
                .to_owned(),
        ),
        Some(NotedEnd::Complete) => {}
    }
    let unreadable = scan.damaged + if trailer.is_some() { scan.cut } else { 0 };
    if unreadable > 0 {
        say(
            "damaged",
            format!("{unreadable} bytes of the trace are damaged and were skipped; record again"),
        );
    }
    for (index, what) in damage.iter().enumerate() {
        match index {
            0..10 => say(
                "damaged",
                format!("{what} are damaged and were skipped; record again"),
            ),
            10 => say(
                "damaged",
                format!("{} more chunks are damaged", damage.len() - 10),
            ),
            _ => break,
        }
    }
}

fn say_what_was_dropped(facts: &mut Facts) {
    let dropped = facts.dropped;
    let known = dropped.allocations.saturating_add(dropped.frees);
    let total = known.saturating_add(dropped.other);
    if total == 0 {
        return;
    }
    let meaning = match dropped.frees.saturating_add(dropped.other) {
        0 => "figures are lower bounds",
        _ => {
            "figures are lower bounds, and no block is called a leak, as its free may be among them"
        }
    };
    facts.warnings.push(Warning {
        code: "dropped_events".to_owned(),
        text: format!(
            "{} not recorded ({}, {}, {}): {meaning}; record with LEAK_FULL=wait or a larger \
             LEAK_MEMORY",
            counted(total, "event"),
            counted(dropped.allocations, "allocation"),
            counted(dropped.frees, "free"),
            counted(dropped.other, "other"),
        ),
    });
}

/// Whether the process runs: a zombie has ended.
fn is_alive(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}
