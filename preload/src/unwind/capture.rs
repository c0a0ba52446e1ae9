//! A capture: walk, intern, remember.

use super::chain::{Ended, MAX_DEPTH, Search, Walked};
use super::check;
use super::last::Last;
use super::memory::Memory;
use super::rule::Kind;
use super::rules;
use super::step::{Cursor, Step, step};
use super::tree::{At, Refused, Tree};
use super::{Caller, EPOCH, State, UNKNOWN_EPOCH};
use crate::stack::Bounds;
use crate::{alternate_stack, modules};
use core::sync::atomic::Ordering;
use leak_wire::Event;

/// What a walk came to; its frames are in `State::walked`, innermost first.
struct Walk {
    new: usize,
    /// So many frames of the chain, from the outermost, follow the new ones.
    kept: usize,
    ended: Ended,
    /// Whether the new frames may be remembered.
    sound: bool,
}

impl State {
    /// The call site of the code that called the hook: the innermost node of its backtrace of at
    /// most `depth` frames. 0 if nothing is known of it: also if a signal handler calls this in
    /// the middle of another capture of its thread.
    ///
    /// `tell` is given what the recorder has to know before it meets the node: modules, the tree's
    /// new start, and new frames. It says whether the record was taken; a frame that was not does
    /// not exist, and the call site is 0.
    ///
    /// # Safety
    /// `state` must be valid, and used by no one but the calling thread and its signal handlers;
    /// `caller.sp` must be an address of the live stack that the thread runs on.
    #[inline]
    pub unsafe fn capture(
        state: *mut State,
        caller: Caller,
        bounds: Bounds,
        depth: u32,
        mut tell: impl FnMut(Event<'_>) -> bool,
    ) -> u32 {
        // Acquire pairs with the Release in `forget`.
        let epoch = EPOCH.load(Ordering::Acquire);
        // SAFETY: valid, as the caller promises. The mark is made of atomics, because the interrupted
        // capture may hold the state; nothing else is touched before it says that none does.
        let busy = unsafe { &(*state).busy };
        let interrupted = busy.is_set();
        if interrupted && !busy.was_abandoned(caller.sp, bounds) {
            return 0;
        }
        // SAFETY: no capture is under way, so this is the only reference.
        let state = unsafe { &mut *state };
        if (interrupted || state.epoch != epoch) && !state.begin_again(caller, epoch, &mut tell) {
            return 0;
        }
        let site = state.guarded(caller, bounds, depth, &mut tell);
        if epoch & check::COMPARED != 0 && site != 0 {
            check::compare(state, caller, bounds, (depth as usize).min(MAX_DEPTH), site);
        }
        site
    }

    /// After an abandoned capture, or in a new epoch: whether a capture may go on.
    #[cold]
    #[inline(never)]
    fn begin_again(
        &mut self,
        caller: Caller,
        epoch: u64,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> bool {
        let known = epoch & !check::COMPARED;
        if self.epoch == known && !self.busy.is_set() {
            return true;
        }
        self.epoch = known;
        self.start_anew(caller, tell)
    }

    /// The capture, with the mark that it is under way. All of the way to a known call site is
    /// inlined into one function; what is seldom is outside of it.
    #[inline(always)]
    fn guarded(
        &mut self,
        caller: Caller,
        bounds: Bounds,
        depth: u32,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> u32 {
        // A signal handler on this thread sees the mark before any change, and its end after all.
        self.busy.set(caller.sp, caller.pc());
        let mut site = self.known(caller);
        if site == 0 {
            site = self.site(caller, bounds, depth, tell);
        }
        self.busy.clear();
        site
    }

    /// A new tree, told. False if it could not be told: then the old one must not be used either.
    #[cold]
    #[inline(never)]
    fn start_anew(&mut self, caller: Caller, tell: &mut impl FnMut(Event<'_>) -> bool) -> bool {
        alternate_stack::run(|| self.start_there(caller, tell))
    }

    fn start_there(&mut self, caller: Caller, tell: &mut impl FnMut(Event<'_>) -> bool) -> bool {
        // What this changes, a handler must not find either.
        self.busy.set(caller.sp, caller.pc());
        self.forget_frames();
        self.tree.begin_again();
        let told = tell(Event::TreeReset);
        self.busy.clear();
        if !told {
            // Tried again with the next capture.
            self.epoch = UNKNOWN_EPOCH;
        }
        told
    }

    /// Walks and interns; once more with a new tree if the old one is full.
    #[inline(always)]
    fn site(
        &mut self,
        caller: Caller,
        bounds: Bounds,
        depth: u32,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> u32 {
        let limit = (depth as usize).min(MAX_DEPTH);
        self.limit = limit;
        let mut is_new = false;
        loop {
            let mut memory = Memory::new(caller.sp, bounds);
            self.last.forget();
            self.missed = 0;
            let walk = self.walk(caller, &mut memory, limit, tell);
            if walk.new == 0 {
                self.remember_last(walk.kept);
                return self.chain.node(walk.kept);
            }
            match self.intern(&walk, &memory, tell) {
                Ok(site) => {
                    if self.last.is_at(caller) {
                        self.memorize(caller, walk.kept + walk.new);
                    }
                    return site;
                }
                Err(Refused::Full) if !is_new && self.start_anew(caller, tell) => {
                    is_new = true;
                    self.busy.set(caller.sp, caller.pc());
                }
                Err(_) => return 0,
            }
        }
    }

    /// From the hook outwards, until a remembered frame still holds, or there is no caller, or
    /// there are `limit` frames.
    #[inline(always)]
    fn walk(
        &mut self,
        caller: Caller,
        memory: &mut Memory,
        limit: usize,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Walk {
        let mut cursor = Cursor {
            address: caller.pc(),
            sp: caller.sp + 8,
            bp: caller.bp,
            bx_slot: 0,
        };
        let mut sound = memory.on_stack(cursor.sp);
        let mut search = if sound {
            self.chain.search(memory)
        } else {
            Search::default()
        };
        let mut new = 0;
        let ended = loop {
            let kept = self.chain.meets(&mut search, &cursor);
            if kept != 0 {
                if self.chain.fits(kept, new, limit) {
                    return Walk {
                        new,
                        kept,
                        ended: Ended::Outermost,
                        sound,
                    };
                }
                search = Search::default();
            }
            let Some(walked) = self.walked.get_mut(new).filter(|_| new < limit) else {
                break Ended::Limit;
            };
            let rule = rules::rule_for(cursor.address, |object| modules::tell_of(object, tell));
            *walked = Walked::new(cursor, rule);
            new += 1;
            match step(rule, &cursor, memory) {
                Step::Caller(caller) => {
                    sound &= rule.kind() != Kind::Bx;
                    cursor = caller;
                }
                Step::Interrupted(interrupted) => {
                    // What is further out may be on any stack, in any state.
                    memory.distrust();
                    search = Search::default();
                    sound = false;
                    cursor = interrupted;
                }
                Step::End => break Ended::Outermost,
                Step::Lost => break Ended::Lost,
            }
        };
        Walk {
            new,
            kept: 0,
            ended,
            sound,
        }
    }

    /// The innermost new frame's node; remembers the new frames.
    #[inline(always)]
    fn intern(
        &mut self,
        walk: &Walk,
        memory: &Memory,
        tell: &mut impl FnMut(Event<'_>) -> bool,
    ) -> Result<u32, Refused> {
        let mut at = self.tree.at(self.chain.node(walk.kept));
        let new = self.walked.get(..walk.new).unwrap_or(&[]);
        self.tree.expect(at, new.iter().rev().map(Walked::address));
        let mut remember = walk.sound;
        if remember {
            self.chain.keep(walk.kept);
        }
        let mut outermost = walk.kept == 0;
        for index in (0..walk.new).rev() {
            let Some(walked) = self.walked.get(index) else {
                break;
            };
            at = match self.tree.known(at, walked.address()) {
                Some(known) => known,
                None => {
                    let rest = self.walked.get(..=index).unwrap_or(&[]);
                    intern_rest(&mut self.tree, at, rest, tell)?
                }
            };
            if remember {
                remember = if outermost {
                    self.chain
                        .push_outermost(walked, at.node(), walk.ended, memory)
                } else {
                    self.chain.push(walked, at.node(), memory)
                };
            }
            outermost = false;
        }
        if remember {
            self.remember_last(walk.kept + walk.new);
        }
        Ok(at.node())
    }

    /// The innermost frame of this capture is the `kept`-th of the chain, from the outermost.
    #[inline(always)]
    fn remember_last(&mut self, kept: usize) {
        if let Some(frame) = self.chain.held(kept) {
            self.last = Last::of(frame);
        }
    }
}

/// Tells the nodes of all frames of `rest`, innermost first, which is called from `parent`, at once: to go to the alternate
/// stack takes two system calls. The outermost frame's place.
#[cold]
#[inline(never)]
fn intern_rest(
    tree: &mut Tree,
    parent: At,
    rest: &[Walked],
    tell: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<At, Refused> {
    alternate_stack::run(|| {
        let (mut at, mut first) = (parent, None);
        for address in rest.iter().rev().map(Walked::address) {
            let parent = at.node();
            at = tree.child(at, address, |id| {
                tell(Event::Frame {
                    id,
                    parent,
                    address,
                })
            })?;
            first = first.or(Some(at));
        }
        Ok(first.unwrap_or(parent))
    })
}
