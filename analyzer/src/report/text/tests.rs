//! Reports as they are printed. `UPDATE_GOLDEN=1 cargo test -p leak-analyze` writes them anew.

use std::path::Path;

use unicode_width::UnicodeWidthStr;

use crate::report::example::{self, Example};
use crate::report::{Options, text};

fn assert_golden(name: &str, example: &Example, options: &Options) {
    let printed = example.print(options, text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/report/text/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(printed, expected, "{}", path.display());
}

#[test]
fn a_leaking_server() {
    assert_golden("leaking.txt", &example::leaking(), &Options::default());
}

#[test]
fn a_clean_server() {
    assert_golden("clean.txt", &example::clean(), &Options::default());
}

#[test]
fn a_program_without_requests() {
    assert_golden("plain.txt", &example::plain(), &Options::default());
}

#[test]
fn a_program_whose_tear_down_frees_what_it_made() {
    assert_golden("torn_down.txt", &example::torn_down(), &Options::default());
}

#[test]
fn every_line_fits_and_none_steers_the_terminal() {
    for width in [60, 80, 100, 200] {
        let options = Options {
            width,
            ..Options::default()
        };
        for example in [
            example::leaking(),
            example::clean(),
            example::plain(),
            example::torn_down(),
        ] {
            for line in example.print(&options, text).lines() {
                assert!(line.width() <= width, "{width}: {line}");
                assert!(!line.contains(char::is_control), "{line:?}");
                assert_eq!(line, line.trim_end());
            }
        }
    }
}

#[test]
fn colours_change_nothing_else() {
    let plain = example::leaking().print(&Options::default(), text);
    let options = Options {
        color: true,
        ..Options::default()
    };
    let colored = example::leaking().print(&options, text);
    assert!(colored.contains("\x1b["));
    let stripped = anstream::adapter::strip_str(&colored).to_string();
    assert_eq!(stripped, plain);
}

#[test]
fn what_is_left_out_is_said() {
    let options = Options {
        most_sites: 1,
        ..Options::default()
    };
    let printed = example::leaking().print(&options, text);
    assert!(
        printed.contains("… and 1 more call site: --sites 2 shows all"),
        "{printed}"
    );
}
