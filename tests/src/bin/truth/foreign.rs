//! The servers in other languages, which `truth/servers/SHAPES.txt` lists.

use std::fs;

use crate::build;
use crate::endpoint::Family;
use crate::shape::{Shape, servers};

/// All that are listed: `name | command | environment | Debian packages | how it works`.
pub(crate) fn all() -> Vec<Shape> {
    let text = fs::read_to_string(servers().join("SHAPES.txt")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(shape).collect()
}

fn shape(line: &str) -> Option<Shape> {
    let mut fields = line.split('|').map(str::trim);
    let mut field = || fields.next();
    let (name, command, environment, packages) = (field()?, field()?, field()?, field()?);
    let what = field().unwrap_or_default();
    let family = match packages.contains("python3") {
        true => Family::Python,
        false => Family::Managed,
    };
    let words = command.split_whitespace().map(placed).collect();
    Some(Shape {
        environment: environment
            .split_whitespace()
            .filter_map(variable)
            .collect(),
        needs: packages.split_whitespace().map(str::to_owned).collect(),
        bounded: !command.contains("--max-requests"),
        // A task after the answer has milliseconds to go when the signal comes.
        cut_off: if name.ends_with("-background") { 32 } else { 1 },
        ..Shape::line(name, words, family, what)
    })
}

fn variable(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((name.to_owned(), placed(value)))
}

/// `{port}` stays: it is another one each time.
fn placed(word: &str) -> String {
    let binaries = build::python_environment().join("bin");
    word.replace("{dir}", &servers().display().to_string())
        .replace("{python}", &binaries.join("python").display().to_string())
        .replace("{bin}", &binaries.display().to_string())
}
