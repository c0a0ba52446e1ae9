//! Sends the traffic over several connections at once, and stops the server with the last answer.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::client::Client;
use crate::traffic::{Ask, Traffic};

/// How a server is driven.
#[derive(Debug)]
pub(crate) struct Drive<'a> {
    /// Where it listens on 127.0.0.1.
    pub(crate) port: u16,
    /// Its first process, which is sent SIGTERM.
    pub(crate) pid: u32,
    /// What it is sent.
    pub(crate) traffic: &'a Traffic,
    /// How many requests are under way at once.
    pub(crate) connections: usize,
    /// Each request has a connection of its own.
    pub(crate) once: bool,
    /// Connections that read what is published.
    pub(crate) subscribers: usize,
}

impl Drive<'_> {
    /// Asks all, each connection the next one as soon as it has its answer. The thread that gets the last
    /// answer stops the server: it has microseconds, no more, to tidy up in.
    pub(crate) fn run(&self) -> io::Result<()> {
        let subscribed: io::Result<Vec<Client>> =
            (0..self.subscribers).map(|_| self.subscriber()).collect();
        let subscribed = subscribed?;
        let (next, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let result = thread::scope(|scope| {
            let one = || scope.spawn(|| self.converse(&next, &answered));
            let threads: Vec<_> = (0..self.connections).map(|_| one()).collect();
            // All of them first: a thread that is still at work borrows the counts.
            let joined = threads.into_iter().map(|thread| thread.join());
            let results: Vec<_> = joined.collect();
            let panicked = |_| Err(io::Error::other("panicked"));
            let mut results = results.into_iter().map(|one| one.unwrap_or_else(panicked));
            results.try_for_each(|one| one)
        });
        drop(subscribed);
        result
    }

    fn subscriber(&self) -> io::Result<Client> {
        let mut client = Client::new(self.port, false);
        client.subscribe("/stream")?;
        Ok(client)
    }

    fn converse(&self, next: &AtomicUsize, answered: &AtomicUsize) -> io::Result<()> {
        let mut client = Client::new(self.port, self.once);
        let asks = &self.traffic.asks;
        // Relaxed: they count, and publish nothing.
        while let Some(ask) = asks.get(next.fetch_add(1, Ordering::Relaxed)) {
            put(&mut client, ask)?;
            if answered.fetch_add(1, Ordering::Relaxed) + 1 == asks.len() {
                self.stop();
            }
        }
        Ok(())
    }

    fn stop(&self) {
        // SAFETY: kill takes numbers only; the server is a child that nobody has waited for yet.
        unsafe { libc::kill(self.pid as i32, libc::SIGTERM) };
    }
}

fn put(client: &mut Client, ask: &Ask) -> io::Result<()> {
    let path = format!("/{}/{}", ask.endpoint.name(), ask.number);
    let status = client
        .ask(ask.endpoint.method(), &path)
        .map_err(|error| io::Error::other(format!("{path}: {error}")))?;
    match status == ask.endpoint.status(ask.number) {
        true => Ok(()),
        false => Err(io::Error::other(format!("{path}: answered with {status}"))),
    }
}
