//! The command line: one command a file; this file says which there are and hands over.

mod acts;
pub mod again;
pub mod cancel;
pub mod check;
pub mod completions;
pub mod demo;
pub mod doctor;
pub mod exit;
pub mod fire;
mod held;
pub mod import;
mod live;
pub mod next;
pub mod notify;
pub mod output;
pub mod pause;
pub mod plan;
mod progress;
mod reach;
pub mod reload;
mod rendered;
pub mod report;
pub mod resolve;
pub mod runs;
pub mod sandbox;
mod select;
pub mod serve;
pub mod show;
pub mod skip;
pub mod status;
mod watch;
pub mod why;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{self, Config};
use crate::zones::Zones;

use exit::{Exit, Failure, Outcome};
use output::Output;

/// The heading above the options that every command takes.
const EVERYWHERE: &str = "Options of every command";

/// A scheduler daemon for CARTO workflows: cron to CALL, watched to its end, on record.
#[derive(Debug, Parser)]
#[command(
    name = "nightcall",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(after_help = "A first look:  nightcall demo\nExit codes:    docs/operations.md")]
pub struct Cli {
    /// A TOML file, or a folder whose *.toml are read as one; may be repeated [default: $NIGHTCALL_CONFIG,
    /// ./nightcall.toml, /etc/nightcall/]
    #[arg(long, short, global = true, value_name = "PATH", help_heading = EVERYWHERE)]
    config: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Daemon(serve::DaemonArgs),
    Check(check::CheckArgs),
    Next(next::NextArgs),
    Plan(plan::PlanArgs),
    Import(import::ImportArgs),
    Runs(runs::RunsArgs),
    Show(show::ShowArgs),
    Why(why::WhyArgs),
    Report(report::ReportArgs),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    Fire(fire::FireArgs),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    Skip(skip::SkipArgs),
    Unskip(skip::UnskipArgs),
    Cancel(cancel::CancelArgs),
    Retry(again::retry::RetryArgs),
    Rerun(again::rerun::RerunArgs),
    Backfill(again::backfill::BackfillArgs),
    Resolve(resolve::ResolveArgs),
    Reload(reload::ReloadArgs),
    Notify(notify::NotifyArgs),
    Sandbox(sandbox::SandboxArgs),
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    Man(completions::ManArgs),
}

/// What every command needs, and how it was called.
pub struct Context {
    /// `--config`, as often as it was given.
    pub config: Vec<PathBuf>,
    /// Time-zone data.
    pub zones: Zones,
    /// Standard output.
    pub out: Output,
}

impl Context {
    /// The configuration, or all its problems and exit code 78.
    pub fn load(&self) -> Result<Config, Failure> {
        let paths = self.paths()?;
        config::load(&paths, &self.zones)
            .map_err(|problems| Failure::plain(Exit::Config, problems.to_string()))
    }

    /// `nightcall ARGUMENTS`, to be typed as it stands: it reads the configuration that this command line named.
    pub fn command(&self, arguments: impl fmt::Display) -> String {
        let options = self.config.iter().map(|path| shell_word(path));
        let options: String = options.map(|path| format!(" --config {path}")).collect();
        format!("nightcall {arguments}{options}")
    }

    /// The remedy `next: nightcall ARGUMENTS`.
    pub fn next(&self, arguments: impl fmt::Display) -> String {
        format!("next: {}", self.command(arguments))
    }

    /// Where the configuration is.
    pub fn paths(&self) -> Result<Vec<PathBuf>, Failure> {
        if !self.config.is_empty() {
            return Ok(self.config.clone());
        }
        config::find().map(|path| vec![path]).ok_or_else(|| {
            Failure::new(
                Exit::Config,
                "no configuration was found in $NIGHTCALL_CONFIG, ./nightcall.toml or /etc/nightcall/",
                "next: write nightcall.toml (README, \"A first schedule\"), or name one with --config PATH",
            )
        })
    }
}

/// The whole program: reads the command line, does what it says, says what went wrong.
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    let context = Context {
        config: cli.config,
        zones: Zones::load(),
        out: Output::stdout(cli.json),
    };
    match run(&context, cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            complain(&failure);
            failure.exit.into()
        }
    }
}

/// Usage errors end with 64 and not with clap's 2.
fn parse() -> Result<Cli, ExitCode> {
    let matches = Cli::command().try_get_matches_from(import::with_pasted(std::env::args_os()));
    matches
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches))
        .map_err(|error| {
            // Nowhere to complain when the terminal is gone.
            let _ = error.print();
            match error.use_stderr() {
                true => Exit::Usage.into(),
                false => Exit::Ok.into(),
            }
        })
}

fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Daemon(args) => wait_for(serve::daemon(context, args)),
        Command::Check(args) => check::check(context, args),
        Command::Next(args) => next::next(context, args),
        Command::Plan(args) => plan::plan(context, args),
        Command::Import(args) => import::import(context, args),
        Command::Runs(args) => runs::runs(context, args),
        Command::Show(args) => show::show(context, args),
        Command::Why(args) => why::why(context, args),
        Command::Report(args) => wait_for(report::report(context, args)),
        Command::Status(args) => wait_for(status::status(context, args)),
        Command::Doctor(args) => wait_for(doctor::doctor(context, args)),
        Command::Fire(args) => wait_for(fire::fire(context, args)),
        Command::Pause(args) => wait_for(pause::pause(context, args)),
        Command::Resume(args) => wait_for(pause::resume(context, args)),
        Command::Skip(args) => wait_for(skip::skip(context, args)),
        Command::Unskip(args) => wait_for(skip::unskip(context, args)),
        Command::Cancel(args) => wait_for(cancel::cancel(context, args)),
        Command::Retry(args) => wait_for(again::retry::retry(context, args)),
        Command::Rerun(args) => wait_for(again::rerun::rerun(context, args)),
        Command::Backfill(args) => wait_for(again::backfill::backfill(context, args)),
        Command::Resolve(args) => wait_for(resolve::resolve(context, args)),
        Command::Reload(args) => wait_for(reload::reload(context, args)),
        Command::Notify(args) => wait_for(notify::notify(context, args)),
        Command::Completions(args) => completions::completions(context, Cli::command(), args),
        Command::Man(args) => completions::man(context, Cli::command(), args),
        Command::Sandbox(args) => wait_for(sandbox::sandbox(context, args)),
        Command::Demo(args) => wait_for(demo::demo(context, args)),
    }
}

/// The most threads that speak to the network.
const WORKERS: usize = 4;

/// Runs what waits for the network or for time.
fn wait_for(command: impl Future<Output = Outcome>) -> Outcome {
    // The loop and the writer of the store have threads of their own; with one for each core besides, threads wake
    // each other up instead of working (docs/performance.md).
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.saturating_sub(1).clamp(1, WORKERS))
        .enable_all()
        .build()
        .map_err(|error| Failure::plain(Exit::Software, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(command);
    // What still runs in the background (a command that reads a secret) must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=~".contains(c);
    match !text.is_empty() && text.chars().all(plain) && !text.starts_with('~') {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn complain(failure: &Failure) {
    use std::io::Write;
    if !failure.message.is_empty() {
        // Nowhere to complain when standard error is gone.
        let _ = writeln!(anstream::stderr(), "{failure}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called_with(config: &[&str]) -> Context {
        Context {
            config: config.iter().map(PathBuf::from).collect(),
            zones: Zones::load(),
            out: Output::stdout(false),
        }
    }

    #[test]
    fn a_hint_can_be_typed_as_it_stands() {
        assert_eq!(called_with(&[]).next("runs"), "next: nightcall runs");
        assert_eq!(
            called_with(&["common/", "prod.toml"]).next("why a/b"),
            "next: nightcall why a/b --config common/ --config prod.toml"
        );
        assert_eq!(
            called_with(&["my files/it's.toml"]).next("daemon"),
            r"next: nightcall daemon --config 'my files/it'\''s.toml'"
        );
        assert_eq!(
            called_with(&["~"]).command("status"),
            "nightcall status --config '~'"
        );
    }
}
