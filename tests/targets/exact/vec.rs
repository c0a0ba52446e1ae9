// live at exit: 3 blocks, 1224 bytes
#![no_main] // so that the runtime, whose own blocks change from version to version, takes no part
use std::hint::black_box;
use std::mem::forget;

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    let mut grown = Vec::new();
    for number in 0..100u64 {
        grown.push(number);
    }
    grown.shrink_to_fit();
    forget(black_box(grown)); // 800
    forget(black_box(vec![0u8; 24]));
    forget(black_box(Vec::<u32>::with_capacity(100))); // 400
    for size in 0..1000 {
        drop(black_box(vec![1u8; size]));
    }
    0
}
