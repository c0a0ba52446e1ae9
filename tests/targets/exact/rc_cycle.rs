// live at exit: 2 blocks, 96 bytes (two that hold each other, 48 each with their counts)
#![no_main] // so that the runtime, whose own blocks change from version to version, takes no part
use std::cell::RefCell;
use std::rc::Rc;

struct Node {
    other: RefCell<Option<Rc<Node>>>,
    _value: [u64; 2],
}

fn node() -> Rc<Node> {
    Rc::new(Node {
        other: RefCell::new(None),
        _value: [0; 2],
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    for round in 0..100 {
        let (a, b) = (node(), node());
        *a.other.borrow_mut() = Some(b.clone());
        if round == 50 {
            *b.other.borrow_mut() = Some(a.clone());
        }
    }
    0
}
