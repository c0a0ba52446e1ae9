//! A process that is recorded, from outside: its recorder answers on a socket, to its own user and to root.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use leak_wire::layout::SESSION_PREFIX;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, connect, getsockopt,
    recv, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::record::state::{State, What};
use crate::record::system;

/// The longest answer.
const ANSWER: usize = 16 << 10;
/// How long an answer is waited for: a recorder reads types for ten seconds before it gives a report of now.
const PATIENCE_SECONDS: i64 = 20;
/// How long a recorder may take from its last answer to its end, milliseconds.
const END_MS: u16 = 10_000;

/// A process of a session, whose recorder listens.
pub(crate) struct Traced {
    pid: u32,
    name: String,
}

impl Traced {
    /// The process `pid`.
    ///
    /// # Errors
    /// One line: there is no such process, it can't be looked at, or it is not recorded.
    pub(crate) fn find(pid: u32) -> Result<Traced, String> {
        match session_of(pid)? {
            Some(name) => Ok(Traced { pid, name }),
            None => Err(format!(
                "process {pid} is not recorded; start it with LD_PRELOAD=libleak.so or leak-analyze run"
            )),
        }
    }

    /// The name of its session.
    pub(crate) fn session(&self) -> &str {
        &self.name
    }

    /// Whether its recorder is there.
    pub(crate) fn is_recorded(&self) -> bool {
        self.state(What::Status).is_ok()
    }

    /// Asks its recorder; the answer but for its letter.
    ///
    /// # Errors
    /// One line: the recorder can't be reached, or refuses.
    pub(crate) fn ask(&self, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
        receive(self.pid, &self.send(parts)?)
    }

    /// How the recording stands, when what `what` asks for is done.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask).
    pub(crate) fn state(&self, what: What) -> Result<State, String> {
        let answer = self.ask(&[&[b'Q', what.letter()]])?;
        self.read(&answer)
    }

    /// Ends the recording; when this returns its trace is whole and nobody writes it any more.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask).
    pub(crate) fn stop(&self) -> Result<State, String> {
        let socket = self.send(&[&[b'Q', What::Stop.letter()]])?;
        let recorder = getsockopt(&socket, sockopt::PeerCredentials);
        let recorder = recorder
            .ok()
            .and_then(|peer: UnixCredentials| system::pidfd_open(peer.pid() as u32).ok());
        let answer = receive(self.pid, &socket)?;
        if let Some(recorder) = recorder {
            let mut ends = [PollFd::new(recorder.as_fd(), PollFlags::POLLIN)];
            // Past that time the trace is whole all the same; only the next window may find it locked.
            let _ = poll(&mut ends, PollTimeout::from(END_MS));
        }
        self.read(&answer)
    }

    fn read(&self, answer: &[u8]) -> Result<State, String> {
        serde_json::from_slice(answer)
            .map_err(|error| format!("the recorder of process {} answered something else ({error}); is it of another version?", self.pid))
    }

    fn send(&self, parts: &[&[u8]]) -> Result<OwnedFd, String> {
        let pid = self.pid;
        let failed = |error: nix::Error| match error {
            Errno::ECONNREFUSED => format!(
                "the recorder of process {pid} is not there: recording has ended, or it runs in another container (run \
                 leak-analyze in that one)"
            ),
            _ => format!("the recorder of process {pid} can't be reached: {error}"),
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(failed)?;
        let patience = TimeVal::new(PATIENCE_SECONDS, 0);
        setsockopt(&fd, sockopt::ReceiveTimeout, &patience).map_err(failed)?;
        let address = UnixAddr::new_abstract(self.name.as_bytes()).map_err(failed)?;
        connect(fd.as_raw_fd(), &address).map_err(failed)?;
        let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        sendmsg::<()>(fd.as_raw_fd(), &parts, &[], MsgFlags::MSG_NOSIGNAL, None).map_err(failed)?;
        Ok(fd)
    }
}

fn receive(pid: u32, socket: &OwnedFd) -> Result<Vec<u8>, String> {
    let mut answer = vec![0; ANSWER];
    let size =
        recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).map_err(|error| match error {
            Errno::EAGAIN => {
                format!("the recorder of process {pid} gave no answer in {PATIENCE_SECONDS} s")
            }
            _ => format!("the recorder of process {pid} gave no answer: {error}"),
        })?;
    match answer.get(..size) {
        Some([b'K', rest @ ..]) => Ok(rest.to_vec()),
        Some([b'E', text @ ..]) => Err(String::from_utf8_lossy(text).into_owned()),
        _ => Err(format!(
            "the recorder of process {pid} gave no answer (it answers its own user and root only)"
        )),
    }
}

/// The session whose lanes the process has mapped, if any.
///
/// # Errors
/// One line: the process is not there, or another's.
pub(crate) fn session_of(pid: u32) -> Result<Option<String>, String> {
    let prefix = format!("/memfd:{SESSION_PREFIX}");
    Ok(maps(pid)?.lines().find_map(|line| {
        let (_, digits) = line.split_once(&prefix)?;
        let digits = digits.split(' ').next()?;
        Some(format!("{SESSION_PREFIX}{digits}"))
    }))
}

/// What the process has mapped.
///
/// # Errors
/// One line: the process is not there, or another's.
pub(crate) fn maps(pid: u32) -> Result<String, String> {
    std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no process {pid}"),
        std::io::ErrorKind::PermissionDenied => {
            format!("process {pid} is another user's, or lets nobody look at it; run leak-analyze as root")
        }
        _ => format!("process {pid} can't be looked at: {error}"),
    })
}
