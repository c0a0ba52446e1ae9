//! What a report says of packages as people use them, beside verdicts: workers that uvicorn spawns, imports, the user's own
//! lines under a library's, whose a table of keys is.

use leak_tests::artifacts;
use leak_tests::http::{self, Request};
use leak_tests::python;
use leak_tests::real::{self, Server, line};
use leak_tests::report::{leak_analyze, text};
use leak_tests::run::Place;

fn workers(_: &Place, port: u16) -> Vec<String> {
    let directory = artifacts::source("targets/real").display().to_string();
    line([
        &real::python(),
        "-m",
        "uvicorn",
        "--workers=2",
        "--log-level=error",
        &format!("--app-dir={directory}"),
        &format!("--port={port}"),
        "fast:app",
    ])
}

/// A supervisor and workers that it spawns: nothing is dropped, missed or unseen, and requests are those of clients alone.
#[test]
fn uvicorn_with_workers() {
    const EACH: usize = 100;
    let requests: Vec<Request> = (0..EACH)
        .flat_map(|number| {
            [
                Request::get("/ok"),
                Request::get(format!("/items/{number}")),
            ]
        })
        .collect();
    let server = Server::start(true, &workers);
    let answers = http::drive(server.port, 4, None, &requests);
    assert!(answers.iter().all(|answer| answer.status == 200));
    let report = server.stop(libc::SIGINT).report();
    let labels = ["GET /items/{id}", "GET /ok"].map(|label| (label.to_owned(), EACH as u64));
    assert_eq!(report.labels_sorted(), labels);
    assert_eq!(report.at("/trace/unseen"), &serde_json::json!([]));
    let mut warnings = report.list("/trace/warnings").iter();
    let missed = warnings.find(|warning| warning["code"] == "missed_frees");
    assert_eq!(missed, None);
    let serving = report.list("/processes").iter();
    let serving = serving.filter(|process| process["requests"].as_u64() > Some(0));
    assert!((1..=2).contains(&serving.count()));
    let items = report.endpoint("GET /items/{id}");
    assert_eq!(items["verdict"], "leak", "{items:#}");
    assert_eq!(items["leaking_requests"], EACH, "{items:#}");
    let orders = items["types"].as_array().expect("a list").iter();
    let mut orders = orders.filter(|row| row["name"] == "fast.Order");
    assert_eq!(orders.next().expect("orders")["blocks"], 50 * EACH);
    assert_ne!(report.endpoint("GET /ok")["verdict"], "leak");
}

/// Runs a program of Python's to its end; the report's text.
fn told(program: &str, options: &[&str]) -> String {
    let place = Place::new();
    std::fs::write(place.path("program.py"), program).expect("our directory");
    let mut command = place.traced(real::python());
    command.arg("program.py");
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let trace = place.trace();
    let mut arguments = vec![trace.as_os_str()];
    arguments.extend(options.iter().map(std::ffi::OsStr::new));
    let out = leak_analyze(&arguments);
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The call sites in a report, as printed.
fn sites(text: &str) -> Vec<&str> {
    let ends = |number: usize| text.find(&format!("\n{number:>3}  "));
    let starts: Vec<usize> = (1..).map_while(ends).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let of_site = |(start, end): (&usize, usize)| text[*start..end].split("\n\n").next();
    starts.iter().zip(ends).filter_map(of_site).collect()
}

/// What imports made, tens of megabytes, is a line; what the program made comes first.
#[test]
fn imports_are_told_from_what_grew() {
    let text = told(
        "import django.contrib.admin.options, fastapi, pandas\nclass Kept:\n    pass\nkeep = [Kept() for _ in range(1000)]\n",
        &[],
    );
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    let (_, apart) = words.split_once("Set apart: ").expect("imports");
    let (size, rest) = apart.split_once(" MiB in ").expect("megabytes");
    assert!(size.parse::<f64>().expect("a number") > 20.0, "{text}");
    let (_, rest) = rest.split_once(" that ").expect("what");
    assert!(rest.starts_with("Python's imports made"), "{text}");
    for site in sites(&text) {
        assert!(!site.contains("<frozen importlib"), "{site}");
    }
    assert!(text.contains("1,000 __main__.Kept"), "{text}");
}

/// botocore makes a client under some twenty frames of its own.
#[test]
fn the_users_own_line_is_shown_under_a_librarys() {
    let text = told(
        "import boto3\n\n\ndef client():\n    names = {'region_name': 'us-east-1', 'aws_access_key_id': '-'}\n    \
         return boto3.client('sqs', **names, aws_secret_access_key='-')\n\n\nclient()\nkeep = [client() for _ in range(20)]\n",
        &["--sites=30"],
    );
    // What the interpreter made when it began, and what has no line: of a free list.
    let nobodys =
        |site: &&str| site.contains("Py_InitializeFromConfig") || site.contains("used again");
    let (others, own): (Vec<&str>, Vec<&str>) = sites(&text).into_iter().partition(nobodys);
    assert!(own.len() + others.len() == 30 && own.len() > 20, "{text}");
    for site in own {
        assert!(site.contains("program.py:"), "{site}");
    }
}

/// The interpreter's tables of keys are of the type that has them, also where CPython uses one again.
#[test]
fn tables_of_keys_are_of_their_dicts() {
    let place = Place::new();
    let program = "import collections, os\nclass D(dict): pass\nmade = [dict(a=1) for _ in range(200)]\ndel made\n\
        keep = [(collections.OrderedDict(a=1), collections.defaultdict(int, a=1), collections.Counter('a'), D(a=1))\n\
        for _ in range(1000)]\nos._exit(0)\n";
    std::fs::write(place.path("program.py"), program).expect("our directory");
    let mut command = place.traced(python::SYSTEM);
    command.args(["-I", "program.py"]);
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    let report = place.report();
    let types = report.list("/types").iter();
    for name in [
        "collections.OrderedDict",
        "collections.defaultdict",
        "collections.Counter",
        "__main__.D",
    ] {
        for name in [name.to_owned(), format!("{name} (keys)")] {
            let mut rows = types
                .clone()
                .filter(|row| text(&row["name"], "name") == name);
            let row = rows.next().unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(row["blocks"], 1000, "{name}");
        }
    }
}
