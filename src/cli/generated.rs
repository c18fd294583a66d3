//! Completion scripts and man pages, from the same definition as the flags themselves.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;

/// Writes the completion script of a shell.
pub fn completion(shell: Shell, out: &mut dyn Write) {
    clap_complete::generate(shell, &mut Cli::command(), "gabion", out);
}

/// Writes one man page for the program and one for each of its commands.
///
/// # Errors
/// If a page cannot be written.
pub fn man_pages(folder: &Path) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    page(folder, "gabion", &command)?;
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        page(folder, &format!("gabion-{}", inner.get_name()), inner)?;
    }
    Ok(())
}

fn page(folder: &Path, name: &str, command: &clap::Command) -> io::Result<()> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name.to_uppercase()).render(&mut text)?;
    fs::write(folder.join(format!("{name}.1")), text)
}
