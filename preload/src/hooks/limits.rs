//! Limits of the address space. What this library has mapped for itself counts in them, so a limit that
//! the program sets is raised by as much, and reads back as it was set: the program can map what it could
//! map without. A limit that is raised says so itself, in bits that the kernel does not look at (it counts
//! pages), and so does it in new images.

use core::ffi::c_int;
use core::ptr::null;

use libc::{RLIM_INFINITY, RLIMIT_AS, RLIMIT_STACK, rlimit};

use crate::{caller, session, stack};

mod next {
    use core::ffi::c_int;
    use libc::rlimit;

    crate::real! {
        pub fn getrlimit(resource: c_int, limit: *mut rlimit) -> c_int;
        pub fn setrlimit(resource: c_int, limit: *const rlimit) -> c_int;
        pub fn prlimit(pid: c_int, resource: c_int, new: *const rlimit, old: *mut rlimit) -> c_int;
    }
}

/// What is mapped beside the shared memory: this library, its tables, the states of some threads.
const BESIDE: u64 = 16 << 20;
/// The last bits of a limit that is raised; programs set whole KiB.
const RAISED: u64 = 0x2b5;
const BITS: u64 = 0x3ff;

/// What the program's limits are raised by, 0 where nothing is mapped.
fn share() -> u64 {
    match session::mapped_bytes() as u64 {
        0 => 0,
        bytes => bytes + BESIDE,
    }
}

fn raised(value: u64, share: u64) -> u64 {
    let sum = (value & !BITS).checked_add(share | RAISED);
    // Where there is no limit, there is none to raise.
    sum.filter(|_| value != RLIM_INFINITY && share != 0)
        .unwrap_or(value)
}

fn as_set(value: u64, share: u64) -> u64 {
    match value & BITS == RAISED && value != RLIM_INFINITY && share != 0 {
        true => (value & !BITS).saturating_sub(share),
        false => value,
    }
}

/// The limits to set for `asked`, where `now` is in force. What the kernel would refuse it is to refuse: a soft limit
/// over the hard one, and a higher hard limit for who may not raise it, who gets no more of it either.
fn to_set(asked: rlimit, now: rlimit, share: u64) -> rlimit {
    if asked.rlim_cur > asked.rlim_max {
        return asked;
    }
    let up_to = |most: u64, value: u64| Some(raised(value, share)).filter(|sum| *sum <= most);
    let hard = match asked.rlim_max > as_set(now.rlim_max, share) {
        true => raised(asked.rlim_max, share),
        false => up_to(now.rlim_max, asked.rlim_max).unwrap_or(asked.rlim_max),
    };
    rlimit {
        rlim_cur: up_to(hard, asked.rlim_cur).unwrap_or(asked.rlim_cur),
        rlim_max: hard,
    }
}

/// Whether the call is about this process's address space.
fn is_ours(pid: c_int, resource: c_int) -> bool {
    resource == RLIMIT_AS as c_int && (pid == 0 || pid as u32 == crate::kernel::getpid())
}

/// # Safety
/// As `prlimit` asks.
unsafe fn limit(pid: c_int, resource: c_int, new: *const rlimit, old: *mut rlimit) -> c_int {
    if resource == RLIMIT_STACK as c_int && !new.is_null() {
        stack::limit_changes();
    }
    let share = share();
    if !is_ours(pid, resource) || share == 0 {
        // SAFETY: the caller's contract is passed on.
        return unsafe { next::prlimit(pid, resource, new, old) };
    }
    let mut now = rlimit {
        rlim_cur: RLIM_INFINITY,
        rlim_max: RLIM_INFINITY,
    };
    let asked = caller::read(new);
    // SAFETY: live structures, or the caller's pointers, of which the kernel takes what is there.
    unsafe {
        let found = next::prlimit(pid, resource, null(), &raw mut now);
        if found != 0 || (asked.is_none() && !new.is_null()) {
            return next::prlimit(pid, resource, new, old);
        }
        let set = asked.map(|asked| to_set(asked, now, share));
        let set = set.as_ref().map_or(null(), core::ptr::from_ref);
        let result = next::prlimit(pid, resource, set, old);
        if result == 0 && !old.is_null() {
            // The kernel has just written there.
            let was = old.read_unaligned();
            old.write_unaligned(rlimit {
                rlim_cur: as_set(was.rlim_cur, share),
                rlim_max: as_set(was.rlim_max, share),
            });
        }
        result
    }
}

macro_rules! hooks {
    ($($get:ident $set:ident $both:ident)*) => { $(
        #[doc = concat!("The hook of `", stringify!($get), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $get(resource: c_int, limits: *mut rlimit) -> c_int {
            // SAFETY: the caller's contract is passed on; so it is below.
            unsafe {
                match is_ours(0, resource) {
                    true => limit(0, resource, null(), limits),
                    false => next::getrlimit(resource, limits),
                }
            }
        }

        #[doc = concat!("The hook of `", stringify!($set), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $set(resource: c_int, limits: *const rlimit) -> c_int {
            // SAFETY: as above.
            unsafe {
                if resource == RLIMIT_STACK as c_int {
                    stack::limit_changes();
                }
                match is_ours(0, resource) {
                    true => limit(0, resource, limits, core::ptr::null_mut()),
                    false => next::setrlimit(resource, limits),
                }
            }
        }

        #[doc = concat!("The hook of `", stringify!($both), "`.")]
        ///
        /// # Safety
        /// As the C function asks.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $both(
            pid: c_int,
            resource: c_int,
            new: *const rlimit,
            old: *mut rlimit,
        ) -> c_int {
            // SAFETY: as above.
            unsafe { limit(pid, resource, new, old) }
        }
    )* };
}

hooks! {
    getrlimit setrlimit prlimit
    getrlimit64 setrlimit64 prlimit64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: u64 = 300 << 20;
    const NONE: rlimit = rlimit {
        rlim_cur: RLIM_INFINITY,
        rlim_max: RLIM_INFINITY,
    };

    fn limits(soft: u64, hard: u64) -> rlimit {
        rlimit {
            rlim_cur: soft,
            rlim_max: hard,
        }
    }

    fn pair(limit: rlimit) -> (u64, u64) {
        (limit.rlim_cur, limit.rlim_max)
    }

    #[test]
    fn a_limit_reads_back_as_it_was_set() {
        for value in [0, 4096, 200 << 20, 1 << 40, RLIM_INFINITY] {
            assert_eq!(as_set(raised(value, SHARE), SHARE), value);
            // Of a program that isn't traced nothing is changed.
            assert_eq!(raised(value, 0), value);
        }
        // One that was there before is as it is.
        assert_eq!(as_set(200 << 20, SHARE), 200 << 20);
        assert_eq!(as_set(RLIM_INFINITY, SHARE), RLIM_INFINITY);
    }

    #[test]
    fn the_hard_limit_rises_no_further_than_it_may() {
        let (small, large) = (100 << 20, 200 << 20);
        let set = to_set(limits(small, RLIM_INFINITY), NONE, SHARE);
        assert_eq!(pair(set), (raised(small, SHARE), RLIM_INFINITY));
        let set = to_set(limits(small, large), NONE, SHARE);
        assert_eq!(pair(set), (raised(small, SHARE), raised(large, SHARE)));
        // The same again, and less.
        assert_eq!(pair(to_set(limits(small, large), set, SHARE)), pair(set));
        let less = to_set(limits(small, small), set, SHARE);
        assert_eq!(pair(less), (raised(small, SHARE), raised(small, SHARE)));
        // More than it is.
        let more = to_set(limits(small, large + 4096), set, SHARE);
        assert!(more.rlim_max > set.rlim_max);
        // What can't be.
        let over = limits(large, small);
        assert_eq!(pair(to_set(over, NONE, SHARE)), pair(over));
        // One that others set leaves no room.
        let foreign = limits(large, large);
        let set = to_set(foreign, foreign, SHARE);
        assert_eq!(pair(set), pair(foreign));
    }
}
