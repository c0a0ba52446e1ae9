//! The report of many requests as text and as a page: what each takes, and how soon a browser shows the page.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use leak_tests::artifacts;
use leak_tests::browser::Browser;
use serde_json::{Value, json};

use crate::goals::Goal;
use crate::measure::{Role, Usage, Watch};
use crate::server;
use crate::stat::Stat;
use crate::tool::{self, Tool};

/// Its name, for `--only`.
pub(crate) const NAME: &str = "nginx, text and page";
/// Requests at least; a quick run makes do with a tenth.
const REQUESTS: f64 = 1.2e6;
/// How often a browser opens the page.
const OPENED: usize = 5;
/// At most.
const MOST_BYTES: u64 = 1_000_000;
const MOST_TIMES: f64 = 1.5;
const MOST_PAINT: f64 = 0.3;
const MIB: f64 = 1024.0 * 1024.0;

/// What was measured.
pub(crate) struct Pages {
    requests: f64,
    trace_bytes: u64,
    page_bytes: u64,
    text: Vec<Usage>,
    page: Vec<Usage>,
    /// Seconds to the first contentful paint.
    paint: Vec<f64>,
}

/// Records nginx under wrk, and reads that `rounds` times in turns.
pub(crate) fn measure(quick: bool, rounds: usize, directory: &Path) -> Result<Pages, String> {
    let place = tool::place(directory);
    let least = if quick { REQUESTS / 10.0 } else { REQUESTS };
    let nginx = server::ALL
        .iter()
        .find(|server| server.name.contains("nginx"));
    let nginx = nginx.ok_or("no nginx among the servers")?;
    let command = Tool::Exact.command(&(nginx.line)(directory), &place);
    let requests = nginx.serve(command, Watch::new(), least, &place)?;
    let (trace, page) = (place.join("out.trace"), place.join("out.html"));
    let mut pages = Pages {
        requests,
        trace_bytes: size(&trace)?,
        page_bytes: 0,
        text: Vec::new(),
        page: Vec::new(),
        paint: Vec::new(),
    };
    let read = |format: &str| {
        let mut command = Command::new(artifacts::leak_analyze());
        command.arg(&trace).args(["--format", format, "-o"]);
        command.arg(place.join(format!("out.{format}")));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut watch = Watch::new();
        let pid = watch.start(&mut command, Role::Target)?;
        watch.wait_for(pid)?;
        watch.wait_for_all()
    };
    for _ in 0..rounds {
        pages.text.push(read("text")?);
        pages.page.push(read("html")?);
    }
    pages.page_bytes = size(&page)?;
    pages.paint = painted(&page);
    Ok(pages)
}

fn size(path: &Path) -> Result<u64, String> {
    let data = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(data.len())
}

/// Seconds to the first contentful paint of the page, opened anew each time.
fn painted(page: &Path) -> Vec<f64> {
    let browser = Browser::start();
    browser.view(1280, 900, false);
    let paint = |_| {
        browser.open(page, "");
        let time = "performance.getEntriesByName('first-contentful-paint')[0]";
        browser.wait_for(&format!("{time} !== undefined"));
        browser.eval(&format!("{time}.startTime")).as_f64()
    };
    let times = (0..OPENED).filter_map(paint);
    times.map(|milliseconds| milliseconds / 1000.0).collect()
}

impl Pages {
    /// A figure of the text's runs and of the page's.
    fn both(&self, figure: impl Fn(&Usage) -> f64) -> [Stat; 2] {
        [&self.text, &self.page].map(|runs| Stat::of(runs.iter().map(&figure)))
    }

    fn wall(&self) -> [Stat; 2] {
        self.both(|usage| usage.wall.as_secs_f64())
    }

    fn cpu(&self) -> [Stat; 2] {
        self.both(|usage| usage.target.cpu.as_secs_f64())
    }

    fn rss(&self) -> [Stat; 2] {
        self.both(|usage| usage.target.rss as f64)
    }

    fn paint(&self) -> Stat {
        Stat::of(self.paint.iter().copied())
    }

    /// What was to be reached.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let times = |what: &str, [text, page]: [Stat; 2], shown: &dyn Fn(f64) -> String| {
            let (text, page) = (text.median(), page.median());
            Goal {
                what: format!("{what} of the page beside the text: {NAME}"),
                reach: format!("{MOST_TIMES} times"),
                measured: format!(
                    "{} against {}: {:.2} times",
                    shown(page),
                    shown(text),
                    page / text
                ),
                reached: page <= MOST_TIMES * text,
            }
        };
        let seconds = |value: f64| format!("{value:.2} s");
        let mib = |value: f64| format!("{:.0} MiB", value / MIB);
        let paint = self.paint().median();
        vec![
            times("time", self.wall(), &seconds),
            times("memory", self.rss(), &mib),
            Goal {
                what: format!("size of the page: {NAME}"),
                reach: format!("{MOST_BYTES} B"),
                measured: format!("{} B", self.page_bytes),
                reached: self.page_bytes <= MOST_BYTES,
            },
            Goal {
                what: format!("first contentful paint of the page: {NAME}"),
                reach: format!("{MOST_PAINT} s"),
                measured: format!("{paint:.3} s"),
                reached: paint <= MOST_PAINT,
            },
        ]
    }

    /// For a reader.
    pub(crate) fn markdown(&self) -> String {
        let (wall, cpu, rss) = (self.wall(), self.cpu(), self.rss());
        let row = |name: &str, at: usize, size: String, paint: String| {
            format!(
                "| {name} | {:.2} s ±{:.0} % | {:.2} s ±{:.0} % | {:.1} MiB | {size} | {paint} |\n",
                wall[at].median(),
                wall[at].spread() * 50.0,
                cpu[at].median(),
                cpu[at].spread() * 50.0,
                rss[at].median() / MIB,
            )
        };
        format!(
            "\n## {NAME} ({:.2} M requests, {:.1} MB of trace)\n\n\
             | report | wall | CPU | peak | size | first contentful paint |\n\
             | --- | ---: | ---: | ---: | ---: | ---: |\n{}{}",
            self.requests / 1e6,
            self.trace_bytes as f64 / 1e6,
            row("text", 0, "–".to_owned(), "–".to_owned()),
            row(
                "page",
                1,
                format!("{} B", self.page_bytes),
                format!("{:.3} s", self.paint().median())
            ),
        )
    }

    /// For a program.
    pub(crate) fn json(&self) -> Value {
        let (wall, cpu, rss) = (self.wall(), self.cpu(), self.rss());
        let report = |at: usize| json!({ "wall_s": wall[at].json(), "cpu_s": cpu[at].json(), "peak_bytes": rss[at].json() });
        json!({
            "name": NAME,
            "requests": self.requests,
            "trace_bytes": self.trace_bytes,
            "text": report(0),
            "page": report(1),
            "page_bytes": self.page_bytes,
            "first_contentful_paint_s": self.paint().json(),
        })
    }
}
