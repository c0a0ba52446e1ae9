//! The full screen of `leak-analyze watch`, in a terminal of tmux: keys, sizes, and what is left of the terminal after
//! each end.

use std::process::Command;
use std::time::{Duration, Instant};

use leak_tests::http::{self, Connection, Request};
use leak_tests::process::Group;
use leak_tests::run::{LIMIT, Place};
use leak_tests::{artifacts, python};

/// A terminal of a server of tmux's own, with a shell in it.
struct Terminal {
    server: String,
}

impl Terminal {
    fn open(name: &str) -> Terminal {
        let server = format!("leak-tests-{}-{name}", std::process::id());
        let terminal = Terminal { server };
        let size = ["-x", "80", "-y", "24"];
        let shell = [
            "env",
            "-i",
            "PATH=/usr/bin:/bin",
            "TERM=screen",
            "PS1=$ ",
            "sh",
        ];
        let begin = ["-f", "/dev/null", "new-session", "-d"];
        terminal.tmux(&[&begin[..], &size[..], &shell[..]].concat());
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        // Where tests run inside of tmux, that is another server.
        command.env_remove("TMUX").args(["-L", &self.server]);
        let output = command.args(arguments).output();
        let output = output.expect("tmux is there: scripts/setup installs it");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen is `wanted`.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < until, "no {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn until_shown(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Starts a watch of `pid`, and gives its own pid.
    fn watch(&self, pid: u32, place: &Place) -> i32 {
        let told = place.path("pid");
        let _ = std::fs::remove_file(&told);
        let command = format!(
            "cd {}; sh -c 'echo $$ > pid; exec {} watch {pid} --every 2s'; echo status=$?",
            place.path("").display(),
            artifacts::leak_analyze().display()
        );
        self.keys(&["clear", "Enter"]);
        self.keys(&["-l", &command]);
        self.keys(&["Enter"]);
        self.until_shown("2 Sites");
        let number = std::fs::read_to_string(told).expect("the shell told it");
        number.trim().parse().expect("a pid")
    }

    /// The terminal is as it was: the shell's screen, its modes, its cursor.
    fn assert_clean(&self, status: &str) {
        let screen = self.until_shown(&format!("status={status}"));
        assert!(!screen.contains("2 Sites"), "{screen}");
        self.keys(&["clear; stty -a", "Enter"]);
        let modes = self.until("modes", |screen| screen.contains("echoctl"));
        for mode in ["icanon", "echo", "isig", "opost"] {
            let mut words = modes.split_whitespace();
            assert!(words.any(|word| word == mode), "no {mode}:\n{modes}");
        }
        let cursor = self.tmux(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]);
        assert_eq!(cursor.trim(), "1 0");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn city(place: &Place, port: u16) -> Group {
    let mut command = place.traced(python::SYSTEM);
    command.arg(python::script("city.py")).arg(port.to_string());
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    server
}

fn fail(port: u16, area: u32) {
    let mut connection = Connection::open(port);
    let answer = connection.ask(&Request::get(format!("/areas/{area}/vehicles")));
    connection.close();
    assert_eq!(answer.status, 500);
}

#[test]
fn the_screen_follows_and_leaves_the_terminal_clean() {
    let place = Place::new();
    let port = http::free_port();
    let mut server = city(&place, port);
    let terminal = Terminal::open("screen");

    terminal.watch(server.pid(), &place);
    fail(port, 1);
    fail(port, 3);
    let screen = terminal.until_shown("GET /areas/{id}/vehicles → 500");
    assert!(screen.lines().count() <= 24, "{screen}");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 80),
        "{screen}"
    );
    terminal.keys(&["3"]);
    terminal.until("vehicles by type", |screen| {
        let mut rows = screen
            .lines()
            .filter(|line| line.ends_with("__main__.FloatingVehicle"));
        rows.any(|row| row.contains("+20,000"))
    });
    terminal.keys(&["1"]);
    terminal.tmux(&["resize-window", "-x", "120", "-y", "40"]);
    terminal.until_shown("Holding");
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.until("the narrow table", |screen| {
        !screen.contains("Holding") && screen.contains("q quits")
    });
    terminal.keys(&["Enter"]);
    terminal.until_shown("FloatingVehicle");
    terminal.keys(&["Escape"]);
    terminal.keys(&["b"]);
    terminal.until_shown("since the new baseline");
    fail(port, 5);
    terminal.keys(&["3"]);
    terminal.until("one more", |screen| {
        let mut rows = screen
            .lines()
            .filter(|line| line.ends_with("__main__.FloatingVehicle"));
        rows.any(|row| row.contains("+10,000"))
    });
    terminal.keys(&["q"]);
    terminal.assert_clean("0");

    // A signal.
    let watch = terminal.watch(server.pid(), &place);
    // SAFETY: a signal to a process that this test started.
    unsafe { libc::kill(watch, libc::SIGTERM) };
    terminal.assert_clean("0");

    // The target's end.
    terminal.watch(server.pid(), &place);
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
    terminal.until_shown("ENDED");
    terminal.keys(&["q"]);
    terminal.until_shown("the program has ended");
    terminal.assert_clean("0");
}

#[test]
fn a_terminal_that_goes_takes_the_watch_and_not_the_program() {
    let place = Place::new();
    let port = http::free_port();
    let mut server = city(&place, port);
    let terminal = Terminal::open("hangup");
    let watch = terminal.watch(server.pid(), &place);
    drop(terminal);
    let until = Instant::now() + LIMIT;
    // SAFETY: signal 0 only asks whether the process is there.
    while unsafe { libc::kill(watch, 0) } == 0 {
        assert!(Instant::now() < until, "the watch stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.runs());
    fail(port, 1);
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
}
