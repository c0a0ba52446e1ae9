//! The documents: what they name is there, where their links lead, and what they say of settings and thresholds is
//! what the code says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leak_tests::artifacts;
use leak_tests::report::leak_analyze;

/// So much is read at a first visit.
const README_LINES: usize = 120;
/// Variables that nobody sets: what a session leaves for its children, and what tests of libleak itself ask for.
const INNER: [&str; 3] = ["LEAK_SESSION", "LEAK_DEBUG_UNWIND", "LEAK_FUZZ"];

fn root() -> PathBuf {
    artifacts::source("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below `folder` whose names end with `ending`, as paths from the root.
fn files(folder: &str, ending: &str, found: &mut Vec<String>) {
    let entries =
        fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match folder {
            "" => name.clone(),
            _ => format!("{folder}/{name}"),
        };
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true if name == "target" || name == ".git" => {}
            true => files(&path, ending, found),
            false if name.ends_with(ending) => found.push(path),
            false => {}
        }
    }
}

fn documents() -> Vec<String> {
    let mut found = Vec::new();
    files("", ".md", &mut found);
    found
}

/// A document without its blocks of code, which no forge looks into for links and headings.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a document's links lead, but those to other hosts.
fn links(text: &str) -> Vec<String> {
    let parts = text.split("](").skip(1);
    let links = parts.filter_map(|rest| rest.split(')').next());
    links
        .filter(|link| !link.contains("://"))
        .map(str::to_owned)
        .collect()
}

/// Paths of the repository in a document's code marks.
fn marked_paths(text: &str) -> Vec<String> {
    const ROOMS: [&str; 6] = [
        "preload/",
        "analyzer/",
        "tests/",
        "scripts/",
        "docs/",
        ".ci/",
    ];
    let marked = text.split('`').skip(1).step_by(2);
    marked
        .filter(|word| ROOMS.iter().any(|room| word.starts_with(room)))
        .filter(|word| !word.contains([' ', '*', '{', '\n']))
        .map(str::to_owned)
        .collect()
}

/// The anchors of a document's headings, as forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let of = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars();
        let kept = kept.filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    };
    headings.map(of).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for document in documents() {
        let text = prose(&read(&document));
        let folder = Path::new(&document).parent().expect("a path of a file");
        for link in links(&text) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                _ => folder.join(path).to_string_lossy().into_owned(),
            };
            assert!(root().join(&target).exists(), "{document} links {link}");
            if !anchor.is_empty() {
                let there = anchors(&prose(&read(&target)));
                assert!(there.contains(anchor), "{document} links {link}: {there:?}");
            }
            seen += 1;
        }
    }
    assert!(seen > 90, "{seen} links");
}

#[test]
fn what_documents_name_is_there() {
    let mut seen = 0;
    for document in documents() {
        // What it was is told there, too.
        if document == "CHANGELOG.md" {
            continue;
        }
        for path in marked_paths(&prose(&read(&document))) {
            assert!(root().join(&path).exists(), "{document} names {path}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen} paths");
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let readme = read("README.md");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines");
    let linked = links(&readme);
    for page in documents().iter().filter(|path| path.starts_with("docs/")) {
        assert!(linked.contains(page), "README.md doesn't link {page}");
    }
}

/// The first cells of a document's table rows that begin with a code mark: the marked words in each, and the row.
fn rows(text: &str) -> Vec<(Vec<&str>, &str)> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let first = row.split('|').nth(1).unwrap_or_default();
        (first.split('`').skip(1).step_by(2).collect(), row)
    })
    .collect()
}

/// The words of `text` that begin with `start`, and go on with letters that `goes_on`.
fn words(text: &str, start: &str, goes_on: impl Fn(char) -> bool) -> BTreeSet<String> {
    let found = text.match_indices(start).filter_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        let word = text.get(at..)?;
        let end = word.find(|letter| !goes_on(letter)).unwrap_or(word.len());
        let is_whole = !before.is_some_and(&goes_on) && end > start.len();
        is_whole.then(|| word.get(..end).unwrap_or_default().to_owned())
    });
    found.collect()
}

fn variables(text: &str) -> BTreeSet<String> {
    words(text, "LEAK_", |letter| {
        letter.is_ascii_uppercase() || letter == '_'
    })
}

/// The variables that the shipped code asks for.
fn variables_of_the_code() -> BTreeSet<String> {
    let mut sources = Vec::new();
    for folder in ["preload/src", "preload/wire/src", "analyzer/src"] {
        files(folder, ".rs", &mut sources);
    }
    let literals = sources.iter().flat_map(|path| {
        let text = read(path);
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let literal = shipped.split('"').skip(1).step_by(2);
        let whole = literal.filter(|text| variables(text).contains(text.trim_end_matches('=')));
        whole
            .map(|text| text.trim_end_matches('=').to_owned())
            .collect::<Vec<_>>()
    });
    literals.collect()
}

#[test]
fn settings_are_all_there() {
    let settings = read("docs/settings.md");
    let table: BTreeSet<String> = rows(&settings)
        .iter()
        .flat_map(|(marked, _)| marked.iter().map(|word| (*word).to_owned()))
        .filter(|word| word.starts_with("LEAK_"))
        .collect();
    let mut known = variables_of_the_code();
    known.retain(|name| !INNER.contains(&name.as_str()));
    assert_eq!(table, known);

    let thresholds = variables(&read("docs/verdicts.md"));
    for page in documents().iter().filter(|path| path.starts_with("docs/")) {
        for variable in variables(&read(page)) {
            let is_known = known.contains(&variable) || thresholds.contains(&variable);
            let is_known = is_known || INNER.contains(&variable.as_str());
            assert!(is_known, "{page} names {variable}");
        }
    }
}

/// What `leak-analyze` says to these arguments.
fn help(arguments: &[&str]) -> String {
    let output = leak_analyze(arguments);
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// An option's paragraph in a help: from its line to the next one's.
fn options(help: &str) -> Vec<String> {
    let options = help.split("Options:\n").nth(1).expect("options");
    let mut paragraphs: Vec<String> = Vec::new();
    for line in options.lines() {
        match line.trim_start().starts_with('-')
            && line.starts_with("  ")
            && !line.starts_with("          ")
        {
            true => paragraphs.push(line.to_owned()),
            false => paragraphs
                .last_mut()
                .expect("an option")
                .push_str(&format!("\n{line}")),
        }
    }
    paragraphs
}

fn flags(text: &str) -> BTreeSet<String> {
    let found = words(text, "--", |letter| {
        letter.is_ascii_lowercase() || letter == '-'
    });
    let is_named = |flag: &String| !flag.trim_start_matches('-').is_empty();
    found.into_iter().filter(is_named).collect()
}

#[test]
fn options_are_all_there() {
    options_are_in("docs/settings.md", &[&["--help"], &["run", "--help"]]);
    options_are_in("docs/diff.md", &[&["diff", "--help"]]);
    options_are_in("docs/watch.md", &[&["watch", "--help"]]);
    options_are_in("docs/exports.md", &[&["requests", "--help"]]);
}

/// The tables of a page have the options of these commands, and no others.
fn options_are_in(page: &str, commands: &[&[&str]]) {
    let settings = read(page);
    let mut documented = BTreeSet::new();
    for paragraph in commands.iter().flat_map(|command| options(&help(command))) {
        let line = paragraph.lines().next().unwrap_or_default();
        let flag = flags(line).pop_first().expect("a long option");
        let row = settings.lines().find(|row| {
            row.starts_with('|') && row.split('`').skip(1).step_by(2).any(|word| word == flag)
        });
        let row = row.unwrap_or_else(|| panic!("{page} has no {flag}"));
        let values = paragraph
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("- "));
        for value in values.filter_map(|value| value.split(':').next()) {
            assert!(
                row.contains(&format!("`{value}`")),
                "{flag} takes {value}: {row}"
            );
        }
        if let Some(variable) = variables(&paragraph).first() {
            assert!(
                row.contains(&format!("`{variable}`")),
                "{flag} is {variable}: {row}"
            );
        }
        documented.insert(flag);
    }
    // The tables of options alone.
    let tables = settings
        .lines()
        .filter(|line| line.starts_with("| `-") || line.starts_with("| `LEAK_"));
    let named: BTreeSet<String> = tables.flat_map(flags).collect();
    let unknown: Vec<_> = named.difference(&documented).collect();
    assert!(unknown.is_empty(), "{page} has {unknown:?}");
}

#[test]
fn thresholds_are_those_of_the_code() {
    let files = ["growing", "survival", "survival/mature"];
    let code = files.map(|file| read(&format!("analyzer/src/verdict/{file}.rs")));
    let code = code.concat();
    let page = read("docs/verdicts.md");
    let constants = rows(&page);
    let constants = constants.iter().filter_map(|(marked, row)| {
        let [name] = marked[..] else { return None };
        let is_constant = name
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || letter == '_');
        is_constant.then_some((name, row.split('|').nth(2)?.trim()))
    });
    let mut seen = 0;
    for (name, value) in constants {
        let declared = code
            .lines()
            .find(|line| line.contains(&format!("const {name}: ")));
        let declared = declared.unwrap_or_else(|| panic!("no constant {name}"));
        assert!(
            declared.ends_with(&format!("= {value};")),
            "{name} is {value}: {declared}"
        );
        seen += 1;
    }
    assert_eq!(seen, 17);
}
