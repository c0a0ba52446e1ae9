//! What a peer and a server may send each other, taken from any bytes: for fuzzing.

use crate::{Buffers, Connection, Fact, LABEL_MAX, Parts, VALUE_MAX, Wanted};

/// The most that is fed at once.
const MOST: usize = 255;

/// Feeds `bytes` to a connection: each step is a byte that says what happens, one that says how much of
/// what follows it takes.
///
/// # Panics
/// Where the framer says more than it was told, or what it may not say.
pub fn hostile(bytes: &[u8]) {
    let mut buffers = Buffers::new();
    let mut connection = Connection::new();
    let (mut told, mut unseen) = (0, 0);
    let mut emit = |fact: Fact<'_>| {
        told += 1;
        match fact {
            Fact::Request { label, count, .. } => {
                assert!(count > 0 && label.len() <= LABEL_MAX);
                assert!(label.iter().all(|byte| (b' '..0x7f).contains(byte)));
            }
            Fact::Header { name, value, .. } => {
                assert!(name == b"a" && value.len() <= VALUE_MAX);
            }
            Fact::Answer { count, .. } => assert!(count > 0),
            Fact::Unseen(_) => unseen += 1,
            _ => {}
        }
    };
    let mut rest = bytes;
    let mut steps = 0;
    while let [what, much, more @ ..] = rest {
        steps += 1;
        let length = more.len().min(usize::from(*much).min(MOST));
        let (part, next) = more.split_at(length);
        let (one, other) = part.split_at(length / 2);
        match what % 8 {
            0..=2 => {
                let wanted = Wanted::new(b"a\n");
                connection.read(&mut buffers, Parts::of([one, other]), wanted, &mut emit);
            }
            3..=4 => connection.wrote(&mut buffers, Parts::of([part]), &mut emit),
            5 => {
                connection.wrote_opaque(u64::from(*much), &mut emit);
                connection.read_opaque(u64::from(*much), &mut emit);
            }
            6 => connection.wrote_last(&mut emit),
            _ => connection.secured(),
        }
        rest = next;
    }
    // No more than a fact for each byte, and a few for what else happened.
    assert!(told <= bytes.len() + 16 * (steps + 1));
    assert!(unseen <= steps + 1);
}
