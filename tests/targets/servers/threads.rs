// A Rust HTTP server of the standard library alone, with a thread for each connection. What it leaves behind (as in endpoints.h):
//
// endpoint: GET /clean; clean; 0 blocks, 0 bytes all
// endpoint: POST /clean; clean; 0 blocks, 0 bytes all
// endpoint: GET /orders/{id}/items; clean; 0 blocks, 0 bytes all
// endpoint: GET /leak; leak; 3 blocks, 1524 bytes each
// endpoint: GET /error; leak; 2 blocks, 300 bytes each 500
// endpoint: GET /cache; bounded; 16 blocks, 3200 bytes all
// endpoint: GET /warm; warm_up; 4 blocks, 4000 bytes all
// endpoint: GET /session; freed_later; 1 block, 512 bytes all
// endpoint: GET /grow; growing_buffer; 1 block, 65536 bytes all
// endpoint: GET /list; leak; 1 block, 48 bytes each
// endpoint: GET /late; clean; 0 blocks, 0 bytes all
// background: 128 bytes

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn shutdown(fd: i32, how: i32) -> i32;
}

static LISTENER: AtomicI32 = AtomicI32::new(-1);
static STOPPED: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_: i32) {
    // SAFETY: shutdown takes numbers only, and may be called in a signal handler.
    unsafe { shutdown(LISTENER.load(Ordering::SeqCst), 2) };
}

struct Node {
    next: Option<Box<Node>>,
    _rest: [u8; 40],
}

#[derive(Default)]
struct State {
    cache: [Option<Box<[u8; 200]>>; 16],
    replaced: usize,
    pool: [Option<Box<[u8; 1000]>>; 4],
    filled: usize,
    session: Option<Box<[u8; 512]>>,
    grown: Vec<u8>,
    list: Option<Box<Node>>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn leave_three() {
    black_box(vec![1u8; 1000].leak());
    black_box(Box::leak(Box::new([1u64; 3])));
    black_box(vec![1u8; 500].leak());
}

fn fail(query: &str) -> Result<(), String> {
    let first = black_box(vec![1u8; 100]);
    let second = black_box(vec![1u8; 200]);
    if query.contains("fail") {
        std::mem::forget((first, second));
        return Err(format!("failed on {query}"));
    }
    Ok(())
}

fn handle(path: &str, query: &str) -> Result<(), String> {
    let mut state = STATE.lock().map_err(|error| error.to_string())?;
    let state = state.as_mut().ok_or("not started")?;
    match path {
        "/leak" => leave_three(),
        "/error" => fail(query)?,
        "/cache" => {
            let number = state.replaced % 16;
            state.replaced += 1;
            state.cache[number] = None;
            state.cache[number] = Some(Box::new([1; 200]));
        }
        "/warm" if state.filled < 4 => {
            state.pool[state.filled] = Some(Box::new([1; 1000]));
            state.filled += 1;
        }
        "/session" => {
            state.session = None;
            state.session = Some(Box::new([1; 512]));
        }
        "/grow" => state.grown.extend_from_slice(&[1; 64]),
        "/list" => {
            let next = state.list.take();
            state.list = Some(Box::new(Node { next, _rest: [1; 40] }));
        }
        _ => {}
    }
    Ok(())
}

fn serve(stream: &mut TcpStream, path: &str, query: &str) -> std::io::Result<()> {
    let status = match handle(path, query) {
        Ok(()) => "200 OK",
        Err(_) => "500 Internal Server Error",
    };
    let late = (path == "/late").then(|| black_box(vec![1u8; 3000]));
    let text = if late.is_some() { "freed after this" } else { path };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: text/plain\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes())
}

fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&buffer[..count]);
        while let Some((target, size)) = request(&bytes) {
            bytes.drain(..size);
            if bytes.is_empty() {
                bytes = Vec::new(); // so that no request leaves room behind in it
            }
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            serve(&mut stream, path, query)?;
        }
    }
}

/// The target of the first whole request, and the request's size.
fn request(bytes: &[u8]) -> Option<(String, usize)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = str::from_utf8(&bytes[..end]).ok()?;
    let length = head.split_once("Content-Length: ").map_or(0, |(_, rest)| {
        let digits = rest.split("\r\n").next().unwrap_or_default();
        digits.parse().unwrap_or(0)
    });
    let size = end + 4 + length;
    (bytes.len() >= size).then(|| (head.split(' ').nth(1).unwrap_or_default().to_string(), size))
}

fn background() -> usize {
    let mut grown = 0;
    while !STOPPED.load(Ordering::SeqCst) {
        black_box(Box::leak(Box::new([1u8; 128])));
        grown += 1;
        thread::sleep(Duration::from_millis(2));
    }
    grown
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    *STATE.lock().expect("nobody else yet") = Some(State::default());
    let growing = thread::spawn(background);
    let listener = TcpListener::bind(("127.0.0.1", port.expect("a port")))?;
    LISTENER.store(listener.as_raw_fd(), Ordering::SeqCst);
    // SAFETY: the handler does nothing that a handler may not.
    unsafe { signal(15, stop) };
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        thread::spawn(|| converse(stream));
    }
    STOPPED.store(true, Ordering::SeqCst);
    let grown = growing.join().expect("no panic");
    if let Some(state) = STATE.lock().expect("no panic").as_mut() {
        let mut list = state.list.take();
        while let Some(mut node) = list {
            list = node.next.take();
        }
    }
    println!("background {grown}");
    Ok(())
}
