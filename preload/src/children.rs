//! The recorder as a child of the target: where the target is the first process of its namespace or a
//! subreaper, the kernel gives it all orphans, the recorder too. It must never see that one.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::config::base_name;
use crate::{alternate_stack, kernel};

/// The recorder's pid in the low half, if it is a child of the process in the high half; else 0.
static ADOPTED: AtomicU64 = AtomicU64::new(0);
/// Digits of a pid, and room around them.
const PATH: usize = 64;

/// Finds out whether the recorder, which calls itself `recorder`, became this process's child.
pub fn prepare(recorder: u32) {
    let mut path = [0; PATH];
    let mut program = [0; 4096];
    if recorder == 0 || !kernel::is_child(recorder, libc::WEXITED | libc::__WALL) {
        return;
    }
    let Some(path) = process_path(&mut path, recorder, b"/exe") else {
        return;
    };
    if base_name(kernel::read_link(path, &mut program)) == b"leak-analyze" {
        let pair = u64::from(recorder) | u64::from(kernel::getpid()) << 32;
        // Relaxed, here and below: a word by itself.
        ADOPTED.store(pair, Ordering::Relaxed);
    }
}

/// The recorder's pid if it is a child of this process.
#[inline]
pub fn recorder() -> Option<u32> {
    let pair = ADOPTED.load(Ordering::Relaxed);
    (pair != 0 && (pair >> 32) as u32 == kernel::getpid()).then_some(pair as u32)
}

/// The recorder has news: it has ended, stopped or goes on. Takes them.
pub fn take_news(recorder: u32) {
    if kernel::take_news(recorder) {
        ADOPTED.store(0, Ordering::Relaxed);
    }
}

/// The recorder of the session before has ended: sees to it that nobody ever waits for it, before there is another. It
/// may take a moment to end.
pub fn let_go() {
    for _ in 0..LOOKS {
        match recorder() {
            Some(before) => take_news(before),
            None => return,
        }
        if recorder().is_some() {
            kernel::sleep(LOOK);
        }
    }
}

/// How often it is looked whether the recorder before has ended.
const LOOKS: u32 = 100;
const LOOK: core::time::Duration = core::time::Duration::from_millis(10);

/// The children of this process but for the recorder.
pub enum Others {
    /// This one, and maybe more.
    One(u32),
    /// None.
    Nobody,
    /// That can't be told.
    Unknown,
}

/// Looks for another child than `recorder` that a wait with `options` (as for `waitid`) is for.
pub fn others(recorder: u32, options: i32) -> Others {
    alternate_stack::run(|| look_for_others(recorder, options))
}

fn look_for_others(recorder: u32, options: i32) -> Others {
    let mut found = None;
    let mut has_recorder = false;
    kernel::for_each_entry(c"/proc/self/task", |thread| {
        let mut path = [0; PATH];
        let parts = [&b"/proc/self/task/"[..], thread, b"/children"];
        if let Some(path) = join(&mut path, &parts)
            && found.is_none()
        {
            found = read_list(path, |pid| {
                has_recorder |= pid == recorder;
                pid != recorder && kernel::is_child(pid, options)
            });
        }
    });
    match found {
        Some(pid) => Others::One(pid),
        // Else there is no such file, or it is another namespace's, or too long.
        None if has_recorder => Others::Nobody,
        None => Others::Unknown,
    }
}

/// The first pid in the file's list that `is_it` says yes to.
fn read_list(path: &CStr, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
    let fd = kernel::open_read(path)?;
    let mut bytes = [0; 4096];
    let length = kernel::read(fd, &mut bytes);
    kernel::close(fd);
    find(bytes.get(..length?)?, is_it)
}

fn find(list: &[u8], mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
    list.split(|byte| *byte == b' ')
        .filter_map(|pid| core::str::from_utf8(pid).ok()?.parse::<u32>().ok())
        .find(|pid| is_it(*pid))
}

fn process_path<'a>(buffer: &'a mut [u8; PATH], pid: u32, what: &[u8]) -> Option<&'a CStr> {
    let mut digits = [b'0'; 10];
    let mut rest = pid;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = digits.get(leading..).unwrap_or(&[]);
    join(buffer, &[b"/proc/", digits, what])
}

/// The parts as one C string, if they fit.
fn join<'a>(buffer: &'a mut [u8; PATH], parts: &[&[u8]]) -> Option<&'a CStr> {
    let mut length = 0;
    for part in parts {
        let place = buffer.get_mut(length..length + part.len())?;
        place.copy_from_slice(part);
        length += part.len();
    }
    *buffer.get_mut(length)? = 0;
    CStr::from_bytes_until_nul(buffer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_alone_is_nobody() {
        let another = |list| find(list, |pid| pid != 7);
        assert_eq!(another(b""), None);
        assert_eq!(another(b"7 "), None);
        assert_eq!(another(b"7 17 "), Some(17));
        assert_eq!(another(b"77"), Some(77));
    }

    #[test]
    fn paths_have_no_leading_zeros() {
        let mut buffer = [0; PATH];
        assert_eq!(
            process_path(&mut buffer, 1050, b"/exe"),
            Some(c"/proc/1050/exe")
        );
    }
}
