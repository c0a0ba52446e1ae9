// live at exit: 1 block, 8 bytes (after 1,000 panics that were caught)
#![no_main] // so that the runtime, whose own blocks change from version to version, takes no part
use std::hint::black_box;
use std::panic;

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    panic::set_hook(Box::new(|_| {}));
    for number in 0..1000u64 {
        let caught = panic::catch_unwind(|| {
            let local = black_box(vec![number; 10]);
            assert!(local.is_empty(), "a panic with a message of its own: {number}");
        });
        assert!(caught.is_err());
    }
    black_box(Box::leak(Box::new(1u64)));
    0
}
