//! The shapes of servers: how each hands its requests from thread to thread.

use std::path::{Path, PathBuf};
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::cargo::{self, Build};

use crate::build;
use crate::endpoint::Family;

/// What is run.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// A source in `truth/servers`, compiled on demand.
    Source(&'static str),
    /// A cargo project in `truth/servers`, built on demand.
    Cargo(&'static str),
    /// A command line, the port in place of `{port}`.
    Line(Vec<String>),
}

/// A server of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Its name, by which it is chosen.
    pub(crate) name: String,
    /// How it works, for the table of shapes.
    pub(crate) what: String,
    /// What is run.
    pub(crate) program: Program,
    /// What follows the port.
    pub(crate) options: Vec<String>,
    /// Variables that it is given.
    pub(crate) environment: Vec<(String, String)>,
    /// Debian packages that it needs.
    pub(crate) needs: Vec<String>,
    /// How it keeps, and how that is found in the report.
    pub(crate) family: Family,
    /// Whether everything can be proved, request by request.
    pub(crate) proof: bool,
    /// Whether what its requests keep outlives them; not where each has a process of its own.
    pub(crate) keeps: bool,
    /// Whether a process of it lives long enough for `/bounded` to replace what it kept.
    pub(crate) bounded: bool,
    /// Each request has a connection of its own.
    pub(crate) once: bool,
    /// Connections that read what `/publish` publishes; with none there is no such endpoint.
    pub(crate) subscribers: usize,
    /// Requests whose blocks, kept after the answer, the signal may have cut off; one at least: the client has its
    /// answer before the server has recorded that it gave one.
    pub(crate) cut_off: u64,
    /// Numbers of connections with which `--quick` runs it.
    pub(crate) quick: &'static [usize],
}

impl Shape {
    /// A server of `truth/servers`, which is given `options` after the port.
    pub(crate) fn native(name: &str, source: &'static str, options: &str, what: &str) -> Shape {
        Shape {
            name: name.to_owned(),
            what: what.to_owned(),
            program: Program::Source(source),
            options: options.split_whitespace().map(str::to_owned).collect(),
            environment: Vec::new(),
            needs: Vec::new(),
            family: Family::Native,
            proof: false,
            keeps: true,
            bounded: true,
            once: false,
            subscribers: 0,
            cut_off: 1,
            quick: &[],
        }
    }

    /// A server that is a cargo project.
    pub(crate) fn cargo(name: &str, project: &'static str, options: &str, what: &str) -> Shape {
        Shape {
            program: Program::Cargo(project),
            ..Shape::native(name, "", options, what)
        }
    }

    /// A server in another language, which is run by a command line.
    pub(crate) fn line(name: &str, line: Vec<String>, family: Family, what: &str) -> Shape {
        Shape {
            program: Program::Line(line),
            family,
            ..Shape::native(name, "", "", what)
        }
    }

    /// A Debian package has to be installed.
    pub(crate) fn needs(mut self, package: &str) -> Shape {
        self.needs.push(package.to_owned());
        self
    }

    /// Everything can be proved, request by request.
    pub(crate) fn proved(self) -> Shape {
        Shape {
            proof: true,
            ..self
        }
    }

    /// Each request has a connection of its own.
    pub(crate) fn once(self) -> Shape {
        Shape { once: true, ..self }
    }

    /// The signal may cut off what so many requests keep after their answer.
    pub(crate) fn cut_off(self, requests: u64) -> Shape {
        Shape {
            cut_off: requests,
            ..self
        }
    }

    /// Its processes end before `/bounded` replaces anything.
    pub(crate) fn short_lived(self) -> Shape {
        Shape {
            bounded: false,
            ..self
        }
    }

    /// What its requests keep ends with them.
    pub(crate) fn keeps_nothing(self) -> Shape {
        Shape {
            keeps: false,
            ..self
        }
    }

    /// So many connections read what `/publish` publishes.
    pub(crate) fn published(self, subscribers: usize) -> Shape {
        Shape {
            subscribers,
            ..self
        }
    }

    /// `--quick` runs it, with these numbers of connections.
    pub(crate) fn quick(self, connections: &'static [usize]) -> Shape {
        Shape {
            quick: connections,
            ..self
        }
    }

    /// The command that runs it on `port`; what fails names what to do.
    pub(crate) fn command(&self, port: u16) -> Result<Vec<String>, String> {
        if let Some(missing) = self.needs.iter().find(|name| !is_installed(name)) {
            return Err(format!("needs the package {missing}"));
        }
        let path = |path: PathBuf| vec![path.display().to_string(), port.to_string()];
        let mut line = match &self.program {
            Program::Source(name) => path(build::compiled(name)),
            Program::Cargo(name) => path(cargo::project(name, Build::Optimized)?),
            Program::Line(line) => {
                let with_port = |word: &String| word.replace("{port}", &port.to_string());
                line.iter().map(with_port).collect::<Vec<_>>()
            }
        };
        if line[0].contains('/') && !Path::new(&line[0]).exists() {
            return Err(format!("{} is missing: scripts/truth makes it", line[0]));
        }
        line.extend(self.options.iter().cloned());
        Ok(line)
    }
}

/// The directory of the servers' sources.
pub(crate) fn servers() -> PathBuf {
    artifacts::source("truth/servers")
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status}", package]);
    query
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}
