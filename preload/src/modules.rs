//! Which ELF files are mapped, as the trace is told.
//!
//! Everything that is mapped at a session's start is told then. What is mapped later, by `dlopen`
//! or by libc behind everybody's back (NSS, iconv), is told when the unwinder first meets an
//! address in it, which is before the first call site that needs it. So `dlopen` is not hooked:
//! a wrapper would be the caller that `$ORIGIN` and RUNPATH are looked up for.
//! `hooks/loading.rs` wraps only `dlclose`, which does not care who calls.
//!
//! The table of what was told is process-wide and lock-free, and a forked child inherits it with
//! the modules themselves. Two threads that meet a new module at once both tell it.

use crate::table::Table;
use crate::unwind::{self, loader, loader::Object};
use crate::{alternate_stack, kernel, python, session};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use leak_wire::{Bytes, Event};

/// More are told again and again, and never told to be gone.
const CAPACITY: usize = 2048;

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
const TOLD: u32 = 2;

/// A module that was told.
struct Slot {
    state: AtomicU32,
    start: AtomicU64,
    end: AtomicU64,
    name: AtomicU64,
}

// SAFETY: zeros are valid atomics: a free slot.
static SLOTS: Table<[Slot; CAPACITY]> = unsafe { Table::new() };
/// All slots from here on were never used.
static USED: AtomicUsize = AtomicUsize::new(0);

/// A session begins in a process that had one before: nothing was told in it yet.
pub fn begin_anew() {
    for slot in told() {
        // Relaxed: nobody tells, as nothing is recorded; who tries to is of the session before, see `tell_new`.
        slot.state.store(FREE, Ordering::Relaxed);
    }
}

/// Tells all modules that are mapped. Once for each program image, before its threads record.
pub fn tell_all(tell: &mut impl FnMut(Event<'_>) -> bool) {
    loader::for_each(|object| {
        tell_of(object, tell);
    });
}

/// Sees to it that `object` has been told. False if it could not be.
pub(crate) fn tell_of(object: &Object, tell: &mut impl FnMut(Event<'_>) -> bool) -> bool {
    let name = hash(object.name());
    for slot in told() {
        let (start, end) = slot.range();
        if start == object.start && end == object.end && slot.name.load(Ordering::Relaxed) == name {
            return true;
        }
        // What was mapped there went away unseen.
        if start < object.end && object.start < end {
            slot.tell_gone(tell);
        }
    }
    alternate_stack::run(|| tell_new(object, name, tell))
}

fn tell_new(object: &Object, name: u64, tell: &mut impl FnMut(Event<'_>) -> bool) -> bool {
    let (slot, serial) = (claim(), session::serial());
    if let Some(slot) = slot {
        // Relaxed: published by the state below.
        slot.start.store(object.start, Ordering::Relaxed);
        slot.end.store(object.end, Ordering::Relaxed);
        slot.name.store(name, Ordering::Relaxed);
    }
    let taken = with_path(object, |path| {
        tell(Event::ModuleLoaded {
            start: object.start,
            end: object.end,
            bias: object.bias,
            path: Bytes::Slice(path),
        })
    });
    if let Some(slot) = slot {
        // Release pairs with the Acquire in `told`: who finds the module told comes after it.
        let told = taken && serial == session::serial();
        slot.state
            .store(if told { TOLD } else { FREE }, Ordering::Release);
    }
    if taken && python::met(object) {
        session::has_python();
    }
    taken
}

/// Tells of the modules that are no longer mapped, and makes the unwinder forget them. After a
/// `dlclose`.
pub fn tell_unloaded(tell: &mut impl FnMut(Event<'_>) -> bool) {
    for slot in told() {
        let (start, end) = slot.range();
        let name = slot.name.load(Ordering::Relaxed);
        let mapped = loader::object_mapped_at(start, |object| {
            object.start == start && object.end == end && hash(object.name()) == name
        });
        if !mapped {
            slot.tell_gone(tell);
        }
    }
}

/// Gives `work` where each module begins that was told and is there, as far as is known.
pub fn for_each_told(mut work: impl FnMut(u64)) {
    for slot in told() {
        let (start, _) = slot.range();
        work(start);
    }
}

impl Slot {
    fn range(&self) -> (u64, u64) {
        // Relaxed: whoever found the slot told has ordered these.
        (
            self.start.load(Ordering::Relaxed),
            self.end.load(Ordering::Relaxed),
        )
    }

    /// Told once, however many threads notice.
    fn tell_gone(&self, tell: &mut impl FnMut(Event<'_>) -> bool) {
        let (start, end) = self.range();
        // Acquire pairs with the Release in `tell_of`; losing means that another tells.
        let won = self
            .state
            .compare_exchange(TOLD, FREE, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        if won {
            unwind::forget(start, end);
            tell(Event::ModuleUnloaded { start });
        }
    }
}

fn used() -> &'static [Slot] {
    let slots = SLOTS.get().map_or(&[][..], |slots| slots);
    // Acquire pairs with the Release in `claim`.
    slots.get(..USED.load(Ordering::Acquire)).unwrap_or(slots)
}

fn told() -> impl Iterator<Item = &'static Slot> {
    used()
        .iter()
        // Acquire pairs with the Release in `tell_of`.
        .filter(|slot| slot.state.load(Ordering::Acquire) == TOLD)
}

/// A slot of one's own.
fn claim() -> Option<&'static Slot> {
    let taken = SLOTS.needed()?.iter().enumerate().find(|(_, slot)| {
        // Acquire: pairs with the Release that freed it, after its last use.
        slot.state
            .compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    });
    let (index, slot) = taken?;
    // Release pairs with the Acquire in `used`.
    USED.fetch_max(index + 1, Ordering::Release);
    Some(slot)
}

/// FNV-1a.
fn hash(name: &CStr) -> u64 {
    name.to_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Gives `work` the path of the object's file, absolute where the loader's name is relative.
pub fn with_path<R>(object: &Object, work: impl FnOnce(&[u8]) -> R) -> R {
    match object.name().to_bytes() {
        b"linux-vdso.so.1" | b"linux-gate.so.1" => work(b"[vdso]"),
        b"" => executable(work),
        absolute @ [b'/', ..] => work(absolute),
        relative => in_working_directory(relative, work),
    }
}

/// The executable has no name: the kernel knows it.
#[cold]
#[inline(never)]
fn executable<R>(work: impl FnOnce(&[u8]) -> R) -> R {
    let mut path = [0_u8; Bytes::MAX];
    work(kernel::read_link(c"/proc/self/exe", &mut path))
}

/// The loader keeps a relative name as it was given: relative to the directory of that time, which
/// is most likely still the working directory.
#[cold]
#[inline(never)]
fn in_working_directory<R>(relative: &[u8], work: impl FnOnce(&[u8]) -> R) -> R {
    let mut path = [0_u8; Bytes::MAX];
    let directory = Some(kernel::current_directory(&mut path)).filter(|length| *length > 0);
    let joined = directory.and_then(|length| {
        *path.get_mut(length)? = b'/';
        let end = length + 1 + relative.len();
        path.get_mut(length + 1..end)?.copy_from_slice(relative);
        path.get(..end)
    });
    work(joined.unwrap_or(relative))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn told_paths(run: impl FnOnce(&mut dyn FnMut(Event<'_>) -> bool)) -> Vec<(u64, String)> {
        let mut told = Vec::new();
        run(&mut |event| {
            match event {
                Event::ModuleLoaded { start, path, .. } => {
                    told.push((start, String::from_utf8(path.iter().collect()).unwrap()));
                }
                Event::ModuleUnloaded { start } => told.push((start, String::from("gone"))),
                other => panic!("{other:?}"),
            }
            true
        });
        told
    }

    #[test]
    fn every_module_is_told_once() {
        unwind::prepare();
        let told = told_paths(|mut tell| tell_all(&mut tell));
        let exe = std::env::current_exe().unwrap();
        let has = |end: &str| told.iter().any(|(_, path)| path.ends_with(end));
        assert!(has(exe.to_str().unwrap()), "{told:?}");
        assert!(has("/libc.so.6"), "{told:?}");
        assert!(told.iter().any(|(_, path)| path == "[vdso]"), "{told:?}");
        assert_eq!(told_paths(|mut tell| tell_all(&mut tell)), []);
        assert_eq!(told_paths(|mut tell| tell_unloaded(&mut tell)), []);

        // A module that is opened later is met, and missed when it is closed.
        let name = c"libm.so.6";
        // SAFETY: a C string; libm's constructors are harmless.
        let (library, function) = unsafe {
            let library = libc::dlmopen(libc::LM_ID_NEWLM, name.as_ptr(), libc::RTLD_NOW);
            (library, libc::dlsym(library, c"cos".as_ptr()))
        };
        let object = loader::object_at(function as u64).unwrap();
        let told = told_paths(|mut tell| assert!(tell_of(&object, &mut tell)));
        assert_eq!(told.len(), 1);
        assert!(told[0].1.ends_with("libm.so.6"), "{told:?}");
        assert_eq!(
            told_paths(|mut tell| assert!(tell_of(&object, &mut tell))),
            []
        );
        // SAFETY: the handle is open, and nothing of the library is used any more.
        unsafe { libc::dlclose(library) };
        let gone = told_paths(|mut tell| tell_unloaded(&mut tell));
        assert!(gone.contains(&(object.start, String::from("gone"))));
    }
}
