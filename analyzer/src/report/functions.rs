//! A name for call sites that holds from build to build: the functions that they go through, without lines and
//! addresses.

use super::fingerprint::Fnv;
use super::frames::{Kind, Line, Stack};

/// The functions of a backtrace, the innermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Functions {
    /// 16 hex digits over them, and the file names of what they are part of.
    pub fingerprint: String,
    /// Each as `module!function`, or `file.py!function`; the same name never twice in a row.
    pub names: Vec<String>,
    /// Frames of the program whose names are not known: they count by build and address, so that such a call site is
    /// the same in runs of one build alone.
    pub nameless: usize,
}

impl Functions {
    /// Of a site whose backtrace is `stack`.
    pub(super) fn of(stack: &Stack) -> Functions {
        let told = |line: &&Line| line.kind != Kind::Runtime;
        let mut lines: Vec<&Line> = stack.lines.iter().filter(told).collect();
        if lines.is_empty() {
            lines = stack.lines.iter().collect();
        }
        let nameless = lines.iter().filter(|line| line.is_nameless()).count();
        let mut names: Vec<String> = lines.iter().map(|line| lasting(&line.whole)).collect();
        names.dedup();
        let mut hash = Fnv::new();
        for name in &names {
            hash.add(name.as_bytes());
            hash.add(&[0]);
        }
        Functions {
            fingerprint: hash.hex(),
            names,
            nameless,
        }
    }

    /// How many functions both go through, in the same order.
    pub fn in_common(&self, other: &Functions) -> usize {
        let mut row = vec![0; other.names.len() + 1];
        for own in &self.names {
            let mut diagonal = 0;
            for (at, name) in other.names.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = match own == name {
                    true => diagonal + 1,
                    false => above.max(row[at]),
                };
                diagonal = above;
            }
        }
        row.last().copied().unwrap_or(0)
    }
}

/// The name without what compilers append to parts and copies of a function: `.constprop.0`, `.isra.0`, `.part.3`,
/// `.cold`, `.llvm.123`, `.lto_priv.0`.
fn lasting(name: &str) -> String {
    const COPIES: [&str; 6] = [
        ".constprop.",
        ".isra.",
        ".part.",
        ".cold",
        ".llvm.",
        ".lto_priv.",
    ];
    let cut = COPIES.iter().filter_map(|copy| name.find(copy)).min();
    name.get(..cut.unwrap_or(name.len()))
        .unwrap_or(name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(names: &[&str]) -> Functions {
        let line = |name: &&str| Line {
            name: (*name).into(),
            place: "server.c:7".into(),
            kind: Kind::Own,
            whole: format!("server!{name}"),
        };
        let stack = Stack {
            lines: names.iter().map(line).collect(),
            is_python: false,
        };
        Functions::of(&stack)
    }

    #[test]
    fn copies_and_recursion_are_one_function() {
        let plain = functions(&["keep", "walk", "main"]);
        assert_eq!(
            plain,
            functions(&["keep.constprop.0", "walk", "walk", "main"])
        );
        assert_ne!(plain.fingerprint, functions(&["keep", "main"]).fingerprint);
        // Written down, because it must not change: baselines name it.
        assert_eq!(plain.fingerprint, "7b87f00a5068fdc8");
    }

    #[test]
    fn likeness_counts_what_comes_in_the_same_order() {
        let before = functions(&["keep", "walk", "serve", "main"]);
        let after = functions(&["keep", "serve", "extra", "main"]);
        assert_eq!(before.in_common(&after), 3);
        assert_eq!(before.in_common(&functions(&["other"])), 0);
    }
}
