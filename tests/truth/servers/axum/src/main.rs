//! The endpoints on axum: `PROGRAM PORT WORKERS [blocking|detached|alone]`. Each request waits for timers before and
//! after it keeps its blocks; with `blocking` it keeps them on the pool of blocking threads, with `detached` in a task
//! that outlives its answer. A task in the background keeps blocks, too, but with `alone`.

use std::env;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::{task, time};

static RING: Mutex<[Option<Box<[u8]>>; 16]> = Mutex::new([const { None }; 16]);

/// Where a request's blocks are kept.
#[derive(Clone, Copy)]
enum Style {
    Handler,
    Blocking,
    Detached,
}

fn block(size: usize) -> Box<[u8]> {
    black_box(vec![1; size].into_boxed_slice())
}

fn keep(size: usize) {
    black_box(Box::leak(block(size)));
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

async fn pause(number: usize) {
    time::sleep(Duration::from_micros(200 + (number as u64 * 7919) % 1000)).await;
}

async fn serve(style: Style, kind: String, number: usize) -> (StatusCode, &'static str) {
    let fails = kind == "status" && number % 4 == 3;
    use_clean();
    pause(number).await;
    match style {
        Style::Handler => keep_for(&kind, number),
        Style::Blocking => {
            let kept = task::spawn_blocking(move || keep_for(&kind, number));
            kept.await.unwrap();
        }
        Style::Detached => {
            task::spawn(async move {
                pause(number).await;
                keep_for(&kind, number);
            });
        }
    }
    pause(number + 1).await;
    match fails {
        true => (StatusCode::INTERNAL_SERVER_ERROR, "no"),
        false => (StatusCode::OK, "ok"),
    }
}

async fn grow() {
    loop {
        keep_background();
        time::sleep(Duration::from_millis(2)).await;
    }
}

async fn listen(port: u16, style: Style, is_alone: bool) {
    let handler = move |Path((kind, number)): Path<(String, usize)>| serve(style, kind, number);
    let router = Router::new().route("/{kind}/{number}", get(handler));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    if !is_alone {
        task::spawn(grow());
    }
    axum::serve(listener.unwrap(), router).await.unwrap();
}

fn main() {
    let mut arguments = env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok());
    let workers = arguments.next().and_then(|count| count.parse().ok());
    let option = arguments.next();
    let style = match option.as_deref() {
        Some("blocking") => Style::Blocking,
        Some("detached") => Style::Detached,
        _ => Style::Handler,
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(workers.unwrap_or(2));
    let runtime = builder.enable_all().build().unwrap();
    let is_alone = option.as_deref() == Some("alone");
    runtime.block_on(listen(port.unwrap(), style, is_alone));
}
