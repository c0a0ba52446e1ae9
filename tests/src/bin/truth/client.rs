//! An HTTP client that says what failed: the lab goes on with the next row then.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Nothing here takes longer, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the server, opened where one is needed.
#[derive(Debug)]
pub(crate) struct Client {
    port: u16,
    once: bool,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

/// The part of an answer's head that matters here.
struct Head {
    status: u16,
    length: Option<usize>,
    chunked: bool,
    closes: bool,
}

impl Client {
    /// A client of 127.0.0.1; with `once` each request has a connection of its own.
    pub(crate) fn new(port: u16, once: bool) -> Client {
        Client {
            port,
            once,
            stream: None,
            bytes: Vec::new(),
        }
    }

    /// Sends a request, waits for the whole answer, and says its status.
    pub(crate) fn ask(&mut self, method: &str, path: &str) -> io::Result<u16> {
        self.send(method, path)?;
        let head = self.head()?;
        self.body(&head)?;
        if head.closes || self.once {
            self.stream = None;
        }
        Ok(head.status)
    }

    /// Sends a request and waits for the head of an answer that never ends.
    pub(crate) fn subscribe(&mut self, path: &str) -> io::Result<()> {
        self.send("GET", path)?;
        self.head().map(|_| ())
    }

    fn send(&mut self, method: &str, path: &str) -> io::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.stream = Some(stream);
            self.bytes.clear();
        }
        let length = match method {
            "POST" => "Content-Length: 0\r\n",
            _ => "",
        };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n");
        self.stream()?.write_all(request.as_bytes())
    }

    fn stream(&mut self) -> io::Result<&mut TcpStream> {
        self.stream
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn head(&mut self) -> io::Result<Head> {
        let line = self.through(b"\r\n")?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut head = Head {
            status: status.ok_or_else(|| io::Error::other(format!("no status in {line:?}")))?,
            length: None,
            chunked: false,
            closes: line.starts_with("HTTP/1.0"),
        };
        loop {
            let line = self.through(b"\r\n")?.to_ascii_lowercase();
            match line.trim_end().split_once(": ") {
                None => return Ok(head),
                Some(("content-length", value)) => head.length = value.parse().ok(),
                Some(("transfer-encoding", "chunked")) => head.chunked = true,
                Some(("connection", value)) => head.closes = value == "close",
                Some(_) => {}
            }
        }
    }

    fn body(&mut self, head: &Head) -> io::Result<()> {
        match head.length {
            Some(length) => self.skip(length),
            None if head.chunked => self.chunks(),
            None => Err(io::Error::other("an answer without a length")),
        }
    }

    fn chunks(&mut self) -> io::Result<()> {
        loop {
            let line = self.through(b"\r\n")?;
            let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            self.skip(size + 2)?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// What comes up to `end`, and `end`.
    fn through(&mut self, end: &[u8]) -> io::Result<String> {
        loop {
            let found = self.bytes.windows(end.len()).position(|part| part == end);
            if let Some(place) = found {
                let line: Vec<u8> = self.bytes.drain(..place + end.len()).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            self.more()?;
        }
    }

    fn skip(&mut self, length: usize) -> io::Result<()> {
        while self.bytes.len() < length {
            self.more()?;
        }
        self.bytes.drain(..length);
        Ok(())
    }

    fn more(&mut self) -> io::Result<()> {
        let mut part = [0; 4096];
        match self.stream()?.read(&mut part)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.bytes.extend_from_slice(&part[..count]);
                Ok(())
            }
        }
    }
}
