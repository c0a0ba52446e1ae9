//! Reads memory that may not be there.

use super::{Errno, call, getpid};

/// The word at any address of this process, or `None` where nothing is mapped. Never faults.
pub fn peek(address: usize) -> Option<u64> {
    let mut word = [0; 8];
    let copied = copy_of(getpid(), address, &mut word);
    (copied == Ok(word.len())).then(|| u64::from_ne_bytes(word))
}

/// Copies what lies at any address of the thread `tid`'s process to `out`; how many bytes of it are mapped, or that
/// none is (`EFAULT`). Never faults.
pub fn copy_of(tid: u32, address: usize, out: &mut [u8]) -> Result<usize, Errno> {
    let remote = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: out.len(),
    };
    gather_of(tid, &raw const remote as usize, 1, out)
}

/// The same of buffers that lie anywhere, one after the other: those of an array at any address of this process.
pub fn gather_of(tid: u32, first: usize, count: usize, out: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec {
        iov_base: out.as_mut_ptr().cast(),
        iov_len: out.len(),
    };
    let local = &raw const local as usize;
    // SAFETY: the kernel writes to `out` only and checks all other addresses itself.
    unsafe {
        call(
            libc::SYS_process_vm_readv,
            [tid as usize, local, 1, first, count, 0],
        )
    }
}

/// Whether the word at any address of this process can be read. Never faults.
pub fn is_mapped(address: u64) -> bool {
    const NO_SUCH_HOW: usize = 0x7ead;
    const SET_BYTES: usize = 8;
    // SAFETY: the kernel checks the address itself, reads the set there, and then refuses the call.
    let asked = unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            [NO_SUCH_HOW, address as usize, 0, SET_BYTES, 0, 0],
        )
    };
    // A null set is none, and no error.
    asked == Err(libc::EINVAL)
}
