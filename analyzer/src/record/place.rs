//! Where the trace goes: the pattern's letters, the lock, and the names of older traces.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How many older traces are kept beside.
const BACKUPS: u32 = 9;

/// What the letters of a `LEAK_TRACE` stand for.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// `%p`: pid of the first process.
    pub(crate) pid: u32,
    /// `%e`: its program name.
    pub(crate) program: String,
    /// `%h`.
    pub(crate) host: String,
    /// `%t`: start time, seconds since the epoch.
    pub(crate) time: u64,
}

/// What is known of them before the program `program` starts.
pub(crate) fn names(program: Option<&Path>) -> Names {
    let name = program.and_then(Path::file_name).unwrap_or_default();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Names {
        pid: 0,
        program: name.to_string_lossy().into_owned(),
        host: host.to_string_lossy().into_owned(),
        time: since_epoch.unwrap_or_default().as_secs(),
    }
}

impl Names {
    /// The same for the process `pid`.
    pub(crate) fn with_pid(self, pid: u32) -> Names {
        Names { pid, ..self }
    }

    /// `pattern` with all letters replaced but `%p`: still a pattern.
    pub(crate) fn expand_all_but_pid(&self, pattern: &str) -> String {
        // What is filled in must not be read as letters once more.
        let quoted = |name: &str| file_name(name).replace('%', "%%");
        let names = Names {
            pid: 0,
            program: quoted(&self.program),
            host: quoted(&self.host),
            time: self.time,
        };
        names.replace(&pattern.replace("%%", "%%%%"), "%p")
    }

    /// `pattern` with its letters replaced; `%%` is a percent sign, other letters stay as they are.
    pub(crate) fn expand(&self, pattern: &str) -> String {
        self.replace(pattern, &self.pid.to_string())
    }

    fn replace(&self, pattern: &str, pid: &str) -> String {
        let mut path = String::new();
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                path.push(letter);
                continue;
            }
            match letters.next() {
                Some('p') => path.push_str(pid),
                Some('e') => path.push_str(&file_name(&self.program)),
                Some('h') => path.push_str(&file_name(&self.host)),
                Some('t') => path.push_str(&self.time.to_string()),
                Some('%') => path.push('%'),
                Some(other) => path.extend(['%', other]),
                None => path.push('%'),
            }
        }
        path
    }
}

/// A name that stays one name in a path.
fn file_name(name: &str) -> String {
    name.replace(['/', '\0'], "_")
}

/// Opens a new trace at `path`, locked; one that is there already gets a number.
///
/// # Errors
/// One line saying what is in the way and what to do.
pub(crate) fn open(path: &Path) -> Result<Flock<File>, String> {
    let _turn = lock_folder(path);
    let shown = path.display();
    let advice = "set LEAK_TRACE to a place that can be written";
    match is_being_written(path) {
        Ok(true) => {
            return Err(format!(
                "{shown} is being written by another session; set LEAK_TRACE to another name (%p is the pid)"
            ));
        }
        Ok(false) => {}
        Err(error) => return Err(format!("can't write {shown}: {error}; {advice}")),
    }
    make_way(path)
        .map_err(|error| format!("can't rename the trace that is at {shown}: {error}; {advice}"))?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => format!(
                "{shown} was begun by another session just now; set LEAK_TRACE to another name (%p is the pid)"
            ),
            _ => format!("can't write {shown}: {error}; {advice}"),
        })?;
    lock(file).map_err(|error| format!("can't lock {shown}: {error}; {advice}"))
}

/// Lets one session at a time look, rename and create in the trace's folder. A folder that can't be
/// locked is no reason not to record.
fn lock_folder(path: &Path) -> Option<Flock<File>> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut file = File::open(folder.unwrap_or(Path::new("."))).ok()?;
    for _ in 0..200 {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((back, _)) => file = back,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Whether a regular file is there and some recorder holds its lock.
pub(super) fn is_being_written(path: &Path) -> io::Result<bool> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    // One that can't be read has to go out of the way all the same; only its owner can hold a lock.
    let Ok(file) = File::open(path) else {
        return Ok(false);
    };
    Ok(lock(file).is_err())
}

/// Takes the lock; readers hold it for a moment only, recorders until they end.
fn lock(mut file: File) -> io::Result<Flock<File>> {
    let mut last = Errno::EWOULDBLOCK;
    for _ in 0..10 {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, errno)) => (file, last) = (back, errno),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(last.into())
}

/// Renames what is at `path` to `path.1`, that to `path.2`, and so on; the ninth is let go.
fn make_way(path: &Path) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let first_free = (1..=BACKUPS).find(|number| !numbered(*number).exists());
    for number in (1..first_free.unwrap_or(BACKUPS)).rev() {
        std::fs::rename(numbered(number), numbered(number + 1))?;
    }
    std::fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            pid: 42,
            program: "my/server".into(),
            host: "box".into(),
            time: 7,
        }
    }

    #[test]
    fn letters_are_replaced() {
        let expand = |pattern| names().expand(pattern);
        assert_eq!(
            expand("/tmp/%e-%p-%h-%t.bin"),
            "/tmp/my_server-42-box-7.bin"
        );
        assert_eq!(expand("100%%-%x-%"), "100%-%x-%");
        let early = names().expand_all_but_pid("/%h/%e-%p-%%p");
        assert_eq!(early, "/box/my_server-%p-%%p");
        assert_eq!(names().expand(&early), "/box/my_server-42-%p");
    }

    #[test]
    fn older_traces_are_kept_and_a_written_one_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("leak-place-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("trace.bin");
        for round in 0..12 {
            std::fs::write(&path, [round]).unwrap();
            let lock = open(&path).unwrap();
            assert!(open(&path).unwrap_err().contains("another session"));
            drop(lock);
            let newest = std::fs::read(folder.join("trace.bin.1")).unwrap();
            assert_eq!(newest, [round]);
            std::fs::remove_file(&path).unwrap();
        }
        let oldest = std::fs::read(folder.join("trace.bin.9")).unwrap();
        assert_eq!(oldest, [3]);
        assert!(!folder.join("trace.bin.10").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
