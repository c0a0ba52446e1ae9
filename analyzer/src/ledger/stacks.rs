//! Stacks of threads as blocks: from `pthread_create` until the C library has them back, when the thread has ended and
//! was joined or detached.
//!
//! A thread has a number in its process, by which it tells of itself, and a handle, by which others join it. Both are
//! given again. What is told twice of a handle shows that its first thread was joined, by a call that comes late.

use super::Ledger;
use super::holding::AccountId;
use super::pieces::key;
use super::threads::Stack;
use crate::replay::Found;
use crate::sites::{Memory, SiteId};

/// A thread that was created.
#[derive(Clone, Copy, Debug)]
pub struct Created {
    /// Its number in its process.
    pub number: u64,
    /// Its handle.
    pub handle: u64,
    /// Bytes of its stack.
    pub size: u64,
    /// Nobody has to join it.
    pub detached: bool,
    /// The first site of the call.
    pub site: SiteId,
}

impl Ledger {
    /// A thread was created, for what `account` stands for.
    pub fn thread_created(&mut self, account: AccountId, created: Created, stamp: u64) {
        let Created { number, handle, .. } = created;
        if let Some(before) = self.stacks.threads.remove(&handle) {
            self.give_stack_back(before);
            if !before.detached {
                *self.stacks.late.entry(handle).or_default() += 1;
            }
        }
        let heard = self.stacks.heard.remove(&number);
        let ended = self.stacks.ended.remove(&number);
        let place = Memory::Stack.apart().unwrap_or(0);
        if created.size == 0 || ended && created.detached {
            return;
        }
        self.mappings.blocks += 1;
        let stack = Stack {
            block: key(self.mappings.blocks, place),
            number,
            site: created.site + place as SiteId,
            heard,
            ended,
            detached: created.detached,
        };
        self.stacks.threads.insert(handle, stack);
        self.stacks.handles.insert(number, handle);
        self.add(account, stack.block, created.size, stack.site, stamp);
    }

    fn stack_of(&mut self, number: u64) -> Option<(u64, &mut Stack)> {
        let handle = *self.stacks.handles.get(&number)?;
        let stack = self.stacks.threads.get_mut(&handle)?;
        (stack.number == number).then_some((handle, stack))
    }

    /// The thread with this number records something.
    pub fn thread_heard(&mut self, number: u64) {
        match self.stack_of(number) {
            Some((_, stack)) if !stack.heard => stack.heard = true,
            // The number is another thread's, whose creator has not told yet.
            _ => {
                self.stacks.heard.insert(number);
            }
        }
    }

    /// The thread with this number has ended.
    pub fn thread_ended(&mut self, number: u64) {
        if self.stacks.heard.contains(&number) {
            self.stacks.ended.insert(number);
            return;
        }
        let Some((handle, stack)) = self.stack_of(number) else {
            return;
        };
        stack.ended = true;
        if stack.detached {
            self.release_stack(handle);
        }
    }

    /// The thread with this handle was joined, or is detached.
    pub fn thread_released(&mut self, handle: u64, joined: bool) {
        if let Some(late) = self.stacks.late.get_mut(&handle) {
            *late -= 1;
            if *late == 0 {
                self.stacks.late.remove(&handle);
            }
            return;
        }
        let Some(stack) = self.stacks.threads.get_mut(&handle) else {
            return;
        };
        stack.detached = true;
        if joined || stack.ended {
            self.release_stack(handle);
        }
    }

    fn release_stack(&mut self, handle: u64) {
        if let Some(stack) = self.stacks.threads.remove(&handle) {
            self.give_stack_back(stack);
        }
    }

    fn give_stack_back(&mut self, stack: Stack) {
        self.stacks.handles.remove(&stack.number);
        if let Found::Own(block) = self.heap.remove(stack.block) {
            self.release(stack.block, block);
        }
    }

    /// Takes down which threads nobody joined: the process ends, or begins to. Detached ones that never recorded
    /// anything may have ended long ago: nobody knows of their stacks.
    pub(super) fn close_stacks(&mut self) {
        let threads = self.stacks.threads.iter();
        let unknown = threads.filter(|(_, stack)| stack.detached && !stack.heard);
        let unknown: Vec<u64> = unknown.map(|(handle, _)| *handle).collect();
        unknown
            .into_iter()
            .for_each(|handle| self.release_stack(handle));
        let held = self.mappings.held.get_or_insert_default();
        for stack in self.stacks.threads.values() {
            let held = held.entry(stack.site).or_default();
            held.unjoined += u64::from(stack.ended && !stack.detached);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::holding::OUTSIDE;
    use crate::sample::Sample;

    fn create(ledger: &mut Ledger, number: u64, handle: u64, detached: bool) {
        let created = Created {
            number,
            handle,
            size: 100,
            detached,
            site: 40,
        };
        ledger.thread_created(OUTSIDE, created, 1);
    }

    fn live(ledger: &Ledger) -> u64 {
        ledger.counts.apart[2].blocks
    }

    #[test]
    fn a_stack_is_given_back_when_its_thread_has_ended_and_was_joined_or_detached() {
        let mut ledger = Ledger::new(Sample::default());
        for (handle, detached) in [(1, false), (2, true), (3, false)] {
            create(&mut ledger, 10 * handle, handle, detached);
            ledger.thread_heard(10 * handle);
        }
        assert_eq!(live(&ledger), 3);
        ledger.thread_released(3, false);
        ledger.thread_ended(20);
        assert_eq!(live(&ledger), 2, "the detached one");
        ledger.thread_ended(10);
        assert_eq!(live(&ledger), 2, "nobody has joined it");
        ledger.close_mappings();
        let held: Vec<u64> = ledger.mapped().map(|(_, held)| held.unjoined).collect();
        assert_eq!(held, [1]);
        ledger.thread_released(1, true);
        ledger.thread_ended(30);
        assert_eq!(live(&ledger), 0);
    }

    #[test]
    fn a_thread_may_tell_of_itself_before_its_creator_does() {
        let mut ledger = Ledger::new(Sample::default());
        ledger.thread_heard(10);
        ledger.thread_ended(10);
        create(&mut ledger, 10, 1, true);
        assert_eq!(live(&ledger), 0);
        // The number is another's now.
        create(&mut ledger, 10, 1, false);
        assert_eq!(live(&ledger), 1);
        ledger.thread_heard(10);
        ledger.thread_ended(10);
        assert_eq!(live(&ledger), 1);
    }

    #[test]
    fn a_join_that_is_told_late_is_the_one_befores() {
        let mut ledger = Ledger::new(Sample::default());
        create(&mut ledger, 10, 1, false);
        create(&mut ledger, 20, 1, false);
        assert_eq!(live(&ledger), 1);
        ledger.thread_released(1, true);
        assert_eq!(live(&ledger), 1);
        ledger.thread_released(1, true);
        assert_eq!(live(&ledger), 0);
    }

    #[test]
    fn of_a_detached_thread_that_told_nothing_nobody_knows() {
        let mut ledger = Ledger::new(Sample::default());
        create(&mut ledger, 10, 1, true);
        assert_eq!(live(&ledger), 1);
        ledger.close_mappings();
        assert_eq!(live(&ledger), 0);
    }
}
