//! A worker touches requests: it reads heads, goes on with what others have read, and answers.

use super::zone::Verdict;
use super::{Owners, Service};
use crate::ledger::holding::Proof;
use crate::requests::record::{Records, RequestId};
use crate::trace::ThreadId;

impl Owners {
    /// The worker has read the request's head: it serves that one from now on. `begins`: just now.
    pub(in crate::requests) fn reads(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        self.note_moment(id, Some(request));
        match self.workers[id as usize].service {
            Service::Tail { .. } if self.explicit => {}
            // It may have been at this request's job by then.
            Service::Tail { .. } if self.workers[id as usize].woke => {
                self.close_zone(id, Some(request), records);
                self.leave(id);
            }
            Service::Tail { .. } => self.rest(id, records),
            _ => {}
        }
        self.workers[id as usize].reads = true;
        if self.explicit || !self.is_born_for(id, request) {
            self.end_birth(id, Some(request), records);
            self.close_zone(id, Some(request), records);
        }
        self.serves(id, request, true, records);
        self.note_habits(id);
    }

    /// The worker touches a request that was read before. `begins`: with the write that begins its answer; `streams`: with
    /// one that goes on with it.
    pub(in crate::requests) fn touches(
        &mut self,
        id: ThreadId,
        request: RequestId,
        (begins, streams, handed): (bool, bool, bool),
        records: &mut Records,
    ) {
        self.may_resume(id, request, streams && !handed);
        let worker = &mut self.workers[id as usize];
        let service = worker.service;
        if matches!(service, Service::Serves { request: same, .. } if same == request) {
            if worker.waited {
                worker.waited = false;
                worker.account = None;
            }
            return;
        }
        self.note_moment(id, Some(request));
        let counted = records
            .get(request as usize)
            .is_some_and(|record| record.unanswered);
        let others = self.workers[id as usize]
            .unanswered
            .saturating_sub(u32::from(counted));
        let worker = &self.workers[id as usize];
        let proof = match worker.waited && worker.is_task() {
            true => Proof::Task,
            false => Proof::Handed,
        };
        let proved = begins && handed && others == 0 && self.workers[id as usize].behind == 0;
        match service {
            Service::None if proved && !self.workers[id as usize].adrift => {
                self.end_birth(id, Some(request), records);
                self.settle(id, Verdict::Proved(request, proof), records);
            }
            _ => {
                self.end_birth(id, Some(request), records);
                self.close_zone(id, Some(request), records);
            }
        }
        if begins && handed && !self.workers[id as usize].is_task() {
            let worker = &mut self.workers[id as usize];
            worker.answers_others = true;
            if matches!(service, Service::Tail { .. }) && !worker.woke {
                self.habits[worker.process as usize].takes_unseen = true;
            }
        }
        self.serves(id, request, !handed, records);
        self.note_habits(id);
    }

    /// The worker writes to a request that streams while it serves another one, or tidies up after that. A loop that goes
    /// on with streams in the midst of its rounds may have worked for that one.
    pub(in crate::requests) fn passes_by(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        if !self.is_loop(id) || self.explicit {
            return;
        }
        let worker = &mut self.workers[id as usize];
        worker.passed |= matches!(worker.service, Service::Tail { .. });
        if self.habits[worker.process as usize].resumes {
            self.note_moment(id, Some(request));
            self.close_zone(id, Some(request), records);
        }
    }

    /// Whether a loop goes on with a request that streams although it has read nothing since its last wait.
    fn may_resume(&mut self, id: ThreadId, request: RequestId, streams: bool) {
        let worker = &self.workers[id as usize];
        let after_wait = match worker.service {
            Service::None => true,
            Service::Serves {
                request: served, ..
            } => served == request && worker.waited,
            Service::Tail { .. } => false,
        };
        if streams && after_wait && self.is_loop(id) {
            let process = self.workers[id as usize].process as usize;
            self.habits[process].resumes = true;
        }
    }

    /// Whether the worker is a loop.
    pub(in crate::requests) fn is_loop(&self, id: ThreadId) -> bool {
        let worker = self.workers.get(id as usize);
        worker.is_some_and(|worker| worker.polls && !worker.is_task())
    }

    fn serves(&mut self, id: ThreadId, request: RequestId, own: bool, records: &Records) {
        let connection = records
            .get(request as usize)
            .map_or(0, |record| record.connection);
        let counted = records
            .get(request as usize)
            .is_some_and(|record| record.unanswered);
        let worker = &mut self.workers[id as usize];
        worker.service = Service::Serves { request, own };
        worker.is_at(Some(request));
        (worker.waited, worker.counted) = (false, counted);
        (worker.account, worker.woke, worker.after) = (None, false, None);
        worker.passed = false;
        (worker.handed, worker.adrift) = (None, false);
        (worker.told, worker.told_before) = (None, None);
        worker.served = Some(request);
        if worker.is_task() && connection != 0 {
            let before = std::mem::replace(&mut worker.connection, connection);
            if before != 0 && before != connection {
                let process = worker.process as usize;
                self.habits[process].tasks_share = true;
            }
        }
    }

    fn note_habits(&mut self, id: ThreadId) {
        let worker = &self.workers[id as usize];
        if let Some(habits) = self.habits.get_mut(worker.process as usize) {
            habits.migrates |= worker.reads && worker.answers_others;
            habits.multiplexes |= worker.unanswered > 1;
        }
    }

    /// One more or less of the requests without a complete answer is the worker's.
    pub(in crate::requests) fn count_unanswered(&mut self, id: ThreadId, more: bool) {
        let Some(worker) = self.workers.get_mut(id as usize) else {
            return;
        };
        worker.unanswered = match more {
            true => worker.unanswered + 1,
            false => worker.unanswered.saturating_sub(1),
        };
        // Whether it serves one alone may have changed.
        worker.account = None;
    }

    /// The head of `request`, whose connection the worker touched last, is complete.
    pub(in crate::requests) fn head_is_complete(&mut self, id: ThreadId, request: RequestId) {
        self.count_unanswered(id, true);
        if self.served_by(id) == Some(request)
            && let Some(worker) = self.workers.get_mut(id as usize)
        {
            worker.counted = true;
        }
    }

    /// The worker has written the last byte of the request's answer.
    pub(in crate::requests) fn has_answered(
        &mut self,
        id: ThreadId,
        request: RequestId,
        records: &mut Records,
    ) {
        if self.explicit {
            return;
        }
        self.note_moment(id, Some(request));
        if !self.puts_aside(id, request, records) {
            self.close_zone(id, Some(request), records);
        }
        let worker = &mut self.workers[id as usize];
        (worker.counted, worker.woke, worker.passed) = (false, false, false);
        // A task has one job.
        worker.answered += u32::from(!worker.is_task());
        worker.service = Service::Tail { request };
    }

    /// What the worker allocated so far is none of a request's that begins with a call of its own.
    pub(in crate::requests) fn part(&mut self, id: ThreadId, records: &mut Records) {
        self.close_zone(id, None, records);
    }

    /// An explicit request begins, or goes on.
    pub(in crate::requests) fn serve_explicitly(&mut self, id: ThreadId, request: RequestId) {
        let worker = &mut self.workers[id as usize];
        worker.service = Service::Serves { request, own: true };
        worker.account = None;
    }
}
