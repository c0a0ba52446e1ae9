// The endpoints of truth.h on Rust's standard library, with a thread for each connection.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

static RING: Mutex<[Option<Box<[u8]>>; 16]> = Mutex::new([const { None }; 16]);

/// A block of so many bytes.
fn block(size: usize) -> Box<[u8]> {
    black_box(vec![1; size].into_boxed_slice())
}

fn keep(size: usize) {
    Box::leak(block(size));
}

#[inline(never)]
fn keep_leak() {
    keep(1001);
    keep(1002);
    keep(1003);
}

#[inline(never)]
fn keep_status() {
    keep(1101);
    keep(1102);
    keep(1103);
}

#[inline(never)]
fn keep_tenth() {
    keep(1201);
    keep(1202);
    keep(1203);
}

#[inline(never)]
fn keep_bounded(number: usize) {
    let new = block(1301);
    let old = RING.lock().unwrap()[number % 16].replace(new);
    drop(old);
}

#[inline(never)]
fn keep_warm() {
    keep(1401);
}

#[inline(never)]
fn keep_shared(count: usize) {
    for _ in 0..count {
        keep(1501);
    }
}

#[inline(never)]
fn keep_background() {
    keep(1601);
}

#[inline(never)]
fn use_clean() {
    drop((block(901), block(902), block(903)));
}

fn keep_for(kind: &str, number: usize) {
    let shares = match kind {
        "shared-a" => 1,
        "shared-b" => 2,
        _ => 0,
    };
    match kind {
        "leak" => keep_leak(),
        "status" if number % 4 == 3 => keep_status(),
        "tenth" if number % 10 == 0 => keep_tenth(),
        "bounded" => keep_bounded(number),
        "warm" if number < 5 => keep_warm(),
        _ => {}
    }
    if shares > 0 {
        keep_shared(shares); // both through this one call
    }
}

fn pause(number: usize) {
    thread::sleep(Duration::from_micros(25 + (number as u64 * 7919) % 100));
}

fn serve(stream: &mut TcpStream, kind: &str, number: usize) -> std::io::Result<()> {
    use_clean();
    pause(number);
    keep_for(kind, number);
    pause(number + 1);
    let answer: &[u8] = match kind == "status" && number % 4 == 3 {
        true => b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
        false => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    };
    stream.write_all(answer)
}

fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            count => filled += count,
        }
        // The client sends one request at a time.
        if !buffer[..filled].ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8_lossy(&buffer[..filled]);
        let mut path = head
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .split('/')
            .skip(1);
        let kind = path.next().unwrap_or_default();
        let number = path.next().and_then(|number| number.parse().ok());
        serve(&mut stream, kind, number.unwrap_or_default())?;
        filled = 0;
    }
}

fn grow() {
    loop {
        keep_background();
        thread::sleep(Duration::from_millis(2));
    }
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    thread::spawn(grow);
    let listener = TcpListener::bind(("127.0.0.1", port.expect("a port")))?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        thread::spawn(|| converse(stream));
    }
}
