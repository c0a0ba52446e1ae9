//! The quick part of `scripts/conformance`: real programs say and end under libleak as they do without it,
//! and what it records of them agrees with an independent count.

use leak_tests::conformance::Case;

#[test]
fn quick_cases() {
    let cases = Case::all();
    let quick = cases.iter().filter(|case| case.is_quick());
    let failed: Vec<String> = quick
        .filter_map(|case| {
            let why = case.check().err()?;
            Some(format!("{}: {why}", case.name))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn there_are_thirty() {
    assert!(Case::all().len() >= 30);
}
