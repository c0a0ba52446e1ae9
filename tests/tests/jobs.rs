//! Work that no connection brings, or none that can be read: Celery's tasks and gRPC's calls. Marked, each is a request
//! of its own name; unmarked, what they keep is shown all the same.

use leak_tests::artifacts;
use leak_tests::real;
use leak_tests::report::{Report, leak_analyze, number};
use leak_tests::run::{LIMIT, Place};

/// How often each task is asked for.
const EACH: u64 = 60;

/// What a worker of Celery's did, with its tasks done by such a pool.
fn celery(pool: &str, workers: u64, marked: bool) -> (Place, Report) {
    let place = Place::new();
    let directory = artifacts::source("targets/real");
    let jobs = place.path("jobs");
    let mut command = place.traced(real::python());
    command.args([
        "-m",
        "celery",
        "-A",
        "jobs",
        "worker",
        "--loglevel=critical",
    ]);
    command.args([
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]);
    command.args([format!("--pool={pool}"), format!("--concurrency={workers}")]);
    command.env("PYTHONPATH", &directory).env("JOBS", &jobs);
    if marked {
        command.env("MARKED", "1");
    }
    let mut worker = place.start(command);
    let mut client = place.plain(real::python());
    client.arg(directory.join("jobs.py")).arg(EACH.to_string());
    let asked = place.run({
        client.env("JOBS", &jobs);
        client
    });
    assert!(asked.status.success(), "{}", asked.err);
    worker.wait_until_idle(LIMIT);
    worker.signal(libc::SIGTERM);
    let ended = worker.wait(LIMIT);
    assert!(ended.status.success(), "{}", ended.err);
    worker.assert_nothing_left(LIMIT);
    let report = place.report();
    (place, report)
}

/// How many objects of the type the label's requests left.
fn left(report: &Report, label: &str, of_type: &str) -> u64 {
    let types = report.endpoint(label)["types"].as_array().expect("a list");
    let rows = types.iter().filter(|row| row["name"] == of_type);
    rows.map(|row| number(&row["blocks"], "blocks")).sum()
}

fn assert_marked(pool: &str, workers: u64) {
    let (_place, report) = celery(pool, workers, true);
    let tasks = ["jobs.clean", "jobs.fail", "jobs.keep", "jobs.newest"];
    let labels = tasks.map(|task| (task.to_owned(), EACH));
    assert_eq!(report.labels_sorted(), labels);
    for task in ["jobs.keep", "jobs.fail"] {
        let endpoint = report.endpoint(task);
        assert_eq!(endpoint["verdict"], "leak", "{endpoint:#}");
        assert_eq!(endpoint["leaking_requests"], EACH, "{endpoint:#}");
        for of_type in ["jobs.Kept", "bytearray data"] {
            assert_eq!(left(&report, task, of_type), EACH, "{endpoint:#}");
        }
    }
    for of_type in ["jobs.Kept", "bytearray data"] {
        assert_eq!(left(&report, "jobs.clean", of_type), 0);
    }
    // What the pool's other threads make beside tasks may be any task's.
    for task in ["jobs.clean", "jobs.newest"] {
        match pool {
            "prefork" => report.assert_clean(task),
            _ => assert_ne!(report.endpoint(task)["verdict"], "leak", "{task}"),
        }
    }
}

#[test]
fn marked_tasks_of_forked_workers() {
    assert_marked("prefork", 2);
}

#[test]
fn marked_tasks_of_threads() {
    assert_marked("threads", 3);
}

/// Nothing says where a task begins: what they keep grows outside requests, and its lines say which do.
#[test]
fn tasks_that_nobody_marks() {
    let (place, report) = celery("prefork", 1, false);
    assert_eq!(report.list("/requests").len(), 0);
    for task in ["keep", "fail"] {
        let mut sites = report.list("/sites").iter();
        let of_task = sites.find(|site| {
            let frames = site["python_frames"].as_array().expect("a list");
            site["types"][0]["name"] == "bytearray data"
                && frames.iter().any(|frame| frame["function"] == task)
        });
        let site = of_task.unwrap_or_else(|| panic!("no site of {task}"));
        assert_eq!(number(&site["outside_blocks"], "blocks"), EACH, "{site:#}");
    }
    let text = leak_analyze(&[place.trace()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("jobs.py"), "{text}");
}

#[test]
fn marked_calls_of_grpc() {
    const CALLS: u64 = 300;
    let place = Place::new();
    let mut command = place.traced(real::python());
    command.arg(artifacts::source("targets/real/grpc_server.py"));
    command.arg("marked");
    let ended = place.run(command);
    assert!(ended.status.success(), "{}", ended.err);
    assert_eq!(
        String::from_utf8_lossy(&ended.out).trim_end(),
        CALLS.to_string()
    );
    let report = place.report();
    let labels = ["/Service/Login", "/Service/Ping"].map(|label| (label.to_owned(), CALLS));
    assert_eq!(report.labels_sorted(), labels);
    let login = report.endpoint("/Service/Login");
    assert_eq!(login["verdict"], "leak", "{login:#}");
    assert_eq!(login["leaking_requests"], CALLS, "{login:#}");
    for of_type in ["__main__.Session", "bytearray data"] {
        assert_eq!(left(&report, "/Service/Login", of_type), CALLS, "{login:#}");
    }
    report.assert_clean("/Service/Ping");
}
