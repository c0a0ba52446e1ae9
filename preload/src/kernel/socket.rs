//! The sockets by which a process meets its recorder.

use core::mem::{offset_of, zeroed};

use super::{Errno, call};

/// Two connected sockets that keep messages whole. Closed in programs.
pub fn socket_pair() -> Result<[i32; 2], Errno> {
    let mut pair = [-1_i32; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two numbers.
    unsafe {
        call(
            libc::SYS_socketpair,
            [
                libc::AF_UNIX as usize,
                kind as usize,
                0,
                pair.as_mut_ptr() as usize,
                0,
                0,
            ],
        )
    }?;
    Ok(pair)
}

/// Connects to the abstract Unix socket `name`. Closed in programs.
pub fn connect_abstract(name: &[u8]) -> Result<i32, Errno> {
    // SAFETY: zeros are a valid address.
    let mut address: libc::sockaddr_un = unsafe { zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let places = address.sun_path.iter_mut().skip(1);
    places
        .zip(name)
        .for_each(|(place, byte)| *place = *byte as libc::c_char);
    let length = offset_of!(libc::sockaddr_un, sun_path) + 1 + name.len();
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: numbers, then an address that is live with its length.
    unsafe {
        let socket = call(
            libc::SYS_socket,
            [libc::AF_UNIX as usize, kind as usize, 0, 0, 0, 0],
        )?;
        let connected = call(
            libc::SYS_connect,
            [socket, &raw const address as usize, length, 0, 0, 0],
        );
        if let Err(error) = connected {
            super::close(socket as i32);
            return Err(error);
        }
        Ok(socket as i32)
    }
}

/// Sends one message; never raises SIGPIPE.
pub fn send(socket: i32, message: &[u8]) -> Result<(), Errno> {
    // SAFETY: the message is live with its length.
    unsafe {
        call(
            libc::SYS_sendto,
            [
                socket as usize,
                message.as_ptr() as usize,
                message.len(),
                libc::MSG_NOSIGNAL as usize,
                0,
                0,
            ],
        )
    }
    .map(|_| ())
}

/// The user who listens at the other end of a connected Unix socket.
pub fn peer_user(socket: i32) -> Option<u32> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the value and its length are live for the call.
    let got = unsafe {
        call(
            libc::SYS_getsockopt,
            [
                socket as usize,
                libc::SOL_SOCKET as usize,
                libc::SO_PEERCRED as usize,
                &raw mut peer as usize,
                &raw mut length as usize,
                0,
            ],
        )
    };
    got.ok().map(|_| peer.uid)
}

/// Lets sending and receiving fail with `EAGAIN` after so many seconds.
pub fn set_timeouts(socket: i32, seconds: i64) {
    let limit = libc::timeval {
        tv_sec: seconds,
        tv_usec: 0,
    };
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        // SAFETY: the option's value is live with its length.
        let _ = unsafe {
            call(
                libc::SYS_setsockopt,
                [
                    socket as usize,
                    libc::SOL_SOCKET as usize,
                    option as usize,
                    &raw const limit as usize,
                    size_of::<libc::timeval>(),
                    0,
                ],
            )
        };
    }
}

/// Room for one control message with one descriptor.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    fd: i32,
    padding: i32,
}

/// Receives one message and the descriptor that may come with it.
pub fn receive(socket: i32, bytes: &mut [u8]) -> Result<(usize, Option<i32>), Errno> {
    let mut data = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: zeros are valid for both.
    let (mut control, mut message) = unsafe { (zeroed::<Control>(), zeroed::<libc::msghdr>()) };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: the message's pointers are live with their lengths.
    let length = unsafe {
        call(
            libc::SYS_recvmsg,
            [
                socket as usize,
                &raw mut message as usize,
                libc::MSG_CMSG_CLOEXEC as usize,
                0,
                0,
                0,
            ],
        )
    }?;
    let has_fd = message.msg_controllen >= offset_of!(Control, padding)
        && control.header.cmsg_level == libc::SOL_SOCKET
        && control.header.cmsg_type == libc::SCM_RIGHTS;
    Ok((length, has_fd.then_some(control.fd)))
}
