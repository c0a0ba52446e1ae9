//! Runs the cases of `conformance/` that are named, or all of them, and prints a table.
//! `conformance --packages` prints the Debian packages that they need.

use std::process::ExitCode;
use std::time::Instant;

use leak_tests::conformance::Case;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let mut cases = Case::all();
    if names.first().is_some_and(|name| name == "--packages") {
        for case in &cases {
            case.head("packages")
                .for_each(|packages| println!("{packages}"));
        }
        return ExitCode::SUCCESS;
    }
    cases.retain(|case| names.is_empty() || names.contains(&case.name));
    let mut failed = 0;
    println!(
        "{:<16}{:>8}{:>13}{:>7}  agreement",
        "case", "images", "allocations", "s"
    );
    for case in &cases {
        let start = Instant::now();
        let result = case.check();
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(found) => {
                let said = match (found.uncounted, found.differences.len()) {
                    (0, 0) => "same output, status and count".to_string(),
                    (uncounted, differ) => {
                        format!(
                            "same output and status; {uncounted} images not counted, {differ} differ"
                        )
                    }
                };
                let (images, allocations) = (found.images, found.allocations);
                println!(
                    "{:<16}{images:>8}{allocations:>13}{seconds:>7}  {said}",
                    case.name
                );
            }
            Err(why) => {
                failed += 1;
                println!(
                    "{:<16}{:>8}{:>13}{seconds:>7}  FAILED\n{why}",
                    case.name, "", ""
                );
            }
        }
    }
    println!("{} programs, {failed} failed", cases.len());
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
