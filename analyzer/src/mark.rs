//! `leak-analyze mark`: a mark in a running program, from outside.

use std::io::IoSlice;
use std::os::fd::AsRawFd;

use leak_wire::layout::SESSION_PREFIX;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, sendmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

/// Ends the interval that the last mark of the process `pid` began, and begins one called `label`.
///
/// # Errors
/// One line: there is no such traced process, or its recorder doesn't answer.
pub fn mark(pid: u32, label: &str) -> Result<(), String> {
    let name = session_of(pid)?;
    let failed =
        |error: nix::Error| format!("the recorder of process {pid} can't be reached: {error}");
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(failed)?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(5, 0)).map_err(failed)?;
    let address = UnixAddr::new_abstract(name.as_bytes()).map_err(failed)?;
    connect(fd.as_raw_fd(), &address).map_err(failed)?;
    let pid_bytes = pid.to_le_bytes();
    let parts = [
        IoSlice::new(b"M"),
        IoSlice::new(&pid_bytes),
        IoSlice::new(label.as_bytes()),
    ];
    sendmsg::<()>(fd.as_raw_fd(), &parts, &[], MsgFlags::MSG_NOSIGNAL, None).map_err(failed)?;
    let mut answer = [0; 256];
    let size = recv(fd.as_raw_fd(), &mut answer, MsgFlags::empty()).map_err(failed)?;
    match answer.get(..size) {
        Some([b'K', ..]) => Ok(()),
        Some([b'E', text @ ..]) => Err(String::from_utf8_lossy(text).into_owned()),
        _ => Err(format!(
            "the recorder of process {pid} did not take the mark (it answers its own user only)"
        )),
    }
}

/// The session whose lanes the process has mapped.
pub(crate) fn session_of(pid: u32) -> Result<String, String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))
        .map_err(|error| format!("process {pid} can't be looked at: {error}"))?;
    let prefix = format!("/memfd:{SESSION_PREFIX}");
    let name = maps.lines().find_map(|line| {
        let (_, digits) = line.split_once(&prefix)?;
        let digits = digits.split(' ').next()?;
        Some(format!("{SESSION_PREFIX}{digits}"))
    });
    name.ok_or_else(|| {
        format!(
            "process {pid} is not traced; start it with LD_PRELOAD=libleak.so or leak-analyze run"
        )
    })
}
