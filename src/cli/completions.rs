//! `nightcall completions` and `nightcall man`: made from the definitions of the commands themselves.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::Context;
use super::exit::{Exit, Failure, Outcome};

/// Print completions for a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall completions bash > /etc/bash_completion.d/nightcall\n  \
                  nightcall completions zsh > ~/.zfunc/_nightcall\n  \
                  nightcall completions fish > ~/.config/fish/completions/nightcall.fish"
)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

/// Print the man page, or write one for each command into a folder.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall man | man -l -\n  nightcall man --folder /usr/local/share/man/man1"
)]
pub struct ManArgs {
    /// Write nightcall.1 and a page for each command into this folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// `nightcall completions`.
pub fn completions(context: &Context, mut command: Command, args: CompletionsArgs) -> Outcome {
    let shell = match args.shell.as_str() {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "nightcall", &mut script);
    print(context, script)
}

/// `nightcall man`.
pub fn man(context: &Context, command: Command, args: ManArgs) -> Outcome {
    let Some(folder) = args.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::plain(Exit::Software, error.to_string()))?;
        return print(context, page);
    };
    let failed = |error: std::io::Error| {
        Failure::plain(
            Exit::Store,
            format!("cannot write the pages into {}: {error}", folder.display()),
        )
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    clap_mangen::generate_to(command, &folder).map_err(failed)?;
    context
        .out
        .line(format!("the pages are in {}", folder.display()))?;
    Ok(Exit::Ok)
}

fn print(context: &Context, text: Vec<u8>) -> Outcome {
    context
        .out
        .line(String::from_utf8_lossy(&text).trim_end())?;
    Ok(Exit::Ok)
}
