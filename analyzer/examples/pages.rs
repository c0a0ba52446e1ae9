//! Writes the manual pages and the completions of `leak-analyze` into a directory, from the command line that it takes.
//!
//! `cargo run -p leak-analyze --example pages -- DIRECTORY`

use std::path::PathBuf;
use std::{env, fs, io};

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use leak_analyze::cli::Cli;

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("no directory is named"))?;
    fs::create_dir_all(&directory)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "leak-analyze", &directory)?;
    }
    clap_mangen::generate_to(command, &directory)
}
