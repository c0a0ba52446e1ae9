// live at exit: 4 blocks, 1504 bytes (four of the values)
#![no_main] // so that the runtime, whose own blocks change from version to version, takes no part
use std::collections::HashMap;
use std::hint::black_box;

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    let mut map = HashMap::new();
    for number in 0..1000usize {
        map.insert(number, vec![1u8; number + 1]);
    }
    for number in 0..1000 {
        if number % 250 == 0 {
            black_box(map.remove(&number).map(Vec::leak));
        }
    }
    0
}
