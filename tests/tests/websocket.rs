//! WebSocket under uvicorn: messages are requests of their upgrade's route, answered or not; pings and closes are none.

use leak_tests::artifacts;
use leak_tests::http::{Connection, Request};
use leak_tests::real::{self, Server, line};
use leak_tests::report::{leak_analyze, number};
use leak_tests::run::Place;

const ROOMS: u64 = 3;
const MESSAGES: u64 = 20;
/// Messages of each room that nobody answers.
const NOTES: u64 = 5;
/// All, with the last one.
const ALL: u64 = ROOMS * (MESSAGES + NOTES + 1);

fn uvicorn(_: &Place, port: u16) -> Vec<String> {
    let directory = artifacts::source("targets/real").display().to_string();
    line([
        &real::python(),
        "-m",
        "uvicorn",
        "--log-level=error",
        &format!("--app-dir={directory}"),
        &format!("--port={port}"),
        "messages:app",
    ])
}

#[test]
fn messages_have_the_label_of_their_route() {
    let server = Server::start(true, &uvicorn);
    let client = artifacts::source("targets/real/messages.py")
        .display()
        .to_string();
    let numbers = [u64::from(server.port), ROOMS, MESSAGES, NOTES].map(|number| number.to_string());
    let [port, rooms, messages, notes] = &numbers;
    real::client(
        &server.place,
        &[&real::python(), &client, port, rooms, messages, notes],
    );
    Connection::open(server.port).ask(&Request::get("/last"));
    let place = server.stop(libc::SIGINT);
    let report = place.report();
    let labels = [
        ("GET /last", 1),
        ("GET /rooms/{id}", ROOMS),
        ("GET /silent", 1),
        ("ws /rooms/{id}", ALL),
    ];
    let labels = labels.map(|(label, requests)| (label.to_owned(), requests));
    assert_eq!(report.labels_sorted(), labels);
    let leaking = report.endpoint("ws /rooms/{id}");
    assert_eq!(leaking["verdict"], "leak");
    let types = leaking["types"].as_array().expect("a list").iter();
    let kept = types.filter(|row| row["name"] == "messages.Message");
    let kept: u64 = kept.map(|row| number(&row["blocks"], "blocks")).sum();
    assert_eq!(kept, ALL, "{leaking:#}");

    // The table of what it left adds up to what stands in the line above.
    let types = leak_analyze(&[place.trace().as_os_str(), "--types=1000".as_ref()]);
    let text = String::from_utf8_lossy(&types.stdout).into_owned();
    let of_sites = report.list("/sites").iter();
    let of_sites = of_sites
        .filter(|site| {
            ["leak", "growing_buffer"]
                .iter()
                .any(|leak| site["verdict"] == *leak)
        })
        .flat_map(|site| {
            let labels = site["labels"].as_array().expect("a list").iter();
            labels.filter(|row| row["label"] == "ws /rooms/{id}")
        });
    let blocks: u64 = of_sites
        .map(|row| number(&row["retained_blocks"], "blocks"))
        .sum();
    let table = text.split("What ws /rooms/{id} left behind").nth(1);
    let table = table
        .expect("a table")
        .split("\n\n")
        .next()
        .unwrap_or_default();
    let rows = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<u64>().ok()?;
        words.next()?.replace(',', "").parse::<u64>().ok()
    });
    assert_eq!(rows.sum::<u64>(), blocks, "{text}");
}
