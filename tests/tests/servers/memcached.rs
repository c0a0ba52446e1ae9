//! memcached, with its four worker threads and the text protocol.

use std::net::TcpStream;
use std::thread;

use leak_tests::real::{self, Server, line};
use leak_tests::run::Place;

fn start(_: &Place, port: u16) -> Vec<String> {
    let port = port.to_string();
    line([
        "memcached",
        "-l",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "0",
        "-u",
        "nobody",
        "-t",
        "4",
    ])
}

/// One client's conversation over keys of its own; all answers together.
fn converse(port: u16, client: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut answers = Vec::new();
    for number in 0..100 {
        let key = format!("key-{client}-{}", number % 7);
        let value = "v".repeat(number * 10);
        let set = format!("set {key} 0 0 {}\r\n{value}\r\n", value.len());
        let get = format!("get {key}\r\n");
        let delete = format!("delete {key}\r\n");
        for (command, end) in [
            (&set, "\r\n"),
            (&get, "END\r\n"),
            (&delete, "\r\n"),
            (&get, "END\r\n"),
        ] {
            answers.extend(real::exchange(
                &mut stream,
                command.as_bytes(),
                end.as_bytes(),
            ));
        }
    }
    answers
}

fn clients(port: u16) -> Vec<Vec<u8>> {
    let start = |client| thread::spawn(move || converse(port, client));
    let threads: Vec<_> = (0..8).map(start).collect();
    let join = |thread: thread::JoinHandle<_>| thread.join().expect("a server that answers");
    threads.into_iter().map(join).collect()
}

#[test]
fn eight_clients() {
    let plain = Server::start(false, &start);
    let expected = clients(plain.port);
    plain.stop(libc::SIGTERM);
    let traced = Server::start(true, &start);
    let port = traced.port;
    assert!(clients(port) == expected, "the answers differ");
    let report = traced.stop(libc::SIGTERM).report();
    real::assert_whole(&report);
    let labels = [("delete", 800), ("get", 1600), ("set", 800)];
    let labels = labels.map(|(verb, count)| (format!("tcp:{port} {verb}"), count));
    assert_eq!(report.labels_sorted(), labels);
}
