//! The interpreter in this process, if there is one: its functions, its version, its offsets.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use leak_wire::layout::{ProcessSlot, warning};

use super::offsets::{self, Offsets, TOLD_WORDS};
use super::{ending, free_lists};
use crate::allocator::bound;
use crate::alternate_stack;
use crate::real;
use crate::symbols::Symbols;
use crate::unwind::loader::{self, Object};

/// `PyMemAllocatorEx`. The functions are never null in what an interpreter gives.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Allocator {
    /// Passed to each of them.
    pub context: *mut c_void,
    /// New bytes.
    pub malloc: Option<unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void>,
    /// New bytes, zeroed.
    pub calloc: Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void>,
    /// More or fewer bytes.
    pub realloc: Option<unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> *mut c_void>,
    /// Gives them back.
    pub free: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

/// An interpreter that is understood.
pub struct Interpreter {
    /// Major · 256 + minor.
    pub version: u32,
    /// How to read its stacks.
    pub offsets: Offsets,
    /// `PyCode_Type`.
    pub code_type: u64,
    /// `PyCoro_Type`.
    pub coroutine_type: u64,
    /// `_PyRuntime`.
    pub runtime: u64,
    /// The state of the main interpreter.
    pub main: Option<unsafe extern "C" fn() -> *const u8>,
    /// Has a function called at a safe point; 0: it will be.
    pub add_pending_call: Option<AddPendingCall>,
    /// Collects everything.
    pub collect: Option<unsafe extern "C" fn() -> isize>,
    get_allocator: unsafe extern "C" fn(c_int, *mut Allocator),
    set_allocator: unsafe extern "C" fn(c_int, *const Allocator),
    /// To 3.11 the thread state of whoever holds the GIL, later the calling thread's if it is attached.
    current: unsafe extern "C" fn() -> *const u8,
    /// The calling thread's first thread state, attached or not.
    own: unsafe extern "C" fn() -> *const u8,
}

type AddPendingCall =
    unsafe extern "C" fn(extern "C" fn(*mut c_void) -> c_int, *mut c_void) -> c_int;

/// From this version on the current thread state is the calling thread's own.
const OWN_CURRENT: u32 = 0x30c;

struct Place(UnsafeCell<Option<Interpreter>>);

// SAFETY: written once, before `PRESENT` is set, and read only after that was seen.
unsafe impl Sync for Place {}

static INTERPRETER: Place = Place(UnsafeCell::new(None));
static PRESENT: AtomicBool = AtomicBool::new(false);

/// `PY_VERSION_HEX` of an interpreter, understood or not.
static VERSION: AtomicU32 = AtomicU32::new(0);
/// Whether it is built without the GIL.
static FREE_THREADED: AtomicBool = AtomicBool::new(false);
static RUNTIME: AtomicU64 = AtomicU64::new(0);
static TYPE_TYPE: AtomicU64 = AtomicU64::new(0);
/// None came with the program: one may come later.
static WANTED: AtomicBool = AtomicBool::new(false);
/// One came later.
static LATE: AtomicBool = AtomicBool::new(false);

/// Whether there is an interpreter that is understood.
#[inline(always)]
pub fn is_present() -> bool {
    // Relaxed: `interpreter` acquires.
    PRESENT.load(Ordering::Relaxed)
}

/// The interpreter.
#[inline(always)]
pub fn interpreter() -> Option<&'static Interpreter> {
    // Acquire: pairs with the Release in `prepare`.
    if !PRESENT.load(Ordering::Acquire) {
        return None;
    }
    // SAFETY: see `Place`.
    unsafe { (*INTERPRETER.0.get()).as_ref() }
}

/// Looks for an interpreter in the executable and the libraries that came with it. Once, by the
/// thread that starts the session.
pub fn prepare() {
    // Relaxed: stored by an earlier call, before any other thread's.
    if VERSION.load(Ordering::Relaxed) != 0 || WANTED.load(Ordering::Relaxed) {
        return;
    }
    // A look-up that fails leaves an error behind, which the target's next one frees.
    if bound!("_PyRuntime", ".weak ") != 0 {
        let symbol = |name: &CStr| {
            // SAFETY: a C string.
            real::quietly(|| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
        };
        take(&symbol);
    }
    // Relaxed: whoever looks at it compares and exchanges.
    WANTED.store(VERSION.load(Ordering::Relaxed) == 0, Ordering::Relaxed);
}

/// `object` was mapped after the start and is met now: an interpreter may have come with it. Whether one
/// has.
#[cold]
pub(crate) fn met(object: &Object) -> bool {
    let name = object.name().to_bytes();
    let name = name.rsplit(|byte| *byte == b'/').next();
    if !name.is_some_and(|name| name.starts_with(b"libpython3")) {
        return false;
    }
    let Some(symbols) = Symbols::of(object) else {
        return false;
    };
    // Not so in the library of the stable interface, which only leads to the real one.
    let Some(runtime) = symbols.find(b"_PyRuntime") else {
        return false;
    };
    super::runtime_lies_at(runtime.address, runtime.size);
    // Relaxed: one thread takes it; the others go on without until it is there.
    if !WANTED.swap(false, Ordering::Relaxed) {
        return false;
    }
    alternate_stack::run(|| {
        take(&|name| {
            let found = symbols.find(name.to_bytes());
            found.map_or(core::ptr::null_mut(), |symbol| {
                symbol.address as *mut c_void
            })
        });
    });
    // Relaxed: read by whoever unmaps it.
    LATE.store(true, Ordering::Relaxed);
    true
}

/// Does `work`, which may unmap an interpreter that came late: it is not asked meanwhile, and never
/// again if it is gone then.
pub fn aside<R>(work: impl FnOnce() -> R) -> R {
    // Relaxed, all: who unmaps an interpreter sees to it that no thread is in it.
    let late = LATE.load(Ordering::Relaxed) && PRESENT.swap(false, Ordering::Relaxed);
    let result = work();
    if late {
        let is_there = loader::object_at(RUNTIME.load(Ordering::Relaxed)).is_some();
        PRESENT.store(is_there, Ordering::Release);
    }
    result
}

/// Takes the interpreter whose symbols `symbol` gives, if there is one.
fn take(symbol: &dyn Fn(&CStr) -> *mut c_void) {
    let get_version = symbol(c"Py_GetVersion");
    let runtime = symbol(c"_PyRuntime");
    if get_version.is_null() || runtime.is_null() {
        return;
    }
    type GetVersion = unsafe extern "C" fn() -> *const c_char;
    // SAFETY: the function takes nothing and gives a C string of its own, also before the
    // interpreter is initialised.
    let text =
        unsafe { CStr::from_ptr(transmute::<*mut c_void, GetVersion>(get_version)()).to_bytes() };
    let version = parse(text);
    // Relaxed, all: read by this thread when it claims a slot, and by its forked children.
    VERSION.store(version, Ordering::Relaxed);
    RUNTIME.store(runtime as u64, Ordering::Relaxed);
    let free_threaded = is_free_threaded(text);
    FREE_THREADED.store(free_threaded, Ordering::Relaxed);
    let offsets = match free_threaded {
        true => None,
        false => offsets_of(version, runtime),
    };
    let found = offsets.and_then(|offsets| find(symbol, version, offsets));
    if let Some(found) = found {
        TYPE_TYPE.store(symbol(c"PyType_Type") as u64, Ordering::Relaxed);
        // SAFETY: nobody reads it before PRESENT, and only one thread gets here.
        unsafe { *INTERPRETER.0.get() = Some(found) };
        // SAFETY: the runtime of this version.
        unsafe { ending::prepare(version >> 16 & 0xff, runtime) };
        free_lists::prepare(version >> 16 & 0xff, runtime, symbol);
        // Release: pairs with the Acquire in `interpreter`.
        PRESENT.store(true, Ordering::Release);
    }
}

/// Tells the recorder of the interpreter.
pub fn describe(slot: &ProcessSlot) {
    // Relaxed, all: written by the thread that found it, which comes here then.
    let version = VERSION.load(Ordering::Relaxed);
    if version == 0 {
        return;
    }
    if !is_present() {
        let why = match FREE_THREADED.load(Ordering::Relaxed) {
            true => warning::PYTHON_FREE_THREADED,
            false => warning::PYTHON_UNKNOWN,
        };
        slot.warnings.fetch_or(why, Ordering::Relaxed);
    }
    slot.python_version.store(version, Ordering::Relaxed);
    let type_type = TYPE_TYPE.load(Ordering::Relaxed);
    slot.python_type.store(type_type, Ordering::Relaxed);
    // Release: pairs with the recorder's Acquire, for the two before.
    let runtime = RUNTIME.load(Ordering::Relaxed);
    slot.python_runtime.store(runtime, Ordering::Release);
}

/// `PY_VERSION_HEX` of `3.11.2 (main, ...`, without its level; 0 if it is none.
fn parse(text: &[u8]) -> u32 {
    let mut numbers = [0_u32; 3];
    let mut parts = text.split(|byte| !byte.is_ascii_digit());
    for number in &mut numbers {
        let digits = parts.next().unwrap_or_default();
        let add = |sum: u32, digit: &u8| sum.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
        *number = digits.iter().take(3).fold(0, add) & 0xff;
    }
    let [major, minor, micro] = numbers;
    major << 24 | minor << 16 | micro << 8 | 0xf0
}

/// Whether `3.13.0 experimental free-threading build (main, ...` stands there.
fn is_free_threaded(text: &[u8]) -> bool {
    text.windows(14).any(|part| part == b"free-threading")
}

fn offsets_of(version: u32, runtime: *mut c_void) -> Option<Offsets> {
    let (major, minor) = (version >> 24, version >> 16 & 0xff);
    if major != 3 {
        return None;
    }
    offsets::of_version(minor).or_else(|| {
        // SAFETY: the runtime is much longer than that, and the offsets in it are constants.
        let told = unsafe { runtime.cast::<[u64; TOLD_WORDS]>().read() };
        offsets::told(minor, &told)
    })
}

fn find(
    symbol: &dyn Fn(&CStr) -> *mut c_void,
    version: u32,
    offsets: Offsets,
) -> Option<Interpreter> {
    let function = |name| Some(symbol(name)).filter(|found| !found.is_null());
    let get_allocator = function(c"PyMem_GetAllocator")?;
    let set_allocator = function(c"PyMem_SetAllocator")?;
    let current = function(c"PyThreadState_GetUnchecked")
        .or_else(|| function(c"_PyThreadState_UncheckedGet"))?;
    let own = function(c"PyGILState_GetThisThreadState")?;
    // SAFETY: the interpreter's functions of these names have these types since 3.5.
    unsafe {
        Some(Interpreter {
            version: version >> 16,
            offsets,
            code_type: function(c"PyCode_Type")? as u64,
            coroutine_type: function(c"PyCoro_Type")? as u64,
            get_allocator: transmute::<*mut c_void, unsafe extern "C" fn(c_int, *mut Allocator)>(
                get_allocator,
            ),
            set_allocator: transmute::<*mut c_void, unsafe extern "C" fn(c_int, *const Allocator)>(
                set_allocator,
            ),
            current: transmute::<*mut c_void, unsafe extern "C" fn() -> *const u8>(current),
            own: transmute::<*mut c_void, unsafe extern "C" fn() -> *const u8>(own),
            runtime: symbol(c"_PyRuntime") as u64,
            main: function(c"PyInterpreterState_Main")
                .map(|found| transmute::<*mut c_void, unsafe extern "C" fn() -> *const u8>(found)),
            add_pending_call: function(c"Py_AddPendingCall")
                .map(|found| transmute::<*mut c_void, AddPendingCall>(found)),
            collect: function(c"PyGC_Collect")
                .map(|found| transmute::<*mut c_void, unsafe extern "C" fn() -> isize>(found)),
        })
    }
}

impl Interpreter {
    /// The thread state of the calling thread, which holds the GIL; null: it has none.
    #[inline(always)]
    pub fn attached(&self) -> *const u8 {
        // SAFETY: reads a word of the runtime or of the thread.
        unsafe { (self.current)() }
    }

    /// The thread state of the calling thread if it holds the GIL, else null.
    #[inline(always)]
    pub fn attached_or_null(&self) -> *const u8 {
        let current = self.attached();
        if current.is_null() || self.version >= OWN_CURRENT {
            return current;
        }
        // Where it is the current one, this thread holds the GIL: nobody else makes it current.
        match self.own() == current {
            true => current,
            false => core::ptr::null(),
        }
    }

    /// A thread state of the calling thread, whether it is attached or not: its first one. Null: this
    /// thread has none.
    #[inline(always)]
    pub fn own(&self) -> *const u8 {
        // SAFETY: reads the thread's own key.
        unsafe { (self.own)() }
    }

    /// The allocator of a domain.
    ///
    /// # Safety
    /// The calling thread holds the GIL.
    pub unsafe fn allocator(&self, domain: c_int) -> Allocator {
        let mut allocator = Allocator {
            context: core::ptr::null_mut(),
            malloc: None,
            calloc: None,
            realloc: None,
            free: None,
        };
        // SAFETY: the caller's promise; it writes all fields of an allocator.
        unsafe { (self.get_allocator)(domain, &raw mut allocator) };
        allocator
    }

    /// Puts another allocator into its place.
    ///
    /// # Safety
    /// The calling thread holds the GIL; the allocator works and goes on to the one before.
    pub unsafe fn set_allocator(&self, domain: c_int, allocator: &Allocator) {
        // SAFETY: the caller's promise; the interpreter copies it.
        unsafe { (self.set_allocator)(domain, core::ptr::from_ref(allocator)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse(b"3.11.2 (main, Apr 28 2025)"), 0x030b_02f0);
        assert_eq!(parse(b"3.14.0rc2 (main)"), 0x030e_00f0);
        assert_eq!(parse(b""), 0xf0);
    }

    #[test]
    fn builds_without_the_gil_are_told() {
        assert!(is_free_threaded(
            b"3.14.7 free-threading build (main, Nov 23 2026)"
        ));
        assert!(is_free_threaded(
            b"3.13.0 experimental free-threading build (main)"
        ));
        assert!(!is_free_threaded(
            b"3.14.7 (main, Nov 23 2026, 01:50:12) [GCC 12.2.0]"
        ));
    }
}
