//! The process-wide table from code addresses to their rules.
//!
//! Lock-free: a slot is two words, `key ^ rule` and `rule`, so that a half-written or mixed pair
//! belongs to no address. A miss reads `.eh_frame` (1 to 3 µs) and fills a slot; losing a race or
//! being displaced costs another miss, nothing else.

use super::cfi;
use super::loader::{self, Object};
use super::rule::Rule;
use crate::alternate_stack;
use crate::table::Table;
use core::sync::atomic::{AtomicU64, Ordering};

/// 1 MiB, of which only the touched pages exist. A large program has some ten thousand addresses
/// on its allocating paths.
const SLOTS: usize = 1 << 16;
/// An address may lie in any slot of its group of this many: one cache line.
const WAYS: usize = 4;

struct Slot {
    mixed: AtomicU64,
    rule: AtomicU64,
}

#[repr(align(64))]
struct Group([Slot; WAYS]);

// SAFETY: zeros are valid atomics.
static TABLE: Table<[Group; SLOTS / WAYS]> = unsafe { Table::new() };

/// The odd factor makes `key` reversible, so that a key stands for one address alone.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn group(table: &[Group; SLOTS / WAYS], key: u64) -> &Group {
    const SHIFT: u32 = 64 - (SLOTS / WAYS).trailing_zeros();
    // The shift leaves as many bits as the table has groups; the remainder is for the compiler.
    &table[(key >> SHIFT) as usize % (SLOTS / WAYS)]
}

/// The rule for the frame whose (return) address is `address`. `found` is told of the object in
/// which an address lies that was not in the table, before the rule can be met by others; if it
/// says no, it is told again with the next look-up.
#[inline(always)]
pub(super) fn rule_for(address: u64, found: impl FnOnce(&Object) -> bool) -> Rule {
    let key = address.wrapping_mul(FACTOR);
    for slot in TABLE.get().iter().flat_map(|table| &group(table, key).0) {
        // Acquire pairs with the Release in `insert`: who meets a rule comes after the telling of
        // its module. Only one of the two loads has to order: a mixed pair is refused.
        let rule = slot.rule.load(Ordering::Acquire);
        if slot.mixed.load(Ordering::Relaxed) ^ rule == key && rule != 0 {
            return Rule::from_bits(rule);
        }
    }
    miss(address, found)
}

#[cold]
#[inline(never)]
fn miss(address: u64, found: impl FnOnce(&Object) -> bool) -> Rule {
    alternate_stack::run(|| read(address, found))
}

/// The same, which takes more of the stack than the caller has to give.
fn read(address: u64, found: impl FnOnce(&Object) -> bool) -> Rule {
    let pc = address.wrapping_sub(1);
    // Code in no object (a JIT's) is not kept: a module may be mapped there later.
    let Some(object) = loader::object_at(pc) else {
        return Rule::FRAME_POINTER;
    };
    let known = found(&object);
    let rule = cfi::rule_at(&object, pc).unwrap_or(Rule::FRAME_POINTER);
    if known {
        insert(address, rule);
    }
    rule
}

fn insert(address: u64, rule: Rule) {
    let key = address.wrapping_mul(FACTOR);
    let Some(table) = TABLE.needed() else {
        return;
    };
    let slots = &group(table, key).0;
    let free = slots
        .iter()
        .find(|slot| slot.rule.load(Ordering::Relaxed) == 0);
    let displaced = slots.get(key as usize % WAYS);
    let Some(slot) = free.or(displaced) else {
        return;
    };
    slot.mixed.store(key ^ rule.bits(), Ordering::Relaxed);
    // Release pairs with the Acquire in `rule_for`.
    slot.rule.store(rule.bits(), Ordering::Release);
}

/// Forgets the rules of all addresses in `start..end`.
pub(super) fn forget(start: u64, end: u64) {
    for slot in TABLE.get().into_iter().flatten().flat_map(|group| &group.0) {
        let rule = slot.rule.load(Ordering::Relaxed);
        let key = slot.mixed.load(Ordering::Relaxed) ^ rule;
        let address = key.wrapping_mul(inverse(FACTOR));
        // An address is a return address: one past the end belongs to the last instruction.
        if rule != 0 && start <= address && address <= end {
            // A reader that meets one of the two stores sees a pair of no address.
            slot.rule.store(0, Ordering::Relaxed);
            slot.mixed.store(0, Ordering::Relaxed);
        }
    }
}

/// The number that undoes a multiplication by the odd `factor`, by Newton's iteration: each turn
/// doubles the number of right bits, of which `factor` itself has three.
const fn inverse(factor: u64) -> u64 {
    let mut inverse = factor;
    let mut turn = 0;
    while turn < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(factor.wrapping_mul(inverse)));
        turn += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_until_its_range_is_forgotten() {
        // Addresses that no object has.
        let address = 0x0000_1234_5678_9abc;
        insert(address, Rule::END);
        let found = rule_for(address, |_| panic!("it is in the table"));
        assert_eq!(found, Rule::END);
        forget(address + 1, address + 10);
        assert_eq!(rule_for(address, |_| true), Rule::END);
        forget(address - 5, address);
        assert_eq!(rule_for(address, |_| true), Rule::FRAME_POINTER);
    }

    #[test]
    fn a_full_group_still_takes_the_newest() {
        for address in 0x7000_0000_0000..0x7000_0004_0000u64 {
            insert(address, Rule::SIGNAL);
            assert_eq!(rule_for(address, |_| true), Rule::SIGNAL);
        }
        forget(0x7000_0000_0000, 0x7000_0004_0000);
    }
}
