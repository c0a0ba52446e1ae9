//! Programs say and end under libleak as they do without it, whatever happens to them or to it.

use std::process::Command;

use leak_tests::compile::Source;
use leak_tests::process::Ended;
use leak_tests::report::Report;
use leak_tests::run::Place;

/// Runs `script` in bash with and without libleak: both must say and end the same.
fn same(script: &str) -> Report {
    let bash = |mut command: Command| {
        command.arg("-c").arg(script);
        command
    };
    same_run(|place, traced| {
        bash(match traced {
            true => place.traced("bash"),
            false => place.plain("bash"),
        })
    })
}

/// The same for the program `targets/harmless/NAME`.
fn same_program(name: &str) -> Report {
    let program = Source::read(&format!("harmless/{name}")).program();
    same_run(|place, traced| match traced {
        true => place.traced(&program),
        false => place.plain(&program),
    })
}

fn same_run(command: impl Fn(&Place, bool) -> Command) -> Report {
    let (plain, traced) = (Place::new(), Place::new());
    let expected = plain.run(command(&plain, false));
    let found = traced.run(command(&traced, true));
    assert_same(&found, &expected);
    let report = traced.report();
    assert_eq!(report.number("/trace/dropped_events"), 0);
    assert_eq!(report.number("/totals/unknown_frees"), 0);
    report
}

fn assert_same(found: &Ended, expected: &Ended) {
    let out = |ended: &Ended| String::from_utf8_lossy(&ended.out).into_owned();
    assert_eq!(out(found), out(expected));
    assert_eq!(found.err, expected.err);
    assert_eq!(found.status, expected.status);
}

#[test]
fn a_shell_script_with_all_that_shells_do() {
    let report = same(
        "for i in 1 2 3; do echo $i | cat | tr 1 a | (cat; (exit 3)); done; echo $?
         x=$(echo a; exit 4); echo $x $?
         trap 'echo bye' EXIT; trap 'echo usr' USR1; kill -USR1 $$
         coproc cat; echo hi >&${COPROC[1]}; read line <&${COPROC[0]}; echo $line
         eval \"exec ${COPROC[1]}>&-\"; wait
         diff <(seq 3) <(seq 4); nonesuch 2>&1; exit 7",
    );
    report.assert_complete();
}

#[test]
fn a_hundred_quick_programs() {
    let report =
        same("for i in $(seq 100); do /bin/true; done; seq 40 | xargs -P4 -n1 sh -c 'exit 0'");
    report.assert_complete();
}

#[test]
fn closed_streams_and_small_limits() {
    same(
        "sh -c 'echo x' <&-; sh -c 'ls / | wc -l' 2>&-; sh -c 'exit 4' <&- >&- 2>&-; echo $?
         perl -e 'open F, \"</dev/null\"; print fileno F, \"\\n\"' <&-
         (ulimit -n 8; sh -c 'echo eight | cat'); (ulimit -s 256; perl -e 'print \"small\\n\"')
         { (ulimit -f 0; sh -c 'echo none | cat'); } 2>/dev/null; echo $?",
    );
}

#[test]
fn other_users_and_namespaces() {
    let report = same(
        "setpriv --reuid 65534 --clear-groups sh -c 'id -u; ls >/dev/null; exit 5'; echo $?
         unshare -n sh -c 'echo a | cat; exit 2'; echo $?
         unshare -p -f --mount-proc sh -c 'echo $$; (exit 3); echo $?; exit 9'; echo $?
         unshare -p -f --mount-proc perl -e 'fork or exit 2; print wait > 0, $? >> 8, wait, \"\\n\"'",
    );
    report.assert_complete();
}

#[test]
fn threads_that_fork_while_others_allocate() {
    let report = same_program("forks.c");
    report.assert_complete();
    // Itself, 3 times 60 children, of which a third are two images.
    assert_eq!(report.list("/processes").len(), 1 + 180 + 60);
}

#[test]
fn signals_and_cancelled_threads() {
    same_program("signals.c").assert_complete();
}

#[test]
fn a_recorder_that_is_killed() {
    let script = "echo before | cat
        for process in /proc/[0-9]*; do
          read -r name <$process/comm && [ $name = leak-recorder ] || continue
          grep -qz LEAK_TESTS_GROUP=$LEAK_TESTS_GROUP $process/environ && kill -KILL ${process#/proc/}
        done 2>/dev/null
        for i in $(seq 30); do (echo $i); done; /bin/echo last
        exec perl -e 'for (1..30) { my $pid = fork; $pid or exit 1; waitpid $pid, 0; $n += $? >> 8 } exit $n'";
    let place = Place::new();
    let mut command = place.traced("bash");
    command.arg("-c").arg(script);
    let ended = place.run(command);
    let expected: String = (1..=30).map(|number| format!("{number}\n")).collect();
    let expected = format!("before\n{expected}last\n");
    assert_eq!(String::from_utf8_lossy(&ended.out), expected);
    assert_eq!(ended.status.code(), Some(30));
    let notice = "libleak: the recorder is gone: recording has ended, the program goes on\n";
    assert!(ended.err.is_empty() || ended.err == notice, "{}", ended.err);
}

#[test]
fn a_wrong_setting_costs_one_line() {
    for setting in [
        "LEAK_DEPTH=x",
        "LEAK_MEMORY=1",
        "LEAK_FULL=maybe",
        "LEAK_SAMPLE=-1",
        "LEAK_MAX_TRACE=q",
        "LEAK_FOLLOW=7",
        "LEAK_QUIET=5",
        "LEAK_TRACE=/nonexistent/trace.bin",
        "LEAK_ANALYZE=/nonexistent",
    ] {
        let place = Place::new();
        let (name, value) = setting.split_once('=').unwrap();
        let mut command = place.traced("sh");
        command
            .args(["-c", "echo out; /bin/echo more; exit 3"])
            .env(name, value);
        let ended = place.run(command);
        assert_eq!(String::from_utf8_lossy(&ended.out), "out\nmore\n");
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(
            ended.err.starts_with("libleak: ") && ended.err.contains(value),
            "{}",
            ended.err
        );
        assert!(!place.trace().exists(), "{setting}");
    }
}

#[test]
fn an_answer_that_lasts_until_its_process_ends() {
    let place = Place::new();
    let program = Source::read("servers/exits.c").program();
    assert!(place.run(place.traced(program)).status.success());
    let report = place.report();
    report.assert_complete();
    let endpoint = report.endpoint("GET /leave");
    assert_eq!(endpoint["requests"], 3);
    assert_eq!(endpoint["statuses"][0]["status"], 200);
    assert_eq!(endpoint["statuses"][0]["requests"], 3);
}

#[test]
fn a_notice_that_nobody_can_take() {
    // Each program of these would say that a setting is wrong.
    let script = "(ulimit -f 0; LEAK_DEPTH=x LD_PRELOAD=$LIBRARY perl -e 'exit 3') 2>file; echo $?
        perl -e 'pipe R, W; open STDERR, \">&W\"; close R; close W; exec @ARGV' \
          env LEAK_DEPTH=x LD_PRELOAD=$LIBRARY perl -e 'exit 3'; echo $?";
    let place = Place::new();
    let mut command = place.plain("bash");
    command
        .arg("-c")
        .arg(script)
        .env("LIBRARY", leak_tests::artifacts::libleak());
    let ended = place.run(command);
    assert_eq!(String::from_utf8_lossy(&ended.out), "3\n3\n");
}
