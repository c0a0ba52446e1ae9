//! A worker serves its request no more: that ends, another worker takes over, or it turns to what nobody can tell.

use super::{Owners, Service};
use crate::requests::record::{Records, RequestId};
use crate::trace::ThreadId;

impl Owners {
    /// The request that the worker serves ends.
    pub(super) fn close_at_end(&mut self, id: ThreadId, request: RequestId, records: &mut Records) {
        match self.workers[id as usize].service {
            Service::Tail { .. } if self.workers[id as usize].woke => {
                self.leave(id);
                self.workers[id as usize].after = Some(request);
                return self.drifts(id);
            }
            Service::Tail { .. } => self.settle_tail(id, request, records),
            _ => self.close_zone(id, None, records),
        }
        self.leave(id);
        self.drifts(id);
    }

    /// It came to serve none by what others did, and goes on with nobody knows what. A task has one job.
    fn drifts(&mut self, id: ThreadId) {
        if let Some(worker) = self.workers.get_mut(id as usize) {
            worker.adrift = !worker.is_task();
        }
    }

    /// The worker serves none any more.
    pub(in crate::requests) fn leave(&mut self, id: ThreadId) {
        if let Some(worker) = self.workers.get_mut(id as usize) {
            worker.service = Service::None;
            (worker.counted, worker.woke, worker.after) = (false, false, None);
            worker.account = None;
        }
    }

    /// Another worker touches what this one serves.
    pub(in crate::requests) fn is_relieved(&mut self, id: ThreadId, records: &mut Records) {
        self.close_zone(id, None, records);
        self.leave(id);
        self.drifts(id);
    }

    /// The worker touches a connection whose requests can't be told: what it does from here on may be for those.
    pub(in crate::requests) fn turns_away(&mut self, id: ThreadId, records: &mut Records) {
        if self.explicit {
            return;
        }
        self.takes_lock(id, records);
        if let Service::Serves { .. } = self.workers[id as usize].service {
            self.close_zone(id, None, records);
            self.leave(id);
        }
    }
}
