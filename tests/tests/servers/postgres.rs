//! PostgreSQL under pgbench: a backend is forked for each connection.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use leak_tests::artifacts;
use leak_tests::http;
use leak_tests::real::{self, Server};
use leak_tests::run::Place;

/// Each statement of a transaction is a request.
const SCRIPT: &str = "\
\\set account random(1, 100000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :account;
SELECT abalance FROM pgbench_accounts WHERE aid = :account;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :account, 1, CURRENT_TIMESTAMP);
END;
";
const QUERIES: &str = "SELECT count(*), sum(abalance) FROM pgbench_accounts; SHOW server_version; \
    SELECT aid, bid, filler FROM pgbench_accounts ORDER BY aid LIMIT 50; SELECT 1/0;";

fn binary(name: &str) -> String {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Debian's postgresql is installed");
    let binaries = versions.map(|entry| entry.expect("readable").path().join("bin").join(name));
    let binary: Option<PathBuf> = binaries.filter(|path| path.exists()).max();
    binary.expect("postgresql's binaries").display().to_string()
}

/// PostgreSQL refuses to run as root.
fn as_postgres(place: &Place, words: &[&str]) -> Command {
    let mut line = vec![];
    // SAFETY: geteuid takes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        line.extend([
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ]);
    }
    line.extend(words);
    let mut command = place.plain(line[0]);
    command.args(&line[1..]);
    command
}

fn start(place: Place, traced: bool) -> Server {
    let port = http::free_port();
    let data = place.path("cluster").display().to_string();
    let directory = place.path("").display().to_string();
    let preload = format!("LD_PRELOAD={directory}/libleak.so");
    let (postgres, port_text) = (binary("postgres"), port.to_string());
    let mut words = vec!["env"];
    if traced {
        words.push(&preload);
    }
    words.extend([&postgres, "-D", &data, "-p", &port_text, "-k", &directory]);
    words.extend(["-h", "127.0.0.1", "-c", "fsync=off"]);
    let command = as_postgres(&place, &words);
    let server = Server::listening(place, port, command);
    // It listens before it lets anyone in.
    while psql(&server, "SELECT 'ready'").is_err() {}
    server
}

fn psql(server: &Server, text: &str) -> Result<String, String> {
    let port = server.port.to_string();
    let line = [
        "psql",
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "postgres",
        "-X",
        "-A",
        "-t",
    ];
    let mut command = server.place.plain(line[0]);
    command.args(&line[1..]);
    for statement in text.split("; ") {
        command.args(["-c", statement]);
    }
    let ended = server.place.run(command);
    let said = String::from_utf8_lossy(&ended.out) + &*ended.err;
    match ended.status.code() {
        Some(0 | 1) => Ok(said.into_owned()),
        _ => Err(said.into_owned()),
    }
}

fn pgbench(server: &Server, arguments: &[&str]) {
    let (pgbench, port) = (binary("pgbench"), server.port.to_string());
    let mut line = vec![&*pgbench, "-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
    line.extend(arguments);
    line.push("postgres");
    real::client(&server.place, &line);
}

#[test]
fn pgbench_with_forked_backends() {
    let place = Place::new();
    for file in [artifacts::libleak(), artifacts::leak_analyze()] {
        let name = file.file_name().expect("a name");
        fs::copy(&file, place.path(name)).expect("our directory"); // where postgres may read it
    }
    let script = place.path("script.sql").display().to_string();
    fs::write(&script, SCRIPT).expect("our directory");
    let data = place.path("cluster").display().to_string();
    let initdb = as_postgres(
        &place,
        &[&binary("initdb"), "-D", &data, "-A", "trust", "-N"],
    );
    let ended = place.run(initdb);
    assert!(ended.status.success(), "{}", ended.err);

    let plain = start(place, false);
    pgbench(&plain, &["-i", "-q"]);
    let expected = psql(&plain, QUERIES).expect("answers");
    let place = plain.stop(libc::SIGINT);

    let traced = start(place, true);
    let port = traced.port;
    assert_eq!(psql(&traced, QUERIES), Ok(expected));
    pgbench(
        &traced,
        &["-n", "-c", "4", "-j", "2", "-t", "100", "-f", &script],
    );
    pgbench(
        &traced,
        &["-n", "-M", "prepared", "-c", "2", "-t", "50", "-f", &script],
    );
    let report = traced.stop(libc::SIGINT).report();
    real::assert_whole(&report);
    let count = |verb: &str| {
        let label = format!("tcp:{port} {verb}");
        let labels = report.labels();
        labels
            .iter()
            .find(|row| row.0 == label)
            .map_or(0, |row| row.1)
    };
    for verb in ["BEGIN", "UPDATE", "INSERT", "END"] {
        assert!(count(verb) >= 400, "{verb}: {:?}", report.labels());
    }
    let ready_and_queries = 1 + 3;
    let total: u64 = report.labels().iter().map(|row| row.1).sum();
    let (simple, prepared) = (400 * 5, 100 * 5);
    assert!(count("SELECT") >= 400 + ready_and_queries);
    // A prepared statement is parsed in a round trip of its own, once for each connection.
    assert_eq!(total, simple + prepared + 2 * 5 + ready_and_queries + 1);
}
