//! The control thread: images that attach, marks from outside, processes that end. It tells the
//! drain thread and never touches a lane.

use std::collections::{HashMap, HashSet};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leak_wire::detour::Brings;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr,
    UnixCredentials, accept4, bind, getsockopt, listen, recv, sendmsg, socket, sockopt,
};

use super::detours::Executables;
use super::kin;
use super::mapping::Mapping;
use super::procfs::{self, Program};
use super::state::What;
use super::system;

/// What the drain thread is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A new image is about to claim its slot.
    Attached {
        /// Its pid as it sees itself.
        own_pid: u32,
        /// Its pid as we see it.
        pid: u32,
        /// What it runs.
        program: Program,
        /// The lowest number that its image can have.
        from: u32,
    },
    /// A process has ended, with its wait status where known.
    Ended { pid: u32, status: Option<i32> },
    /// A process of another user says that it is of the session, and nothing proves it. Told once.
    Foreign {
        pid: u32,
        uid: u32,
        program: Program,
    },
    /// `leak-analyze mark`.
    Mark { pid: u32, label: Vec<u8> },
    /// `leak-analyze status`, `snapshot` or `stop`, which waits at the other end.
    Asked { connection: OwnedFd, what: What },
}

/// Epoll's word for the listening socket; connections carry their number, processes pid + this bit.
const LISTENER: u64 = u64::MAX;
const PROCESS: u64 = 1 << 40;
/// Connections that may be open at once; more are turned away.
const MAX_CONNECTIONS: usize = 256;
/// The longest message: a mark with its label.
const MAX_MESSAGE: usize = 5 + 4096;

/// Descriptors that are left for /proc, files and connections, where there may be many.
const RESERVE: usize = 16;
/// With fewer than these nothing of a target could be read.
const FEWEST: usize = 4;

/// The processes whose end is awaited. Shared by both threads.
pub(crate) struct Watch {
    epoll: Epoll,
    processes: Mutex<Processes>,
    /// How many can be watched: each takes a descriptor.
    most: usize,
}

#[derive(Default)]
struct Processes {
    watched: HashMap<u32, OwnedFd>,
    /// Those whose end nobody tells.
    others: HashSet<u32>,
}

impl Watch {
    /// Watches nobody yet. Made when all else is open.
    ///
    /// # Errors
    /// What is in the way: too few descriptors are allowed.
    pub(crate) fn new() -> Result<Watch, String> {
        let too_few =
            |error| format!("can't watch processes: {error}; allow more open files (ulimit -n)");
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(too_few)?;
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).map_err(too_few)?;
        // The lowest free number is given out: all below this one are taken.
        let taken = epoll.0.as_raw_fd() as usize + 1;
        let left = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_sub(taken);
        if left < FEWEST {
            return Err(too_few(nix::errno::Errno::EMFILE));
        }
        Ok(Watch {
            epoll,
            processes: Mutex::default(),
            most: left.saturating_sub(RESERVE),
        })
    }

    fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches `pid`; false: its end will not be told (it is gone, there are too many, or the kernel can't).
    pub(crate) fn add(&self, pid: u32) -> bool {
        let mut processes = self.processes();
        if processes.watched.contains_key(&pid) {
            return true;
        }
        let event = EpollEvent::new(EpollFlags::EPOLLIN, PROCESS | u64::from(pid));
        let room = processes.watched.len() < self.most;
        let pidfd = room.then(|| system::pidfd_open(pid).ok()).flatten();
        match pidfd.filter(|pidfd| self.epoll.add(pidfd, event).is_ok()) {
            Some(pidfd) => {
                processes.others.remove(&pid);
                processes.watched.insert(pid, pidfd).is_none()
            }
            None => {
                processes.others.insert(pid);
                false
            }
        }
    }

    /// Whether `pid` is a process of the session that is held, and lives.
    pub(crate) fn lives(&self, pid: u32) -> bool {
        let processes = self.processes();
        let held = processes.watched.get(&pid);
        held.is_some_and(|pidfd| !system::has_ended(pidfd))
    }

    /// `pid`, whose end nobody told, has ended.
    pub(crate) fn forget(&self, pid: u32) {
        self.processes().others.remove(&pid);
    }

    /// Whether `pid` is in the session.
    fn has(&self, pid: u32) -> bool {
        let processes = self.processes();
        processes.watched.contains_key(&pid) || processes.others.contains(&pid)
    }

    /// `pid` has ended: its wait status where the kernel tells.
    fn remove(&self, pid: u32) -> Option<i32> {
        let pidfd = self.processes().watched.remove(&pid)?;
        // A zombie tells by /proc; once it is reaped the descriptor itself does, on newer kernels.
        procfs::zombie_status(pid).or_else(|| system::pidfd_exit_status(&pidfd))
    }
}

/// The listening socket of the session called `name`.
pub(crate) fn listener(name: &str) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    bind(fd.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    listen(&fd, Backlog::MAXCONN)?;
    Ok(fd)
}

/// Who is at the other end.
pub(crate) fn peer(socket: &impl AsFd) -> nix::Result<UnixCredentials> {
    getsockopt(&socket.as_fd(), sockopt::PeerCredentials)
}

/// Answers with what the executable brings, the session's name and its mapping.
pub(crate) fn welcome(
    socket: &impl AsFd,
    name: &str,
    mapping: &Mapping,
    brings: Brings,
) -> nix::Result<()> {
    let fds = [mapping.file().as_raw_fd()];
    let letter = [brings.letter()];
    let parts = [IoSlice::new(&letter), IoSlice::new(name.as_bytes())];
    sendmsg::<()>(
        socket.as_fd().as_raw_fd(),
        &parts,
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Answers with one line of text, or another message.
pub(crate) fn answer(socket: &impl AsFd, message: impl AsRef<[u8]>) {
    let parts = [IoSlice::new(message.as_ref())];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    // Who doesn't listen needs no answer.
    let _ = sendmsg::<()>(socket.as_fd().as_raw_fd(), &parts, &[], flags, None);
}

/// Whether the other end is root's.
fn is_of_root(connection: &OwnedFd) -> bool {
    peer(connection).is_ok_and(|peer| peer.uid() == 0)
}

/// The control thread's state.
pub(crate) struct Control {
    /// The session's name.
    pub(crate) name: String,
    /// The mapping to hand out.
    pub(crate) mapping: Arc<Mapping>,
    /// Whose ends to tell.
    pub(crate) watch: Arc<Watch>,
    /// Where images connect.
    pub(crate) listener: OwnedFd,
    /// To the drain thread.
    pub(crate) tell: Sender<Told>,
    /// Connections that have said nothing yet.
    pub(crate) connections: HashMap<RawFd, OwnedFd>,
    /// It was told that a process of another user was turned away.
    pub(crate) turned_away: bool,
    /// What executables bring that is to be detoured.
    pub(crate) executables: Executables,
}

impl Control {
    /// Runs until the process exits.
    pub(crate) fn run(mut self) {
        let listening = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
        if self.watch.epoll.add(&self.listener, listening).is_err() {
            return;
        }
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match self.watch.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return,
            };
            for event in events.iter().take(count) {
                match event.data() {
                    LISTENER => self.accept(),
                    process if process >= PROCESS => self.ended(process as u32),
                    connection => self.serve(connection as RawFd),
                }
            }
        }
    }

    fn tell(&self, told: Told) {
        // The drain thread is gone only when the process is about to exit.
        let _ = self.tell.send(told);
        let doorbell = &self.mapping.header().doorbell;
        // Release: what was sent is there when the drain thread sees the new value.
        doorbell.fetch_add(1, Ordering::Release);
        system::futex_wake(doorbell);
    }

    fn ended(&self, pid: u32) {
        let status = self.watch.remove(pid);
        self.tell(Told::Ended { pid, status });
    }

    fn accept(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(fd) = accept4(self.listener.as_raw_fd(), flags) else {
            return;
        };
        let connection = system::owned(fd);
        let welcome = is_of_root(&connection) || self.is_welcome(&connection);
        let event = EpollEvent::new(EpollFlags::EPOLLIN, fd as u64);
        if welcome
            && self.connections.len() < MAX_CONNECTIONS
            && self.watch.epoll.add(&connection, event).is_ok()
        {
            self.connections.insert(fd, connection);
        }
    }

    /// Whether the other end is our own user's, or belongs to the session though it is another's.
    fn is_welcome(&mut self, connection: &OwnedFd) -> bool {
        let Ok(peer) = peer(connection) else {
            return false;
        };
        let (pid, uid) = (peer.pid() as u32, peer.uid());
        if uid == nix::unistd::geteuid().as_raw()
            || kin::has_connected(connection, pid, &self.watch)
        {
            return true;
        }
        // One that carries the session's name believes to be of it. Told of the first: anybody may knock.
        if !self.turned_away && procfs::names(pid, &self.name) {
            self.turned_away = true;
            let program = procfs::program(pid);
            self.tell(Told::Foreign { pid, uid, program });
        }
        false
    }

    /// Answers the one message of a connection and closes it.
    fn serve(&mut self, fd: RawFd) {
        let Some(connection) = self.connections.remove(&fd) else {
            return;
        };
        let mut message = [0; MAX_MESSAGE];
        let Ok(size) = recv(fd, &mut message, MsgFlags::MSG_DONTWAIT) else {
            return;
        };
        match message.get(..size) {
            // Root may ask, which does not make it a part of the session.
            Some([b'A' | b'D', ..]) if !self.is_welcome(&connection) => {}
            Some([b'A', pid @ ..]) => self.attach(&connection, pid),
            Some([b'M', rest @ ..]) => self.mark(&connection, rest),
            Some([b'D', rest @ ..]) => self.detour(&connection, rest),
            Some([b'Q', letter]) => match What::of_letter(*letter) {
                Some(what) => self.tell(Told::Asked { connection, what }),
                None => answer(&connection, "Eunknown message"),
            },
            _ => answer(&connection, "Eunknown message"),
        }
    }

    fn attach(&mut self, connection: &OwnedFd, own_pid: &[u8]) {
        let Some(own_pid) = own_pid.try_into().ok().map(u32::from_le_bytes) else {
            return answer(connection, "Eunknown message");
        };
        let Ok(peer) = peer(connection) else {
            return;
        };
        let pid = peer.pid() as u32;
        let program = procfs::program(pid);
        self.watch.add(pid);
        // Relaxed: it takes its number only after our answer, its earlier images took theirs before
        // they exec'd.
        let from = self.mapping.header().next_image.load(Ordering::Relaxed);
        self.tell(Told::Attached {
            own_pid,
            pid,
            program,
            from,
        });
        let brings = self.executables.brings(pid);
        // One that doesn't take the answer runs untraced.
        let _ = welcome(connection, &self.name, &self.mapping, brings);
    }

    fn detour(&self, connection: &OwnedFd, request: &[u8]) {
        if let Ok(peer) = peer(connection) {
            answer(
                connection,
                self.executables.answer(peer.pid() as u32, request),
            );
        }
    }

    fn mark(&self, connection: &OwnedFd, rest: &[u8]) {
        let Some((pid, label)) = rest.split_first_chunk() else {
            return answer(connection, "Eunknown message");
        };
        let pid = u32::from_le_bytes(*pid);
        if !self.watch.has(pid) {
            return answer(connection, format!("Eprocess {pid} is not in this session"));
        }
        let label = label.to_vec();
        self.tell(Told::Mark { pid, label });
        answer(connection, "K");
    }
}
