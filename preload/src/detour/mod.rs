//! An allocator that takes the calls which this library should see (linked into the executable, or
//! preloaded before it) is traced at its entries: a jump is written over the first instructions of each
//! of its functions, which leads to a hook; the instructions that gave way are run from elsewhere.
//! So is one behind this library that has entries which are not exported here: C++ operators and names
//! of its own. The exported hooks then go on where nothing leads back to a hook. And so are the functions
//! by which a runtime in the executable (tokio, smol) runs its tasks.
//!
//! - Which functions, which bytes and what code is found out by the recorder (`leak_wire::detour`), from
//!   the module's file. Here it is only checked and written.
//! - All or nothing: an allocator of which a part can't be detoured is left alone. Of poll functions those
//!   that can't be are left alone: their tasks are not told from their threads.
//! - Nothing is written unless the very bytes that the recorder saw lie there, while one thread runs.
//!   Memory is changed through `/proc/self/mem`: code is never writable and never not executable, and
//!   where the kernel, a filter or a policy won't have it, nothing has changed.

mod entries;

use core::sync::atomic::{AtomicBool, Ordering};

use leak_wire::detour::{
    Answer, CODE_BYTES, Detour, Entries, MAX_DISPLACED, MAX_MESSAGE, Request, SHAPES,
};

use crate::kernel::{self, code};
use crate::real;
use crate::session::Name;
use crate::unwind::loader::{self, Object};

pub use entries::{giving, taking};

/// How long the recorder may take to read the module's symbols.
const PATIENCE_SECONDS: i64 = 10;

static NEXT: AtomicBool = AtomicBool::new(false);

/// Whether the allocator that the exported hooks call is detoured: they call it by [`giving`] and [`taking`].
#[inline(always)]
pub fn of_next() -> bool {
    // Relaxed: stored while there was one thread.
    NEXT.load(Ordering::Relaxed)
}

/// Why a module's functions can't be detoured.
pub struct Refused {
    text: [u8; 112],
    length: usize,
}

impl Refused {
    fn new(why: &[u8]) -> Refused {
        let mut text = [0; 112];
        let length = why.len().min(text.len());
        for (place, byte) in text.iter_mut().zip(why) {
            *place = *byte;
        }
        Refused { text, length }
    }

    /// In words.
    pub fn why(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or(&[])
    }
}

/// Detours the allocator of the module in which `address` lies. While the process has one thread.
pub fn trace(session: &Name, address: usize) -> Result<(), Refused> {
    detour(session, address, Entries::Allocator, |_| {})
}

/// The same for the allocator that this library's exported hooks call.
pub fn trace_next(session: &Name, address: usize) -> Result<(), Refused> {
    detour(session, address, Entries::Allocator, |detours| {
        for detour in detours {
            real::lead_past(detour.at as usize, detour.undetoured() as usize);
        }
        // Relaxed: there is one thread.
        NEXT.store(true, Ordering::Relaxed);
    })
}

/// Detours the functions by which a runtime in the executable runs its tasks. While the process has one thread.
pub fn trace_tasks(session: &Name) -> Result<(), Refused> {
    // SAFETY: getauxval reads a table of the C library.
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    detour(session, headers, Entries::Tasks, |_| {})
}

fn detour(
    session: &Name,
    address: usize,
    entries: Entries,
    then: impl FnOnce(&mut dyn Iterator<Item = Detour>),
) -> Result<(), Refused> {
    if !code::has_one_thread() {
        return Err(Refused::new(b"threads ran before libleak was loaded"));
    }
    let module =
        module_of(address).ok_or_else(|| Refused::new(b"it is not in the loader's list"))?;
    let place = code::map_near(module.start, module.end, CODE_BYTES)
        .ok_or_else(|| Refused::new(b"there is no room near its code"))?;
    let Some(buffer) = kernel::map(MAX_MESSAGE) else {
        return Err(Refused::new(b"there is no memory"));
    };
    // SAFETY: just mapped, with that many bytes, and nobody else's.
    let message = unsafe { core::slice::from_raw_parts_mut(buffer, MAX_MESSAGE) };
    let done = ask(session, &module, entries, place, message).and_then(|length| {
        let answer = apply(message.get(..length).unwrap_or(&[]), &module, place)?;
        then(&mut answer.detours());
        Ok(())
    });
    // SAFETY: ours, and not used any more.
    unsafe { kernel::unmap(buffer, MAX_MESSAGE) };
    if done.is_err() {
        // SAFETY: nothing leads there.
        unsafe { kernel::unmap_pages(place, CODE_BYTES) };
    }
    done
}

fn module_of(address: usize) -> Option<Object> {
    let mut found = None;
    loader::for_each(|object| {
        if (object.start..object.end).contains(&(address as u64)) {
            found = Some(*object);
        }
    });
    found
}

/// The hooks' addresses, by `leak_wire::detour::Shape`.
fn hooks() -> [u64; SHAPES] {
    let hooks = [
        entries::allocate,
        entries::operator,
        entries::count,
        entries::aligned,
        entries::place,
        entries::resize,
        entries::resize_count,
        entries::free,
        entries::poll,
    ];
    hooks.map(|hook: extern "C" fn()| hook as usize as u64)
}

/// Asks the recorder for detours; the length of its answer.
fn ask(
    session: &Name,
    module: &Object,
    entries: Entries,
    place: *mut u8,
    message: &mut [u8],
) -> Result<usize, Refused> {
    let silence = |_| Refused::new(b"the recorder gives no answer");
    let request = Request {
        entries,
        bias: module.bias,
        code: place as u64,
        code_bytes: CODE_BYTES as u64,
        hooks: hooks(),
        path: module.name().to_bytes(),
    };
    let length = request
        .write(message)
        .ok_or_else(|| Refused::new(b"its path is too long"))?;
    let socket = kernel::connect_abstract(session).map_err(silence)?;
    kernel::set_timeouts(socket, PATIENCE_SECONDS);
    let answered = kernel::send(socket, message.get(..length).unwrap_or(&[]))
        .and_then(|()| kernel::receive(socket, message));
    kernel::close(socket);
    let (length, fd) = answered.map_err(silence)?;
    if let Some(fd) = fd {
        kernel::close(fd);
    }
    Ok(length)
}

/// Writes what the recorder answered.
fn apply<'a>(message: &'a [u8], module: &Object, place: *mut u8) -> Result<Answer<'a>, Refused> {
    let answer = match message.split_first() {
        Some((b'P', rest)) => Answer::read(rest),
        Some((b'E', why)) => return Err(Refused::new(why)),
        _ => None,
    };
    let answer = answer.filter(|answer| answer.code.len() <= CODE_BYTES);
    let answer = answer.ok_or_else(|| Refused::new(b"the recorder gives no answer"))?;
    let memory =
        code::OwnMemory::open().ok_or_else(|| Refused::new(b"/proc/self/mem can't be opened"))?;
    let as_expected = answer.detours().all(|detour| {
        let mut found = [0; MAX_DISPLACED];
        let displaced = detour.displaced();
        let found = found.get_mut(..displaced.len()).unwrap_or(&mut []);
        let end = detour.at.saturating_add(displaced.len() as u64);
        module.start <= detour.at
            && end <= module.end
            && memory.read(detour.at, found)
            && found == displaced
    });
    if !as_expected {
        return Err(Refused::new(b"its code in memory is not that of its file"));
    }
    // SAFETY: `place` has CODE_BYTES bytes, which nobody else knows yet; the code is no longer than that.
    unsafe { place.copy_from_nonoverlapping(answer.code.as_ptr(), answer.code.len()) };
    // SAFETY: the same pages.
    if !unsafe { code::make_executable(place, CODE_BYTES) } {
        return Err(Refused::new(b"new code is not allowed here"));
    }
    for (written, detour) in answer.detours().enumerate() {
        // SAFETY: the jump leads to code that was made for this entry and is executable; whole
        // instructions give way, into which nothing jumps, and no other thread is running them.
        if !unsafe { memory.write(detour.at, &detour.jump) } {
            undo(&memory, answer.detours().take(written));
            return Err(Refused::new(b"its code can't be written"));
        }
    }
    Ok(answer)
}

/// Puts back what lay at the entries before.
fn undo(memory: &code::OwnMemory, detours: impl Iterator<Item = Detour>) {
    for detour in detours {
        // SAFETY: these bytes lay there; no thread is in the middle of them.
        unsafe { memory.write(detour.at, detour.displaced()) };
    }
}
