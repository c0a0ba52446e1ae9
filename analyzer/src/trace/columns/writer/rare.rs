//! Writes the events that are rare: one arm for each kind.

use leak_wire::Event;

use super::{Columns, NUMBERS, kind};

impl Columns {
    pub(super) fn rare(&mut self, event: Event<'_>) {
        match event {
            Event::Allocation { .. }
            | Event::ReallocationEnd { .. }
            | Event::Free { .. }
            | Event::ReallocationBegin { .. }
            | Event::Frame { .. } => {}
            Event::ReallocationFailed => self.kind(kind::REALLOCATION_FAILED),
            Event::ReallocationFreed => self.kind(kind::REALLOCATION_FREED),
            Event::TreeReset => self.kind(kind::TREE_RESET),
            Event::Task { task } => self.numbers(kind::TASK, &[task]),
            Event::ModuleLoaded {
                start,
                end,
                bias,
                path,
            } => {
                self.numbers(kind::MODULE_LOADED, &[start, end, bias]);
                self.text(path);
            }
            Event::ModuleUnloaded { start } => self.numbers(kind::MODULE_UNLOADED, &[start]),
            Event::Exec => self.kind(kind::EXEC),
            Event::ExecFailed => self.kind(kind::EXEC_FAILED),
            Event::ExitBegins => self.kind(kind::EXIT_BEGINS),
            Event::ThreadCreate { thread } => self.numbers(kind::THREAD_CREATE, &[thread]),
            Event::ThreadCreated { thread } => self.numbers(kind::THREAD_CREATED, &[thread]),
            Event::Collected {
                young,
                middle,
                full,
            } => self.numbers(kind::COLLECTED, &[young.into(), middle.into(), full.into()]),
            Event::CollectionAsked => self.kind(kind::COLLECTION_ASKED),
            Event::Mapped {
                address,
                size,
                backing,
                site,
            } => {
                let (backing, site) = (backing as u64, u64::from(site));
                self.numbers(kind::MAPPED, &[address, size, backing, site]);
            }
            Event::ThreadStack {
                thread,
                handle,
                size,
                detached,
                site,
            } => {
                let (detached, site) = (u64::from(detached), u64::from(site));
                self.numbers(kind::THREAD_STACK, &[thread, handle, size, detached, site]);
            }
            Event::ThreadReleased { handle, joined } => {
                self.numbers(kind::THREAD_RELEASED, &[handle, joined.into()]);
            }
            Event::UnmapFailed => self.kind(kind::UNMAP_FAILED),
            Event::Discarded { address, size } => self.numbers(kind::DISCARDED, &[address, size]),
            Event::Unmapped { address, size } => self.numbers(kind::UNMAPPED, &[address, size]),
            Event::Exit { code } => self.numbers(kind::EXIT, &[code.into()]),
            Event::Accept { connection, local } => {
                self.numbers(kind::ACCEPT, &[connection.into()]);
                self.text(local);
            }
            Event::Enter { wait, connection } => {
                self.numbers(kind::ENTER, &[wait as u64, connection.into()]);
            }
            Event::Transferred {
                connection,
                transfer,
                bytes,
            } => self.numbers(
                kind::TRANSFERRED,
                &[connection.into(), transfer as u64, bytes],
            ),
            Event::RequestBegun { connection } => {
                self.numbers(kind::REQUEST_BEGUN, &[connection.into()]);
            }
            Event::Header {
                connection,
                length,
                text,
            } => {
                self.numbers(kind::HEADER, &[connection.into(), length.into()]);
                self.text(text);
            }
            Event::Request {
                connection,
                count,
                protocol,
                label,
            } => {
                let numbers = [connection.into(), count.into(), protocol as u64];
                self.numbers(kind::REQUEST, &numbers);
                self.text(label);
            }
            Event::Answer {
                connection,
                count,
                status,
            } => self.numbers(
                kind::ANSWER,
                &[connection.into(), count.into(), status.into()],
            ),
            Event::Upgraded { connection } => self.numbers(kind::UPGRADED, &[connection.into()]),
            Event::Messages { connection } => self.numbers(kind::MESSAGES, &[connection.into()]),
            Event::Unseen { connection, reason } => {
                self.numbers(kind::UNSEEN, &[connection.into(), reason as u64]);
            }
            Event::Close { connection } => self.numbers(kind::CLOSE, &[connection.into()]),
            Event::MarkBegin { label } => {
                self.kind(kind::MARK_BEGIN);
                self.text(label);
            }
            Event::MarkEnd => self.kind(kind::MARK_END),
            Event::Mark { label } => {
                self.kind(kind::MARK);
                self.text(label);
            }
            Event::ThreadEnd => self.kind(kind::THREAD_END),
            Event::FreeLists { changes } => {
                self.kind(kind::FREE_LISTS);
                self.text(changes);
            }
            Event::PythonFrame { .. }
            | Event::Pair { .. }
            | Event::PythonCode { .. }
            | Event::PythonLines { .. } => self.python(event),
        }
    }

    fn python(&mut self, event: Event<'_>) {
        match event {
            Event::PythonFrame {
                id,
                parent,
                code,
                instruction,
            } => {
                self.node(kind::PYTHON_FRAME, id, &[parent]);
                self.columns[NUMBERS].number(code.into());
                self.columns[NUMBERS].number(instruction.into());
            }
            Event::Pair {
                id,
                native,
                python,
                asked,
            } => {
                self.node(kind::PAIR, id, &[native, python]);
                self.columns[NUMBERS].number(asked as u64);
            }
            Event::PythonCode {
                code,
                first_line,
                version,
                text,
            } => {
                let numbers = [code.into(), first_line.into(), version.into()];
                self.numbers(kind::PYTHON_CODE, &numbers);
                self.text(text);
            }
            Event::PythonLines {
                code,
                offset,
                bytes,
            } => {
                self.numbers(kind::PYTHON_LINES, &[code.into(), offset.into()]);
                self.text(bytes);
            }
            _ => {}
        }
    }
}
