//! How much of its caller's stack each function of a library can take, by its machine code: whatever way a call may
//! go, seldom ones (a full lane, a recorder that is gone) included. Calls through pointers are not followed: the C
//! library's, and those that leave the stack.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// The functions of a library.
pub struct Frames {
    functions: HashMap<u64, Function>,
}

struct Function {
    name: String,
    /// Bytes below its return address, where it is deepest.
    own: u64,
    /// So deep it is when it calls, or jumps to, the function at that address.
    calls: Vec<(u64, u64)>,
}

/// A way through functions, outermost first, and what it takes.
pub type Way = (u64, Vec<String>);

const WORD: u64 = 8;

impl Frames {
    /// Those of the library at `path`.
    pub fn of(path: &Path) -> Frames {
        let mut functions = HashMap::new();
        let text = objdump(path);
        for part in text.split("\n\n") {
            let mut lines = part.lines().skip_while(|line| !line.ends_with(">:"));
            let Some((start, name)) = lines.next().and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let name = name.trim_end_matches(">:").trim_start_matches('<');
            let code: Vec<_> = lines.filter_map(instruction).collect();
            let start = u64::from_str_radix(start, 16).expect("an address");
            functions.insert(start, Function::of(name, &code));
        }
        Frames { functions }
    }

    /// What the function at the address `start` takes at most, its return address included, and by which way. Functions
    /// for which `is_left_out` says so are not followed.
    pub fn deepest(&self, start: u64, is_left_out: impl Fn(&str) -> bool) -> Way {
        let (bytes, way) = self.walk(start, &is_left_out, &mut HashMap::new());
        assert!(!way.is_empty(), "there is a function at {start:#x}");
        (bytes + WORD, way)
    }

    fn walk(
        &self,
        at: u64,
        is_left_out: &impl Fn(&str) -> bool,
        known: &mut HashMap<u64, Way>,
    ) -> Way {
        if let Some(way) = known.get(&at) {
            return way.clone();
        }
        // A function that calls itself again is not followed: none here does so more than once.
        known.insert(at, (0, Vec::new()));
        let Some(function) = self
            .functions
            .get(&at)
            .filter(|found| !is_left_out(&found.name))
        else {
            return (0, Vec::new());
        };
        let name = |bytes: u64| format!("{} ({bytes})", function.name);
        let mut deepest = (function.own, vec![name(function.own)]);
        for (depth, to) in &function.calls {
            let (bytes, way) = self.walk(*to, is_left_out, known);
            if depth + bytes > deepest.0 {
                deepest = (depth + bytes, [vec![name(*depth)], way].concat());
            }
        }
        known.insert(at, deepest.clone());
        deepest
    }
}

fn objdump(path: &Path) -> String {
    let mut command = Command::new("objdump");
    command.args(["-d", "--no-show-raw-insn", "-M", "intel", "-C"]);
    let output = command.arg(path).output().expect("binutils are there");
    assert!(output.status.success(), "objdump: {}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `ADDRESS: INSTRUCTION`.
fn instruction(line: &str) -> Option<(u64, &str)> {
    let (address, text) = line.split_once(':')?;
    Some((u64::from_str_radix(address.trim(), 16).ok()?, text.trim()))
}

impl Function {
    fn of(name: &str, code: &[(u64, &str)]) -> Function {
        let places: HashMap<u64, usize> = code
            .iter()
            .enumerate()
            .map(|(index, (at, _))| (*at, index))
            .collect();
        let mut function = Function {
            name: name.to_owned(),
            own: 0,
            calls: Vec::new(),
        };
        // How deep the stack is in front of each instruction that was reached.
        let mut depths = vec![None; code.len()];
        let mut left = vec![(0, 0)];
        while let Some((index, depth)) = left.pop() {
            if depths.get(index).is_none_or(Option::is_some) {
                continue;
            }
            depths[index] = Some(depth);
            let (verb, rest) = code[index].1.split_once(' ').unwrap_or((code[index].1, ""));
            let after = depth_after(depth, verb, rest);
            function.own = function.own.max(after);
            let target = target(rest);
            match target.map(|target| (target, places.get(&target))) {
                Some((_, Some(place))) if verb.starts_with('j') => left.push((*place, after)),
                Some((target, _)) if verb == "call" => function.calls.push((after + WORD, target)),
                Some((target, None)) if verb.starts_with('j') => {
                    function.calls.push((after, target))
                }
                _ => {}
            }
            if !matches!(verb, "jmp" | "ret" | "ud2" | "hlt") {
                left.push((index + 1, after));
            }
        }
        function
    }
}

fn depth_after(depth: u64, verb: &str, rest: &str) -> u64 {
    let digits = rest.trim().strip_prefix("rsp,0x");
    let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match (verb, number) {
        ("push", _) => depth + WORD,
        ("pop", _) => depth.saturating_sub(WORD),
        // `add rsp, -128` takes the shorter instruction; its number is printed with 64 bits.
        ("sub", Some(bytes)) => depth.wrapping_add(bytes),
        ("add", Some(bytes)) => depth.wrapping_sub(bytes),
        _ => depth,
    }
}

/// Where a jump or a call with a fixed target goes.
fn target(rest: &str) -> Option<u64> {
    let (address, _) = rest.trim().split_once(" <")?;
    u64::from_str_radix(address, 16).ok()
}
