//! What a program of `targets/exact` says of itself in its first lines.

use crate::compile::Source;

/// A number of blocks and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sum {
    /// Blocks.
    pub blocks: u64,
    /// Bytes, as the program asked.
    pub bytes: u64,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exit(i32),
    /// Of this signal.
    Signal(i32),
}

/// Live blocks of one program image at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its own.
    pub own: Sum,
    /// Those that it inherited by fork.
    pub inherited: Sum,
}

/// With which of valgrind's figures the program agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valgrind {
    /// All of its processes.
    All,
    /// The first process.
    First,
    /// None, the reason stands in the source.
    No,
}

/// All that a program states.
#[derive(Debug)]
pub struct Stated {
    /// `live at exit: N blocks, M bytes`: the images' own, in all.
    pub live: Sum,
    /// `process: N blocks, M bytes; inherited N blocks, M bytes`, in order of their start; `None` for `any`.
    pub images: Vec<Option<Image>>,
    /// `processes: N`, where they are not given one by one.
    pub processes: usize,
    /// `before exit: N blocks, M bytes` or `before exit: none`, of the images in order of their start; empty where
    /// it is not stated.
    pub before_exit: Vec<Option<Sum>>,
    /// `ends: exit N` or `ends: signal N`.
    pub end: End,
    /// `valgrind: first` or `valgrind: no, REASON`.
    pub valgrind: Valgrind,
}

impl Stated {
    /// Reads the head of `source`; panics where it states no sum.
    pub fn of(source: &Source) -> Stated {
        let first = source.text.lines().next().unwrap_or_default();
        let live = first
            .strip_prefix("// live at exit: ")
            .and_then(sum)
            .unwrap_or_else(|| panic!("{}: no sum in its first line", source.path.display()));
        let mut images: Vec<Option<Image>> = source.head("process").map(image).collect();
        if images.is_empty() {
            let inherited = Sum::default();
            images.push(Some(Image {
                own: live,
                inherited,
            }));
        }
        let processes = source.head("processes").next();
        let processes = processes.map_or(images.len(), |count| count.parse().expect("a number"));
        if processes > images.len() && source.head("process").next().is_none() {
            images.clear(); // stated as a whole
        }
        let valgrind = match source.head("valgrind").next() {
            None => Valgrind::All,
            Some(text) if text.starts_with("first") => Valgrind::First,
            Some(text) => {
                assert!(text.starts_with("no, "), "valgrind: {text}");
                Valgrind::No
            }
        };
        Stated {
            live,
            images,
            processes,
            before_exit: source.head("before exit").map(before_exit).collect(),
            end: source.head("ends").next().map_or(End::Exit(0), end),
            valgrind,
        }
    }
}

/// `N blocks, M bytes` at the start of `text`.
fn sum(text: &str) -> Option<Sum> {
    let (blocks, rest) = text.split_once(" block")?;
    let (_, rest) = rest.split_once(", ")?;
    let (bytes, _) = rest.split_once(" byte")?;
    Some(Sum {
        blocks: blocks.parse().ok()?,
        bytes: bytes.parse().ok()?,
    })
}

fn image(text: &str) -> Option<Image> {
    if text.starts_with("any") {
        return None;
    }
    let own = sum(text).unwrap_or_else(|| panic!("process: {text}"));
    let inherited = text.split_once("; inherited ");
    let inherited = inherited.map_or(Some(Sum::default()), |(_, rest)| sum(rest));
    let inherited = inherited.unwrap_or_else(|| panic!("process: {text}"));
    Some(Image { own, inherited })
}

fn before_exit(text: &str) -> Option<Sum> {
    if text.starts_with("none") {
        return None;
    }
    Some(sum(text).unwrap_or_else(|| panic!("before exit: {text}")))
}

fn end(text: &str) -> End {
    let (how, number) = text.split_once(' ').unwrap_or_default();
    match (how, number.parse()) {
        ("exit", Ok(number)) => End::Exit(number),
        ("signal", Ok(number)) => End::Signal(number),
        _ => panic!("ends: {text}"),
    }
}
