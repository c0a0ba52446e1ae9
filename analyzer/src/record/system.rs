//! System calls and instructions that no safe interface of ours gives.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Now, in ticks of the processor's clock.
pub(crate) fn tick() -> u64 {
    // SAFETY: rdtsc has no preconditions.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Waits while `word` is `value`, at most `timeout`.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, timeout: Duration) {
    let timeout = libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // SAFETY: `word` is an aligned 4-byte word and `timeout` a timespec, both valid for the call;
    // FUTEX_WAIT reads no other argument. That it returns early for any reason is expected.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            value,
            &timeout,
        );
    }
}

/// Wakes all who wait for `word`, in any process.
pub(crate) fn futex_wake(word: &AtomicU32) {
    futex_wake_some(word, i32::MAX as u32);
}

/// Wakes so many of those who wait for `word`.
pub(crate) fn futex_wake_some(word: &AtomicU32, count: u32) {
    // SAFETY: `word` is an aligned 4-byte word, valid for the call; FUTEX_WAKE reads no other argument.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count);
    }
}

/// A descriptor that becomes readable when the process `pid` has ended.
pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two numbers and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel gave this descriptor just now, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// The wait status of an ended process that its parent has reaped already, where the kernel tells.
pub(crate) fn pidfd_exit_status(pidfd: &OwnedFd) -> Option<i32> {
    /// The first 64 bytes of `struct pidfd_info`, which every version has.
    #[repr(C)]
    #[derive(Default)]
    struct PidfdInfo {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
    const _: () = assert!(size_of::<PidfdInfo>() == 64);
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the request's number encodes a size of 64 bytes, which `info` has; it is valid and ours
    // alone for the call.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &mut info) };
    (done == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// The process that has connected the other end of a Unix socket, held; `pidfd_open` of its number could hold another
/// one by now. An error where the kernel can't tell (before 6.5).
pub(crate) fn peer_pidfd(socket: &OwnedFd) -> io::Result<OwnedFd> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let mut fd: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option's value is an int, for which there is room, as `length` says; both are live for the call.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut length,
        )
    };
    match got {
        0 if fd >= 0 => Ok(owned(fd)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the process that `pidfd` holds has ended.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut ended = libc::pollfd {
        fd: pidfd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one live entry; without a wait.
    let found = unsafe { libc::poll(&raw mut ended, 1, 0) };
    found != 0
}

/// Points the standard descriptors at /dev/null and closes all others but those in `keep`.
pub(crate) fn close_inherited(keep: &[i32]) {
    // SAFETY: called before this program has opened anything but `keep`, so no descriptor that some
    // value here owns is closed; the calls touch no memory but the path.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        (0..3).for_each(|fd| {
            libc::dup2(null, fd);
        });
        let mut keep = keep.to_vec();
        keep.sort_unstable();
        let mut from = 3;
        for fd in keep {
            if fd > from {
                libc::close_range(from as u32, fd as u32 - 1, 0);
            }
            from = from.max(fd + 1);
        }
        libc::close_range(from as u32, u32::MAX, 0);
    }
}

/// Calls this process `name` in lists of processes.
pub(crate) fn set_name(name: &std::ffi::CStr) {
    // SAFETY: PR_SET_NAME reads a string with its NUL, at most 16 bytes of it, valid for the call.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
    }
}

/// Whether a process `pid` exists, a zombie included. None has the number 0, or one of more than 31 bits.
pub(crate) fn exists(pid: u32) -> bool {
    let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0) else {
        return false;
    };
    // SAFETY: signal 0 is only checked, never sent; no memory is touched.
    let sent = unsafe { libc::kill(pid, 0) };
    sent == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Whether the thread `tid` of the process `pid` is there.
pub(crate) fn has_thread(pid: u32, tid: u32) -> bool {
    let numbers = (libc::pid_t::try_from(pid), libc::pid_t::try_from(tid));
    let (Ok(pid), Ok(tid)) = numbers else {
        return false;
    };
    // SAFETY: signal 0 is only checked, never sent; no memory is touched.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, 0) };
    let gone = [libc::ESRCH, libc::EINVAL].map(Some);
    sent == 0 || !gone.contains(&io::Error::last_os_error().raw_os_error())
}

/// A descriptor that a call has just returned, as owned.
pub(crate) fn owned(fd: i32) -> OwnedFd {
    // SAFETY: callers pass a descriptor that the kernel has just given them and nobody else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Lets the signals by which services and terminals end programs pass: the recorder ends when its
/// targets have. Over a file size limit, writing fails instead.
pub(crate) fn ignore_signals() {
    let signals = [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGPIPE,
        libc::SIGXFSZ,
    ];
    for signal in signals {
        // SAFETY: SIG_IGN installs no code of ours.
        unsafe {
            libc::signal(signal, libc::SIG_IGN);
        }
    }
}

/// Waits for one of `signals`, all blocked; its number, and whether the kernel itself sent it.
pub(crate) fn wait_for_signal(signals: &nix::sys::signal::SigSet) -> Option<(i32, bool)> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the set is initialised and `info` a valid place for the result; both live for the call.
    let number = unsafe { libc::sigwaitinfo(signals.as_ref(), info.as_mut_ptr()) };
    // SAFETY: all zeros is a valid siginfo_t, and the kernel wrote a valid one over it.
    let info = unsafe { info.assume_init() };
    (number > 0).then_some((number, info.si_code > 0))
}
/// How long the calling thread has run: what it waited for a processor is not in it.
pub(crate) fn own_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map_or(Duration::ZERO, Duration::from)
}

/// Whether the file at `path` gives who runs it capabilities.
pub(crate) fn has_capabilities(path: &std::path::Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    let name = c"security.capability";
    // SAFETY: both are C strings, live for the call; with a size of 0 nothing is written.
    let size = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) };
    size > 0
}
