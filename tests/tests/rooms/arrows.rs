//! Which file uses which: paths in `use` lines and in code, and macros.
//!
//! A name that a module hands on (`pub use`) is that of the module in which it is at home, so that a facade is not what
//! its users need. A declaration (`mod`) is no use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::source::{Source, Token, length_of_group};

/// The crates whose files are looked at: the names that others know them by, and where they lie.
const CRATES: [(&str, &str); 4] = [
    ("leak_wire", "preload/wire/src"),
    ("leak_framer", "preload/framer/src"),
    ("leak", "preload/src"),
    ("leak_analyze", "analyzer/src"),
];

/// A module's path, its crate's name first.
type Module = Vec<String>;

/// Paths of files from the root, and those of the files that each uses.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// All of them.
pub(crate) fn arrows(root: &Path) -> Arrows {
    let mut tree = Tree::default();
    for (name, folder) in CRATES {
        tree.read(root, folder, &[name.to_owned()]);
    }
    tree.leave_tests_out();
    let modules: Vec<Module> = tree.files.keys().cloned().collect();
    for module in &modules {
        tree.note_macros(module);
        tree.hand_on(module);
    }
    let used = modules.iter().map(|module| {
        let own = &tree.files[module].path;
        let used = tree.used_by(module).into_iter();
        let files = used.map(|other| tree.files[&other].path.clone());
        (own.clone(), files.filter(|path| path != own).collect())
    });
    used.collect()
}

struct File {
    path: String,
    source: Source,
}

#[derive(Default)]
struct Tree {
    files: BTreeMap<Module, File>,
    /// What a module hands on: by name, the path of what it stands for.
    handed_on: BTreeMap<Module, BTreeMap<String, Module>>,
    /// The same without a name (`pub use x::*`).
    handed_on_whole: BTreeMap<Module, Vec<Module>>,
    /// The modules that define a macro, by its name.
    macros: BTreeMap<String, Vec<Module>>,
}

impl Tree {
    fn read(&mut self, root: &Path, folder: &str, module: &[String]) {
        let entries =
            fs::read_dir(root.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{folder}/{name}");
            let mut inner = module.to_vec();
            match name.strip_suffix(".rs") {
                Some("lib" | "mod") => {}
                Some(name) => inner.push(name.to_owned()),
                None if entry.path().is_dir() => {
                    inner.push(name);
                    self.read(root, &path, &inner);
                    continue;
                }
                None => continue,
            }
            let text =
                fs::read_to_string(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            let source = Source::of(&text);
            self.files.insert(inner, File { path, source });
        }
    }

    fn leave_tests_out(&mut self) {
        let modules = self.files.iter().flat_map(|(module, file)| {
            let tests = file.source.test_modules.iter();
            tests.map(|name| [&module[..], std::slice::from_ref(name)].concat())
        });
        let modules: Vec<Module> = modules.collect();
        let is_for_tests = |module: &Module| modules.iter().any(|tests| module.starts_with(tests));
        self.files.retain(|module, _| !is_for_tests(module));
    }

    fn note_macros(&mut self, module: &Module) {
        for words in self.files[module].source.tokens.windows(3) {
            if words[0] == "macro_rules" {
                let defining = self.macros.entry(words[2].clone()).or_default();
                defining.push(module.clone());
            }
        }
    }

    /// Takes the names that `module` hands on from its own tokens: of those at home below it, it uses none.
    fn hand_on(&mut self, module: &Module) {
        let tokens = std::mem::take(&mut self.files.get_mut(module).expect("a file").source.tokens);
        let mut kept = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let begin = match &tokens[at..] {
                [first, second, ..] if first == "pub" && second == "use" => Some(at + 2),
                [first, second, ..] if first == "pub" && second == "(" => {
                    let end = at + 1 + length_of_group(&tokens[at + 1..]);
                    (tokens.get(end).is_some_and(|token| token == "use")).then_some(end + 1)
                }
                _ => None,
            };
            let Some(begin) = begin else {
                kept.push(token.clone());
                at += 1;
                continue;
            };
            let end = begin
                + tokens[begin..]
                    .iter()
                    .take_while(|token| *token != ";")
                    .count();
            let mut all_below = true;
            for (name, path) in leaves(&tokens[begin..end]) {
                let Some(path) = self.absolute(module, &path) else {
                    all_below = false;
                    continue;
                };
                all_below &= path.starts_with(module);
                if name == "*" {
                    let whole = self.handed_on_whole.entry(module.clone()).or_default();
                    whole.push(path[..path.len() - 1].to_vec());
                } else {
                    let named = self.handed_on.entry(module.clone()).or_default();
                    named.insert(name, path);
                }
            }
            if !all_below {
                kept.extend_from_slice(&tokens[at..end]);
            }
            at = end;
        }
        self.files.get_mut(module).expect("a file").source.tokens = kept;
    }

    /// The modules whose items the tokens of `module` name.
    fn used_by(&self, module: &Module) -> BTreeSet<Module> {
        let tokens = &self.files[module].source.tokens;
        let mut used = BTreeSet::new();
        for (name, path) in self.handed_on.get(module).into_iter().flatten() {
            if names(tokens, name) {
                used.extend(self.home(path, 0));
            }
        }
        for (at, token) in tokens.iter().enumerate() {
            let is_inner = at > 0 && tokens[at - 1] == "::";
            match tokens.get(at + 1).map(String::as_str) {
                Some("::") if !is_inner => {
                    let end = at + length_of_tree(&tokens[at..]);
                    if tokens.get(end).is_some_and(|token| token == "!") {
                        used.extend(self.home_of_macro(module, &tokens[end - 1]));
                        continue;
                    }
                    for (_, path) in leaves(&tokens[at..end]) {
                        let absolute = self.absolute(module, &path);
                        used.extend(absolute.and_then(|path| self.home(&path, 0)));
                    }
                }
                Some("!") => used.extend(self.home_of_macro(module, token)),
                _ => {}
            }
        }
        used
    }

    /// A path as it is from its crate on; `None`: it is of a crate that is not looked at, or of the file itself.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        let begin = match first.as_str() {
            "crate" => module[..1].to_vec(),
            "self" => module.clone(),
            "super" => {
                let up = path.iter().take_while(|name| *name == "super").count();
                let begin = module.get(..module.len().checked_sub(up)?)?;
                return Some([begin, &path[up..]].concat());
            }
            name if CRATES.iter().any(|(known, _)| *known == name) => vec![name.to_owned()],
            name => {
                let child = [&module[..], &[name.to_owned()]].concat();
                if !self.files.contains_key(&child) {
                    return None;
                }
                child
            }
        };
        Some([&begin[..], rest].concat())
    }

    /// The module in which what `path` names is at home.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        // A name is handed on a few times at most.
        if depth > 8 {
            return None;
        }
        let known = (1..=path.len())
            .rev()
            .find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(known);
        let Some((name, inner)) = rest.split_first() else {
            return Some(module.to_vec());
        };
        let named = self.handed_on.get(module).and_then(|names| names.get(name));
        if let Some(target) = named
            && let Some(home) = self.home(&[&target[..], inner].concat(), depth + 1)
        {
            return Some(home);
        }
        let whole = self.handed_on_whole.get(module).into_iter().flatten();
        let declared = whole.into_iter().find(|target| self.declares(target, name));
        Some(declared.cloned().unwrap_or_else(|| module.to_vec()))
    }

    fn declares(&self, module: &Module, name: &str) -> bool {
        const KINDS: [&str; 8] = [
            "fn", "struct", "enum", "const", "static", "type", "trait", "union",
        ];
        let Some(file) = self.files.get(module) else {
            return false;
        };
        let mut pairs = file.source.tokens.windows(2);
        pairs.any(|pair| pair[1] == name && KINDS.contains(&pair[0].as_str()))
    }

    /// Where a macro of the crate is defined, unless `module` has one of that name itself.
    fn home_of_macro(&self, module: &Module, name: &str) -> Option<Module> {
        let mut defining = self.macros.get(name)?.iter();
        match self.macros[name].contains(module) {
            true => None,
            false => defining.find(|other| other[0] == module[0]).cloned(),
        }
    }
}

/// Whether `name` stands among the tokens by itself: no module's declaration, no field and no method.
fn names(tokens: &[Token], name: &str) -> bool {
    let mut places = (0..tokens.len()).filter(|at| tokens[*at] == name);
    places.any(|at| {
        let before = at.checked_sub(1).map_or("", |before| &tokens[before]);
        let after = tokens.get(at + 1).map_or("", |after| after);
        !["mod", "fn", ".", "::"].contains(&before) && after != ":"
    })
}

/// Tokens of a path, or of a tree of paths, that begin here.
fn length_of_tree(tokens: &[Token]) -> usize {
    let mut at = 1;
    while tokens.get(at).is_some_and(|token| token == "::") {
        at += 1;
        match tokens.get(at).map(String::as_str) {
            Some("{") => return at + length_of_group(&tokens[at..]),
            Some("<") | None => return at,
            Some(_) => at += 1,
        }
    }
    at
}

/// The paths of a tree such as `a::{b, c::d as e}`, and the names that they get.
fn leaves(tree: &[Token]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    gather(tree, &[], &mut found);
    found
}

fn gather(tree: &[Token], prefix: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while let Some(token) = tree.get(at) {
        match token.as_str() {
            "::" => {}
            "{" => {
                let end = at + length_of_group(&tree[at..]) - 1;
                for part in parts(&tree[at + 1..end]) {
                    gather(part, &path, found);
                }
                return;
            }
            "as" => break,
            "self" if !path.is_empty() => {}
            _ => path.push(token.clone()),
        }
        at += 1;
    }
    let name = match &tree[at..] {
        [_, name, ..] => name.clone(),
        _ => path.last().cloned().unwrap_or_default(),
    };
    found.push((name, path));
}

/// What commas divide that are in no brackets.
fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        match tokens[at].as_str() {
            "," => {
                parts.push(&tokens[begin..at]);
                at += 1;
                begin = at;
            }
            "{" => at += length_of_group(&tokens[at..]),
            _ => at += 1,
        }
    }
    parts.push(&tokens[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}
