// live at exit: 12 blocks, 4240 bytes (10 of 8 bytes, a page aligned to itself, 64 bytes aligned to 64)
#![no_main] // so that the runtime, whose own blocks change from version to version, takes no part
use std::hint::black_box;

#[repr(align(4096))]
struct Page([u8; 4096]);
#[repr(align(64))]
struct Line([u8; 64]);

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    for number in 0..10u64 {
        black_box(Box::leak(Box::new(number)));
        drop(black_box(Box::new([number; 20])));
    }
    black_box(Box::leak(Box::new(Page([1; 4096]))).0[0]);
    black_box(Box::leak(Box::new(Line([1; 64]))).0[0]);
    drop(black_box(Box::new(Page([2; 4096]))));
    0
}
