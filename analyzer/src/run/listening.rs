//! Whether a tree of processes listens: by the kernel's tables of sockets, without a connection that the program would
//! see.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What `/proc/net/tcp` has for a socket that listens.
const LISTENS: &str = "0A";
/// The flag in `/proc/net/unix` of a socket that accepts connections.
const ACCEPTS: u64 = 0x1_0000;

/// Whether any process below `root`, itself included, listens: on any socket, or on this TCP port. Another program's
/// socket is none, but for `port` any one in the same network will do.
pub(super) fn listens(root: u32, port: Option<u16>) -> bool {
    let sockets = listening(root, port);
    match port {
        Some(_) => !sockets.is_empty(),
        None => !sockets.is_empty() && tree(root).into_iter().any(|pid| holds_any(pid, &sockets)),
    }
}

/// The inodes of sockets that listen in the network of `pid`.
fn listening(pid: u32, port: Option<u16>) -> BTreeSet<u64> {
    let table =
        |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let mut found = BTreeSet::new();
    for name in ["tcp", "tcp6"] {
        found.extend(
            table(name)
                .lines()
                .skip(1)
                .filter_map(|line| tcp(line, port)),
        );
    }
    if port.is_none() {
        found.extend(table("unix").lines().skip(1).filter_map(unix));
    }
    found
}

/// The inode of a line of `/proc/net/tcp`, if it listens, on `port`.
fn tcp(line: &str, port: Option<u16>) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, local, _, state, ..] = words[..] else {
        return None;
    };
    let (_, of) = local.rsplit_once(':')?;
    let of = u16::from_str_radix(of, 16).ok()?;
    let wanted = state == LISTENS && port.is_none_or(|port| port == of);
    words.get(9).filter(|_| wanted)?.parse().ok()
}

/// The inode of a line of `/proc/net/unix`, if it accepts connections.
fn unix(line: &str) -> Option<u64> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let flags = u64::from_str_radix(words.get(3)?, 16).ok()?;
    let inode = words.get(6)?.parse().ok();
    inode.filter(|_| flags & ACCEPTS != 0)
}

/// `root` and all that descend from it, but what runs our own program: the recorder has a socket, too.
fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let pid = entry.file_name().to_string_lossy().parse::<u32>();
        if let Ok(pid) = pid
            && let Some(parent) = parent(pid)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let own = fs::read_link("/proc/self/exe").ok();
    let mut tree = vec![root];
    let mut at = 0;
    while let Some(pid) = tree.get(at).copied() {
        tree.extend(children.remove(&pid).unwrap_or_default());
        at += 1;
    }
    tree.retain(|pid| *pid == root || own.is_none() || executable(*pid) != own);
    tree
}

fn executable(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The fourth field of `/proc/PID/stat`; the second is a name in parentheses, which may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn holds_any(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    let folder = format!("/proc/{pid}/fd");
    let descriptors = fs::read_dir(Path::new(&folder))
        .into_iter()
        .flatten()
        .flatten();
    let mut links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.any(|link| {
        let link = link.to_string_lossy();
        let inode = link
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        inode
            .and_then(|inode| inode.parse().ok())
            .is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    #[test]
    fn our_own_listeners_are_seen() {
        let own = std::process::id();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        assert!(listens(own, Some(port)) && listens(own, None));
        drop(listener);
        assert!(!listens(own, Some(port)));
        let path = std::env::temp_dir().join(format!("leak-listening-{own}"));
        let unix = UnixListener::bind(&path).expect("a path");
        assert!(listens(own, None));
        drop(unix);
        fs::remove_file(path).expect("it is there");
    }

    #[test]
    fn others_are_not_ours() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep");
        let _listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        assert!(!listens(child.id(), None));
        child
            .kill()
            .and_then(|()| child.wait().map(drop))
            .expect("it ends");
    }
}
