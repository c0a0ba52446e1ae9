//! `git bisect run` with the command that `docs/gate.md` shows: it names the commit that brought a leak.
//!
//! The repository is made here, of `targets/gate/bisected/`: a small Python server in some commits, each of which
//! changes something, and one of which keeps what it answers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use leak_tests::artifacts;
use leak_tests::http;
use leak_tests::run::Place;

/// What each commit is called, and what it replaces in the server by what.
const COMMITS: [(&str, &str, &str); 8] = [
    ("a price", "a book, ", "a book at 12.50, "),
    ("more books", "* 20", "* 30"),
    ("five digits", "order {number}", "order {int(number):05}"),
    (
        "said what it is",
        "def order(number):\n",
        "def order(number):\n    \"\"\"What was ordered.\"\"\"\n",
    ),
    (
        "orders can be looked up",
        "ASKED.pop(number)",
        "ASKED[number]",
    ),
    ("fewer books", "* 30", "* 25"),
    ("another price", "12.50", "13.50"),
    ("a comment", "worked on now", "worked on"),
];
/// The one that leaks.
const LEAKS: usize = 4;

fn git(place: &Place, arguments: &[&str]) -> Output {
    let mut command = in_repository(place, "git");
    command.args(arguments).output().expect("git runs")
}

/// A program in the repository, whatever the machine's own git is told.
fn in_repository(place: &Place, program: &str) -> Command {
    let mut command = place.plain(program);
    let path = std::env::var("PATH").unwrap_or_default();
    let tools = artifacts::directory();
    command
        .current_dir(place.path("repository"))
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "somebody")
            .env(format!("GIT_{who}_EMAIL"), "somebody@localhost");
    }
    command
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

/// Commits all that is there; gives the commit's name.
fn commit(place: &Place, message: &str) -> String {
    told(&git(place, &["add", "."]));
    told(&git(place, &["commit", "-q", "-m", message]));
    told(&git(place, &["rev-parse", "HEAD"]))
}

/// Makes the repository; gives the name of the commit that leaks.
fn repository(place: &Place) -> String {
    let root = place.path("repository");
    fs::create_dir(&root).expect("our directory");
    for name in ["Makefile", "server.py", "traffic.sh"] {
        let from = artifacts::source("targets/gate/bisected").join(name);
        fs::copy(from, root.join(name)).expect("our directory");
    }
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(root.join("traffic.sh"), executable).expect("our file");
    fs::write(root.join(".gitignore"), "server\ntrace.bin*\n").expect("our file");
    told(&git(place, &["init", "-q"]));
    commit(place, "orders over HTTP");
    told(&git(place, &["tag", "v1.2"]));
    let mut names = Vec::new();
    for (message, before, after) in COMMITS {
        change(&root.join("server.py"), before, after);
        names.push(commit(place, message));
    }
    names.swap_remove(LEAKS)
}

fn change(path: &Path, before: &str, after: &str) {
    let text = fs::read_to_string(path).expect("our file");
    assert!(text.contains(before), "no {before:?}: {text}");
    fs::write(path, text.replace(before, after)).expect("our file");
}

/// The commands of the document, as they stand there.
fn documented() -> String {
    let path = artifacts::source("../docs/gate.md");
    let text = fs::read_to_string(path).expect("a document");
    let section = text.split("## Which commit was it?").nth(1);
    let block = section.and_then(|rest| rest.split("```sh\n").nth(1));
    let block = block.and_then(|rest| rest.split("```").next());
    block.expect("a block of commands").to_owned()
}

#[test]
fn the_documented_command_names_the_commit_that_leaks() {
    let place = Place::new();
    let leaks = repository(&place);
    let port = http::free_port().to_string();
    let mut command = in_repository(&place, "sh");
    command.args(["-e", "-c", &documented()]).env("PORT", port);
    let ended = place.run(command);
    let out = String::from_utf8_lossy(&ended.out).into_owned();
    assert!(ended.status.success(), "{out}\n{}", ended.err);
    let found = format!("{leaks} is the first bad commit");
    assert!(
        out.lines().any(|line| line == found),
        "{out}\n{}",
        ended.err
    );
    assert_eq!(told(&git(&place, &["rev-parse", "refs/bisect/bad"])), leaks);
}
