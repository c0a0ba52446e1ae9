//! Reads the events that are rare: one arm for each kind, whose fields stand in the order in which they were written.

use leak_wire::{Asked, Backing, Event, Protocol, Transfer, Unseen, Wait};

use super::{ColumnReader, kind};
use crate::trace::varint::Bad;

impl ColumnReader {
    pub(super) fn rare<'a>(&mut self, kind: u8, raw: &'a [u8]) -> Result<Event<'a>, Bad> {
        Ok(match kind {
            kind::REALLOCATION_FAILED => Event::ReallocationFailed,
            kind::REALLOCATION_FREED => Event::ReallocationFreed,
            kind::TREE_RESET => Event::TreeReset,
            kind::TASK | kind::TASK_IN_LANE => Event::Task {
                task: self.number(raw)?,
            },
            kind::MODULE_LOADED => Event::ModuleLoaded {
                start: self.number(raw)?,
                end: self.number(raw)?,
                bias: self.number(raw)?,
                path: self.text(raw)?,
            },
            kind::MODULE_UNLOADED => Event::ModuleUnloaded {
                start: self.number(raw)?,
            },
            kind::EXEC => Event::Exec,
            kind::EXEC_FAILED => Event::ExecFailed,
            kind::EXIT_BEGINS => Event::ExitBegins,
            kind::COLLECTED => Event::Collected {
                young: self.small(raw)?,
                middle: self.small(raw)?,
                full: self.small(raw)?,
            },
            kind::COLLECTION_ASKED => Event::CollectionAsked,
            kind::MAPPED => Event::Mapped {
                address: self.number(raw)?,
                size: self.number(raw)?,
                backing: Backing::from_code(self.code(raw)?).ok_or(Bad)?,
                site: self.small(raw)?,
            },
            // Nobody knows from where: it is no block.
            kind::MAPPED_BY_MODULE => Event::Mapped {
                address: self.number(raw)?,
                size: self.number(raw)?,
                backing: self.number(raw).map(|_module| Backing::Reserved)?,
                site: 0,
            },
            kind::THREAD_STACK => Event::ThreadStack {
                thread: self.number(raw)?,
                handle: self.number(raw)?,
                size: self.number(raw)?,
                detached: self.number(raw)? != 0,
                site: self.small(raw)?,
            },
            kind::THREAD_RELEASED => Event::ThreadReleased {
                handle: self.number(raw)?,
                joined: self.number(raw)? != 0,
            },
            kind::UNMAP_FAILED => Event::UnmapFailed,
            kind::DISCARDED => Event::Discarded {
                address: self.number(raw)?,
                size: self.number(raw)?,
            },
            kind::UNMAPPED => Event::Unmapped {
                address: self.number(raw)?,
                size: self.number(raw)?,
            },
            kind::THREAD_CREATE => Event::ThreadCreate {
                thread: self.number(raw)?,
            },
            kind::THREAD_CREATED => Event::ThreadCreated {
                thread: self.number(raw)?,
            },
            kind::EXIT => Event::Exit {
                code: self.small(raw)?,
            },
            kind::ENTER => Event::Enter {
                wait: Wait::from_code(self.code(raw)?).ok_or(Bad)?,
                connection: self.small(raw)?,
            },
            kind::MARK_BEGIN => Event::MarkBegin {
                label: self.text(raw)?,
            },
            kind::MARK_END => Event::MarkEnd,
            kind::MARK => Event::Mark {
                label: self.text(raw)?,
            },
            kind::THREAD_END => Event::ThreadEnd,
            kind::FREE_LISTS => Event::FreeLists {
                changes: self.text(raw)?,
            },
            kind::PYTHON_FRAME | kind::PAIR | kind::PYTHON_CODE | kind::PYTHON_LINES => {
                self.python(kind, raw)?
            }
            connected => {
                let connection = self.small(raw)?;
                self.connected(connected, connection, raw)?
            }
        })
    }

    fn python<'a>(&mut self, kind: u8, raw: &'a [u8]) -> Result<Event<'a>, Bad> {
        Ok(match kind {
            kind::PYTHON_FRAME => {
                let id = self.id(raw)?;
                Event::PythonFrame {
                    id,
                    parent: self.other(raw, id)?,
                    code: self.small(raw)?,
                    instruction: self.small(raw)?,
                }
            }
            kind::PAIR => {
                let id = self.id(raw)?;
                Event::Pair {
                    id,
                    native: self.other(raw, id)?,
                    python: self.other(raw, id)?,
                    asked: Asked::from_code(self.code(raw)?).ok_or(Bad)?,
                }
            }
            kind::PYTHON_CODE => Event::PythonCode {
                code: self.small(raw)?,
                first_line: self.small(raw)?,
                version: self.small(raw)?,
                text: self.text(raw)?,
            },
            kind::PYTHON_LINES => Event::PythonLines {
                code: self.small(raw)?,
                offset: self.small(raw)?,
                bytes: self.text(raw)?,
            },
            _ => return Err(Bad),
        })
    }

    fn connected<'a>(
        &mut self,
        kind: u8,
        connection: u32,
        raw: &'a [u8],
    ) -> Result<Event<'a>, Bad> {
        Ok(match kind {
            kind::ACCEPT => Event::Accept {
                connection,
                local: self.text(raw)?,
            },
            kind::TRANSFERRED => Event::Transferred {
                connection,
                transfer: Transfer::from_code(self.code(raw)?).ok_or(Bad)?,
                bytes: self.number(raw)?,
            },
            kind::REQUEST_BEGUN => Event::RequestBegun { connection },
            kind::HEADER => Event::Header {
                connection,
                length: self.small(raw)?,
                text: self.text(raw)?,
            },
            kind::REQUEST => Event::Request {
                connection,
                count: self.small(raw)?,
                protocol: Protocol::from_code(self.code(raw)?).ok_or(Bad)?,
                label: self.text(raw)?,
            },
            kind::ANSWER => Event::Answer {
                connection,
                count: self.small(raw)?,
                status: self.small(raw)?,
            },
            kind::UPGRADED => Event::Upgraded { connection },
            kind::MESSAGES => Event::Messages { connection },
            kind::UNSEEN => Event::Unseen {
                connection,
                reason: Unseen::from_code(self.code(raw)?).ok_or(Bad)?,
            },
            kind::CLOSE => Event::Close { connection },
            _ => return Err(Bad),
        })
    }
}
