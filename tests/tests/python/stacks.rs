//! Tens of thousands of stacks, compared with `sys._getframe`.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use leak_tests::artifacts;
use leak_tests::python;
use leak_tests::real;
use leak_tests::run::Place;

/// Blocks looked at for each interpreter, at least.
const COUNT: usize = 10_000;

/// size → the frames that the interpreter told.
fn told(log: &Path) -> HashMap<u64, String> {
    let text = fs::read_to_string(log).expect("the script wrote its log");
    let lines = text.lines().map(|line| {
        let (size, frames) = line.split_once(' ').expect("a size and frames");
        (size.parse().expect("a size"), frames.to_owned())
    });
    lines.collect()
}

/// The number after `name` in a line of the dump.
fn field(line: &str, name: &str) -> Option<u64> {
    let rest = line.split_once(name)?.1;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// The Python side of the dump's sites.
#[derive(Default)]
struct Sites {
    /// A frame's site → its caller's, and the frame.
    frames: HashMap<u64, (u64, String)>,
    /// A block's site → its innermost frame's.
    innermost: HashMap<u64, u64>,
}

impl Sites {
    /// `SITE < CALLER file|name|line`, or `SITE = NATIVE PYTHON ASKED`.
    fn add(&mut self, line: &str) {
        let number = |word: &str| word.parse().expect("a site");
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().expect("a word");
        let (site, kind, caller, last) = (number(word()), word(), word(), word());
        if kind == "=" {
            let python = last.split(' ').next().expect("a site");
            self.innermost.insert(site, number(python));
        } else if last.contains('|') {
            self.frames.insert(site, (number(caller), last.to_owned()));
        }
    }

    fn stack(&self, block: u64) -> String {
        let mut frames = Vec::new();
        let mut at = self.innermost.get(&block);
        while let Some((caller, frame)) = at.and_then(|site| self.frames.get(site)) {
            frames.push(frame.as_str());
            at = Some(caller);
        }
        frames.join("\t")
    }
}

/// size → the frames that the trace has, for the sizes of `told`.
fn traced(trace: &Path, told: &HashMap<u64, String>) -> HashMap<u64, String> {
    let mut command = Command::new(artifacts::leak_analyze());
    command.arg("dump").arg(trace).stdout(Stdio::piped());
    let mut child = command.spawn().expect("leak-analyze runs");
    let out = child.stdout.take().expect("a pipe");
    let mut blocks: HashMap<u64, u64> = HashMap::new();
    let mut sites = Sites::default();
    for line in BufReader::new(out).lines() {
        let line = line.expect("text");
        if let Some(site) = line.strip_prefix("# site ") {
            sites.add(site);
        } else if line.contains("Allocation {") {
            let size = field(&line, "size: ").filter(|size| told.contains_key(size));
            if let (Some(size), Some(site)) = (size, field(&line, "site: ")) {
                blocks.insert(size, site);
            }
        }
    }
    assert!(child.wait().expect("it ends").success());
    let stacks = blocks.into_iter();
    stacks
        .map(|(size, site)| (size, sites.stack(site)))
        .collect()
}

/// Runs `command`, whose first argument is to be its log, with so many frames kept of a backtrace, and compares all stacks
/// that it told, of which there are at least `count`.
fn compare(place: &Place, interpreter: &Path, mut command: Command, depth: usize, count: usize) {
    command.env("LEAK_DEPTH", depth.to_string());
    let ended = place.run(command);
    assert!(ended.status.success(), "{interpreter:?}: {}", ended.err);
    let told = told(&place.path("log"));
    assert!(told.len() >= count, "{interpreter:?}: {}", told.len());
    let traced = traced(&place.trace(), &told);
    for (size, frames) in &told {
        let end = frames.match_indices('\t').nth(depth - 1);
        let kept = end.map_or(frames.as_str(), |(end, _)| &frames[..end]);
        assert_eq!(
            traced.get(size).map(String::as_str),
            Some(kept),
            "{interpreter:?}: block of {size}"
        );
    }
}

#[test]
fn stacks_are_what_the_interpreter_says() {
    for interpreter in python::interpreters() {
        let place = Place::new();
        let mut command = place.traced(&interpreter);
        command
            .arg(python::script("stacks.py"))
            .arg(place.path("log"))
            .arg(COUNT.to_string());
        compare(&place, &interpreter, command, 512, COUNT);
    }
}

/// `imports.py` with these modules.
fn imports(interpreter: &Path, modules: &[&str], depth: usize, count: usize) {
    let place = Place::new();
    let mut command = place.traced(interpreter);
    command
        .arg(python::script("imports.py"))
        .arg(place.path("log"))
        .args(modules);
    compare(&place, interpreter, command, depth, count);
}

#[test]
fn of_imports_and_deep_stacks() {
    let modules = [
        "asyncio",
        "unittest.mock",
        "xml.dom.minidom",
        "multiprocessing.pool",
        "email.mime.multipart",
        "http.server",
        "logging.config",
        "sqlite3",
    ];
    for interpreter in python::interpreters() {
        imports(&interpreter, &modules, 512, 1000);
    }
    // What is cut keeps the innermost frames.
    imports(Path::new(python::SYSTEM), &modules, 16, 1000);
}

#[test]
fn of_real_packages() {
    let modules = [
        "fastapi",
        "django.views.generic",
        "boto3.session",
        "pandas",
        "greenlet",
    ];
    imports(Path::new(&real::python()), &modules, 512, 5000);
}
