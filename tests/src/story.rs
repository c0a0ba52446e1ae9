//! The founding story: an API server keeps 10,000 objects for each request that fails, and the report must say so
//! in its first lines, whatever the traffic, the kind of server, the version of Python and the end.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{self, Connection, Request};
use crate::python;
use crate::report::{Report, leak_analyze, number, text};
use crate::run::{LIMIT, Place};

/// The endpoint that leaks.
const LEAKING: &str = "GET /areas/{id}/vehicles";
/// What is kept.
const TYPE: &str = "FloatingVehicle";
/// How a report begins whose largest growth is not decided.
const UNDECIDED: &str = "Can't be told yet";
/// A failed request takes 2,000 tuples from CPython's free list, in blocks that were allocated for others, and what
/// the interpreter itself keeps counts, too.
const TOLERANCE: f64 = 0.07;
/// Lines that a reader sees first.
const FIRST_LINES: usize = 10;

/// A kind of server that `targets/python/story.py` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `http.server`, a thread for each connection.
    Threads,
    /// `wsgiref`, one thread.
    Wsgi,
    /// A loop, and connections that stay open.
    Asyncio,
}

/// When requests fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// 40 good requests, then 6 that fail.
    Late,
    /// 6 that fail, then 40 good ones.
    Early,
    /// 41 requests, two of them fail.
    Two,
}

/// How the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By SIGTERM, as soon as the last answer is there.
    Term,
    /// By SIGKILL, half a second later.
    Kill,
}

/// A run of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The server.
    pub kind: Kind,
    /// Its requests.
    pub traffic: Traffic,
    /// Whether its error is mended: nothing is kept.
    pub fixed: bool,
    /// Its end.
    pub stop: Stop,
}

/// All there are.
pub fn variants() -> Vec<Variant> {
    let mut all = Vec::new();
    for kind in [Kind::Threads, Kind::Wsgi, Kind::Asyncio] {
        for (traffic, fixed) in [
            (Traffic::Late, false),
            (Traffic::Two, false),
            (Traffic::Early, false),
            (Traffic::Late, true),
        ] {
            let stops = [Stop::Term, Stop::Kill];
            all.extend(stops.map(|stop| Variant {
                kind,
                traffic,
                fixed,
                stop,
            }));
        }
    }
    all
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Threads => "threads",
            Kind::Wsgi => "wsgi",
            Kind::Asyncio => "asyncio",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name();
        let traffic = match self.traffic {
            Traffic::Late => "late",
            Traffic::Early => "early",
            Traffic::Two => "two",
        };
        let fixed = if self.fixed { " fixed" } else { "" };
        let stop = match self.stop {
            Stop::Term => "TERM",
            Stop::Kill => "KILL",
        };
        write!(f, "{kind} {traffic}{fixed} {stop}")
    }
}

impl Traffic {
    /// Whether each of the vehicles' requests fails.
    fn fails(self) -> Vec<bool> {
        match self {
            Traffic::Late => [vec![false; 40], vec![true; 6]].concat(),
            Traffic::Early => [vec![true; 6], vec![false; 40]].concat(),
            Traffic::Two => (0..41).map(|at| at == 13 || at == 29).collect(),
        }
    }

    /// The requests: after each fourth of the vehicles' one for the areas.
    fn requests(self) -> Vec<Request> {
        let mut requests = Vec::new();
        for (number, fails) in self.fails().into_iter().enumerate() {
            let area = if fails { 900 + number } else { number };
            if number % 4 == 0 {
                requests.push(Request::get("/areas"));
            }
            requests.push(Request::get(format!("/areas/{area}/vehicles")));
        }
        requests
    }
}

/// What a run left.
#[derive(Debug)]
pub struct Told {
    variant: Variant,
    /// The report in JSON.
    pub report: Report,
    /// The report for people.
    pub text: String,
    /// Bytes that a failed request keeps.
    each: u64,
}

/// Runs `variant` on the interpreter `python`, of which a failed request keeps `each` bytes.
pub fn run(python: &Path, variant: Variant, each: u64) -> Told {
    let (place, port) = (Place::new(), http::free_port());
    let mut command = place.traced(python);
    command
        .arg(python::script("story.py"))
        .args([variant.kind.name(), &port.to_string()]);
    if variant.fixed {
        command.arg("fixed");
    }
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let mut connection = Connection::open(port);
    for request in variant.traffic.requests() {
        connection.ask(&request);
    }
    match variant.stop {
        Stop::Term => server.signal(libc::SIGTERM),
        Stop::Kill => {
            thread::sleep(Duration::from_millis(500));
            server.signal(libc::SIGKILL);
        }
    }
    let ended = server.wait(LIMIT);
    assert!(!ended.err.contains("libleak:"), "{}", ended.err);
    server.assert_nothing_left(LIMIT);
    let report = place.report();
    let text = leak_analyze(&[place.trace()]).stdout;
    let text = String::from_utf8(text).expect("a report is text");
    Told {
        variant,
        report,
        text,
        each,
    }
}

/// Bytes that a failed request keeps on the interpreter `python`, as its own tracemalloc counts them.
pub fn kept_by_each(python: &Path) -> u64 {
    let place = Place::new();
    let mut command = place.plain(python);
    command.arg(python::script("story.py")).arg("count");
    let ended = place.run(command);
    let out = String::from_utf8_lossy(&ended.out).into_owned();
    let number = out.trim().parse();
    number.unwrap_or_else(|_| panic!("{}: {out}{}", python.display(), ended.err))
}

/// A figure of an endpoint's answers with this status; 0 where there are none.
fn of_status(endpoint: &Value, status: u64, figure: &str) -> u64 {
    let rows = endpoint["statuses"].as_array().into_iter().flatten();
    let mut rows = rows.filter(|row| row["status"] == status);
    rows.next().map_or(0, |row| number(&row[figure], figure))
}

/// Whether `found` is `truth`, but for what free lists lend and what the interpreter itself keeps.
fn is_about(found: f64, truth: u64) -> bool {
    (found / truth as f64 - 1.0).abs() < TOLERANCE
}

impl Told {
    /// What is wrong with it, if anything is.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Faults::default();
        for endpoint in self.report.list("/endpoints") {
            if endpoint["label"] != LEAKING || self.variant.fixed {
                let verdict = text(&endpoint["verdict"], "verdict");
                let leaks = ["leak", "growing_buffer"].contains(&verdict);
                faults.unless(!leaks, || format!("{} is {verdict}", endpoint["label"]));
            }
        }
        match self.variant.fixed {
            true => faults.unless(self.first_lines().contains("No leak"), || {
                "the head doesn't say that there is no leak".to_owned()
            }),
            false => {
                self.check_endpoint(&mut faults);
                self.check_head(&mut faults);
            }
        }
        faults.0
    }

    /// How many requests failed, and what they kept together.
    fn failed(&self) -> (u64, u64) {
        let fails = self.variant.traffic.fails();
        let failed = fails.into_iter().filter(|fails| *fails).count() as u64;
        (failed, failed * self.each)
    }

    /// The same as far as it can be recorded: of a server that SIGTERM kills, the answer that is sent in that instant
    /// may have left no record.
    fn failed_and_recorded(&self, endpoint: &Value) -> (u64, u64) {
        let (failed, kept) = self.failed();
        let instant = self.variant.kind == Kind::Wsgi && self.variant.stop == Stop::Term;
        let recorded = of_status(endpoint, 500, "requests");
        match instant && recorded + 1 == failed {
            true => (recorded, kept - self.each),
            false => (failed, kept),
        }
    }

    fn check_endpoint(&self, faults: &mut Faults) {
        let endpoint = self.report.endpoint(LEAKING);
        let (failed, kept) = self.failed_and_recorded(endpoint);
        let (verdict, leaking) = match self.variant.traffic {
            Traffic::Two => ("too_few_requests", 0),
            Traffic::Late | Traffic::Early => ("leak", failed),
        };
        faults.same("verdict", &endpoint["verdict"], verdict);
        faults.same("leaking_requests", &endpoint["leaking_requests"], leaking);
        faults.same("failed", of_status(endpoint, 500, "requests"), failed);
        for status in [200, 500] {
            let found = of_status(endpoint, status, "leaking_requests");
            let wanted = if status == 500 { leaking } else { 0 };
            faults.same(&format!("leaking with {status}"), found, wanted);
        }
        self.check_apart(endpoint, failed, faults);
        let found = of_status(endpoint, 500, "retained_bytes");
        faults.unless(is_about(found as f64, kept), || {
            format!("answers 500 retain {found}, not {kept}")
        });
    }

    /// What tells the requests apart that leak: that they failed; of too few nothing is told.
    fn check_apart(&self, endpoint: &Value, failed: u64, faults: &mut Faults) {
        let wanted = match self.variant.traffic {
            Traffic::Two => Value::Null,
            Traffic::Late | Traffic::Early => json!({
                "facts": ["status 500"],
                "leaking_requests": failed,
                "leaking_requests_with": failed,
                "other_requests": of_status(endpoint, 200, "requests"),
                "other_requests_with": 0,
            }),
        };
        faults.same(
            "what goes with leaking",
            endpoint["apart"]["single"].clone(),
            wanted,
        );
    }

    fn check_head(&self, faults: &mut Faults) {
        // A line may end amid what is looked for.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let result = words(self.result());
        let words = words(&self.first_lines());
        for word in [LEAKING, "500", TYPE] {
            faults.unless(words.contains(word), || format!("the head has no {word}"));
        }
        let (_, kept) = self.failed_and_recorded(self.report.endpoint(LEAKING));
        let sizes = words.split(' ').zip(words.split(' ').skip(1));
        let sizes = sizes.filter(|(_, unit)| unit.starts_with("MiB"));
        let mut sizes = sizes.filter_map(|(number, _)| number.parse::<f64>().ok());
        faults.unless(
            sizes.any(|size| is_about(size * f64::from(1 << 20), kept)),
            || {
                format!(
                    "the head doesn't say {:.1} MiB",
                    kept as f64 / f64::from(1 << 20)
                )
            },
        );
        if self.variant.traffic == Traffic::Two {
            let first = result.starts_with(UNDECIDED);
            faults.unless(first, || "what is undecided doesn't come first".to_owned());
        }
    }

    /// The report from its result on: before it stands only what was not seen.
    fn result(&self) -> &str {
        match self.text.starts_with('!') {
            true => self.text.split_once("\n\n").map_or("", |(_, rest)| rest),
            false => &self.text,
        }
    }

    /// The lines that a reader sees first.
    pub fn first_lines(&self) -> String {
        let lines = self.text.lines().take(FIRST_LINES);
        lines.flat_map(|line| [line, "\n"]).collect()
    }
}

/// What was found wrong.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }

    fn same<T: fmt::Display + PartialEq<U>, U: fmt::Display>(
        &mut self,
        what: &str,
        found: T,
        wanted: U,
    ) {
        let same = found == wanted;
        self.unless(same, || format!("{what} is {found}, not {wanted}"));
    }
}
