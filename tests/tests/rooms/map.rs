//! What ARCHITECTURE.md says of rooms, of arrows that go up, and of circles.

use std::collections::BTreeSet;

/// A row of the table of rooms.
pub(crate) struct Room {
    pub(crate) name: String,
    /// Folders (`a/`), and files with the folders of their own (`a.rs` and `a/`).
    paths: Vec<String>,
    /// The rooms that it uses.
    pub(crate) uses: BTreeSet<String>,
}

/// The rooms from the bottom up.
pub(crate) struct Map {
    pub(crate) rooms: Vec<Room>,
    text: String,
}

impl Map {
    pub(crate) fn read(text: String) -> Map {
        let rows = table(&text, "| room | where |");
        let rooms = rows.iter().map(|row| {
            let [name, places, _, uses] = row.split('|').map(str::trim).collect::<Vec<_>>()[1..5]
            else {
                panic!("a row has four cells: {row}");
            };
            let uses = uses.split(',').map(str::trim);
            Room {
                name: name.to_owned(),
                paths: marked(places),
                uses: uses
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect(),
            }
        });
        Map {
            rooms: rooms.collect(),
            text,
        }
    }

    /// The place of the room that a file is in: that of the longest path that leads to it.
    pub(crate) fn room(&self, file: &str) -> usize {
        let owning = self.rooms.iter().enumerate().flat_map(|(place, room)| {
            let paths = room.paths.iter().filter(|path| owns(path, file));
            paths.map(move |path| (path.len(), place))
        });
        let longest = owning.max();
        longest
            .unwrap_or_else(|| panic!("{file} is in no room of ARCHITECTURE.md"))
            .1
    }

    /// The arrows from file to file that are listed as going up.
    pub(crate) fn upward(&self) -> BTreeSet<(String, String)> {
        let rows = table(&self.text, "| file | uses |");
        let pairs = rows.iter().map(|row| match &marked(row)[..] {
            [from, to, ..] => (from.clone(), to.clone()),
            _ => panic!("a row names two files: {row}"),
        });
        pairs.collect()
    }

    /// The circles that are listed, each as its files.
    pub(crate) fn circles(&self) -> BTreeSet<Vec<String>> {
        let rows = table(&self.text, "| files | of | the circle |");
        let circles = rows.iter().map(|row| {
            let marks = marked(row);
            let (folder, files) = marks.split_first().expect("a folder");
            let mut files: Vec<String> = files
                .iter()
                .map(|file| format!("{folder}{file}.rs"))
                .collect();
            files.sort();
            let number = row
                .split('|')
                .nth(1)
                .and_then(|cell| cell.trim().parse().ok());
            assert_eq!(number, Some(files.len()), "{row}");
            files
        });
        circles.collect()
    }
}

/// The rows of the table with this head.
fn table<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    let lines = text.lines().skip_while(|line| !line.starts_with(head));
    let rows: Vec<&str> = lines
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(!rows.is_empty(), "ARCHITECTURE.md has no table {head}");
    rows
}

/// What stands in code marks.
fn marked(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn owns(path: &str, file: &str) -> bool {
    let inner = match path.strip_suffix(".rs") {
        Some(module) => file
            .strip_prefix(module)
            .is_some_and(|rest| rest.starts_with('/')),
        None => file.starts_with(path),
    };
    inner || path == file
}
