//! What leads new images of the target back to their session: `LD_PRELOAD` with this library, and
//! `LEAK_SESSION`. Kept in `environ`, for children that the C library starts by itself (`system`,
//! `popen`), and put into every `envp` that a program makes on its own. Never on the heap.

mod rule;
mod texts;

use core::ffi::c_char;
use core::ptr::{null, null_mut};

use leak_wire::layout::{SESSION_VARIABLE, warning};

use crate::caller::{self, Absent};
use crate::config::{Environment, value_of};
use crate::session::{self, Name};
use crate::{kernel, thread};
use rule::{Rule, rule, set_rule};
use texts::{PATH_MAX, SESSION_MAX, TEXTS, parts, put, texts};

const PRELOAD: &[u8] = b"LD_PRELOAD";

/// New images join the session, coming from `image`.
pub fn follow(name: &Name, image: u32) {
    // SAFETY: see `texts::Place`.
    let texts = unsafe { &mut *TEXTS.0.get() };
    texts.find_library();
    texts.write_session(name, image);
    set_rule(Rule::Follow);
    adapt_own();
}

/// The same once the program runs: what it has in `environ` is its own business by then, and only what it gives to an
/// exec or spawn call is adapted.
pub fn follow_from_now_on(name: &Name, image: u32) {
    // SAFETY: see `texts::Place`; who reads a name meanwhile that is half another's leads a new image nowhere.
    let texts = unsafe { &mut *TEXTS.0.get() };
    if texts.library_length == 0 {
        texts.find_library();
    }
    texts.write_session(name, image);
    set_rule(Rule::Follow);
}

/// The session of which nobody is: who is told of it waits to be asked for.
const NOBODY: &Name = b"libleak-00000000000000000000000000000000";

/// There is no session, or none any more: new images that load this library record nothing by themselves, whatever else
/// is in their environments.
pub fn stay_off() {
    // SAFETY: see `texts::Place`, and `follow_from_now_on`.
    let texts = unsafe { &mut *TEXTS.0.get() };
    if texts.library_length == 0 {
        texts.find_library();
    }
    texts.write_session(NOBODY, 0);
    set_rule(Rule::Off);
}

/// The same in a forked child, whose image is another one.
pub fn renumber(name: &Name, image: u32) {
    if rule() == Rule::Follow {
        // SAFETY: see `texts::Place`.
        unsafe { &mut *TEXTS.0.get() }.write_session(name, image);
    }
}

/// New images are not traced.
pub fn strip() {
    // SAFETY: see `texts::Place`.
    unsafe { &mut *TEXTS.0.get() }.find_library();
    set_rule(Rule::Strip);
    adapt_own();
}

/// This image is not traced because it is none to trace; its children are looked at again.
pub fn pass_on(environment: Environment) {
    // SAFETY: see `texts::Place`.
    let texts = unsafe { &mut *TEXTS.0.get() };
    texts.find_library();
    if let Some(value) = environment.get(SESSION_VARIABLE.as_bytes()) {
        texts.copy_session(value);
    }
    set_rule(Rule::PassOn);
}

/// Strings of so many bytes are refused by the kernel.
const STRING_MAX: usize = 128 << 10;
/// The beginning of an entry, which holds either name.
const FIRST: usize = 16;
/// Entries for `LD_PRELOAD` and `LEAK_SESSION`; where a program has more of them, they are left alone.
const OWN_MAX: usize = 8;

type Strings = *const *const c_char;

/// An environment as it was given, looked through: the caller's memory, which may not be there.
struct Given {
    variables: Strings,
    entries: usize,
    /// The entries that may have to be changed.
    own: [*const c_char; OWN_MAX],
    own_count: usize,
    /// The first value of `LD_PRELOAD`, and its length.
    preload: Option<(*const c_char, usize)>,
    /// Of the first entry for a session: whether it is that of the texts.
    session: Option<bool>,
}

impl Given {
    fn look(variables: Strings) -> Result<Given, Absent> {
        let mut given = Given {
            variables,
            entries: 0,
            own: [null(); _],
            own_count: 0,
            preload: None,
            session: None,
        };
        for entry in caller::Strings::of(variables) {
            given.look_at(entry?)?;
            given.entries += 1;
        }
        Ok(given)
    }

    fn look_at(&mut self, entry: *const c_char) -> Result<(), Absent> {
        let mut first = [0; FIRST];
        let first = caller::text(entry, &mut first)?;
        if value_of(first, PRELOAD).is_some() {
            self.keep(entry)?;
            let value = entry.wrapping_add(PRELOAD.len() + 1);
            let length = caller::length(value, STRING_MAX)?;
            if PRELOAD.len() + 1 + length >= STRING_MAX {
                return Err(Absent);
            }
            self.preload.get_or_insert((value, length));
        } else if is_session(first) {
            self.keep(entry)?;
            let mut text = [0; SESSION_MAX];
            let text = caller::text(entry, &mut text)?;
            let is_same = texts().session().is_some_and(|own| own.to_bytes() == text);
            self.session.get_or_insert(is_same);
        }
        Ok(())
    }

    fn keep(&mut self, entry: *const c_char) -> Result<(), Absent> {
        *self.own.get_mut(self.own_count).ok_or(Absent)? = entry;
        self.own_count += 1;
        Ok(())
    }

    fn is_own(&self, entry: *const c_char) -> bool {
        let own = self.own.get(..self.own_count).unwrap_or(&[]);
        own.contains(&entry)
    }

    /// What has to be changed, where `LD_PRELOAD` is `preload`.
    fn needs(&self, preload: Option<&[u8]>, rule: Rule) -> Needs {
        let texts = texts();
        let loads = preload.is_some_and(|value| parts(value).any(|part| part == texts.library()));
        let names = preload.is_some_and(|value| parts(value).any(|part| texts.is_library(part)));
        let (preload, session) = match rule {
            Rule::Leave => (false, false),
            Rule::Follow => (!loads, self.session != Some(true)),
            Rule::Strip => (names, self.session.is_some()),
            Rule::PassOn => (!names, self.session.is_none() && texts.session().is_some()),
            Rule::Off => (false, names && self.session.is_none()),
        };
        Needs { preload, session }
    }

    fn old_bytes(&self) -> usize {
        self.preload.map_or(0, |(_, length)| length)
    }

    fn array_bytes(&self) -> usize {
        (self.entries + 3) * size_of::<*const c_char>()
    }

    /// Bytes for a new array, a copy of `LD_PRELOAD`'s value and a new entry with it.
    fn bytes(&self) -> usize {
        self.array_bytes() + 2 * self.old_bytes() + PRELOAD.len() + PATH_MAX + 4
    }

    /// Writes the environment that is needed to `memory`. `None`: nothing has to be changed, or what was there has
    /// gone.
    ///
    /// # Safety
    /// It must have `bytes()` bytes, aligned for pointers, that nobody else uses.
    unsafe fn adapt(&self, rule: Rule, memory: *mut u8) -> Option<*mut *mut c_char> {
        let array = memory.cast::<*mut c_char>();
        // SAFETY: the caller's promise; the array comes first.
        let texts = unsafe {
            let at = memory.add(self.array_bytes());
            core::slice::from_raw_parts_mut(at, self.bytes() - self.array_bytes())
        };
        let (old, new) = texts.split_at_mut_checked(self.old_bytes())?;
        let old = match self.preload {
            Some((value, length)) if caller::copy(value.expose_provenance(), old) == length => {
                Some(&*old)
            }
            Some(_) => return None,
            None => None,
        };
        let needs = self.needs(old, rule);
        if !needs.preload && !needs.session {
            return None;
        }
        let mut count = 0;
        let mut push = |entry: *const c_char| {
            // SAFETY: at most all old entries, two new ones, and the null pointer.
            unsafe { array.add(count).write(entry.cast_mut()) };
            count += 1;
        };
        for entry in caller::Strings::of(self.variables).take(self.entries) {
            let entry = entry.ok()?;
            let mut first = [0; FIRST];
            let goes = self.is_own(entry)
                && match is_session(caller::text(entry, &mut first).ok()?) {
                    true => needs.session,
                    false => needs.preload,
                };
            if !goes {
                push(entry);
            }
        }
        if needs.preload && write_preload(new, old.unwrap_or(&[]), rule) {
            push(new.as_ptr().cast());
        }
        let session = self::texts().session();
        if let Some(entry) = session.filter(|_| needs.session && rule != Rule::Strip) {
            push(entry.as_ptr());
        }
        push(null());
        Some(array)
    }
}

/// What of an environment has to be changed.
struct Needs {
    preload: bool,
    session: bool,
}

fn is_session(entry: &[u8]) -> bool {
    value_of(entry, SESSION_VARIABLE.as_bytes()).is_some()
}

/// Writes `LD_PRELOAD=...` with or without this library; false if nothing is left of it.
fn write_preload(text: &mut [u8], old: &[u8], rule: Rule) -> bool {
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
    if let Some(end) = text.get_mut(length) {
        *end = 0;
    }
    length > empty
}

/// Makes `environ` what new images need. Its new array stays mapped for good.
fn adapt_own() {
    let variables = Environment::current().map_or(null_mut(), Environment::as_ptr);
    let Ok(given) = Given::look(variables.cast_const().cast()) else {
        return;
    };
    if let Some(memory) = kernel::map(given.bytes()) {
        // SAFETY: fresh memory of that size.
        match unsafe { given.adapt(rule(), memory) } {
            Some(array) => Environment::replace(array),
            // SAFETY: mapped just now, and used by nobody.
            None => unsafe { kernel::unmap(memory, given.bytes()) },
        }
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
    // Of one that can't be read the call itself will tell.
    let Ok(given) = Given::look(envp.cast()) else {
        return envp;
    };
    let memory = thread::own().map_or(null_mut(), |thread| thread.scratch(given.bytes()));
    if memory.is_null() {
        return envp;
    }
    // SAFETY: memory of that size, used by this thread alone.
    let adapted = unsafe { given.adapt(rule, memory) };
    adapted.map_or(envp, <*mut _>::cast_const)
}
