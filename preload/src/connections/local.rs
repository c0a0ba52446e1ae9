//! The name of a connection's local end.

use core::ffi::c_int;

use crate::kernel;

/// The longest name: `unix:` and a path.
pub(super) const LOCAL_MAX: usize = 5 + 108;

/// Writes the local end of a stream socket into `text`: `tcp:PORT` or `unix:PATH` (`unix:@NAME` for an
/// abstract one). `None`: it is no such socket.
pub(super) fn local_end(descriptor: i32, text: &mut [u8; LOCAL_MAX]) -> Option<&[u8]> {
    let mut address = [0_u8; size_of::<libc::sockaddr_storage>()];
    let mut len: libc::socklen_t = address.len() as libc::socklen_t;
    // SAFETY: both are live for the call, and the length is that of the buffer.
    let named = unsafe {
        kernel::call(
            libc::SYS_getsockname,
            [
                descriptor as usize,
                address.as_mut_ptr() as usize,
                &raw mut len as usize,
                0,
                0,
                0,
            ],
        )
    };
    named.ok()?;
    let [low, high, rest @ ..] = address.get(..(len as usize).min(address.len()))? else {
        return None;
    };
    match c_int::from(u16::from_ne_bytes([*low, *high])) {
        libc::AF_INET | libc::AF_INET6 => {
            let port = u16::from_be_bytes(*rest.first_chunk::<2>()?);
            Some(tcp(port, text))
        }
        libc::AF_UNIX if is_stream(descriptor) => Some(unix(rest, text)),
        _ => None,
    }
}

/// The ports that this process listens on.
pub(super) struct Listening {
    ports: [u16; 64],
    count: usize,
}

impl Listening {
    /// None yet.
    pub(super) fn new() -> Listening {
        Listening {
            ports: [0; 64],
            count: 0,
        }
    }

    /// Looks whether `descriptor` listens.
    pub(super) fn look(&mut self, descriptor: i32) {
        let listens = option(descriptor, libc::SO_ACCEPTCONN) == Some(1);
        if let Some(port) = port(descriptor).filter(|_| listens)
            && let Some(place) = self.ports.get_mut(self.count)
        {
            *place = port;
            self.count += 1;
        }
    }

    /// Whether `descriptor` is a connection that a socket has given which listens.
    pub(super) fn gave(&self, descriptor: i32) -> bool {
        if option(descriptor, libc::SO_TYPE) != Some(libc::SOCK_STREAM)
            || option(descriptor, libc::SO_ACCEPTCONN) != Some(0)
        {
            return false;
        }
        match port(descriptor) {
            Some(port) => self.ports.iter().take(self.count).any(|one| *one == port),
            // Who connects has no name, as a rule, nor has a pair.
            None => {
                let mut text = [0; LOCAL_MAX];
                let local = local_end(descriptor, &mut text);
                local.is_some_and(|local| local.len() > b"unix:".len())
            }
        }
    }
}

/// The local port of an internet socket.
fn port(descriptor: i32) -> Option<u16> {
    let mut text = [0; LOCAL_MAX];
    let digits = local_end(descriptor, &mut text)?.strip_prefix(b"tcp:")?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_stream(descriptor: i32) -> bool {
    option(descriptor, libc::SO_TYPE) == Some(libc::SOCK_STREAM)
}

/// A socket's option that is a number.
fn option(descriptor: i32, option: c_int) -> Option<c_int> {
    let mut kind: c_int = 0;
    let mut len: libc::socklen_t = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: both are live for the call, and the length is that of the option.
    let told = unsafe {
        kernel::call(
            libc::SYS_getsockopt,
            [
                descriptor as usize,
                libc::SOL_SOCKET as usize,
                option as usize,
                &raw mut kind as usize,
                &raw mut len as usize,
                0,
            ],
        )
    };
    told.ok().map(|_| kind)
}

fn tcp(port: u16, text: &mut [u8; LOCAL_MAX]) -> &[u8] {
    let mut digits = [0; 5];
    let mut left = port;
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        start -= 1;
        if left == 0 {
            break;
        }
    }
    name(b"tcp:", digits.get(start..).unwrap_or(&[]), text)
}

/// `path` as it lies in the address: empty, a C string, or a NUL and an abstract name.
fn unix<'t>(path: &[u8], text: &'t mut [u8; LOCAL_MAX]) -> &'t [u8] {
    match path {
        [0, abstract_name @ ..] => name(b"unix:@", abstract_name, text),
        _ => {
            let end = path.iter().position(|byte| *byte == 0);
            name(
                b"unix:",
                path.get(..end.unwrap_or(path.len())).unwrap_or(&[]),
                text,
            )
        }
    }
}

fn name<'t>(prefix: &[u8], rest: &[u8], text: &'t mut [u8; LOCAL_MAX]) -> &'t [u8] {
    let mut len = 0;
    for (to, from) in text.iter_mut().zip(prefix.iter().chain(rest)) {
        *to = *from;
        len += 1;
    }
    text.get(..len).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_have_their_names() {
        let mut text = [0; LOCAL_MAX];
        assert_eq!(tcp(0, &mut text), b"tcp:0");
        assert_eq!(tcp(80, &mut text), b"tcp:80");
        assert_eq!(tcp(65535, &mut text), b"tcp:65535");
        assert_eq!(unix(b"/run/x\0junk", &mut text), b"unix:/run/x");
        assert_eq!(unix(b"", &mut text), b"unix:");
        assert_eq!(unix(b"\0name", &mut text), b"unix:@name");
        assert_eq!(unix(&[b'a'; 200], &mut text).len(), LOCAL_MAX);
    }
}
