//! `--access-log`: lines of a server's log, joined to its requests or to none. The truth stands in what each request
//! sends: a parameter of its query, which only the log has, and a header of the same name, which only the trace has.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use leak_tests::compile::Source;
use leak_tests::http::{self, Connection, Request};
use leak_tests::real;
use leak_tests::report::leak_analyze;
use leak_tests::run::{LIMIT, Place};
use serde_json::Value;

/// Requests of nginx: of the paths `/once-N` one each, of `/same` many.
const ONCE: usize = 40;
const SAME: usize = 60;

fn request(name: &str) -> Request {
    let path = if name.starts_with("once") {
        name
    } else {
        "same"
    };
    Request::get(format!("/{path}?{name}=x&page"))
        .with("X-Request-Id", &format!("id-{name}"))
        .with("User-Agent", &format!("agent/{name} \"quoted\""))
}

/// nginx, with the same log in each of its forms.
fn nginx(place: &Place) {
    let site = real::site(place);
    let port = http::free_port();
    let root = place.path("").display().to_string();
    let conf = place.path("nginx.conf");
    let text = format!(
        "daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
         events {{ worker_connections 64; }}
         http {{
             client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
             fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
             log_format common '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent';
             log_format with_id '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent '
                 '\"$http_referer\" \"$http_user_agent\" $http_x_request_id';
             log_format json escape=json '{{\"time\":\"$time_iso8601\",\"method\":\"$request_method\",'
                 '\"uri\":\"$request_uri\",\"status\":\"$status\",\"user_agent\":\"$http_user_agent\",'
                 '\"request_id\":\"$http_x_request_id\"}}';
             access_log {root}/common.log common; access_log {root}/combined.log combined;
             access_log {root}/with_id.log with_id; access_log {root}/json.log json;
             server {{ listen 127.0.0.1:{port}; root {site}; }}
         }}"
    );
    fs::write(&conf, text).expect("our directory");
    let mut command = place.traced("/usr/sbin/nginx");
    command.args(["-p", &root, "-c"]).arg(&conf);
    command.env("LEAK_HEADERS", "x-request-id");
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                let mut connection = Connection::open(port);
                for number in (0..ONCE).filter(|number| number % 4 == part) {
                    connection.ask(&request(&format!("once-{number}")));
                }
                for number in (0..SAME).filter(|number| number % 4 == part) {
                    connection.ask(&request(&format!("same-{number}")));
                }
                connection.close();
            });
        }
    });
    server.signal(libc::SIGQUIT);
    server.wait(LIMIT);
    server.assert_nothing_left(LIMIT);
}

/// The joined requests, each of which is checked; and what was said of the log.
fn joined(place: &Place, log: PathBuf) -> (Vec<Value>, String) {
    let (trace, log) = (place.trace(), log.display().to_string());
    let output = leak_analyze(&[
        "requests",
        trace.to_str().expect("UTF-8"),
        "--access-log",
        &log,
    ]);
    assert!(output.status.success());
    let rows = String::from_utf8(output.stdout).expect("UTF-8");
    let rows = rows
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let rows: Vec<Value> = rows
        .filter(|row: &Value| !row["access_log"].is_null())
        .collect();
    for row in &rows {
        let entry = &row["access_log"];
        let name = entry["query_keys"][0].as_str().expect("a key");
        assert_eq!(
            row["headers"]["x-request-id"],
            format!("id-{name}"),
            "{row}"
        );
        assert_eq!(entry["query_keys"][1], "page");
        if !log.ends_with("common.log") {
            assert_eq!(entry["user_agent"], format!("agent/{name} \"quoted\""));
        }
    }
    (rows, String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn lines_are_joined_right_or_not_at_all() {
    let place = Place::new();
    nginx(&place);
    for form in ["common", "combined"] {
        let (rows, said) = joined(&place, place.path(format!("{form}.log")));
        // What was asked for once is told by its path; what was asked for again and again within a second is not.
        assert_eq!(rows.len(), ONCE, "{form}: {said}");
        let expected = format!(
            "access log: {ONCE} of 100 lines joined to requests; {SAME} may be of several\n"
        );
        assert!(said.contains(&expected), "{form}: {said}");
    }
    for form in ["with_id", "json"] {
        let (rows, said) = joined(&place, place.path(format!("{form}.log")));
        assert_eq!(rows.len(), ONCE + SAME, "{form}: {said}");
        let expected = "access log: 100 of 100 lines joined to requests, 100 of them by ids\n";
        assert!(said.contains(expected), "{form}: {said}");
    }
    // The half of a log: of what it lacks nothing is told, and nothing of it goes to another.
    let log = fs::read_to_string(place.path("json.log")).expect("it is there");
    let half: Vec<&str> = log.lines().step_by(2).collect();
    fs::write(
        place.path("half.json.log"),
        half.join("\n") + "\nnonsense\n{\"a\":1}\n",
    )
    .expect("our directory");
    let (rows, said) = joined(&place, place.path("half.json.log"));
    assert_eq!(rows.len(), 50);
    assert!(
        said.contains("50 of 52 lines") && said.contains("2 not understood"),
        "{said}"
    );
}

#[test]
fn examples_have_what_the_log_knows() {
    let place = Place::new();
    let port = http::free_port();
    let mut command = place.traced(Source::read("servers/epoll.c").program());
    command
        .arg(port.to_string())
        .env("LEAK_HEADERS", "x-request-id,traceparent");
    let mut server = place.start(command);
    http::wait_for_port(&mut server, port);
    let mut log = String::new();
    let mut connection = Connection::open(port);
    for number in 0..20 {
        let query = if number < 10 {
            format!("?fail&n{number}")
        } else {
            String::new()
        };
        let id = format!("req-{number}");
        let answer =
            connection.ask(&Request::get(format!("/error{query}")).with("X-Request-Id", &id));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        log += &format!(
            "{{\"ts\":{}.{:03},\"request\":\"GET /error{query} HTTP/1.1\",\"status\":{},\"user_agent\":\"k6\\u001b[31m\",\
             \"request_id\":\"{id}\"}}\n",
            now.as_secs(),
            now.subsec_millis(),
            answer.status
        );
    }
    connection.close();
    server.signal(libc::SIGTERM);
    server.wait(LIMIT);
    server.assert_nothing_left(LIMIT);
    let path = place.path("log.json");
    fs::write(&path, log).expect("our directory");
    let (trace, path) = (place.trace(), path.display().to_string());
    let report = |arguments: &[&str]| {
        let mut all = vec![trace.to_str().expect("UTF-8")];
        all.extend(arguments);
        let output = leak_analyze(&all);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (_, text, _) = report(&["--examples", "3", "--access-log", &path]);
    let part = text
        .split("Requests that leak, for example")
        .nth(1)
        .expect("the part");
    assert!(
        part.contains("20 of 20 lines joined to requests, 20 of them by ids"),
        "{part}"
    );
    assert!(
        part.contains("10 leaking requests, those that left most first"),
        "{part}"
    );
    assert_eq!(part.matches("GET /error ").count(), 4, "{part}");
    assert!(part.contains("x-request-id: req-0"), "{part}");
    assert!(part.contains("log: query fail, n0; by k6"), "{part}");
    assert!(
        !part.contains('\u{1b}'),
        "nothing of a log reaches the terminal raw: {part}"
    );
    let (_, plain, _) = report(&[]);
    assert!(!plain.contains("for example"), "{plain}");
    for wrong in [
        ["--access-log", &path].as_slice(),
        &["--examples", "3", "--format", "json"],
        &["--examples", "3", "--access-log", "/nonexistent"],
    ] {
        let (status, _, said) = report(wrong);
        assert_eq!(status, Some(2), "{wrong:?}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
