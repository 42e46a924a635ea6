//! `nightcall import`: the `curl` command of CARTO's dialog "Enable API access" as a connection and a schedule.
//!
//! Where to read first: `words.rs` (a text as shell words), `curl.rs` (what a command asks), `draft.rs` (the tables that
//! are made of it, and the proof that they mean the same), `append.rs` (writing them to a file).
//!
//! Invariant: the token of a command is in no output, no message and no file. Faults of a command are fixed words and a
//! line number (`fault.rs`), the words of an `Authorization` header are cut off where words are made (`words.rs`), and
//! what goes out at last is searched for every token that was seen.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use crate::sched::call::Provider;
use crate::sched::time::Timestamp;
use crate::secret::Secret;

mod append;
mod ask;
mod book;
mod call;
mod curl;
mod draft;
mod fault;
mod json;
mod options;
mod source;
mod tables;
mod when;
mod words;

use append::Target;
use ask::Person;
use book::{Book, Wishes};
use curl::{Asked, Request};
use draft::{Draft, Made};
use source::{Source, Sources};
use when::When;

/// How many schedules are told one by one.
const TOLD: usize = 20;

/// How many warnings are told.
const WARNINGS: usize = 20;

/// Make a connection and a schedule of the curl command that CARTO shows.
///
/// Takes the command of the dialog "Enable API access": pasted at the terminal or behind `import`, from a file, from
/// standard input, or from a folder with one command a file. Prints tables that `check` takes as they are. The token is
/// left out: the configuration says where it is kept. What is not said is asked for at a terminal.
#[derive(Debug, Default, Args)]
#[command(
    after_help = "Examples:\n  nightcall import\n  nightcall import command.txt --name stores --cron \"15 2 * * *\"\n  nightcall import command.txt --append nightcall.toml\n  \
                  nightcall import commands/ --cron \"0 3 * * *\" --append nightcall.toml\n\nThe flags stand \
                  before a command that is pasted behind import, and `curl` begins it."
)]
pub struct ImportArgs {
    /// A file with the command, a folder of such files, or - [default: standard input]
    #[arg(value_name = "FILE")]
    pub source: Option<PathBuf>,
    /// The name of the schedule; once for each command
    #[arg(long, value_name = "NAME")]
    pub name: Vec<String>,
    /// When it runs, as a cron expression; one for all
    #[arg(long)]
    pub cron: Option<String>,
    /// The time zone of the expression [default: that of `[defaults]`, else UTC]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// The warehouse [default: as the form of the statement tells]
    #[arg(long, value_parser = provider)]
    pub provider: Option<Provider>,
    /// The environment variable that holds the token [default: the one of the command, else CARTO_API_TOKEN]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "token_file")]
    pub token_env: Option<String>,
    /// The file that holds the token, as the configuration shall name it
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<String>,
    /// Add to this file of the configuration instead of printing; it may be new
    #[arg(long, value_name = "FILE")]
    pub append: Option<PathBuf>,
    /// The command itself, when it is pasted behind import
    #[arg(last = true, value_name = "COMMAND", hide = true)]
    pub command: Vec<String>,
}

fn provider(word: &str) -> Result<Provider, String> {
    let found = Provider::ALL.iter().find(|(_, known)| *known == word);
    let words = || Provider::ALL.map(|(_, known)| known).join(", ");
    found
        .map(|(provider, _)| *provider)
        .ok_or_else(|| format!("one of {}", words()))
}

/// The flags that take a value: what follows them is no command.
const VALUED: [&str; 9] = [
    "--name",
    "--cron",
    "--timezone",
    "--provider",
    "--token-env",
    "--token-file",
    "--append",
    "--config",
    "-c",
];

/// The command line with `--` before a command that was pasted behind `import`, so that curl's options are not taken
/// for ours, and no complaint about one of them shows what stands beside it.
pub(super) fn with_pasted(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<OsString> = words.collect();
    let is = |word: &OsString, text: &str| word.to_str() == Some(text);
    let Some(import) = line.iter().position(|word| is(word, "import")) else {
        return line;
    };
    let separate = line.iter().position(|word| is(word, "--"));
    let value = |at: usize| VALUED.iter().any(|flag| is(&line[at - 1], flag));
    let pasted = (import + 1..line.len()).find(|at| is(&line[*at], "curl") && !value(*at));
    if let Some(at) = pasted.filter(|at| separate.is_none_or(|separate| separate > *at)) {
        line.insert(at, "--".into());
    }
    line
}

/// One imported schedule, as `import --json` prints it.
#[derive(Debug, Serialize)]
struct ImportView<'a> {
    connection: &'a str,
    schedule: &'a str,
    toml: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    appended_to: Option<String>,
}

/// `nightcall import`.
pub fn import(context: &Context, args: ImportArgs) -> Outcome {
    let stdin = io::stdin();
    let person = stdin.is_terminal() && io::stderr().is_terminal();
    let mut from = stdin.lock();
    let mut to = anstream::stderr();
    let there = There {
        from: &mut from,
        to: &mut to,
        person,
        now: Timestamp::now(),
    };
    import_at(context, &args, there)
}

/// What surrounds the command.
pub struct There<'a> {
    /// Standard input.
    pub from: &'a mut dyn BufRead,
    /// Standard error.
    pub to: &'a mut dyn Write,
    /// Whether a person is at both and can be asked.
    pub person: bool,
    /// The time.
    pub now: Timestamp,
}

/// `nightcall import`, with these surroundings.
pub fn import_at(context: &Context, args: &ImportArgs, there: There<'_>) -> Outcome {
    let mut secrets = Vec::new();
    let done = Import {
        context,
        args,
        there,
        secrets: &mut secrets,
        said: Vec::new(),
    }
    .run();
    // the last fence: by construction no message holds a token
    done.map_err(|failure| Failure {
        message: hidden(&secrets, failure.message),
        hint: failure.hint.map(|hint| hidden(&secrets, hint)),
        exit: failure.exit,
    })
}

fn hidden(secrets: &[Secret], text: String) -> String {
    secrets
        .iter()
        .fold(text, |text, secret| secret.hide_in(text))
}

/// A command that starts a workflow, and where it comes from.
struct Input {
    shown: String,
    stem: Option<String>,
    request: Request,
}

struct Import<'a, 't> {
    context: &'a Context,
    args: &'a ImportArgs,
    there: There<'t>,
    secrets: &'a mut Vec<Secret>,
    /// What a person should know, for standard error.
    said: Vec<String>,
}

impl Import<'_, '_> {
    fn run(mut self) -> Outcome {
        let sources = self.sources()?;
        let folder = sources.folder;
        let inputs = self.inputs(sources)?;
        let target = match &self.args.append {
            Some(file) => Some(Target::open(file)?),
            None => None,
        };
        let draft = Draft::open(self.context, target)?;
        let mut book = draft.book();
        let names = self.names(&inputs, folder, &book)?;
        let when = self.when(&book, &names)?;
        let made = self.make(&inputs, &names, &when, &mut book)?;
        let checked = draft.check(&made, &self.context.zones)?;
        self.guard(&made)?;
        draft.write()?;
        self.show(&draft, &made)?;
        self.tell(&draft, &made, &checked);
        Ok(Exit::Ok)
    }

    fn sources(&mut self) -> Result<Sources, Failure> {
        let args = self.args;
        match &args.source {
            _ if !args.command.is_empty() => Ok(Sources::of_words(&args.command)),
            Some(path) if path.as_os_str() != "-" => match path.to_str() {
                // the whole command as one word of the shell
                Some(text) if text.trim_start().starts_with("curl ") => {
                    Ok(Sources::of_words(&[text.to_owned()]))
                }
                _ => Sources::of_path(path),
            },
            _ if self.there.person => {
                Sources::of_person(&mut Person::new(&mut *self.there.from, &mut *self.there.to))
            }
            _ => Ok(Sources::of_reader(&mut *self.there.from)),
        }
    }

    /// Every command that starts a workflow, or all that is wrong with them.
    fn inputs(&mut self, sources: Sources) -> Result<Vec<Input>, Failure> {
        let mut inputs = Vec::new();
        let mut problems = Vec::new();
        for source in sources.all {
            let shown = source.shown.clone();
            let place = if shown.is_empty() {
                "the command"
            } else {
                &shown
            };
            match self.requests(source, sources.folder) {
                Ok(found) => inputs.extend(found),
                Err(why) => problems.push(format!("{place}: {why}")),
            }
        }
        match problems.is_empty() {
            true => Ok(inputs),
            false => Err(all_problems(&problems)),
        }
    }

    fn requests(&mut self, source: Source, alone: bool) -> Result<Vec<Input>, String> {
        let script = source.script.map_err(|fault| fault.to_string())?;
        self.secrets.extend(script.secrets);
        let mut found = Vec::new();
        let mut statuses = 0;
        for command in &script.commands {
            let bodies = |name: &str| source::body(name, source.folder.as_deref());
            let asked = curl::read(command, &bodies, self.secrets).map_err(|fault| {
                let hint = script.suffered;
                hint.map_or(fault, |hint| fault.with_hint(hint)).to_string()
            })?;
            match asked {
                Asked::Start(request) => found.push(Input {
                    shown: source.shown.clone(),
                    stem: source.stem.clone(),
                    request: *request,
                }),
                Asked::Status => statuses += 1,
                Asked::Other => {}
            }
        }
        if found.is_empty() {
            let why = match statuses {
                0 => "there is no curl command in it",
                _ => "it asks how a job stands, and starts none",
            };
            return Err(format!(
                "{why}\n  hint: copy the command of CARTO's dialog \"Enable API access\""
            ));
        }
        if alone && found.len() > 1 {
            let hint = "put each into a file of its own, which names the schedule";
            return Err(format!(
                "it starts {} workflows\n  hint: {hint}",
                found.len()
            ));
        }
        if statuses > 0 {
            self.said
                .push("a command that asks how a job stands was passed over".to_owned());
        }
        Ok(found)
    }

    /// A name for each command, none of them taken.
    fn names(
        &mut self,
        inputs: &[Input],
        folder: bool,
        book: &Book,
    ) -> Result<Vec<String>, Failure> {
        let given = &self.args.name;
        if folder {
            if !given.is_empty() {
                let hint = "leave --name out";
                let message = "the schedules of a folder are named after their files";
                return Err(Failure::new(Exit::Usage, message, hint));
            }
            return names_of_files(inputs, book);
        }
        if !given.is_empty() && given.len() != inputs.len() {
            let message = format!(
                "{} commands start a workflow, and --name is said {} times",
                inputs.len(),
                given.len()
            );
            let hint = "say --name NAME once for each command, in their order";
            return Err(Failure::new(Exit::Usage, message, hint));
        }
        let mut names: Vec<String> = Vec::new();
        for (at, input) in inputs.iter().enumerate() {
            let free = |name: &str| when::free_name(name, &names, book);
            let name = match given.get(at) {
                Some(name) => free(name).map_err(|why| {
                    Failure::new(Exit::Usage, format!("--name: {why}"), "choose another name")
                })?,
                None if self.there.person => {
                    let proposal = call::proposal(&input.request.statement);
                    let mut person = Person::new(&mut *self.there.from, &mut *self.there.to);
                    person.ask("name of the schedule", Some(&proposal), free)?
                }
                None => return Err(self.missing(inputs.len())),
            };
            names.push(name);
        }
        Ok(names)
    }

    /// What to add where nobody can be asked.
    fn missing(&self, commands: usize) -> Failure {
        let mut flags = Vec::new();
        if self.args.name.is_empty() {
            flags.extend(vec!["--name NAME"; commands]);
        }
        if self.args.cron.is_none() {
            flags.push("--cron \"15 2 * * *\"");
        }
        Failure::new(
            Exit::Usage,
            "the schedule needs a name and a time, and nobody can be asked: this is no terminal",
            format!("add {}", flags.join(" ")),
        )
    }

    fn when(&mut self, book: &Book, names: &[String]) -> Result<When, Failure> {
        let zone = when::zone(self.args.timezone.as_deref(), book, &self.context.zones)?;
        let now = self.there.now;
        if let Some(cron) = &self.args.cron {
            return When::read(cron, zone, names).map_err(|why| {
                Failure::new(
                    Exit::Usage,
                    format!("--cron: {why}"),
                    "try nightcall import --help",
                )
            });
        }
        if !self.there.person {
            // a folder has its names
            let flag = match self.args.name.is_empty() {
                true => Failure::new(
                    Exit::Usage,
                    "the schedules need a time, and nobody can be asked",
                    "add --cron \"15 2 * * *\"",
                ),
                false => self.missing(0),
            };
            return Err(flag);
        }
        let mut person = Person::new(&mut *self.there.from, &mut *self.there.to);
        person.tell(&format!(
            "times are in {}; --timezone ZONE names another",
            zone.name()
        ));
        let question = "when, as a cron expression (15 2 * * * is 02:15 every day)";
        let when = person.ask(question, None, |text| When::read(text, zone.clone(), names))?;
        person.tell(&format!("  {}", when.words(now)));
        Ok(when)
    }

    fn make(
        &mut self,
        inputs: &[Input],
        names: &[String],
        when: &When,
        book: &mut Book,
    ) -> Result<Vec<Made>, Failure> {
        let args = self.args;
        let token = match (&args.token_env, &args.token_file) {
            (Some(name), _) => Some(format!("{{ env = {} }}", tables::text(name))),
            (None, Some(path)) => Some(format!("{{ file = {} }}", tables::text(path))),
            (None, None) => None,
        };
        let wishes = Wishes {
            provider: args.provider,
            token,
        };
        let mut made = Vec::with_capacity(inputs.len());
        let mut problems = Vec::new();
        for (input, name) in inputs.iter().zip(names) {
            let tables = book
                .connection(&input.request, &wishes)
                .and_then(|found| Made::of(&input.request, name, when, found));
            match tables {
                Ok(tables) => made.push(tables),
                Err(failure) if input.shown.is_empty() => return Err(failure),
                Err(failure) => problems.push(problem(&input.shown, &failure)),
            }
        }
        for note in made.iter().flat_map(|made| &made.notes) {
            if !self.said.contains(note) {
                self.said.push(note.clone());
            }
        }
        let left_out = inputs.iter().flat_map(|input| &input.request.left_out);
        for what in left_out {
            if !self.said.iter().any(|said| said == what) {
                self.said.push((*what).to_owned());
            }
        }
        match problems.is_empty() {
            true => Ok(made),
            false => Err(all_problems(&problems)),
        }
    }

    /// No token goes out with the values that are copied.
    fn guard(&self, made: &[Made]) -> Result<(), Failure> {
        let shows = |text: &str| hidden(self.secrets, text.to_owned()) != text;
        match made.iter().any(|made| shows(&made.toml)) {
            false => Ok(()),
            true => Err(Failure::new(
                Exit::Usage,
                "the token stands in what would be written, and nothing was",
                "take it out of the URL, the body and the flags: the daemon adds it by itself",
            )),
        }
    }

    fn show(&self, draft: &Draft, made: &[Made]) -> Result<(), Failure> {
        let out = &self.context.out;
        if out.json {
            for made in made {
                out.object(&ImportView {
                    connection: &made.connection,
                    schedule: &made.schedule,
                    toml: &made.toml,
                    appended_to: draft.file().map(|file| file.display().to_string()),
                })?;
            }
            return Ok(());
        }
        out.line(draft::text(made).trim_end())
    }

    /// What was made, in words, and what to type next.
    fn tell(mut self, draft: &Draft, made: &[Made], checked: &draft::Checked) {
        let mut lines = std::mem::take(&mut self.said);
        lines.extend(checked.schedules(self.there.now, TOLD));
        lines.extend(checked.warnings(WARNINGS));
        if let Some(file) = draft.file() {
            let count = super::words::count(made.len(), "schedule");
            lines.push(format!("added {count} to {}", file.display()));
        }
        lines.extend(draft.next(self.context, made));
        let text = hidden(self.secrets, lines.join("\n"));
        // nowhere to tell it when standard error is gone
        let _ = writeln!(self.there.to, "{text}");
    }
}

/// The names of a folder's schedules, or all that is wrong with them.
fn names_of_files(inputs: &[Input], book: &Book) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut problems = Vec::new();
    for input in inputs {
        let stem = input.stem.as_deref().unwrap_or_default();
        match when::free_name(&call::sanitised(stem), &names, book) {
            Ok(name) => names.push(name),
            Err(why) => problems.push(format!("{}: {why}\n  hint: rename the file", input.shown)),
        }
    }
    match problems.is_empty() {
        true => Ok(names),
        false => Err(all_problems(&problems)),
    }
}

fn problem(shown: &str, failure: &Failure) -> String {
    let hint = failure
        .hint
        .as_ref()
        .map(|hint| format!("\n  hint: {hint}"));
    format!("{shown}: {}{}", failure.message, hint.unwrap_or_default())
}

/// The most problems that are shown.
const SHOWN: usize = 100;

fn all_problems(problems: &[String]) -> Failure {
    let mut text = problems.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    if problems.len() > SHOWN {
        text.push(format!("and {} more", problems.len() - SHOWN));
    }
    let count = super::words::count(problems.len(), "problem");
    text.push(format!("{count}, nothing was written"));
    Failure::plain(Exit::Usage, text.join("\n"))
}

#[cfg(test)]
mod tests;
