//! Processes: new images, forks that run no handlers.

use core::ffi::{c_char, c_int, c_void};

use leak_wire::Event;

use crate::config::Environment;
use crate::{confinement, environment, process, session, thread};

type Strings = *const *mut c_char;

#[allow(non_snake_case)] // C names
mod next {
    use super::Strings;
    use core::ffi::{c_char, c_int, c_void};

    crate::real! {
        pub fn execve(path: *const c_char, arguments: Strings, variables: Strings) -> c_int;
        pub fn execvpe(file: *const c_char, arguments: Strings, variables: Strings) -> c_int;
        pub fn fexecve(fd: c_int, arguments: Strings, variables: Strings) -> c_int;
        pub fn execveat(directory: c_int, path: *const c_char, arguments: Strings, variables: Strings, flags: c_int) -> c_int;
        pub fn posix_spawn[posix_spawn "GLIBC_2.15"](child: *mut i32, path: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings, variables: Strings) -> c_int;
        pub fn posix_spawnp[posix_spawnp "GLIBC_2.15"](child: *mut i32, file: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings, variables: Strings) -> c_int;
        pub fn old_posix_spawn[posix_spawn "GLIBC_2.2.5"](child: *mut i32, path: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings, variables: Strings) -> c_int;
        pub fn old_posix_spawnp[posix_spawnp "GLIBC_2.2.5"](child: *mut i32, file: *const c_char, actions: *const c_void, attributes: *const c_void, arguments: Strings, variables: Strings) -> c_int;
        pub fn _Fork() -> c_int;
        pub fn prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> c_int;
    }
}

/// Replaces the image by `call`, which returns only if it can't.
fn replace_image(given: Strings, call: impl Fn(Strings) -> c_int) -> c_int {
    let variables = environment::for_image(given);
    // A vfork child runs on its parent's memory: the parent's image does not end.
    let own = !process::may_be_vfork_child();
    if own {
        thread::record(Event::Exec);
    }
    let mut result = call(variables);
    // SAFETY: errno's address is always good.
    if variables != given && unsafe { *libc::__errno_location() } == libc::E2BIG {
        // There is no room for what leads to the session.
        result = call(given);
    }
    if own {
        thread::record(Event::ExecFailed);
    }
    result
}

fn environ() -> Strings {
    Environment::current().map_or(core::ptr::null(), |environment| {
        environment.as_ptr().cast_const()
    })
}

/// The hook of `execve`.
#[unsafe(no_mangle)]
pub extern "C" fn execve(path: *const c_char, arguments: Strings, variables: Strings) -> c_int {
    // SAFETY: the caller's contract is passed on; so it is in all that follow.
    replace_image(variables, |variables| unsafe {
        next::execve(path, arguments, variables)
    })
}

/// The hook of `execv`.
#[unsafe(no_mangle)]
pub extern "C" fn execv(path: *const c_char, arguments: Strings) -> c_int {
    execve(path, arguments, environ())
}

/// The hook of `execvpe`.
#[unsafe(no_mangle)]
pub extern "C" fn execvpe(file: *const c_char, arguments: Strings, variables: Strings) -> c_int {
    // SAFETY: as above.
    replace_image(variables, |variables| unsafe {
        next::execvpe(file, arguments, variables)
    })
}

/// The hook of `execvp`.
#[unsafe(no_mangle)]
pub extern "C" fn execvp(file: *const c_char, arguments: Strings) -> c_int {
    execvpe(file, arguments, environ())
}

/// The hook of `fexecve`.
#[unsafe(no_mangle)]
pub extern "C" fn fexecve(fd: c_int, arguments: Strings, variables: Strings) -> c_int {
    if variables.is_null() {
        // The C library refuses this one.
        // SAFETY: as above.
        return unsafe { next::fexecve(fd, arguments, variables) };
    }
    // SAFETY: as above.
    replace_image(variables, |variables| unsafe {
        next::fexecve(fd, arguments, variables)
    })
}

/// The hook of `execveat`.
#[unsafe(no_mangle)]
pub extern "C" fn execveat(
    directory: c_int,
    path: *const c_char,
    arguments: Strings,
    variables: Strings,
    flags: c_int,
) -> c_int {
    // SAFETY: as above.
    replace_image(variables, |variables| unsafe {
        next::execveat(directory, path, arguments, variables, flags)
    })
}

/// An entry for a call with its arguments as a list: behind the first one they come to lie on the
/// stack in order, right below those that the caller put there: an array.
macro_rules! listed {
    ($name:ident => $implementation:ident) => {
        #[doc = concat!("The hook of `", stringify!($name), "`.")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name() {
            core::arch::naked_asm!(
                "pop rax",
                "push r9",
                "push r8",
                "push rcx",
                "push rdx",
                "push rsi",
                "mov rsi, rsp",
                "push rax",
                "call {}",
                "pop rcx",
                "add rsp, 40",
                "push rcx",
                "ret",
                sym $implementation,
            )
        }
    };
}

listed!(execl => execv);
listed!(execlp => execvp);
listed!(execle => execle_listed);

extern "C" fn execle_listed(path: *const c_char, arguments: Strings) -> c_int {
    let mut end = arguments;
    // SAFETY: the list ends with a null pointer, and the environment follows it.
    let variables = unsafe {
        while !(*end).is_null() {
            end = end.add(1);
        }
        end.add(1).cast::<Strings>().read()
    };
    execve(path, arguments, variables)
}

/// The hooks of `posix_spawn` and `posix_spawnp`. The old ones hand a script that names no interpreter to the shell.
macro_rules! spawn {
    ($($name:ident)*) => { $(
        extern "C" fn $name(
            child: *mut i32,
            path: *const c_char,
            actions: *const c_void,
            attributes: *const c_void,
            arguments: Strings,
            variables: Strings,
        ) -> c_int {
            // SAFETY: the caller's contract is passed on.
            let call = |variables| unsafe {
                next::$name(child, path, actions, attributes, arguments, variables)
            };
            let adapted = environment::for_image(variables);
            match call(adapted) {
                // As above.
                libc::E2BIG if adapted != variables => call(variables),
                result => result,
            }
        }
    )* };
}

spawn!(posix_spawn posix_spawnp old_posix_spawn old_posix_spawnp);

versioned! {
    "posix_spawn@@GLIBC_2.15" => posix_spawn;
    "posix_spawnp@@GLIBC_2.15" => posix_spawnp;
    "posix_spawn@GLIBC_2.2.5" => old_posix_spawn;
    "posix_spawnp@GLIBC_2.2.5" => old_posix_spawnp;
}

/// The hook of `_Fork`, which runs no handlers (`fork` runs ours).
#[unsafe(no_mangle)]
pub extern "C" fn _Fork() -> c_int {
    session::before_fork();
    // SAFETY: takes nothing.
    let child = unsafe { next::_Fork() };
    match child {
        0 => session::in_forked_child(),
        _ => session::after_fork(),
    }
    child
}

/// The hook of `prctl`: all arguments go on as they came, there or not.
#[unsafe(no_mangle)]
pub extern "C" fn prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> c_int {
    // SAFETY: the caller's contract is passed on.
    let call = || unsafe { next::prctl(option, a, b, c, d) };
    match option {
        libc::PR_SET_SECCOMP => confinement::by_prctl(a, b, || call().into()) as c_int,
        _ => call(),
    }
}
