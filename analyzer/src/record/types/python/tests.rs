//! Every interpreter that is installed, asked for objects and read from outside.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::*;

/// Prints `PyType_Type`, the version, and for each object its block, size and type; then waits.
const SCRIPT: &str = r#"
import collections, sys
class Plain: pass
class Outer:
    class Inner: __slots__ = ("a",)
class Words(dict): pass
class Pair(tuple): pass
class Text(str): pass
class Meta(type): pass
class Made(metaclass=Meta): pass
class Été: pass
def moved(): pass
Moved = type("Moved", (), {"__module__": "city.traffic"})
def local():
    class Local: pass
    return Local()
def generate(): yield 1
error = ValueError("x")
plain = Plain(); plain.a = 1
inner = Outer.Inner(); inner.a = 2
objects = [plain, inner, Words(a=1), Pair([1, 2]), Text("t"), Made(), Made, Été(), Moved(), local(),
    moved, generate(), error, collections.deque(), collections.OrderedDict(), "text" * 3, "é" * 3,
    b"bytes" * 2, 1 << 200, 1.5, [1], {"a": 1}, {1, 2}, (1, moved), slice(1, 2), moved.__code__, memoryview(b"x"),
    object(), Plain, iter([1])]
version = sys.hexversion >> 16
pre = 1 << 4 if version == 0x30b else 1 << 3 | 1 << 4 if version > 0x30b else 0
print(id(type), sys.hexversion)
for o in objects:
    t = type(o)
    before = (16 if t.__flags__ & 1 << 14 else 0) + (16 if t.__flags__ & pre else 0)
    size = max(sys.getsizeof(o), before + 16)
    name = t.__qualname__ if t.__module__ == "builtins" else t.__module__ + "." + t.__qualname__
    print(id(o) - before, size, name)
print(flush=True)
sys.stdin.read()
"#;

fn interpreters() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let versions = home.map(|home| home.join(".pyenv/versions"));
    let found = versions.and_then(|versions| std::fs::read_dir(versions).ok());
    let found = found.into_iter().flatten().flatten();
    let found = found.map(|entry| entry.path().join("bin/python3"));
    found
        .chain([PathBuf::from("/usr/bin/python3")])
        .filter(|path| path.exists())
        .collect()
}

struct Running {
    child: Child,
    lines: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(path: &PathBuf, script: &str) -> Running {
    let mut child = Command::new(path)
        .args(["-I", "-c", script])
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.as_mut().unwrap().flush();
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = out.lines().map(Result::unwrap);
    let lines = lines.take_while(|line| !line.is_empty()).collect();
    Running { child, lines }
}

#[test]
fn objects_of_every_installed_interpreter() {
    let mut seen = 0;
    for path in interpreters() {
        let running = start(&path, SCRIPT);
        let numbers = |line: &str| -> Vec<u64> {
            let words = line.split(' ');
            words.filter_map(|word| word.parse().ok()).collect()
        };
        let head = numbers(&running.lines[0]);
        let Some(mut python) = Python::new(head[0], head[1] as u32, 0) else {
            assert!(!(0x0308..=0x030e).contains(&(head[1] >> 16)), "{path:?}");
            continue;
        };
        let memory = Memory::of(running.child.id()).unwrap();
        let rows = &running.lines[1..];
        let blocks: Vec<u64> = rows.iter().map(|row| numbers(row)[0]).collect();
        let heads = memory.words::<HEAD_WORDS>(&blocks).unwrap();
        let sizes = rows.iter().map(|row| numbers(row)[1]);
        let blocks: Vec<_> = sizes.zip(heads).collect();
        let types = python.types_of(&memory, &blocks).unwrap();
        for (row, found) in rows.iter().zip(&types) {
            let wanted = row.splitn(3, ' ').nth(2).unwrap();
            let found = found.map(|found| python.name(&memory, found).unwrap());
            assert_eq!(found.as_deref(), Some(wanted), "{path:?}: {row}");
        }
        // Nothing that is too small, dead, or no object has a type.
        let small: Vec<_> = blocks.iter().map(|(_, head)| (16, *head)).collect();
        let small = python.types_of(&memory, &small).unwrap();
        assert!(small.iter().flatten().count() <= 8, "{path:?}");
        let dead: Vec<_> = blocks
            .iter()
            .map(|(size, head)| (*size, [0, head[1], 0, head[3], 0, head[5]]))
            .collect();
        let dead = python.types_of(&memory, &dead).unwrap();
        assert_eq!(dead.iter().flatten().count(), 0, "{path:?}");
        seen += 1;
    }
    assert!(seen > 0, "no Python to ask");
}

/// Makes and frees lists, dicts and tuples, and prints where they were; then what only looks like a dead one.
const FREES: &str = r#"
import array, sys
kept = []
lines = []
for make, size in (lambda: [], 56), (lambda: {}, 64), (lambda: (kept, kept), 56):
    made = [make() for _ in range(40)]
    lines += [f"{id(o) - 16} {size + 8 * (type(o) is tuple and sys.hexversion >> 16 >= 0x30e)} {type(o).__name__}" for o in made]
    kept.append(made)
alike = [array.array("Q", [0, 0, id(int), id(t), 0, 0, 0]) for t in (list, dict, tuple)]
lines += [f"{o.buffer_info()[0]} {size} alike" for o in alike for size in (56, 64)]
text = "\n".join([f"{id(type)} {sys.hexversion}"] + lines) + "\n\n"
write, flush, read = sys.stdout.write, sys.stdout.flush, sys.stdin.read
made = make = o = None
while kept: kept.pop()
write(text)
flush()
read()
"#;

#[test]
fn objects_on_free_lists_are_told_from_living_ones() {
    for path in interpreters() {
        let running = start(&path, FREES);
        let row = |line: &String| -> (u64, u64, String) {
            let mut words = line.split(' ');
            let mut number = || words.next().and_then(|word| word.parse().ok());
            let (first, second) = (number().unwrap(), number().unwrap());
            (first, second, words.next().unwrap_or_default().to_owned())
        };
        let (type_type, version, _) = row(&running.lines[0]);
        let Some(mut python) = Python::new(type_type, version as u32, 0) else {
            continue;
        };
        let memory = Memory::of(running.child.id()).unwrap();
        let rows: Vec<_> = running.lines[1..].iter().map(row).collect();
        let at: Vec<u64> = rows.iter().map(|row| row.0).collect();
        let heads = memory.words::<HEAD_WORDS>(&at).unwrap();
        let sizes = rows.iter().map(|row| row.1);
        let blocks: Vec<_> = sizes.zip(heads).collect();
        let living = python.types_of(&memory, &blocks).unwrap();
        let dead = python.dead(&memory, &blocks, &living).unwrap();
        let mut counts = [0; 3];
        for ((_, _, of_type), dead) in rows.iter().zip(dead) {
            let name = dead.map(|dead| python.name(&memory, dead).unwrap());
            assert!(
                name.is_none_or(|name| name == *of_type),
                "{path:?}: {of_type}"
            );
            let kinds = ["list", "dict", "tuple"];
            if let Some(kind) = kinds.iter().position(|kind| kind == of_type) {
                counts[kind] += u64::from(dead.is_some());
            }
        }
        // A few were used again, or found a full list.
        assert!(
            counts.iter().all(|count| *count >= 30),
            "{path:?}: {counts:?}"
        );
    }
}

/// Objects of two classes, one of which says that code of another module takes them apart; every other one is dead, as
/// on a free list of that module's.
const KEPT: &str = r#"
import ctypes, sys
class Lent: __slots__ = ()
class Own: __slots__ = ()
word = ctypes.c_uint64
kept = [of() for _ in range(20) for of in (Lent, Own)]
elsewhere = ctypes.create_string_buffer(64)
word.from_address(id(Lent) + 48).value = ctypes.addressof(elsewhere)
lines = [f"{id(type)} {sys.hexversion}"]
before = [16 if of.__flags__ & 1 << 14 else 0 for of in (Lent, Own)]
lines += [f"{id(o) - before[number % 2]} {number // 2 % 2} {16 + before[number % 2]} {type(o).__name__}" for number, o in enumerate(kept)]
for number, at in enumerate([id(o) for o in kept]):
    if number // 2 % 2:
        word.from_address(at).value = 0
        # The collector has let go of it.
        if before[number % 2]: word.from_address(at - 16).value = 0
print("\n".join(lines) + "\n", flush=True)
sys.stdin.read()
"#;

/// Where each file is mapped in a process.
fn modules_of(pid: u32) -> Vec<(u64, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut modules: Vec<(String, (u64, u64))> = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (start, end) = words.next().unwrap().split_once('-').unwrap();
        let [start, end] = [start, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let path = words.nth(4).unwrap_or_default();
        match modules.last_mut() {
            Some((last, range)) if last == path => range.1 = end,
            // A program's last data lie behind its file's.
            Some((last, range)) if path.is_empty() && range.1 == start && last.starts_with('/') => {
                range.1 = end;
            }
            _ => modules.push((path.to_owned(), (start, end))),
        }
    }
    let files = modules
        .into_iter()
        .filter(|(path, _)| path.starts_with('/'));
    files.map(|(_, range)| range).collect()
}

#[test]
fn dead_objects_that_a_library_keeps_are_told() {
    for path in interpreters() {
        let running = start(&path, KEPT);
        let numbers = |line: &String| -> Vec<u64> {
            let words = line.split(' ');
            words.filter_map(|word| word.parse().ok()).collect()
        };
        let head = numbers(&running.lines[0]);
        let Some(mut python) = Python::new(head[0], head[1] as u32, 0) else {
            continue;
        };
        let memory = Memory::of(running.child.id()).unwrap();
        let rows = &running.lines[1..];
        let at: Vec<u64> = rows.iter().map(|row| numbers(row)[0]).collect();
        let heads = memory.words::<HEAD_WORDS>(&at).unwrap();
        let sizes = rows.iter().map(|row| numbers(row)[2]);
        let blocks: Vec<_> = sizes.zip(heads).collect();
        let dead_of = |python: &mut Python| -> Vec<Option<String>> {
            let living = python.types_of(&memory, &blocks).unwrap();
            let dead = python.dead(&memory, &blocks, &living).unwrap();
            let name = |dead: Option<u64>| Some(python.name(&memory, dead?).unwrap());
            dead.into_iter().map(name).collect()
        };
        // Where nobody knows whose code takes them apart, nothing is told.
        assert!(dead_of(&mut python).iter().all(Option::is_none), "{path:?}");
        python.lies_in(&modules_of(running.child.id()));
        for (row, found) in rows.iter().zip(dead_of(&mut python)) {
            let is_dead = numbers(row)[1] == 1;
            let wanted = (is_dead && row.ends_with("Lent")).then_some("__main__.Lent");
            assert_eq!(found.as_deref(), wanted, "{path:?}: {row}");
        }
    }
}

/// Fills caches, and prints their functions, what is in their entries alone, and what is not.
const CACHES: &str = r#"
import collections, functools, sys
class Plain: pass
class Base: __slots__ = ("text", "__weakref__")
class Slotted(Base): __slots__ = ("more",)
ring, endless = collections.deque(maxlen=200), collections.deque()
@functools.lru_cache(maxsize=100)
def tuples(name, number): return ("result of " + name, number * 1.5, name)
@functools.lru_cache(maxsize=100)
def dicts(name): return {"key " + name: ["item " + name]}
@functools.lru_cache(maxsize=100)
def plain(name):
    made = Plain()
    made.text = "text " + name
    return made
@functools.lru_cache(maxsize=100)
def slotted(name):
    made = Slotted()
    made.text = "slot " + name
    made.more = {"kept": [name + "..."]}
    return made
@functools.lru_cache(maxsize=None)
def every(name): return [name]
@functools.lru_cache(maxsize=3)
def last(name): return [name]
pre = 1 << 4 if sys.hexversion >> 16 == 0x30b else 1 << 3 | 1 << 4 if sys.hexversion >> 16 > 0x30b else 0
def block(o):
    flags = type(o).__flags__
    return id(o) - (16 if flags & 1 << 14 else 0) - (16 if flags & pre else 0)
def parts(o):
    yield block(o)
    if isinstance(o, dict):
        for pair in o.items():
            for part in pair: yield from parts(part)
    elif isinstance(o, (tuple, list)):
        for part in o: yield from parts(part)
    elif isinstance(o, Plain): yield block(o.text)
    elif isinstance(o, Base):
        yield from parts(o.text)
        yield from parts(o.more["kept"])
lines = [f"{id(type)} {sys.hexversion}"]
lines += [f"function {id(f)}" for f in (tuples, dicts, plain, slotted, every, last, len, ring, endless)]
lines += [f"deque {id(o)}" for o in (endless, ring)]
kept = []
for number in range(50):
    name = f"number {number}"
    for result in tuples(name, number + 1000.5), dicts(name + "!"), plain(name + "?"), slotted(name + "_"):
        if number % 10:
            lines += [f"alone {at}" for at in parts(result)]
        else:
            lines.append(f"shared {block(result)}")
            kept.append(result)
    lines.append(f"shared {block(every(name + 'e'))}")
    last(name + "l")
lines += [f"alone {block(last(f'number {number}l'))}" for number in (47, 48, 49)]
for number in range(170):
    ring.append(["ring " + str(number)])
    endless.append(["endless " + str(number)])
for _ in range(40): ring.popleft()
for o in ring: lines += [f"alone {at}" for at in parts(o)]
for o in endless: lines.append(f"shared {block(o)}")
result = name = o = None
print("\n".join(lines) + "\n", flush=True)
sys.stdin.read()
"#;

#[test]
fn entries_of_caches_are_theirs_alone() {
    for path in interpreters() {
        let running = start(&path, CACHES);
        let row = |line: &String| -> (String, u64) {
            let (word, number) = line.split_once(' ').unwrap();
            (word.to_owned(), number.parse().unwrap_or(0))
        };
        let (type_type, version) = row(&running.lines[0]);
        let type_type: u64 = type_type.parse().unwrap();
        let Some(mut python) = Python::new(type_type, version as u32, 0) else {
            continue;
        };
        let memory = Memory::of(running.child.id()).unwrap();
        let rows: Vec<_> = running.lines[1..].iter().map(row).collect();
        let of = |word: &str| -> Vec<u64> {
            let found = rows.iter().filter(|row| row.0 == word);
            found.map(|row| row.1).collect()
        };
        let deques = of("deque");
        let (bounded, items) = python.deques(&memory, &deques).unwrap();
        assert_eq!(bounded, deques[1..], "{path:?}");
        // 170 items, and 130 that are left behind 40: their blocks have room for 64 each, and begin in the middle.
        assert_eq!(items.len(), 4 + 3, "{path:?}");
        let mut wrappers: FxHashSet<u64> = of("function").into_iter().collect();
        let mut caches = python
            .caches(&memory, &mut wrappers, &[], usize::MAX)
            .unwrap();
        // Not `every`, which has no size, `len`, and `endless`.
        assert_eq!(wrappers.len(), 6, "{path:?}");
        caches.sort_by_key(|cache| std::cmp::Reverse(cache.most));
        let figures: Vec<_> = caches
            .iter()
            .map(|cache| (cache.most, cache.entries.len() - 1))
            .collect();
        assert_eq!(
            figures,
            [
                (200, 129),
                (100, 50),
                (100, 50),
                (100, 50),
                (100, 50),
                (3, 3)
            ],
            "{path:?}"
        );
        // From any of its links a cache is found as well.
        let last = caches[5].entries.iter().map(|entry| entry[0]).next_back();
        let links: Vec<u64> = last.into_iter().collect();
        let again = python.caches(&memory, &mut FxHashSet::default(), &links, usize::MAX);
        assert_eq!(again.unwrap(), caches[5..], "{path:?}");
        let entries = caches.iter().flat_map(|cache| &cache.entries);
        let found: FxHashSet<u64> = entries.flatten().copied().collect();
        let missed = of("alone").into_iter().filter(|at| !found.contains(at));
        assert_eq!(missed.count(), 0, "{path:?} of {}", of("alone").len());
        let wrong = of("shared").into_iter().filter(|at| found.contains(at));
        assert_eq!(wrong.count(), 0, "{path:?}");
    }
}

#[test]
fn unknown_versions_are_left_alone() {
    assert!(Python::new(8, 0x0307_0000, 0).is_none());
    assert!(Python::new(8, 0x030f_0000, 0).is_none());
    assert!(Python::new(8, 0x0208_0000, 0).is_none());
}
