# packages: gcc libc6-dev
# output: s/in [0-9.]+s//
export CARGO_HOME="$HOME/cargo" RUSTUP_HOME="${RUSTUP_HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)/.rustup}" RUSTUP_TOOLCHAIN
RUSTUP_TOOLCHAIN=$(cd "$REPOSITORY" && rustup show active-toolchain 2>/dev/null | cut -d' ' -f1); [ "$RUSTUP_TOOLCHAIN" ] || unset RUSTUP_TOOLCHAIN
cargo init -q --vcs none --name small . 2>/dev/null
cat > src/main.rs <<'END'
use std::collections::BTreeMap;
fn main() {
    let map: BTreeMap<String, usize> = (0..1000).map(|i| (format!("{i:x}"), i)).collect();
    let threads: Vec<_> = (0..4).map(|n| std::thread::spawn(move || vec![n; 1000].iter().sum::<usize>())).collect();
    let sums: Vec<usize> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    println!("{:?} {sums:?}", map.iter().next_back());
    std::process::exit(4)
}
#[test]
fn holds() { assert_eq!(1 + 1, 2) }
END
cargo build --offline 2>&1; cargo run -q --offline; echo $?; cargo test -q --offline 2>&1; ls target/debug | sort
