//! Comes to a session: begins one, joins the one that an environment names, or stays off until one is wanted.

use core::sync::atomic::Ordering;

use leak_wire::layout::warning;
use leak_wire::settings::Start;
use leak_wire::{layout, settings};

use super::end::ALLOCATOR_TOLD;
use super::{
    INERT, MAPPED, Name, OFF, Refused, SERIAL, STARTING, STATE, Session, TRACING, UNSTARTED,
    current, is_unstarted, is_wanted, place, serial, turn,
};
use crate::birth::Answer;
use crate::config::Environment;
use crate::process::Origin;
use crate::{
    allocator, birth, children, config, detour, environment, exit, kernel, lane, modules, notice,
    order, process, python, sample, thread, unwind, window,
};

/// What a start came to.
enum Begun {
    /// A session.
    Session(Session),
    /// There is to be none before recording is wanted.
    Off,
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
    // Acquire: pairs with the Release in `turn`; one thread starts, the others go by unrecorded.
    let won = STATE.compare_exchange(UNSTARTED, STARTING, Ordering::Acquire, Ordering::Relaxed);
    if won.is_err() {
        return;
    }
    notice::prepare(environment.get(b"LEAK_QUIET") == Some(b"1"));
    match begin(environment) {
        Ok(Begun::Session(session)) => enter(session, false),
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
        Ok(session) => enter(session, true),
        Err(Refused) => {
            // Before another thread can try again: the gate that is shut is this try's.
            window::shut();
            window::failed();
            turn(OFF);
        }
    }
}

/// Events are recorded from here on; `late`: the program has run before.
fn enter(session: Session, late: bool) {
    if place(session).is_err() {
        return turn(INERT);
    }
    turn(TRACING);
    window::begun();
    unwind::prepare();
    modules::tell_all(&mut |event| {
        thread::record(event);
        true
    });
    let found = look_for_allocators();
    // A task ends when its block is freed.
    if !late && found & (warning::OWN_ALLOCATOR | warning::PRELOADED_ALLOCATOR) == 0 {
        look_for_tasks();
    }
}

/// Finds out who else serves this program's allocations, and has it traced where that can be. Bits of `warning`.
fn look_for_allocators() -> u32 {
    let (Some(session), Some(identity)) = (current(), process::known()) else {
        return 0;
    };
    // Relaxed, all: written by this thread, read by the recorder when the process has ended; and a word
    // by itself.
    let slot = identity.slot.load(Ordering::Relaxed) as usize;
    // Told once in a session, not by every program.
    let aloud = || {
        let quiet = &session.header().quiet;
        quiet.fetch_or(ALLOCATOR_TOLD, Ordering::Relaxed) & ALLOCATOR_TOLD == 0
    };
    let Some(slot) = session.mapping.process(slot) else {
        return 0;
    };
    let found = allocator::others(&session.name, session.brings.allocator, &aloud);
    slot.warnings.fetch_or(found, Ordering::Relaxed);
    found
}

/// Has the executable's runtime, if it has one, tell which task each thread runs. Where that can't be, blocks are told
/// by what was in flight, and nothing is said.
fn look_for_tasks() {
    if let Some(session) = current()
        && session.brings.tasks
    {
        let _ = detour::trace_tasks(&session.name);
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
        brings: answer.brings,
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
