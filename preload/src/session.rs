//! Start and stop: how this process comes to a session, and when it records nothing any more.

use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use leak_wire::layout::{self, SessionHeader, Stop, claim};
use leak_wire::settings::{self, Start};

use crate::birth::Answer;
use crate::config::{self, Environment};
use crate::mapping::{Lane, Mapping};
use crate::process::{Identity, Origin, Remembered};
use crate::{
    allocator, alternate_stack, arena, birth, children, environment, exit, kernel, lane, modules,
    notice, order, process, python, sample, stack, thread, unwind, window,
};

const UNSTARTED: u32 = 0;
const STARTING: u32 = 1;
const TRACING: u32 = 2;
/// Nothing is traced, for good.
const INERT: u32 = 3;
/// Nothing is traced until recording is wanted, see [`window`].
const OFF: u32 = 4;
/// A session is taken leave of.
const ENDING: u32 = 5;

static STATE: AtomicU32 = AtomicU32::new(UNSTARTED);
static MAPPED: AtomicUsize = AtomicUsize::new(0);
/// The number of the process's session; it changes when one ends. 1 saw the program from its start.
static SERIAL: AtomicU32 = AtomicU32::new(1);

/// What all threads of this process share.
pub struct Session {
    mapping: Mapping,
    /// The name of the recorder's abstract socket.
    name: Name,
    /// Whether the recorder has found an allocator in the executable.
    own_allocator: bool,
    serial: u32,
}

/// A session's name.
pub type Name = [u8; layout::SESSION_PREFIX.len() + 32];

/// This process is not traced; the user was told if he must know.
#[derive(Debug)]
pub struct Refused;

/// What a start came to.
enum Begun {
    /// A session.
    Session(Session),
    /// There is to be none before recording is wanted.
    Off,
}

/// The session, null before there is one. Those of before stay: a thread may be in a call that began then.
static SESSION: AtomicPtr<Session> = AtomicPtr::new(null_mut());
/// Where the next one is put.
static ROOM: Room = Room(UnsafeCell::new((null_mut(), 0)));

struct Room(UnsafeCell<(*mut Session, usize)>);

// SAFETY: reached only by the thread that starts a session.
unsafe impl Sync for Room {}

/// Sessions in memory that is mapped at once.
const SESSIONS: usize = 32;

/// Puts a session where it stays.
fn place(session: Session) -> Result<(), Refused> {
    // SAFETY: see `Room`.
    let (next, left) = unsafe { &mut *ROOM.0.get() };
    if *left == 0 {
        let memory = kernel::map(SESSIONS * size_of::<Session>()).ok_or(Refused)?;
        (*next, *left) = (memory.cast(), SESSIONS);
    }
    // SAFETY: mapped for ever, aligned to a page and long enough for what is left of it; nobody else knows the place.
    unsafe { next.write(session) };
    // Release: pairs with the Acquire in `current`.
    SESSION.store(*next, Ordering::Release);
    *next = next.wrapping_add(1);
    *left -= 1;
    Ok(())
}

/// Whether events are recorded.
#[inline(always)]
pub fn is_tracing() -> bool {
    // Relaxed: whoever goes on to use the session reads STATE again, with Acquire.
    STATE.load(Ordering::Relaxed) == TRACING
}

/// The number of the process's session: a lane of another one is none.
#[inline(always)]
pub fn serial() -> u32 {
    // Relaxed: as in `is_tracing`.
    SERIAL.load(Ordering::Relaxed)
}

/// The same while events are recorded; 0: they are not.
#[inline(always)]
pub fn traced() -> u32 {
    if is_tracing() { serial() } else { 0 }
}

/// How many addresses are taken for the session, and for those before; 0: there was none.
pub fn mapped_bytes() -> usize {
    // Relaxed: a number by itself.
    MAPPED.load(Ordering::Relaxed) + arena::bytes()
}

/// Whether nobody has tried to start yet.
#[inline(always)]
pub fn is_unstarted() -> bool {
    STATE.load(Ordering::Relaxed) == UNSTARTED
}

/// Whether recording is to begin in a process that has run for a while.
#[inline(never)]
pub fn is_wanted() -> bool {
    if !window::is_wanted() {
        return false;
    }
    match STATE.load(Ordering::Relaxed) {
        OFF => is_own_wish(),
        INERT => {
            window::failed();
            window::shut();
            false
        }
        _ => false,
    }
}

/// Whether it is this process that was told, and not the one that it was forked from: that may have had no time to see
/// it.
fn is_own_wish() -> bool {
    match process::is_remembered() {
        Remembered::This => true,
        Remembered::Not => {
            process::remember();
            window::shut_wish();
            false
        }
        Remembered::Parent => false,
    }
}

/// The session, while events are recorded.
pub fn current() -> Option<&'static Session> {
    // Acquire: pairs with the Release in `start`.
    if STATE.load(Ordering::Acquire) != TRACING {
        return None;
    }
    // Acquire: pairs with the Release in `place`.
    // SAFETY: null, or a session that stays.
    unsafe { SESSION.load(Ordering::Acquire).as_ref() }
}

/// The session, started if nobody has tried, or if it is wanted. For a caller who holds signals back.
pub fn ensure() -> Option<&'static Session> {
    if is_unstarted() {
        start();
    } else if is_wanted() {
        start_late();
    }
    current()
}

fn start() {
    // Before the C library knows its environment there is nothing to start with.
    let Some(environment) = Environment::current() else {
        return;
    };
    // Acquire: pairs with the Release in `become`; one thread starts, the others go by unrecorded.
    let won = STATE.compare_exchange(UNSTARTED, STARTING, Ordering::Acquire, Ordering::Relaxed);
    if won.is_err() {
        return;
    }
    notice::prepare(environment.get(b"LEAK_QUIET") == Some(b"1"));
    match begin(environment) {
        Ok(Begun::Session(session)) => enter(session),
        Ok(Begun::Off) => turn(OFF),
        Err(Refused) => turn(INERT),
    }
}

/// The same in a process that has run for a while, with other threads.
fn start_late() {
    // Acquire: as above.
    let won = STATE.compare_exchange(OFF, STARTING, Ordering::Acquire, Ordering::Relaxed);
    if won.is_err() {
        return;
    }
    // The hooks that are no allocator's pass by all the same, as nothing is traced yet.
    window::open();
    children::let_go();
    exit::begin_anew();
    modules::begin_anew();
    python::begins_anew();
    let begun = Environment::current()
        .ok_or(Refused)
        .and_then(|environment| birth::start_recorder(environment, true))
        .and_then(|answer| join(answer, Origin::First, true));
    match begun {
        Ok(session) => enter(session),
        Err(Refused) => {
            // Before another thread can try again: the gate that is shut is this try's.
            window::shut();
            window::failed();
            turn(OFF);
        }
    }
}

fn turn(state: u32) {
    // Release: pairs with the Acquires in `start`, `start_late` and `current`.
    STATE.store(state, Ordering::Release);
}

/// Events are recorded from here on.
fn enter(session: Session) {
    if place(session).is_err() {
        return turn(INERT);
    }
    turn(TRACING);
    unwind::prepare();
    modules::tell_all(&mut |event| {
        thread::record(event);
        true
    });
    look_for_allocators();
}

/// Finds out who else serves this program's allocations, and has it traced where that can be.
fn look_for_allocators() {
    let (Some(session), Some(identity)) = (current(), process::known()) else {
        return;
    };
    // Relaxed, all: written by this thread, read by the recorder when the process has ended; and a word
    // by itself.
    let slot = identity.slot.load(Ordering::Relaxed) as usize;
    // Told once in a session, not by every program.
    let aloud = || {
        let quiet = &session.header().quiet;
        quiet.fetch_or(ALLOCATOR_TOLD, Ordering::Relaxed) & ALLOCATOR_TOLD == 0
    };
    if let Some(slot) = session.mapping.process(slot) {
        let found = allocator::others(&session.name, session.own_allocator, &aloud);
        slot.warnings.fetch_or(found, Ordering::Relaxed);
    }
}

fn begin(environment: Environment) -> Result<Begun, Refused> {
    // SAFETY: getauxval reads a table of the C library.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return Err(Refused);
    }
    if !is_meant(environment) {
        environment::pass_on(environment);
        return Err(Refused);
    }
    if let Some(sanitizer) = allocator::sanitizer() {
        notice::say(&[
            b"this program is built with ",
            sanitizer,
            b", which replaces malloc itself: it is not traced; build it without",
        ]);
        return Err(Refused);
    }
    if let Some(value) = environment.get(layout::SESSION_VARIABLE.as_bytes()) {
        let (name, image) = parse_session(value).ok_or(Refused)?;
        process::came_from(image);
        return match birth::rejoin(&name) {
            Ok(answer) => join(answer, Origin::Exec, false).map(Begun::Session),
            // That session has ended, and another one may be wanted.
            Err(Refused) => stay_off(environment),
        };
    }
    match window::asked(environment) {
        Some(Start::On) => {}
        Some(_) => return stay_off(environment),
        None => {
            let value = environment.get(b"LEAK_START").unwrap_or_default();
            notice::say(&[
                b"LEAK_START=",
                value,
                b" can't be used: it takes ",
                settings::START_TAKES.as_bytes(),
                b"; this program is not traced",
            ]);
            environment::strip();
            return Err(Refused);
        }
    }
    match birth::start_recorder(environment, false) {
        Ok(answer) => join(answer, Origin::First, false).map(Begun::Session),
        Err(refused) => {
            // Its children would only be told the same.
            environment::strip();
            Err(refused)
        }
    }
}

/// Gets ready for a session that may be wanted one day, as far as that is best done while the program starts: what asks
/// the loader.
fn stay_off(environment: Environment) -> Result<Begun, Refused> {
    if !process::prepare() {
        return Err(unwiped());
    }
    if let Some(Start::Resident(amount)) = window::asked(environment) {
        window::watch(amount);
    }
    environment::stay_off();
    process::remember();
    // Relaxed: as in `stop`. The first number is that of a session that sees the program from its start.
    SERIAL.store(2, Ordering::Relaxed);
    unwind::prepare();
    lane::prepare();
    if environment.get(b"LEAK_PYTHON") != Some(b"off") {
        python::prepare();
    }
    Ok(Begun::Off)
}

fn unwiped() -> Refused {
    notice::say(&[
        b"this kernel can't wipe pages in forked children (Linux 4.14 can): this program is not traced",
    ]);
    Refused
}

/// Takes part in the session whose recorder gave that answer.
fn join(answer: Answer, origin: Origin, late: bool) -> Result<Session, Refused> {
    // Relaxed: a number by itself.
    MAPPED.store(answer.mapping.bytes(), Ordering::Relaxed);
    let session = Session {
        mapping: answer.mapping,
        name: answer.name,
        own_allocator: answer.own_allocator,
        serial: serial(),
    };
    if !process::prepare() {
        return Err(unwiped());
    }
    // Relaxed: the recorder's setting, made before the session.
    if session.header().python.load(Ordering::Relaxed) != 0 {
        python::prepare();
        python::collector::ask_every(session.header().gc_every.load(Ordering::Relaxed));
    }
    // Relaxed: as above.
    let mean = session.header().sample_bytes.load(Ordering::Relaxed);
    if !sample::begin(mean) {
        notice::say(&[
            b"there is no memory for the table of a sample: this program is not traced; unset LEAK_SAMPLE",
        ]);
        return Err(Refused);
    }
    order::prepare();
    if !late {
        lane::prepare();
    }
    let identity = process::claim_slot(&session.mapping, origin, 0).ok_or(Refused)?;
    // Relaxed: this thread wrote it.
    let image = identity.image.load(Ordering::Relaxed);
    // Relaxed: the recorder's number, written before the session.
    children::prepare(session.header().recorder_pid.load(Ordering::Relaxed));
    match (session.follows(), late) {
        (true, true) => environment::follow_from_now_on(&session.name, image),
        (true, false) => environment::follow(&session.name, image),
        (false, true) => {}
        (false, false) => environment::strip(),
    }
    Ok(session)
}

/// Whether this program is one to trace: not the tool itself, and what `LEAK_ONLY` asks for.
fn is_meant(environment: Environment) -> bool {
    let mut path = [0; 4096];
    let executable = config::base_name(kernel::read_link(c"/proc/self/exe", &mut path));
    if executable == b"leak-analyze" {
        return false;
    }
    let only = environment.get(b"LEAK_ONLY");
    let Some(only) = only.filter(|only| !only.is_empty()) else {
        return true;
    };
    // SAFETY: getauxval reads a table; AT_EXECFN is a C string on the initial stack, or 0.
    let started = unsafe { libc::getauxval(libc::AT_EXECFN) as *const core::ffi::c_char };
    let started = if started.is_null() {
        &[]
    } else {
        // SAFETY: as above.
        config::base_name(unsafe { core::ffi::CStr::from_ptr(started) }.to_bytes())
    };
    settings::matches_any(only, executable) || settings::matches_any(only, started)
}

/// `NAME:IMAGE`.
fn parse_session(value: &[u8]) -> Option<(Name, u32)> {
    let colon = value.iter().position(|byte| *byte == b':')?;
    let name: Name = value.get(..colon)?.try_into().ok()?;
    let image = core::str::from_utf8(value.get(colon + 1..)?).ok()?;
    Some((name, image.parse().ok()?))
}

/// Ends recording in this process's session `serial` because the recorder asked for it or is gone; says so once in the
/// whole session, unless a user asked for it. Recording may begin again.
pub fn stop(serial: u32) {
    // Who comes to know it late does not end another one.
    if let Some(session) = current().filter(|session| session.serial == serial) {
        alternate_stack::run(|| session.stop());
    }
}

/// A program that this one runs can't be traced, for the reason `bit`, which the trace is to have; of those the first
/// in the session says so.
pub fn cant_follow(bit: u32, why: &[u8]) {
    process::warn(bit);
    if let Some(session) = current()
        // Relaxed: a bit by itself.
        && session.header().quiet.fetch_or(FOLLOW_TOLD, Ordering::Relaxed) & FOLLOW_TOLD == 0
    {
        alternate_stack::run(|| notice::say(&[why]));
    }
}

/// Bits that targets add to `SessionHeader::quiet` (1 from the recorder: say nothing at all) for what
/// one of them has said.
const STOP_TOLD: u32 = 1;
const ALLOCATOR_TOLD: u32 = 1 << 1;
const FOLLOW_TOLD: u32 = 1 << 2;

/// Asks whether the recorder is still there, and notes for all if not.
pub fn recorder_gone() -> bool {
    let Some(session) = current() else {
        return true;
    };
    let header = session.header();
    // Relaxed: the recorder's number, written before the session. Both must say so: in another network
    // namespace nobody listens, in another pid namespace it has another number.
    let recorder = header.recorder_pid.load(Ordering::Relaxed);
    let is_there = alternate_stack::run(|| birth::is_there(&session.name));
    if is_there || kernel::process_exists(recorder) {
        return false;
    }
    // Relaxed: a word by itself.
    let _ = header.stopped.compare_exchange(
        0,
        Stop::RecorderGone as u32,
        Ordering::Relaxed,
        Ordering::Relaxed,
    );
    true
}

/// Tells the recorder that a lane's thread is gone, so that it need not find out by itself.
pub fn lane_is_gone(lane: Lane) {
    let pid = kernel::getpid();
    // Release: pairs with the recorder's Acquire: the thread's last head came before.
    let _ = lane.header.claim.compare_exchange(
        claim::pack(claim::LIVE, pid),
        claim::pack(claim::GONE, pid),
        Ordering::Release,
        Ordering::Relaxed,
    );
}

/// An interpreter came after the start: the recorder is told.
pub fn has_python() {
    if let Some(session) = current()
        && let Some(identity) = process::known()
        // Relaxed: written before the identity became known.
        && let Some(slot) = session.mapping.process(identity.slot.load(Ordering::Relaxed) as usize)
    {
        python::describe(slot);
    }
}

impl Session {
    /// See [`stop`].
    fn stop(&self) {
        // Acquire: pairs with the Release in `turn`; of the threads that see it one takes leave.
        let won = STATE.compare_exchange(TRACING, ENDING, Ordering::Acquire, Ordering::Relaxed);
        if won.is_err() {
            return;
        }
        // Relaxed, all: words by themselves. This one may have ended meanwhile, and another one begun.
        if serial() != self.serial {
            return turn(TRACING);
        }
        SERIAL.fetch_add(1, Ordering::Relaxed);
        let header = self.header();
        let stopped = header.stopped.load(Ordering::Relaxed);
        let told = header.quiet.fetch_or(STOP_TOLD, Ordering::Relaxed) & STOP_TOLD != 0;
        // Whoever asked for it knows.
        if !told && stopped != Stop::Asked as u32 {
            notice::say(&[match stopped {
                stopped if stopped == Stop::Limit as u32 => {
                    b"the trace reached LEAK_MAX_TRACE: recording has ended, the program goes on"
                }
                stopped if stopped == Stop::Disk as u32 => {
                    b"the trace can't be written any more (is the disk full?): recording has ended, the program goes on"
                }
                _ => b"the recorder is gone: recording has ended, the program goes on",
            }]);
        }
        environment::stay_off();
        self.mapping.leave();
        arena::leave(self.mapping.start(), self.mapping.bytes(), self.serial);
        MAPPED.store(0, Ordering::Relaxed);
        process::remember();
        // Before another session can begin: the gate that is shut is this one's.
        window::shut_after_session();
        turn(OFF);
    }

    /// The shared header.
    pub fn header(&self) -> &'static SessionHeader {
        self.mapping.header()
    }

    /// The mapping.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Who this process is; in a child that was just forked, claimed now.
    pub fn identity(&self, fork_stamp: u64) -> Option<&'static Identity> {
        if let Some(identity) = process::known() {
            return Some(identity);
        }
        if !self.follows() {
            STATE.store(INERT, Ordering::Relaxed);
            return None;
        }
        let identity = process::claim_slot(&self.mapping, Origin::Fork, fork_stamp)?;
        // Relaxed: written before the identity became known.
        environment::renumber(&self.name, identity.image.load(Ordering::Relaxed));
        Some(identity)
    }

    /// Whether children are traced.
    fn follows(&self) -> bool {
        // Relaxed: the recorder's setting, made before the session.
        self.header().follow.load(Ordering::Relaxed) != 0
    }

    /// Whether recording has ended, or nobody is there any more to record.
    fn has_ended(&self) -> bool {
        // Relaxed: a word by itself.
        self.header().stopped.load(Ordering::Relaxed) != 0 || recorder_gone()
    }

    /// A lane for the thread `tid`; waits for the recorder to make one ready.
    pub fn claim_lane(&self, identity: &Identity, tid: u32) -> Option<Lane> {
        // Relaxed, all: written before the state by which the identity became known.
        let slot = identity.slot.load(Ordering::Relaxed);
        let image = identity.image.load(Ordering::Relaxed);
        let header = self.header();
        // Relaxed, here and below: a count that is a futex, too, and hints.
        let before = header.lanes_looked.load(Ordering::Relaxed);
        let start = kernel::now_ns();
        while is_tracing() {
            // Before the claim: whoever makes a lane after it wakes us.
            let looked = header.lanes_looked.load(Ordering::Relaxed);
            let lane = self.mapping.claim_lane(slot, image, tid);
            if lane.is_some() {
                return lane;
            }
            let now = kernel::now_ns();
            let waited = now - start;
            if waited >= ASK_NS && is_time_to_ask(now) && self.has_ended() {
                // Nobody makes a lane any more, and the next thread need not find that out by waiting.
                stop(self.serial);
                break;
            }
            let is_enough = self.has_waited(waited, looked.wrapping_sub(before));
            if is_enough || now < SCARCE_UNTIL.load(Ordering::Relaxed) {
                SCARCE_UNTIL.fetch_max(now + SCARCE_NS, Ordering::Relaxed);
                return None;
            }
            // Taken by the recorder's next look, whichever that is.
            header.lanes_wanted.fetch_add(1, Ordering::Relaxed);
            self.mapping.ring_doorbell();
            kernel::futex_wait(&header.lanes_looked, looked, LANE_LOOK);
        }
        None
    }

    /// Whether a thread has waited long enough for a lane, during so many looks of the recorder. Where it can make
    /// more, or has some to take back from threads that are gone, it does so with a look: that is waited for.
    fn has_waited(&self, waited: u64, looks: u32) -> bool {
        let header = self.header();
        // Relaxed, both: a hint, and the recorder's setting, made before the session.
        let in_vain = header.lanes_scarce.load(Ordering::Relaxed) == 1 && looks >= LOOKS_IN_VAIN;
        let waits = header.full.load(Ordering::Relaxed) == 0;
        waited > GROWTH_PATIENCE_NS || waited > LANE_PATIENCE_NS && (in_vain || !waits)
    }
}

/// How long a starting thread waits for a lane where the recorder can make more, or drain one whose
/// thread is gone.
const GROWTH_PATIENCE_NS: u64 = 30_000_000_000;
/// The same where all lanes are in use.
const LANE_PATIENCE_NS: u64 = 200_000_000;
/// So many looks of the recorder find none, if there are none: the first may have been under way.
const LOOKS_IN_VAIN: u32 = 2;
/// How often one of the threads that wait for a lane asks whether the recorder is there.
const ASK_NS: u64 = 50_000_000;
/// How long it sleeps at most: the recorder wakes it when there is a lane.
const LANE_LOOK: core::time::Duration = core::time::Duration::from_millis(100);
/// Once a thread has waited in vain, no other one waits for so long.
const SCARCE_NS: u64 = 10_000_000_000;
static SCARCE_UNTIL: AtomicU64 = AtomicU64::new(0);
/// When one asked last.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Whether the calling thread is the one to ask.
fn is_time_to_ask(now: u64) -> bool {
    // Relaxed, both: a number by itself, and who exchanges it asks.
    let asked = ASKED.load(Ordering::Relaxed);
    now.saturating_sub(asked) >= ASK_NS
        && ASKED
            .compare_exchange(asked, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
}

/// A fork is about to happen on this thread: its child exists from now on.
pub fn before_fork() {
    if let Some(session) = current()
        && let Some(thread) = thread::own()
    {
        thread.kept().fork_stamp.set(order::stamp(session.header()));
    }
}

/// The fork is over, in the parent.
pub fn after_fork() {
    if is_tracing()
        && let Some(thread) = thread::own()
    {
        thread.kept().fork_stamp.set(0);
    }
}

/// The fork is over, in the child: it becomes a process of the session, also if it never allocates.
pub fn in_forked_child() {
    // Relaxed: it has one thread, and this one starts or ends no session.
    if matches!(STATE.load(Ordering::Relaxed), STARTING | ENDING) {
        turn(OFF);
    }
    // What was wanted of its parent is not wanted of it.
    window::forget_wish();
    if STATE.load(Ordering::Relaxed) == OFF {
        process::remember();
        window::shut();
        return;
    }
    python::in_forked_child();
    let _ = thread::current();
}

extern "C" fn atfork_prepare() {
    before_fork();
}

extern "C" fn atfork_parent() {
    after_fork();
}

extern "C" fn atfork_child() {
    in_forked_child();
}

// SAFETY: as glibc's pthread_atfork.c calls it; the symbol is GLIBC_2.3.2's.
unsafe extern "C" {
    fn __register_atfork(
        prepare: extern "C" fn(),
        parent: extern "C" fn(),
        child: extern "C" fn(),
        library: *mut core::ffi::c_void,
    ) -> libc::c_int;
}

/// Runs when the library is loaded, before the program and most other libraries.
extern "C" fn constructor() {
    crate::real::resolve_all();
    stack::remember_default_size();
    {
        let _held = kernel::SignalsHeld::new();
        if ensure().is_none() {
            // All next definitions are known: the hooks need not look at more than this.
            window::shut();
        }
        if STATE.load(Ordering::Relaxed) == INERT {
            return;
        }
    }
    crate::exit::prepare();
    thread::end::prepare();
    // First of all: in a child it runs before the handlers of others, which may allocate; in a parent
    // after them. SAFETY: the handlers stay loaded.
    unsafe {
        __register_atfork(
            atfork_prepare,
            atfork_parent,
            atfork_child,
            core::ptr::null_mut(),
        )
    };
}

#[cfg(not(test))]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;
