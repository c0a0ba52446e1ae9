//! The documents: what they name is there.

use std::fs;
use std::path::PathBuf;

use leak_tests::artifacts;

fn root() -> PathBuf {
    artifacts::source("..")
}

/// Paths of the repository in a document's code marks, and where its links lead.
fn named(text: &str) -> Vec<String> {
    const ROOMS: [&str; 5] = ["preload/", "analyzer/", "tests/", "scripts/", ".ci/"];
    let marked = text.split('`').skip(1).step_by(2);
    let marked = marked
        .filter(|word| ROOMS.iter().any(|room| word.starts_with(room)))
        .filter(|word| !word.contains([' ', '*', '{', '\n']));
    let links = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    marked
        .chain(links)
        .map(|path| path.split('#').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn what_documents_name_is_there() {
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        let named = named(&text);
        assert!(named.len() > 5, "{document} names {named:?}");
        for path in named {
            assert!(root().join(&path).exists(), "{document} names {path}");
        }
    }
}
