//! Real programs, run as they are and under libleak: they must say and end the same, and what libleak
//! records of them must agree with an independent count.
//!
//! A case is a bash script of `conformance/`. Its first lines say, behind `# KEY: `,
//! - `packages`: the Debian packages that it needs;
//! - `part`: `quick`, where it is short and its packages are those of `scripts/setup`;
//! - `user`: the user that it runs as, instead of whoever runs the tests;
//! - `set`: a variable to set, `NAME=VALUE`;
//! - `output`: a sed command (-E) for what differs between any two runs of the program.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::artifacts;
use crate::count::{Agreement, Count};
use crate::http;
use crate::run::Place;

/// Longer than any case takes on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(1200);

/// A script of `conformance/`.
#[derive(Debug)]
pub struct Case {
    /// Its name, without the suffix.
    pub name: String,
    path: PathBuf,
    text: String,
}

/// What a run printed, without what differs anyway, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: String,
    out: String,
    err: String,
}

impl Case {
    /// All cases, by name.
    pub fn all() -> Vec<Case> {
        let directory = artifacts::source("conformance");
        let entries = fs::read_dir(&directory).expect("the cases lie there");
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.expect("a directory can be read").path())
            .collect();
        paths.sort();
        paths.into_iter().map(Case::read).collect()
    }

    fn read(path: PathBuf) -> Case {
        let text = fs::read_to_string(&path).expect("a case is a text");
        let name = path.file_stem().expect("a case has a name");
        let name = name.to_string_lossy().into_owned();
        Case { name, path, text }
    }

    /// The values of the head's `# KEY: VALUE` lines.
    pub fn head<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let comments = self.text.lines().take_while(|line| line.starts_with('#'));
        comments.filter_map(move |line| {
            line.strip_prefix("# ")?
                .strip_prefix(key)?
                .strip_prefix(": ")
        })
    }

    /// Whether it is one of those that run with every test.
    pub fn is_quick(&self) -> bool {
        self.head("part").any(|part| part == "quick")
    }

    /// Runs it both ways; says what disagrees.
    pub fn check(&self) -> Result<Agreement, String> {
        let (plain, traced) = (Place::new(), Place::new());
        let expected = self.run(&plain, None);
        let count = Count::new(&traced.path(""));
        let found = self.run(&traced, Some(&count));
        if found != expected {
            return Err(difference(&expected, &found));
        }
        if expected.out.is_empty() {
            return Err(format!("it said nothing:\n{}", expected.err));
        }
        let report = traced.report();
        let trace = report.at("/trace");
        if trace["dropped_events"] != 0 || trace["complete"] != true {
            return Err(format!("the trace is not whole: {trace:#}"));
        }
        let agreement = count.compare(&report);
        match agreement.differences.as_slice() {
            [] => Ok(agreement),
            all => {
                let some = all.iter().take(10).cloned().collect::<Vec<_>>();
                Err(format!("{} images differ:\n{}", all.len(), some.join("\n")))
            }
        }
    }

    fn run(&self, place: &Place, count: Option<&Count>) -> Said {
        let mut command = place.plain("bash");
        let repository = artifacts::source("..");
        let repository = fs::canonicalize(repository).expect("it is there");
        command
            .arg(&self.path)
            .env("HOME", place.path(""))
            .env("REPOSITORY", repository)
            .env("PORT", http::free_port().to_string())
            .envs([("LC_ALL", "C.UTF-8"), ("TZ", "UTC")])
            .envs(self.head("set").filter_map(|pair| pair.split_once('=')));
        if let Some(user) = self.head("user").next() {
            let (user, group) = numbers_of(user);
            command.uid(user).gid(group);
        }
        if let Some(count) = count {
            count.watch(&mut command);
        }
        let mut group = place.start(command);
        let ended = group.wait(LIMIT);
        group.assert_nothing_left(LIMIT);
        let directory = place.path("").display().to_string();
        let directory = directory.trim_end_matches('/');
        let clean = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).replace(directory, "PLACE");
            self.normalise(text)
        };
        Said {
            status: ended.status.to_string(),
            out: clean(&ended.out),
            err: clean(ended.err.as_bytes()),
        }
    }

    /// Puts `text` through the case's sed commands.
    fn normalise(&self, text: String) -> String {
        let mut sed = Command::new("sed");
        sed.arg("-E");
        let mut commands = self.head("output").peekable();
        if commands.peek().is_none() {
            return text;
        }
        for command in commands {
            sed.arg("-e").arg(command);
        }
        let child = sed.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("sed runs");
        let mut input = child.stdin.take().expect("it is piped");
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = child.wait_with_output().expect("sed ends");
        writer.join().expect("no panic").expect("sed reads it all");
        assert!(output.status.success(), "{}: sed failed", self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The user's and its group's numbers.
fn numbers_of(user: &str) -> (u32, u32) {
    let text = fs::read_to_string("/etc/passwd").expect("there are users");
    let mut fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = fields.find(|fields| fields[0] == user);
    let line = line.unwrap_or_else(|| panic!("no user {user}"));
    let number = |at: usize| line[at].parse().expect("a number");
    (number(2), number(3))
}

/// The first lines that differ.
fn difference(expected: &Said, found: &Said) -> String {
    let mut text = format!(
        "{} without, {} under libleak\n",
        expected.status, found.status
    );
    for (expected, found) in [(&expected.out, &found.out), (&expected.err, &found.err)] {
        let mut lines = (expected.lines(), found.lines());
        loop {
            match (lines.0.next(), lines.1.next()) {
                (None, None) => break,
                (a, b) if a == b => {}
                (a, b) => {
                    let _ = writeln!(text, "- {}\n+ {}", a.unwrap_or(""), b.unwrap_or(""));
                    break;
                }
            }
        }
    }
    text
}
