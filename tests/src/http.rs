//! An HTTP client that keeps every byte of the answers, one connection or several at once.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::linux::net::TcpStreamExt;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::Group;
use crate::run::LIMIT;

/// A request to send.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `GET`.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// More header lines, each with its end.
    pub headers: String,
    /// Sent with its length where not empty.
    pub body: String,
    /// Sent in two parts, so that a server may read them one by one.
    pub in_parts: bool,
}

impl Request {
    /// `GET target`.
    pub fn get(target: impl Into<String>) -> Request {
        Request {
            method: "GET",
            target: target.into(),
            headers: String::new(),
            body: String::new(),
            in_parts: false,
        }
    }

    /// `POST target` with a body.
    pub fn post(target: impl Into<String>, body: impl Into<String>) -> Request {
        Request {
            method: "POST",
            body: body.into(),
            ..Request::get(target)
        }
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: &str) -> Request {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    fn bytes(&self) -> String {
        let length = match self.body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let (method, target, body) = (self.method, &self.target, &self.body);
        let headers = &self.headers;
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n{body}")
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its head without the lines that name the time.
    pub head: String,
    /// Its body, chunks put together.
    pub body: Vec<u8>,
    /// Whether the server closes the connection after it.
    pub closes: bool,
}

/// A port of 127.0.0.1 on which nobody listened a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Waits until `port` accepts connections; panics where `server` ends before that, or never listens.
pub fn wait_for_port(server: &mut Group, port: u16) {
    let until = Instant::now() + LIMIT;
    // A refused connection is the only sign of "not yet" that a foreign server gives: ask again.
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.runs(), "the server ended:\n{}", server.err());
        assert!(Instant::now() < until, "no listener:\n{}", server.err());
        thread::sleep(Duration::from_millis(10));
    }
}

/// Acknowledges at once what it reads. A server that writes a head and its body apart waits for that before it
/// sends the body (Nagle's algorithm), and the kernel would let it wait for 40 ms (tcp(7), `TCP_QUICKACK`).
#[derive(Debug)]
struct Prompt(TcpStream);

impl Read for Prompt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Before each: the kernel falls back by itself.
        self.0.set_quickack(true)?;
        self.0.read(buffer)
    }
}

/// A keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    port: u16,
    stream: BufReader<Prompt>,
}

impl Connection {
    /// Connects to 127.0.0.1.
    pub fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .unwrap_or_else(|error| panic!("port {port}: {error}"));
        stream.set_nodelay(true).expect("a TCP socket");
        stream
            .set_read_timeout(Some(LIMIT))
            .expect("a limit above 0");
        Connection {
            port,
            stream: BufReader::new(Prompt(stream)),
        }
    }

    /// Sends `request` and reads its answer; connects again where the server closed.
    pub fn ask(&mut self, request: &Request) -> Answer {
        let answer = self.try_ask(request);
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", request.target));
        if answer.closes {
            *self = Connection::open(self.port);
        }
        answer
    }

    /// Sends `request` and reads its answer.
    pub fn try_ask(&mut self, request: &Request) -> io::Result<Answer> {
        let bytes = request.bytes();
        let bytes = bytes.as_bytes();
        if request.in_parts {
            let (first, second) = bytes.split_at(bytes.len() / 2);
            self.stream.get_mut().0.write_all(first)?;
            self.stream.get_mut().0.write_all(second)?;
        } else {
            self.stream.get_mut().0.write_all(bytes)?;
        }
        self.answer()
    }

    /// Sends all of `requests` at once, then reads their answers.
    pub fn pipeline(&mut self, requests: &[Request]) -> io::Result<Vec<Answer>> {
        let bytes: String = requests.iter().map(Request::bytes).collect();
        self.stream.get_mut().0.write_all(bytes.as_bytes())?;
        requests.iter().map(|_| self.answer()).collect()
    }

    /// Ends the conversation and waits for the server to close too.
    pub fn close(mut self) {
        let _ = self.stream.get_ref().0.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        assert_eq!(rest, b"", "bytes that nobody asked for");
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        let (mut length, mut chunked, mut closes) = (None, false, false);
        loop {
            let line = self.line()?;
            if line == "\r\n" {
                break;
            }
            let lower = line.trim_end().to_ascii_lowercase();
            match lower.split_once(": ").unwrap_or_default() {
                ("content-length", value) => length = value.parse().ok(),
                ("transfer-encoding", "chunked") => chunked = true,
                ("connection", "close") => closes = true,
                ("date" | "last-modified" | "etag", _) => continue,
                _ => {}
            }
            head.push_str(&line);
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
        closes |= head.starts_with("HTTP/1.0");
        let body = match length {
            _ if chunked => self.chunks()?,
            Some(length) => self.exactly(length)?,
            None => {
                let mut body = Vec::new();
                self.stream.read_to_end(&mut body)?;
                body
            }
        };
        Ok(Answer {
            status,
            head,
            body,
            closes,
        })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            body.extend(self.exactly(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

/// Sends `requests` over as many keep-alive connections at once, the i-th over connection i modulo their
/// number, each preceded by one `hello`; closes them all; the answers in the order of `requests`.
pub fn drive(
    port: u16,
    connections: usize,
    hello: Option<&Request>,
    requests: &[Request],
) -> Vec<Answer> {
    let mut open: Vec<Connection> = (0..connections).map(|_| Connection::open(port)).collect();
    if let Some(hello) = hello {
        for connection in &mut open {
            connection.ask(hello);
        }
    }
    let mut answers = vec![None; requests.len()];
    thread::scope(|scope| {
        let threads: Vec<_> = open
            .iter_mut()
            .enumerate()
            .map(|(first, connection)| {
                scope.spawn(move || {
                    let mine = (first..requests.len()).step_by(connections);
                    mine.map(|number| (number, connection.ask(&requests[number])))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for thread in threads {
            for (number, answer) in thread.join().expect("a connection that works") {
                answers[number] = Some(answer);
            }
        }
    });
    open.into_iter().for_each(Connection::close);
    answers.into_iter().flatten().collect()
}
