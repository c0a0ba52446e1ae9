// live at exit: 21 blocks, 2388 bytes (20 threads keep 105 bytes each, handed to the main thread; 288 of libc's for a cached stack)
#![no_main] // so that the runtime, whose own blocks change from version to version, takes no part
use std::hint::black_box;
use std::thread;

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    for number in 0..20u8 {
        let thread = thread::spawn(move || {
            drop(black_box(vec![number; 1000]));
            vec![number; 105]
        });
        let Ok(bytes) = thread.join() else { return 1 };
        black_box(bytes.leak());
    }
    0
}
