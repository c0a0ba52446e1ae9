//! Which trace is meant: a file, or the one of a process that is being recorded.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};

use crate::traced::Traced;

/// A trace to be followed.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// What opens it: where its name is gone, the recorder's own descriptor.
    pub(super) path: PathBuf,
    /// What to call it.
    pub(super) name: String,
}

/// The trace that `text` names: a file, or the pid of a process. A file whose name is a number is meant by `./123`.
///
/// # Errors
/// One line: there is no such file or process, or it is not being recorded.
pub(super) fn find(text: &Path) -> Result<Target, String> {
    match text.to_str().and_then(|text| text.parse::<u32>().ok()) {
        Some(pid) => of_process(pid),
        // Absolute: other programs read it, too, to which it must look like a file.
        None => Ok(Target {
            path: std::path::absolute(text).unwrap_or_else(|_| text.to_path_buf()),
            name: text.display().to_string(),
        }),
    }
}

/// The trace that the recorder of process `pid` writes.
fn of_process(pid: u32) -> Result<Target, String> {
    let traced = Traced::find(pid)?;
    let session = traced.session();
    let recorder = recorder(session).map_err(|error| {
        format!(
            "the recorder of process {pid} can't be reached ({error}): recording has ended, or runs elsewhere; name \
             the trace instead"
        )
    })?;
    let trace = trace_of(recorder).ok_or_else(|| {
        format!(
            "what the recorder of process {pid} (process {recorder}) writes can't be seen (it takes the same user); \
             name the trace instead"
        )
    })?;
    Ok(trace)
}

/// Who listens on the session's socket.
fn recorder(session: &str) -> nix::Result<i32> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new_abstract(session.as_bytes())?)?;
    match getsockopt(&fd, sockopt::PeerCredentials)?.pid() {
        // It is of another pid namespace, which this one does not see.
        0 => Err(nix::Error::ESRCH),
        pid => Ok(pid),
    }
}

/// The file that a recorder has open and locked.
fn trace_of(recorder: i32) -> Option<Target> {
    let folder = PathBuf::from(format!("/proc/{recorder}/fd"));
    for entry in std::fs::read_dir(&folder).ok()?.flatten() {
        let (open, number) = (entry.path(), entry.file_name());
        let told = Path::new(&format!("/proc/{recorder}/fdinfo")).join(number);
        let told = std::fs::read_to_string(told).unwrap_or_default();
        let is_file = open.metadata().is_ok_and(|metadata| metadata.is_file());
        if !is_file || !told.lines().any(|line| line.starts_with("lock:")) {
            continue;
        }
        let named = std::fs::read_link(&open).ok()?;
        let name = named.display().to_string();
        // A name is worth more than the descriptor: it lasts longer than the recorder.
        let path = match is_same(&named, &open) {
            true => named,
            false => open,
        };
        return Some(Target { path, name });
    }
    None
}

/// Whether both are the same file.
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &Path| path.metadata().ok().map(|of| (of.dev(), of.ino()));
    inode(one).is_some() && inode(one) == inode(other)
}
