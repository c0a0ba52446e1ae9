//! Tens of thousands of stacks, compared with `sys._getframe`.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use leak_tests::artifacts;
use leak_tests::python;
use leak_tests::run::Place;

/// Blocks looked at for an interpreter, at least: the dumps that tell them are long.
fn count(interpreter: &Path) -> usize {
    let system = interpreter == Path::new(python::SYSTEM);
    if system { 10_000 } else { 3_000 }
}

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

/// size → the frames that the trace has, for the sizes of `told`.
fn traced(trace: &Path, told: &HashMap<u64, String>) -> HashMap<u64, String> {
    let mut command = Command::new(artifacts::leak_analyze());
    command.arg("dump").arg(trace).stdout(Stdio::piped());
    let mut child = command.spawn().expect("leak-analyze runs");
    let out = child.stdout.take().expect("a pipe");
    let mut sites: HashMap<u64, u64> = HashMap::new();
    let mut frames: HashMap<u64, String> = HashMap::new();
    for line in BufReader::new(out).lines() {
        let line = line.expect("text");
        if let Some(rest) = line.strip_prefix("# site ") {
            let (site, rest) = rest.split_once(':').expect("a site");
            let rest = rest.replace("<frozen ", "<frozen_");
            let python: Vec<&str> = rest.split(' ').filter(|word| word.contains('|')).collect();
            frames.insert(site.parse().expect("a number"), python.join(" "));
        } else if line.contains("Allocation {") {
            let size = field(&line, "size: ").filter(|size| told.contains_key(size));
            if let (Some(size), Some(site)) = (size, field(&line, "site: ")) {
                sites.insert(size, site);
            }
        }
    }
    assert!(child.wait().expect("it ends").success());
    let of = |(size, site)| Some((size, frames.get(&site)?.clone()));
    sites.into_iter().filter_map(of).collect()
}

#[test]
fn stacks_are_what_the_interpreter_says() {
    for interpreter in python::interpreters() {
        let place = Place::new();
        let count = count(&interpreter);
        let log = place.path("log");
        let mut command = place.traced(&interpreter);
        command.env("LEAK_DEPTH", "512");
        command
            .arg(python::script("stacks.py"))
            .arg(&log)
            .arg(count.to_string());
        let ended = place.run(command);
        assert!(ended.status.success(), "{interpreter:?}: {}", ended.err);
        let told = told(&log);
        assert!(told.len() >= count);
        let traced = traced(&place.trace(), &told);
        for (size, frames) in &told {
            assert_eq!(
                traced.get(size),
                Some(frames),
                "{interpreter:?}: block of {size}"
            );
        }
    }
}
