//! What happened is in the trace: under any load, with a slow, stopped or killed recorder, a full disk,
//! little shared memory, and up to the instant at which the target is killed.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use leak_tests::compile::Source;
use leak_tests::process::{Ended, Group};
use leak_tests::report::Report;
use leak_tests::run::{LIMIT, Place};

/// What the threads of `targets/lost/storm.c` have counted themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    threads: u64,
    allocations: u64,
    frees: u64,
}

struct Storm {
    place: Place,
    program: PathBuf,
    threads: u64,
}

impl Storm {
    fn new(threads: u64) -> Storm {
        Storm {
            place: Place::new(),
            program: Source::read("lost/storm.c").program(),
            threads,
        }
    }

    /// The program's line; `rounds` of 0 are endless.
    fn line(&self, rounds: u64) -> [String; 3] {
        let program = self.program.display().to_string();
        [program, self.threads.to_string(), rounds.to_string()]
    }

    fn traced(&self, rounds: u64) -> Command {
        let [program, threads, rounds] = self.line(rounds);
        let mut command = self.place.traced(program);
        command
            .args([threads, rounds])
            .env("COUNTS", self.place.path("counts"));
        command
    }

    fn counted(&self) -> Counted {
        let bytes = fs::read(self.place.path("counts")).unwrap_or_default();
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|bytes| u64::from_ne_bytes(bytes.try_into().expect("eight bytes")))
            .collect();
        let of = |at: usize| words.iter().skip(8 + at).step_by(8).sum();
        Counted {
            threads: words.first().copied().unwrap_or(0),
            allocations: of(0),
            frees: of(1),
        }
    }

    /// Waits until every thread has allocated.
    fn await_threads(&self, group: &mut Group) {
        while self.counted().threads < self.threads {
            assert!(group.runs(), "{}", group.err());
            std::thread::yield_now();
        }
    }

    /// The trace has what was counted, besides what the C library asked for itself, `own`.
    fn assert_whole(&self, report: &Report, own: Counted) {
        let counted = self.counted();
        report.assert_complete();
        assert_eq!(allocations(report), counted.allocations + own.allocations);
        assert_eq!(frees(report), counted.frees + own.frees);
    }
}

fn allocations(report: &Report) -> u64 {
    report.number("/totals/allocations")
}

fn frees(report: &Report) -> u64 {
    report.number("/totals/frees")
}

/// What the C library asks for itself where so many threads are started.
fn own(threads: u64) -> Counted {
    let storm = Storm::new(threads);
    let ended = storm.place.run(storm.traced(1));
    assert_stormed(&ended);
    let (report, counted) = (storm.place.report(), storm.counted());
    Counted {
        threads,
        allocations: allocations(&report) - counted.allocations,
        frees: frees(&report) - counted.frees,
    }
}

fn assert_stormed(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(5), "{}", ended.err);
    assert_eq!(ended.out, b"stormed\n");
}

/// The recorder of the group.
fn recorder(group: &Group) -> i32 {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(pid) = group.member("leak-recorder") {
            return pid as i32;
        }
        assert!(Instant::now() < until, "no recorder");
        std::thread::yield_now();
    }
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes numbers only; the process is one of the test's own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// How often the target is killed: `LEAK_TESTS_KILLS`, else a few times.
fn kills() -> u64 {
    let kills = std::env::var("LEAK_TESTS_KILLS").ok();
    kills.map_or(20, |kills| kills.parse().expect("a number"))
}

#[test]
fn a_target_killed_at_any_instant() {
    let own = own(4);
    let mut events = 0;
    for round in 0..kills() {
        let storm = Storm::new(4);
        let mut group = storm.place.start(storm.traced(0));
        storm.await_threads(&mut group);
        // Any instant will do: that is what is tried.
        std::thread::sleep(Duration::from_micros(round * 7919 % 60_000));
        group.signal(libc::SIGKILL);
        group.wait(LIMIT);
        let counted = storm.counted();
        let report = storm.place.report();
        group.assert_nothing_left(LIMIT);
        assert_eq!(report.text("/trace/ended"), "killed");
        assert_eq!(report.number("/trace/dropped_events"), 0);
        let least = counted.allocations + own.allocations;
        let found = allocations(&report);
        assert!(
            (least..=least + 4).contains(&found),
            "{round}: {found}, {counted:?}"
        );
        let found = frees(&report);
        let least = counted.frees + own.frees;
        assert!(
            (least..=least + 4).contains(&found),
            "{round}: {found}, {counted:?}"
        );
        events += allocations(&report) + found;
    }
    assert!(events > kills() * 1000, "only {events} events");
}

/// Makes `command` and all that it starts run on the first core only.
fn on_one_core(command: &mut Command) {
    let stay = || {
        // SAFETY: a set of cores is valid in all zeros, and nothing else is touched.
        let done = unsafe {
            let mut cores: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(0, &mut cores);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cores)
        };
        match done {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call, and touches no memory of the parent's.
    unsafe { command.pre_exec(stay) };
}

/// Storms of so many threads, all on one core with their recorders, which are niced, stopped for 5 s and go on.
#[test]
fn recorders_stopped_for_seconds() {
    let storms = [1, 2, 8, 64].map(|threads| {
        let (own, storm) = (own(threads), Storm::new(threads));
        // More than lanes hold.
        let mut command = storm.traced(4_000_000 / threads);
        command.env("LEAK_MEMORY", "8M");
        on_one_core(&mut command);
        let mut group = storm.place.start(command);
        storm.await_threads(&mut group);
        let pid = recorder(&group);
        // SAFETY: takes numbers only; the process is one of the test's own.
        let niced = unsafe { libc::setpriority(libc::PRIO_PROCESS, pid as u32, 19) };
        assert_eq!(niced, 0);
        signal(pid, libc::SIGSTOP);
        (own, storm, group, pid)
    });
    std::thread::sleep(Duration::from_secs(5)); // as long as the issue asks for
    // All at once: after 30 s they would be given up.
    let storms = storms.map(|(own, storm, mut group, recorder)| {
        assert!(group.runs(), "{}", group.err());
        signal(recorder, libc::SIGCONT);
        (own, storm, group)
    });
    for (own, storm, mut group) in storms {
        let ended = group.wait(LIMIT);
        group.assert_nothing_left(LIMIT);
        assert_stormed(&ended);
        assert_eq!(ended.err, "");
        let report = storm.place.report();
        storm.assert_whole(&report, own);
        assert!(report.number("/trace/waited_ns") > 0, "{}", storm.threads);
    }
}

/// No wait is without a bound: threads give a recorder up that does nothing for 30 s, and what they do then is
/// counted as dropped.
#[test]
fn a_recorder_stopped_for_good() {
    let own = own(2);
    let storm = Storm::new(2);
    let mut group = storm.place.start(storm.traced(1_000_000));
    storm.await_threads(&mut group);
    let recorder = recorder(&group);
    signal(recorder, libc::SIGSTOP);
    let began = Instant::now();
    let ended = group.wait(LIMIT);
    let lasted = began.elapsed().as_secs();
    signal(recorder, libc::SIGCONT);
    group.assert_nothing_left(LIMIT);
    assert_stormed(&ended);
    assert!((30..60).contains(&lasted), "{lasted} s");
    let (report, counted) = (storm.place.report(), storm.counted());
    assert_eq!(report.at("/trace/complete"), false);
    let happened = counted.allocations + own.allocations + counted.frees + own.frees;
    let unknown = report.number("/totals/unknown_frees");
    let recorded = allocations(&report) + frees(&report) + unknown;
    let dropped = report.number("/trace/dropped_events");
    // Of what was dropped, some tells of call sites and threads' ends.
    assert!(
        recorded < happened && recorded + dropped >= happened,
        "{recorded} {dropped} {happened}"
    );
}

/// Threads that wait for a recorder which is killed go on, and what it has written can be read.
#[test]
fn a_recorder_killed_while_lanes_are_full() {
    let storm = Storm::new(8);
    let mut group = storm.place.start(storm.traced(300_000));
    storm.await_threads(&mut group);
    let recorder = recorder(&group);
    signal(recorder, libc::SIGSTOP);
    // Until nothing goes on: all wait.
    let mut counted = storm.counted();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        match storm.counted() {
            now if now == counted => break,
            now => counted = now,
        }
    }
    signal(recorder, libc::SIGKILL);
    let ended = group.wait(LIMIT);
    group.assert_nothing_left(LIMIT);
    assert_stormed(&ended);
    let notice = "libleak: the recorder is gone: recording has ended, the program goes on\n";
    assert_eq!(ended.err, notice);
    let report = storm.place.report();
    assert_eq!(report.at("/trace/complete"), false);
    assert!(report.number("/totals/unknown_frees") == 0);
}

/// The first process of a container and its recorder are killed at the same instant: what is older than a
/// second is in the trace. By another user than root, on a root that can't be written, without /dev/shm.
#[test]
fn a_container_that_is_killed() {
    let storm = Storm::new(2);
    let copy = |from: PathBuf, name: &str| {
        fs::copy(from, storm.place.path(name)).expect("the test's directory can be written");
    };
    copy(leak_tests::artifacts::libleak(), "libleak.so");
    copy(leak_tests::artifacts::leak_analyze(), "leak-analyze");
    copy(storm.program.clone(), "contained");
    let mut command = storm.place.plain("unshare");
    let script =
        "umount -l /dev/shm 2>/dev/null; mount --bind . . && cd $PWD && mount --bind / / &&
        mount -o remount,ro,bind / && ! touch /nowhere 2>/dev/null &&
        exec setpriv --reuid 65534 --clear-groups env LD_PRELOAD=$PWD/libleak.so ./contained 2 0";
    command.args(["-m", "-p", "-f", "bash", "-c", script]);
    command.env("COUNTS", storm.place.path("counts"));
    let mut group = storm.place.start(command);
    storm.await_threads(&mut group);
    let first = group.member("contained").expect("it runs");
    let counted = storm.counted();
    assert!(counted.allocations > 0);
    std::thread::sleep(Duration::from_secs(1)); // what is older is promised
    signal(first as i32, libc::SIGKILL);
    group.wait(LIMIT);
    group.assert_nothing_left(LIMIT);
    let report = storm.place.report();
    assert_eq!(report.at("/trace/complete"), false);
    assert!(allocations(&report) >= counted.allocations, "{counted:?}");
    assert!(frees(&report) >= counted.frees, "{counted:?}");
}

#[test]
fn a_niced_recorder_on_one_core() {
    for threads in [1, 2, 8, 64] {
        let own = own(threads);
        let storm = Storm::new(threads);
        let line = storm.line(400_000 / threads);
        // The recorder stays on the core that it was born on, and is nicer than the target.
        let mut command = storm.place.traced("taskset");
        command.args(["-c", "0", "sh", "-c"]).arg(format!(
            "for process in /proc/[0-9]*; do
               read -r name < $process/comm && [ $name = leak-recorder ] || continue
               grep -qz LEAK_TESTS_GROUP=$LEAK_TESTS_GROUP $process/environ && renice -n 19 ${{process#/proc/}}
             done > /dev/null 2>&1
             exec {}",
            line.join(" ")
        ));
        command.env("COUNTS", storm.place.path("counts"));
        let ended = storm.place.run(command);
        assert_stormed(&ended);
        let report = storm.place.report();
        report.assert_complete();
        let rows = report.list("/processes");
        let row = rows
            .iter()
            .find(|row| row["end"] == "exit" && row["exit_code"] == 5);
        let row = row.expect("the storm's own image");
        let counted = storm.counted();
        assert_eq!(row["allocations"], counted.allocations + own.allocations);
        assert_eq!(row["frees"], counted.frees + own.frees);
    }
}

#[test]
fn little_shared_memory() {
    let own = own(64);
    let storm = Storm::new(64);
    let mut command = storm.traced(5_000);
    command.env("LEAK_MEMORY", "8M");
    let ended = storm.place.run(command);
    assert_stormed(&ended);
    storm.assert_whole(&storm.place.report(), own);
}

/// Runs the storm with its trace on a disk of its own, mounted at `disk` of the place by `script` before
/// the storm runs as `"$@"`.
fn on_a_disk(script: &str) -> (Storm, Ended) {
    let storm = Storm::new(2);
    fs::create_dir(storm.place.path("disk")).expect("our directory");
    let mut command = storm.place.plain("unshare");
    let library = leak_tests::artifacts::libleak();
    command
        .args(["-m", "bash", "-c", script, "bash"])
        .args(storm.line(200_000))
        .env("PRELOAD", library)
        .env("LEAK_TRACE", storm.place.path("disk/trace.bin"))
        .env("LEAK_MAX_TRACE", "1G")
        .env("COUNTS", storm.place.path("counts"));
    let ended = storm.place.run(command);
    (storm, ended)
}

#[test]
fn a_full_disk() {
    let (storm, ended) = on_a_disk(
        "mount -t tmpfs -o size=256k none disk && LD_PRELOAD=$PRELOAD \"$@\"; status=$?
         cp disk/trace.bin trace.bin; exit $status",
    );
    assert_eq!(ended.status.code(), Some(5), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.contains("disk"), "{}", ended.err);
    let report = storm.place.report();
    assert_eq!(report.text("/trace/ended"), "disk_full");
    assert!(allocations(&report) > 1000);
}

#[test]
fn a_directory_that_is_removed() {
    let (_, ended) = on_a_disk(
        "LD_PRELOAD=$PRELOAD \"$@\" & while ! [ -s counts ]; do :; done
         rm -rf disk; wait $!",
    );
    assert_stormed(&ended);
    assert_eq!(ended.err, "");
}

/// A target that scribbles over what it shares harms nobody but its own trace: the recorder ends, and what
/// is there can be read or is refused in a line. The target itself may be harmed: it asked for it.
#[test]
fn a_target_that_scribbles_over_the_shared_memory() {
    let program = Source::read("lost/scribble.c").program();
    for seed in 0..kills() / 5 {
        let place = Place::new();
        let mut command = place.traced(&program);
        command
            .args([
                (seed * 7919 + 1).to_string(),
                (1 << (seed % 5 * 3)).to_string(),
            ])
            .env("LEAK_QUIET", "1");
        let mut group = place.start(command);
        group.wait(LIMIT);
        group.assert_nothing_left(LIMIT);
        let output = leak_tests::report::leak_analyze(&[place.trace()]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(0 | 2)),
            "seed {seed}: {err}"
        );
        assert!(!err.contains("panicked"), "seed {seed}: {err}");
    }
}
