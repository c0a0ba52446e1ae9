//! `scripts/demo`, the first thing that somebody runs: it ends well, shows what it promises, and the page that its last
//! line names is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use leak_tests::artifacts;
use leak_tests::run::Place;

/// Where there is a cargo that has built everything: what other tests run now must not be replaced.
fn built(place: &Place) -> PathBuf {
    let folder = place.path("bin");
    fs::create_dir(&folder).expect("our directory");
    let cargo = folder.join("cargo");
    fs::write(&cargo, "#!/bin/sh\nexit 0\n").expect("our directory");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&cargo, executable).expect("our file");
    folder
}

#[test]
fn the_demo_shows_a_leak_its_repair_and_a_page() {
    let place = Place::new();
    let target = artifacts::directory();
    let target = target.parent().expect("a profile's directory");
    let mut command = place.plain(artifacts::source("../scripts/demo"));
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("CARGO_TARGET_DIR", target)
        .env("PATH", format!("{}:{path}", built(&place).display()));
    let ended = place.run(command);
    let out = String::from_utf8_lossy(&ended.out).into_owned();
    assert!(ended.status.success(), "{out}\n{}", ended.err);
    let (found, fixed) = out.split_once("\nFixed:\n").expect("both runs");
    assert!(
        found.contains("1 of 2 endpoints leaks: GET /areas/{id}/vehicles"),
        "{found}"
    );
    assert!(found.contains("__main__.FloatingVehicle"), "{found}");
    assert!(fixed.contains("\nNo leak"), "{fixed}");
    let last = out.lines().last().expect("a line");
    let (_, page) = last.split_once("file://").expect("an address");
    let page = fs::read_to_string(page).expect("the page is there");
    assert!(page.starts_with("<!doctype html>"), "{}", &page[..40]);
}
