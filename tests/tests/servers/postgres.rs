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

/// Starts the server on the place's cluster; how many connections it refused before it was ready, too.
fn start(place: Place, traced: bool) -> (Server, u64) {
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
    words.extend([
        "-h",
        "127.0.0.1",
        "-c",
        "fsync=off",
        "-c",
        "log_connections=on",
    ]);
    let command = as_postgres(&place, &words);
    let server = Server::listening(place, port, command);
    // It listens before it lets anyone in.
    let mut refused = 0;
    while psql(&server, "SELECT 'ready'").is_err() {
        refused += 1;
    }
    (server, refused)
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

    let (plain, _) = start(place, false);
    pgbench(&plain, &["-i", "-q"]);
    let expected = psql(&plain, QUERIES).expect("answers");
    let place = plain.stop(libc::SIGINT);

    let (traced, refused) = start(place, true);
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
    let authorized = traced.err().matches("connection authorized").count() as u64;
    let report = traced.stop(libc::SIGINT).report();
    real::assert_whole(&report);
    // Each statement of the simple protocol, each prepared one once more for each connection.
    let each = 400 + 100 + 2;
    let mut expected = vec![
        // TLS is asked for and denied, then the session opens: one request, also where it is refused.
        (format!("tcp:{port} CONNECT"), authorized + refused),
        (format!("tcp:{port} BEGIN"), each),
        (format!("tcp:{port} END"), each),
        (format!("tcp:{port} INSERT"), each),
        (format!("tcp:{port} SELECT"), each + 1 + 3),
        (format!("tcp:{port} SHOW"), 1),
        (format!("tcp:{port} UPDATE"), each),
    ];
    expected.sort();
    assert_eq!(report.labels_sorted(), expected);
}
