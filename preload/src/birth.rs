//! The recorder's birth, and how a process meets one that lives.

use core::ffi::{CStr, c_char};

use leak_wire::build::BUILD_C;
use leak_wire::detour::Brings;
use leak_wire::layout::SESSION_PREFIX;

use crate::config::Environment;
use crate::kernel::{self, Errno};
use crate::mapping::{Mapping, Unfit};
use crate::notice::{self, Line};
use crate::own_path::own_path;
use crate::session::{Name, Refused};
use crate::{arena, environment, thread};

/// What the recorder answered.
pub struct Answer {
    /// The shared memory.
    pub mapping: Mapping,
    /// The session's name.
    pub name: Name,
    /// What the recorder has found in the executable.
    pub brings: Brings,
}

/// How long a target waits for the recorder's first answer.
const PATIENCE_SECONDS: i64 = 5;
/// The socket's number in the recorder.
const RECORDER_SOCKET: i32 = 3;
const PATH_MAX: usize = 4096;

/// Tells the user why, and what to do.
fn refuse(parts: &[&[u8]]) -> Refused {
    notice::say(parts);
    Refused
}

/// What a recorder is started with. Not on the stack, of which a program can have little (`ulimit -s`).
struct Birth {
    path: [u8; PATH_MAX],
    variables: [*const c_char; MAX_VARIABLES],
}

/// Starts a recorder and takes its answer; `late`: the program has run for a while.
pub fn start_recorder(environment: Environment, late: bool) -> Result<Answer, Refused> {
    let Some(memory) = kernel::map(size_of::<Birth>()) else {
        return Err(refuse(&[
            b"no memory to start the recorder with: this program is not traced",
        ]));
    };
    // SAFETY: fresh memory of the kernel's, aligned to a page and long enough, whose zeros are bytes and null
    // pointers; nobody else knows it.
    let birth = unsafe { &mut *memory.cast::<Birth>() };
    let answer = start_with(birth, environment, late);
    // SAFETY: the mapping as it was made; `birth` is not used any more, and the answer borrows nothing.
    unsafe { kernel::unmap(memory, size_of::<Birth>()) };
    answer
}

fn start_with(birth: &mut Birth, environment: Environment, late: bool) -> Result<Answer, Refused> {
    let path = find_recorder(environment, &mut birth.path)?;
    let [ours, theirs] = kernel::socket_pair().map_err(|_| {
        refuse(&[b"no socket for the recorder (too many open files?): this program is not traced"])
    })?;
    copy_variables(environment, &mut birth.variables);
    let born = kernel::fork_and_wait(|| bear(path, theirs, &birth.variables, late));
    kernel::close(theirs);
    let answer = match born {
        Ok(()) => take_answer(ours).map_err(|why| match why {
            NoAnswer::Said => Refused,
            NoAnswer::Silence(error) => no_answer(error),
        }),
        Err(_) => Err(refuse(&[b"the recorder can't be started (no room for another process?): this program is not traced"])),
    };
    kernel::close(ours);
    answer
}

/// How many variables the recorder gets at most.
const MAX_VARIABLES: usize = 4096;

/// The target's variables but for those that would load libleak into the recorder.
fn copy_variables(environment: Environment, out: &mut [*const c_char]) {
    let kept = environment.entries().filter(|entry| {
        let bytes = entry.to_bytes();
        !bytes.starts_with(b"LD_PRELOAD=") && !bytes.starts_with(b"LEAK_SESSION=")
    });
    let last = out.len() - 1;
    for (place, entry) in out.iter_mut().take(last).zip(kept) {
        *place = entry.as_ptr();
    }
}

/// In the first child: makes the second, which becomes the recorder, and ends.
fn bear(path: &CStr, socket: i32, variables: &[*const c_char], late: bool) {
    let _ = kernel::fork_silently(|| become_recorder(path, socket, variables, late));
}

fn become_recorder(path: &CStr, socket: i32, variables: &[*const c_char], late: bool) {
    let arguments = [
        c"leak-analyze".as_ptr(),
        c"record".as_ptr(),
        c"--socket".as_ptr(),
        c"3".as_ptr(),
        c"--build".as_ptr(),
        BUILD_C.as_ptr(),
        if late {
            c"--late".as_ptr()
        } else {
            core::ptr::null()
        },
        core::ptr::null(),
    ];
    kernel::set_session();
    kernel::keep_only(socket, RECORDER_SOCKET);
    kernel::release_signals();
    // SAFETY: both are arrays of C strings with a null pointer at the end.
    let error = unsafe { kernel::execute(path, arguments.as_ptr(), variables.as_ptr()) };
    let mut line = Line::new();
    line.push(b"E");
    line.push(path.to_bytes());
    line.push(match error {
        libc::ENOENT => b" can't be run: no such file".as_slice(),
        libc::EACCES => b" can't be run: permission denied",
        libc::ENOEXEC => b" can't be run: it is no program",
        _ => b" can't be run",
    });
    line.push(b"; set LEAK_ANALYZE to the path of leak-analyze");
    let _ = kernel::send(RECORDER_SOCKET, line.as_bytes());
}

/// `LEAK_ANALYZE`, else beside this library, else on `PATH`.
fn find_recorder(environment: Environment, buffer: &mut [u8; PATH_MAX]) -> Result<&CStr, Refused> {
    let own = own_path();
    let directory_end = own.iter().rposition(|byte| *byte == b'/');
    let beside = directory_end.and_then(|end| own.get(..end));
    let given = environment
        .get(b"LEAK_ANALYZE")
        .filter(|path| !path.is_empty());
    if let Some(given) = given {
        if join(buffer, &[given]) && runnable(buffer) {
            return as_path(buffer);
        }
        return Err(refuse(&[
            b"LEAK_ANALYZE=",
            given,
            b" is no program that can be run: set it to the path of leak-analyze; this program is not traced",
        ]));
    }
    let on_path = environment
        .get(b"PATH")
        .unwrap_or(b"/usr/local/bin:/usr/bin:/bin");
    let directories = beside
        .into_iter()
        .chain(on_path.split(|byte| *byte == b':'));
    for directory in directories {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        if join(buffer, &[directory, b"/leak-analyze"]) && runnable(buffer) {
            return as_path(buffer);
        }
    }
    Err(refuse(&[
        b"no leak-analyze beside libleak.so or on PATH: set LEAK_ANALYZE to its path; this program is not traced",
    ]))
}

fn as_path(buffer: &[u8; PATH_MAX]) -> Result<&CStr, Refused> {
    CStr::from_bytes_until_nul(buffer).map_err(|_| Refused)
}

/// Puts the parts and a zero byte into the buffer, if they fit.
fn join(buffer: &mut [u8; PATH_MAX], parts: &[&[u8]]) -> bool {
    let mut length = 0;
    for part in parts.iter().copied().chain([&b"\0"[..]]) {
        let Some(place) = buffer.get_mut(length..length + part.len()) else {
            return false;
        };
        place.copy_from_slice(part);
        length += part.len();
    }
    true
}

fn runnable(path: &[u8; PATH_MAX]) -> bool {
    CStr::from_bytes_until_nul(path).is_ok_and(kernel::is_program)
}

/// Connects to the recorder of the session `name`, as a new image of one of its processes. Where it
/// is gone the image goes on, untraced and silent: it may be one of thousands. So are those of another user
/// that it does not answer, of which the first says so, and none is told of the session any more.
pub fn rejoin(name: &Name) -> Result<Answer, Refused> {
    let socket = kernel::connect_abstract(name).map_err(|_| Refused)?;
    let mut hello = [b'A'; 5];
    if let Some(place) = hello.get_mut(1..) {
        place.copy_from_slice(&kernel::getpid().to_le_bytes());
    }
    kernel::set_timeouts(socket, PATIENCE_SECONDS);
    let answer = match kernel::send(socket, &hello) {
        Ok(()) => take_answer(socket).map_err(|_| Refused),
        Err(_) => Err(Refused),
    };
    let theirs = kernel::peer_user(socket);
    kernel::close(socket);
    if answer.is_err() && theirs.is_some_and(|user| user != kernel::user()) {
        notice::say(&[
            b"this program runs as another user than its recorder, which takes only what it can prove to be started by \
              a program that it records (on Linux 6.5 and later): this program is not traced",
        ]);
        environment::strip();
    }
    answer
}

/// Whether a recorder of that name listens. Only a clear no counts as one.
pub fn is_there(name: &Name) -> bool {
    match kernel::connect_abstract(name) {
        Ok(socket) => {
            kernel::close(socket);
            true
        }
        Err(error) => error != libc::ECONNREFUSED,
    }
}

/// Why there is no session.
enum NoAnswer {
    /// Nothing came.
    Silence(Errno),
    /// The user was told.
    Said,
}

impl From<Refused> for NoAnswer {
    fn from(_: Refused) -> Self {
        NoAnswer::Said
    }
}

fn take_answer(socket: i32) -> Result<Answer, NoAnswer> {
    kernel::set_timeouts(socket, PATIENCE_SECONDS);
    let mut bytes = [0; 1024];
    let received = kernel::receive(socket, &mut bytes);
    match received {
        Ok((length, fd)) => {
            let message = bytes.get(..length).unwrap_or(&[]);
            let answer = read_answer(message, fd);
            if let Some(fd) = fd {
                kernel::close(fd);
            }
            answer
        }
        Err(error) => Err(NoAnswer::Silence(error)),
    }
}

fn no_answer(error: Errno) -> Refused {
    if error == libc::EAGAIN {
        refuse(&[b"the recorder gave no answer in 5 seconds: this program is not traced"])
    } else {
        refuse(&[b"the recorder gave no answer (is leak-analyze of another build than libleak.so?): this program is not traced"])
    }
}

fn read_answer(message: &[u8], fd: Option<i32>) -> Result<Answer, NoAnswer> {
    let welcome = message
        .split_first()
        .and_then(|(letter, name)| Some((Brings::read(*letter)?, name)));
    match (welcome, fd) {
        (Some((brings, name)), Some(fd)) => {
            let name: Option<Name> = name.try_into().ok();
            let name = name.filter(|name| name.starts_with(SESSION_PREFIX.as_bytes()));
            let mapping = map_session(fd);
            match (name, mapping) {
                (Some(name), Ok(mapping)) => Ok(Answer {
                    mapping,
                    name,
                    brings,
                }),
                (_, Err(Unmapped::OtherBuild)) => Err(refuse(&[
                    own_path(),
                    b" and the leak-analyze that it found are of different builds: this program is not traced; install both from one, or set LEAK_ANALYZE to the one that belongs to it",
                ])
                .into()),
                (_, Err(Unmapped::NoRoom)) => Err(refuse(&[
                    b"the shared memory can't be mapped (is the address space limited?): this program is not traced",
                ])
                .into()),
                (None, _) | (_, Err(Unmapped::Broken)) => Err(NoAnswer::Silence(libc::EPROTO)),
            }
        }
        _ => match message.split_first() {
            Some((b'E', text)) => Err(refuse(&[text, b"; this program is not traced"]).into()),
            _ => Err(NoAnswer::Silence(libc::EPROTO)),
        },
    }
}

/// Why the shared memory can't be used.
enum Unmapped {
    NoRoom,
    OtherBuild,
    Broken,
}

fn map_session(fd: i32) -> Result<Mapping, Unmapped> {
    let bytes = kernel::file_size(fd).ok_or(Unmapped::Broken)?;
    let base = kernel::map_shared(fd, bytes).ok_or(Unmapped::NoRoom)?;
    let base = arena::take(bytes, thread::has_lane_of)
        .map(core::ptr::with_exposed_provenance)
        // SAFETY: a session lay there that has ended, of the same size; nobody knows of the new mapping yet.
        .filter(|before| unsafe { kernel::replace(base, *before, bytes) })
        .unwrap_or(base);
    // SAFETY: just mapped shared, for reading and writing; not unmapped if it is taken.
    let mapping = unsafe { Mapping::new(base, bytes) };
    mapping.map_err(|why| {
        // SAFETY: nobody else knows it.
        unsafe { kernel::unmap_pages(base, bytes) };
        match why {
            Unfit::OtherBuild => Unmapped::OtherBuild,
            Unfit::Broken => Unmapped::Broken,
        }
    })
}
