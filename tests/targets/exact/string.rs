// live at exit: 2 blocks, 1005 bytes
#![no_main] // so that the runtime, whose own blocks change from version to version, takes no part
use std::hint::black_box;

#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    let mut text = String::new();
    for _ in 0..1000 {
        text.push_str("x");
    }
    black_box(text.into_boxed_str().leak_str());
    black_box(Box::leak(String::from("hello").into_boxed_str()));
    for number in 0..1000 {
        drop(black_box(format!("{number} and some more text {}", number * 2)));
    }
    0
}

trait LeakStr {
    fn leak_str(self) -> &'static mut str;
}

impl LeakStr for Box<str> {
    fn leak_str(self) -> &'static mut str {
        Box::leak(self)
    }
}
