//! Programs that call OpenSSL see under libleak, which comes in between, what they see without.

use std::path::PathBuf;

use leak_tests::compile::Source;
use leak_tests::run::Place;

fn same(program: PathBuf, arguments: &[PathBuf]) {
    let (plain, traced) = (Place::new(), Place::new());
    let mut command = plain.plain(&program);
    command.args(arguments);
    let expected = plain.run(command);
    assert!(expected.status.success(), "{}", expected.status);
    let mut command = traced.traced(&program);
    command.args(arguments);
    let found = traced.run(command);
    let out = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(out(&found.out), out(&expected.out));
    assert_eq!((found.status, found.err), (expected.status, expected.err));
    traced.report().assert_complete();
}

/// Also where an object is asked that has no BIO yet.
#[test]
fn the_queue_of_errors() {
    same(Source::read("harmless/ssl_errors.c").program(), &[]);
}

/// What is known of a place that calls goes with the library that it lies in.
#[test]
fn a_library_in_the_place_of_another() {
    let libraries = ["ssl_one", "ssl_two"].map(|name| {
        let source = Source::read(&format!("libraries/{name}.c"));
        source.shared()
    });
    same(Source::read("harmless/reopened.c").program(), &libraries);
}
