//! Whether a process of another user that asks for the shared memory belongs to the session: a program that
//! root's shell, service or container has run as `nobody`.
//!
//! - Being of the session is being one of its processes, or one that such a process has started, however many
//!   programs lie between them that are not traced (`gosu`).
//! - A user proves nothing, nor does a number, which is given again when its process is gone. So a process is
//!   held by a descriptor while it is asked about: what is said of the number of one that lives is said of it.
//! - Who has connected the kernel alone says (`SO_PEERPIDFD`, Linux 6.5). Without that nobody is taken for
//!   another than he is: he is turned away.

use std::os::fd::OwnedFd;

use super::control::Watch;
use super::{procfs, system};

/// How far back ancestors are looked for.
const GENERATIONS: usize = 64;

/// Whether the process `pid` at the other end of `connection` belongs to the session whose processes are watched.
pub(crate) fn has_connected(connection: &OwnedFd, pid: u32, watch: &Watch) -> bool {
    let Ok(held) = system::peer_pidfd(connection) else {
        return false;
    };
    // Numbers of another namespace are no use.
    procfs::is_ours() && belongs((pid, held), watch)
}

fn belongs(process: (u32, OwnedFd), watch: &Watch) -> bool {
    let (mut pid, mut held) = process;
    for _ in 0..GENERATIONS {
        if watch.lives(pid) {
            // Two that live have two numbers.
            return !system::has_ended(&held);
        }
        let Some((parent, its)) = held_parent(pid, &held) else {
            return false;
        };
        (pid, held) = (parent, its);
    }
    false
}

/// The parent of the process `pid`, held.
fn held_parent(pid: u32, held: &OwnedFd) -> Option<(u32, OwnedFd)> {
    let parent = procfs::parent(pid).filter(|parent| *parent > 0)?;
    let its = system::pidfd_open(parent).ok()?;
    // Whose parent is gone has another one: so the one that is held is the one that was read of.
    let same = procfs::parent(pid) == Some(parent) && !system::has_ended(held);
    same.then_some((parent, its))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn held(pid: u32) -> (u32, OwnedFd) {
        (pid, system::pidfd_open(pid).unwrap())
    }

    /// A child with a child of its own, whose number it tells.
    fn family() -> (std::process::Child, u32) {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 100 & echo $!; read gone"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        (child, line.trim().parse().unwrap())
    }

    #[test]
    fn who_descends_from_a_process_of_the_session_belongs_to_it() {
        let (mut child, grandchild) = family();
        let watch = Watch::new().unwrap();
        assert!(!belongs(held(grandchild), &watch));
        assert!(watch.add(child.id()));
        assert!(belongs(held(child.id()), &watch));
        assert!(belongs(held(grandchild), &watch));
        assert!(!belongs(held(std::process::id()), &watch));
        // Once its parent is gone nothing tells any more. (It is another's child then.)
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!belongs(held(grandchild), &watch));
        let orphan = held(grandchild);
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(grandchild as i32),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        assert!(!belongs(orphan, &watch));
    }

    #[test]
    fn one_that_has_ended_is_nobody() {
        let (mut child, grandchild) = family();
        let watch = Watch::new().unwrap();
        assert!(watch.add(child.id()));
        let (zombie, process) = held(child.id());
        child.kill().unwrap();
        // Its number is still its own, as nobody has waited for it yet.
        while !system::has_ended(&process) {
            std::thread::yield_now();
        }
        assert!(!belongs((zombie, process), &watch));
        child.wait().unwrap();
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(grandchild as i32),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
}
