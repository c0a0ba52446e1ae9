//! Brings mimalloc in the executable, as Rust programs do: 100 blocks of 1000 bytes stay.

use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps blocks of its own size, and frees as many of another.
#[inline(never)]
fn keep_a_thousand_bytes() {
    for number in 0..100_u8 {
        std::mem::forget(black_box(vec![number; 1000]));
        drop(black_box(vec![number; 5000]));
    }
}

fn main() {
    let mut grown = Vec::new();
    for number in 0..1_000_000_u32 {
        grown.push(black_box(number));
    }
    std::thread::spawn(keep_a_thousand_bytes)
        .join()
        .expect("it does not panic");
}
