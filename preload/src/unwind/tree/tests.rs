//! Numbers of nodes, and their bound.

use super::*;
use std::vec::Vec;

fn tree() -> Tree {
    let root = Node {
        address: 0,
        parent: 0,
        path: 0,
    };
    Tree {
        mapped: Mapped::NONE,
        count: 0,
        first_nodes: [root; nodes_for(FIRST_SLOTS)],
        first_slots: [Slot::EMPTY; FIRST_SLOTS],
    }
}

fn number(at: Result<At, Refused>) -> Result<u32, Refused> {
    at.map(|at| at.node())
}

#[test]
fn nodes_are_numbered_from_one_and_told_once() {
    let mut tree = tree();
    let mut told = Vec::new();
    for _ in 0..2 {
        for (parent, address, node) in [(0, 10, 1), (1, 20, 2), (1, 10, 3), (2, 20, 4)] {
            let parent = tree.at(parent);
            let child = tree.child(parent, address, |id| {
                told.push(id);
                true
            });
            let child = child.unwrap();
            assert_eq!(child.node(), node);
            assert_eq!(child, tree.at(node), "the way to it is the same");
        }
    }
    assert_eq!(told, [1, 2, 3, 4]);
    let parent = tree.at(4);
    assert_eq!(
        tree.child(parent, 20, |_| false),
        Err(Refused::Untold),
        "what can't be told does not exist"
    );
    assert_eq!(number(tree.child(parent, 20, |id| id == 5)), Ok(5));
    tree.clear();
    assert_eq!(tree.known(At::default(), 10), None);
    assert_eq!(number(tree.child(At::default(), 10, |id| id == 1)), Ok(1));
}

#[test]
fn ways_with_one_hash_are_told_apart() {
    let mut tree = tree();
    let (one, other) = (At::new(1, 7), At::new(2, 7));
    assert_eq!(number(tree.child(one, 10, |_| true)), Ok(1));
    assert_eq!(number(tree.child(other, 10, |_| true)), Ok(2));
    assert_eq!(tree.known(one, 10).map(|at| at.node()), Some(1));
    assert_eq!(tree.known(other, 10).map(|at| at.node()), Some(2));
}

#[test]
fn grows_to_its_bound() {
    let mut tree = tree();
    let mut last = At::default();
    // A chain: each node is the last one's child.
    let full = loop {
        match tree.child(last, 0x1000 + u64::from(last.node() % 7), |_| true) {
            Ok(node) => last = node,
            Err(refused) => break refused,
        }
        assert!(last.node() < MAX_SLOTS as u32, "no bound");
    };
    assert_eq!(full, Refused::Full);
    assert_eq!(last.node() as usize, nodes_for(MAX_SLOTS) - 1);
    let mut at = At::default();
    for node in 1..=last.node() {
        at = tree.known(at, 0x1000 + u64::from((node - 1) % 7)).unwrap();
        assert_eq!(at.node(), node);
        assert_eq!(at, tree.at(node));
    }
    tree.begin_again();
    assert_eq!(tree.room().slots.len(), MAX_SLOTS, "as much room");
    assert_eq!(tree.known(At::default(), 0x1000), None);
    assert_eq!(
        number(tree.child(At::default(), 0x1000, |id| id == 1)),
        Ok(1)
    );
    tree.begin_again();
    // Without a node there is memory to be given back, too.
    tree.clear();
    assert!(tree.mapped.is_none());
    assert_eq!(tree.room().slots.len(), FIRST_SLOTS);
}
