//! What is run under every tool.

use std::path::Path;
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::compile::Source;
use leak_tests::real;

use crate::server::{self, Server};
use crate::tool::Tool;

/// Something to run.
pub(crate) struct Workload {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// The group that the goals speak of.
    pub(crate) kind: Kind,
    /// The tools that can trace it.
    pub(crate) tools: Vec<Tool>,
    /// Variables that it runs with.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Program and arguments.
    pub(crate) line: Vec<String>,
}

/// How a workload runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// malloc and free only, to its end.
    Storm,
    /// A real program, to its end.
    Program,
    /// A Python package is imported.
    Import,
    /// A server, for as long as it gets work.
    Server(&'static Server),
}

const NATIVE: [Tool; 10] = [
    Tool::Bare,
    Tool::Off,
    Tool::Exact,
    Tool::Lasting,
    Tool::Sampled,
    Tool::Heaptrack,
    Tool::HeaptrackRaw,
    Tool::Dhat,
    Tool::Jemalloc,
    Tool::Tcmalloc,
];
const BESIDE_SERVERS: [Tool; 6] = [
    Tool::Bare,
    Tool::Off,
    Tool::Exact,
    Tool::Lasting,
    Tool::Sampled,
    Tool::Heaptrack,
];
/// heaptrack stops at a fork: of a server that forks it would show the first process alone.
const BESIDE_FORKING_SERVERS: [Tool; 5] = [
    Tool::Bare,
    Tool::Off,
    Tool::Exact,
    Tool::Lasting,
    Tool::Sampled,
];

/// The storms that the slowest tools run, too: minutes each.
const FOR_ALL: [&str; 2] = ["storm, shallow", "storm, 60 frames, changing leaf"];

/// What a quick run makes do with.
const QUICK: [&str; 9] = [
    "storm, shallow",
    "storm, 60 frames, changing leaf",
    "random tree",
    "16,384 live blocks",
    "2 threads",
    "2 threads, blocks crossing",
    "sqlite, 200,000 rows",
    "python3 JSON, PYTHONMALLOC=malloc",
    "redis, -P 16",
];

/// Those whose name has `only` in it; servers keep their files in `directory`.
pub(crate) fn wanted(only: &str, quick: bool, directory: &Path) -> Vec<Workload> {
    let part = if quick { 0.25 } else { 1.0 };
    let wanted = |name: &str| name.contains(only) && (!quick || QUICK.contains(&name));
    let mut all = storms(part);
    all.extend(programs(part));
    all.extend(imports());
    all.retain(|workload| wanted(workload.name));
    let servers = server::ALL.iter().filter(|server| wanted(server.name));
    all.extend(servers.map(|server| Workload {
        name: server.name,
        kind: Kind::Server(server),
        tools: match server.forks {
            true => BESIDE_FORKING_SERVERS.to_vec(),
            false => BESIDE_SERVERS.to_vec(),
        },
        environment: &[],
        line: (server.line)(directory),
    }));
    all
}

fn storms(part: f64) -> Vec<Workload> {
    let storm = Source::read("bench/storm.c")
        .program()
        .display()
        .to_string();
    let shapes = [
        ("storm, shallow", "same", 0, 1),
        ("storm, 20 frames", "same", 20, 1),
        ("storm, 60 frames", "same", 60, 1),
        ("storm, 20 frames, changing leaf", "changing", 20, 1),
        ("storm, 60 frames, changing leaf", "changing", 60, 1),
        ("recursion up and down", "updown", 60, 1),
        // heaptrack's interpreter dies on a deeper one.
        ("random tree", "tree", 5, 1),
        ("16,384 live blocks", "live", 0, 1),
        ("2 threads", "same", 0, 2),
        ("2 threads, blocks crossing", "crossing", 0, 2),
        ("8 threads", "same", 0, 8),
        ("8 threads, blocks crossing", "crossing", 0, 8),
    ];
    let events = (part * 6e6) as u64;
    let tools = |name| {
        let fits = |tool: &Tool| FOR_ALL.contains(&name) || !tool.runs_once();
        NATIVE.into_iter().filter(fits).collect()
    };
    let workload = |(name, shape, depth, threads): (&'static str, &str, u32, u32)| Workload {
        name,
        kind: Kind::Storm,
        tools: tools(name),
        environment: &[],
        line: vec![
            storm.clone(),
            shape.to_owned(),
            depth.to_string(),
            threads.to_string(),
            events.to_string(),
        ],
    };
    shapes.map(workload).into()
}

fn programs(part: f64) -> Vec<Workload> {
    let rounds = |full: u32| ((f64::from(full) * part).ceil() as u32).to_string();
    let target = |name: &str| {
        artifacts::source("targets/bench")
            .join(name)
            .display()
            .to_string()
    };
    let python = "/usr/bin/python3".to_owned();
    let tree = Source::read("bench/cpptree.cpp")
        .program()
        .display()
        .to_string();
    let sqlite = vec![
        "sqlite3".to_owned(),
        ":memory:".to_owned(),
        format!(".read {}", target("rows.sql")),
    ];
    let compiler = [
        said_by("g++", &["-print-prog-name=cc1plus"]),
        "-quiet".to_owned(),
        "-D_GNU_SOURCE".to_owned(),
        "-imultiarch".to_owned(),
        "x86_64-linux-gnu".to_owned(),
        target("regex.cpp"),
        "-o".to_owned(),
        "/dev/null".to_owned(),
    ];
    let flask = vec![real::python(), target("flask_loop.py"), rounds(2000)];
    let maps = Source::read("bench/maps.c").program().display().to_string();
    let crowd = Source::read("lost/crowd.c").program().display().to_string();
    let no_interpreter: Vec<Tool> = NATIVE
        .into_iter()
        .filter(|tool| *tool != Tool::Heaptrack)
        .collect();
    let no_dhat: Vec<Tool> = NATIVE
        .into_iter()
        .filter(|tool| *tool != Tool::Dhat)
        .collect();
    let memray = |tools: &[Tool]| [tools, &[Tool::Memray]].concat();
    let program = |name, tools: Vec<Tool>, line| Workload {
        name,
        kind: Kind::Program,
        tools,
        environment: &[],
        line,
    };
    let by_malloc = Workload {
        environment: &[("PYTHONMALLOC", "malloc")],
        ..program(
            "python3 JSON, PYTHONMALLOC=malloc",
            NATIVE.to_vec(),
            vec![python.clone(), target("json_loop.py"), rounds(300)],
        )
    };
    vec![
        program(
            "C++ tree of strings",
            NATIVE.to_vec(),
            vec![tree, rounds(30)],
        ),
        program("sqlite, 200,000 rows", NATIVE.to_vec(), sqlite),
        program(
            "5,000 threads at once",
            BESIDE_SERVERS.to_vec(),
            vec![crowd, "5000".to_owned(), "10".to_owned()],
        ),
        program(
            "mmap and munmap",
            BESIDE_SERVERS.to_vec(),
            vec![maps, rounds(2_000_000)],
        ),
        // heaptrack's interpreter dies on it.
        program("g++ with <regex>", no_interpreter, compiler.to_vec()),
        by_malloc,
        program(
            "python3 JSON",
            memray(&no_dhat),
            vec![real::python(), target("json_loop.py"), rounds(600)],
        ),
        program(
            "python3 objects",
            memray(&no_dhat),
            vec![real::python(), target("objects.py"), rounds(200)],
        ),
        program("Flask loop", memray(&no_dhat), flask),
        program(
            "node",
            no_dhat.clone(),
            vec!["node".to_owned(), target("loop.js"), rounds(3000)],
        ),
    ]
}

/// What Python servers do first. Nothing of it can be made less.
fn imports() -> Vec<Workload> {
    let script = artifacts::source("targets/bench/imports.py");
    let packages = [
        ("import fastapi", "fastapi"),
        ("import django", "django"),
        ("import boto3", "boto3"),
        ("import pandas", "pandas"),
    ];
    let workload = |(name, package): (&'static str, &str)| Workload {
        name,
        kind: Kind::Import,
        tools: vec![
            Tool::Bare,
            Tool::Exact,
            Tool::Lasting,
            Tool::Sampled,
            Tool::Memray,
        ],
        environment: &[],
        line: vec![
            real::python(),
            script.display().to_string(),
            package.to_owned(),
        ],
    };
    packages.map(workload).into()
}

/// The one line that a command prints.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}
