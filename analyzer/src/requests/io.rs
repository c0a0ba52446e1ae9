//! Events of connections: each goes to what cuts the connection into requests.

use leak_wire::{Event, Protocol, Transfer};

use super::asked::{Head, NOTHING};
use super::label::LabelId;
use super::machine::{At, Machine};
use super::segments::NO_VALUES;
use super::text::text;

impl Machine {
    pub(super) fn io(&mut self, at: At, event: &Event<'_>) {
        match *event {
            Event::Accept { connection, local } => {
                self.accept(at, connection, text(local));
            }
            Event::Transferred {
                connection,
                transfer,
                bytes,
            } if bytes > 0 => match transfer {
                Transfer::Read => self.was_read(at, connection, bytes),
                Transfer::Write => self.was_written(at, connection, bytes),
            },
            Event::Transferred { connection, .. } => self.client_is_gone(connection),
            Event::RequestBegun { connection } => self.head_begun(at, connection),
            Event::Request {
                connection,
                count,
                protocol,
                label,
            } if self.admits(connection, protocol) => {
                if protocol == Protocol::Websocket {
                    self.overtaken(at, connection);
                }
                let (label, asked, values) = match protocol {
                    Protocol::Http => {
                        let head = text(label);
                        let label = self.labels.http(&head);
                        let values = self.segments.of(label, self.labels.names(), &head);
                        (label, self.asked.head(connection, &head), values)
                    }
                    _ => (self.verb(connection, &text(label)), NOTHING, NO_VALUES),
                };
                let head = Head {
                    label,
                    asked,
                    values,
                    protocol,
                    count,
                };
                self.head_read(at, connection, head);
            }
            Event::Answer {
                connection,
                count,
                status,
            } => self.answered(at, connection, count, status),
            Event::Upgraded { connection } => self.upgraded(connection, false),
            Event::Messages { connection } => self.upgraded(connection, true),
            Event::Unseen { connection, reason } => self.uncut(connection, reason),
            Event::Close { connection } => {
                self.asked.closed(connection);
                if self.connections.contains_key(&connection)
                    && let Some(closes) = &mut self.closes
                {
                    closes.push((connection, at.stamp));
                }
                self.process(at.process).connections.remove(&connection);
                self.drop_holder(connection, at.process, at.stamp, true);
            }
            _ => {}
        }
    }

    fn verb(&mut self, connection: u32, verb: &str) -> LabelId {
        let connection = self.connections.get(&connection);
        if let Some(label) = connection.and_then(|connection| connection.messages) {
            return label;
        }
        let local = connection.map_or("", |connection| connection.local.as_str());
        match verb {
            "" => self.labels.intern(local),
            verb => self.labels.intern(&[local, " ", verb].concat()),
        }
    }
}
