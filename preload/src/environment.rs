//! What leads new images of the target back to their session: `LD_PRELOAD` with this library, and
//! `LEAK_SESSION`. Kept in `environ`, for children that the C library starts by itself (`system`,
//! `popen`), and put into every `envp` that a program makes on its own. Never on the heap.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicU32, Ordering};

use leak_wire::layout::{SESSION_VARIABLE, warning};

use crate::birth;
use crate::config::{Environment, base_name, value_of};
use crate::kernel;
use crate::session::{self, Name};
use crate::thread;

const PRELOAD: &[u8] = b"LD_PRELOAD";
const PATH_MAX: usize = 4096;
/// `LEAK_SESSION=`, a name, a colon, ten digits, a zero byte, rounded up.
const SESSION_MAX: usize = 96;

/// What is done to the environments of new images.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Rule {
    /// Nothing.
    Leave = 0,
    /// They join the session.
    Follow = 1,
    /// They must not be traced.
    Strip = 2,
    /// This program is none to trace, its children may be.
    PassOn = 3,
}

/// The texts that environments point to.
struct Texts {
    /// This library's absolute path.
    library: [u8; PATH_MAX],
    library_length: usize,
    /// `LEAK_SESSION=NAME:IMAGE`; also that of a session that this program itself is no part of.
    session: [u8; SESSION_MAX],
    session_length: usize,
}

struct Place(UnsafeCell<Texts>);

// SAFETY: written while the process starts and in a forked child, both times by its only thread
// that is at it; read by the others later.
unsafe impl Sync for Place {}

static TEXTS: Place = Place(UnsafeCell::new(Texts {
    library: [0; PATH_MAX],
    library_length: 0,
    session: [0; SESSION_MAX],
    session_length: 0,
}));

static RULE: AtomicU32 = AtomicU32::new(Rule::Leave as u32);

fn texts() -> &'static Texts {
    // SAFETY: see `Place`.
    unsafe { &*TEXTS.0.get() }
}

fn rule() -> Rule {
    // Acquire: pairs with the Release in `set_rule`.
    match RULE.load(Ordering::Acquire) {
        1 => Rule::Follow,
        2 => Rule::Strip,
        3 => Rule::PassOn,
        _ => Rule::Leave,
    }
}

fn set_rule(rule: Rule) {
    // Release: pairs with the Acquire in `rule`: the texts are written.
    RULE.store(rule as u32, Ordering::Release);
}

/// New images join the session, coming from `image`.
pub fn follow(name: &Name, image: u32) {
    // SAFETY: see `Place`.
    let texts = unsafe { &mut *TEXTS.0.get() };
    texts.find_library();
    texts.write_session(name, image);
    set_rule(Rule::Follow);
    adapt_own();
}

/// The same in a forked child, whose image is another one.
pub fn renumber(name: &Name, image: u32) {
    if rule() == Rule::Follow {
        // SAFETY: see `Place`.
        unsafe { &mut *TEXTS.0.get() }.write_session(name, image);
    }
}

/// New images are not traced.
pub fn strip() {
    // SAFETY: see `Place`.
    unsafe { &mut *TEXTS.0.get() }.find_library();
    set_rule(Rule::Strip);
    adapt_own();
}

/// This image is not traced because it is none to trace; its children are looked at again.
pub fn pass_on(environment: Environment) {
    // SAFETY: see `Place`.
    let texts = unsafe { &mut *TEXTS.0.get() };
    texts.find_library();
    if let Some(value) = environment.get(SESSION_VARIABLE.as_bytes()) {
        texts.copy_session(value);
    }
    set_rule(Rule::PassOn);
}

impl Texts {
    fn find_library(&mut self) {
        let path = birth::own_path();
        let mut length = 0;
        if !path.starts_with(b"/") {
            length = kernel::current_directory(&mut self.library);
            length += put(&mut self.library, length, b"/");
        }
        length += put(&mut self.library, length, path);
        self.library_length = length;
    }

    fn write_session(&mut self, name: &Name, image: u32) {
        let mut digits = [b'0'; 10];
        let mut rest = image;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.begin_session();
        for part in [&name[..], b":", &digits] {
            self.session_length += put(&mut self.session, self.session_length, part);
        }
    }

    fn copy_session(&mut self, value: &[u8]) {
        self.begin_session();
        self.session_length += put(&mut self.session, self.session_length, value);
    }

    fn begin_session(&mut self) {
        self.session = [0; SESSION_MAX];
        self.session_length = put(&mut self.session, 0, SESSION_VARIABLE.as_bytes());
        self.session_length += put(&mut self.session, self.session_length, b"=");
    }

    /// Whether the library is there, seen from this process's root and with its rights.
    fn is_loadable(&self) -> bool {
        CStr::from_bytes_until_nul(&self.library).is_ok_and(kernel::is_readable)
    }

    fn library(&self) -> &[u8] {
        self.library.get(..self.library_length).unwrap_or(&[])
    }

    /// The entry for the session, if there is one.
    fn session(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.session)
            .ok()
            .filter(|entry| !entry.is_empty())
    }

    /// Whether the part `entry` of `LD_PRELOAD` means this library.
    fn is_library(&self, entry: &[u8]) -> bool {
        entry == self.library()
            || entry == birth::own_path()
            || !entry.contains(&b'/') && entry == base_name(self.library())
    }
}

/// Copies `bytes` to `at`, leaving a zero byte at the end; nothing if they don't fit.
fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    if at + bytes.len() >= buffer.len() {
        return 0;
    }
    match buffer.get_mut(at..at + bytes.len()) {
        Some(place) => {
            place.copy_from_slice(bytes);
            bytes.len()
        }
        None => 0,
    }
}

fn parts(preload: &[u8]) -> impl Iterator<Item = &[u8]> {
    preload
        .split(|byte| matches!(byte, b':' | b' '))
        .filter(|part| !part.is_empty())
}

/// What an environment needs.
struct Needs {
    entries: usize,
    preload: Option<&'static [u8]>,
    change_preload: bool,
    change_session: bool,
}

fn needs(environment: Option<Environment>, rule: Rule) -> Needs {
    let texts = texts();
    let entries = || environment.into_iter().flat_map(Environment::entries);
    let preload = entries().find_map(|entry| value_of(entry.to_bytes(), PRELOAD));
    let session = entries().find(|entry| is_session(entry));
    let loads = preload.is_some_and(|value| parts(value).any(|part| part == texts.library()));
    let names = preload.is_some_and(|value| parts(value).any(|part| texts.is_library(part)));
    let (change_preload, change_session) = match rule {
        Rule::Leave => (false, false),
        Rule::Follow => (!loads, session != texts.session()),
        Rule::Strip => (names, session.is_some()),
        Rule::PassOn => (!names, session.is_none() && texts.session().is_some()),
    };
    Needs {
        entries: entries().count(),
        preload,
        change_preload,
        change_session,
    }
}

fn is_session(entry: &CStr) -> bool {
    value_of(entry.to_bytes(), SESSION_VARIABLE.as_bytes()).is_some()
}

impl Needs {
    fn nothing(&self) -> bool {
        !self.change_preload && !self.change_session
    }

    /// Bytes for the new array and the new text of `LD_PRELOAD`.
    fn bytes(&self) -> usize {
        (self.entries + 3) * size_of::<*const c_char>() + self.text_bytes()
    }

    fn text_bytes(&self) -> usize {
        PRELOAD.len() + PATH_MAX + 4 + self.preload.map_or(0, <[u8]>::len)
    }
}

/// Writes the environment that is needed to `memory`, which has `needs.bytes()` bytes.
///
/// # Safety
/// It must have them, aligned for pointers.
unsafe fn build(
    environment: Option<Environment>,
    needs: &Needs,
    rule: Rule,
    memory: *mut u8,
) -> *mut *mut c_char {
    let array = memory.cast::<*mut c_char>();
    let text_at = (needs.entries + 3) * size_of::<*mut c_char>();
    // SAFETY: the caller's promise; `bytes` counted the array first, then the text.
    let text = unsafe { core::slice::from_raw_parts_mut(memory.add(text_at), needs.text_bytes()) };
    let mut count = 0;
    let mut push = |entry: *const c_char| {
        // SAFETY: at most all old entries, two new ones, and the null pointer.
        unsafe { array.add(count).write(entry.cast_mut()) };
        count += 1;
    };
    for entry in environment.into_iter().flat_map(Environment::entries) {
        let is_preload = value_of(entry.to_bytes(), PRELOAD).is_some();
        if !(is_preload && needs.change_preload || is_session(entry) && needs.change_session) {
            push(entry.as_ptr());
        }
    }
    if needs.change_preload && write_preload(text, needs.preload.unwrap_or(&[]), rule) {
        push(text.as_ptr().cast());
    }
    if needs.change_session
        && rule != Rule::Strip
        && let Some(entry) = texts().session()
    {
        push(entry.as_ptr());
    }
    push(null());
    array
}

/// Writes `LD_PRELOAD=...` with or without this library; false if nothing is left of it.
fn write_preload(text: &mut [u8], old: &[u8], rule: Rule) -> bool {
    text.fill(0);
    let texts = texts();
    let mut length = put(text, 0, PRELOAD);
    length += put(text, length, b"=");
    let empty = length;
    if rule != Rule::Strip {
        length += put(text, length, texts.library());
    }
    for part in parts(old).filter(|part| !texts.is_library(part)) {
        if length > empty {
            length += put(text, length, b":");
        }
        length += put(text, length, part);
    }
    length > empty
}

/// Makes `environ` what new images need. Its new array stays mapped for good.
fn adapt_own() {
    let environment = Environment::current();
    let rule = rule();
    let needs = needs(environment, rule);
    if needs.nothing() {
        return;
    }
    if let Some(memory) = kernel::map(needs.bytes()) {
        // SAFETY: fresh memory of that size.
        let array = unsafe { build(environment, &needs, rule, memory) };
        Environment::replace(array);
    }
}

const UNREACHABLE: &[u8] =
    b"libleak.so can't be read from here (another root directory, or a user who may not): \
    programs that this one runs are not traced; put it and leak-analyze where they can";
const BORROWED_RIGHTS: &[u8] =
    b"this program runs others with rights that are not its user's (its effective user or group \
    differs from the real one), into which nothing can be preloaded: they are not traced";

/// The `envp` to give to an exec or spawn call instead of the program's own. Valid until this thread
/// asks again.
pub fn for_image(envp: *const *mut c_char) -> *const *mut c_char {
    let rule = match rule() {
        Rule::Leave => return envp,
        // In a program that may make only certain system calls the library's start would be the end.
        _ if kernel::is_confined() => Rule::Strip,
        // Where it can't be loaded the loader would complain.
        Rule::Follow if !texts().is_loadable() => {
            session::cant_follow(warning::UNREACHABLE, UNREACHABLE);
            Rule::Strip
        }
        _ if !texts().is_loadable() => Rule::Strip,
        Rule::Follow if kernel::has_borrowed_rights() => {
            session::cant_follow(warning::BORROWED_RIGHTS, BORROWED_RIGHTS);
            Rule::Follow
        }
        rule => rule,
    };
    // SAFETY: the program's envp, by the contract of the calls that take one.
    let environment = unsafe { Environment::of(envp.cast_mut()) };
    let needs = needs(environment, rule);
    if needs.nothing() {
        return envp;
    }
    let memory = thread::own().map_or(null_mut(), |thread| thread.scratch(needs.bytes()));
    if memory.is_null() {
        return envp;
    }
    // SAFETY: memory of that size, used by this thread alone.
    unsafe { build(environment, &needs, rule, memory) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn preload_lists_are_cut_at_colons_and_spaces() {
        let cut: Vec<_> = parts(b"a.so:/b/c.so  d.so::").collect();
        assert_eq!(cut, [&b"a.so"[..], b"/b/c.so", b"d.so"]);
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut buffer = [0; 4];
        assert_eq!(put(&mut buffer, 0, b"ab"), 2);
        assert_eq!(put(&mut buffer, 2, b"cd"), 0);
        assert_eq!(put(&mut buffer, 2, b"c"), 1);
        assert_eq!(&buffer, b"abc\0");
    }
}
