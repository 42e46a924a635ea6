//! The tables that are made of a command, and the proof that they mean what it says before anybody sees them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::append::Target;
use super::book::{Book, Found};
use super::call;
use super::curl::Request;
use super::json::Json;
use super::tables::{self, Table};
use super::when::When;
use crate::cli::check::coming;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{Context, shell_word};
use crate::config::{self, Config, Problem, Problems};
use crate::sched::call::{Parameters, Provider};
use crate::sched::id::RunId;
use crate::sched::schedule::Definition;
use crate::sched::template::Occasion;
use crate::sched::time::{TimeZone, Timestamp, civil};
use crate::sched::trigger::Fold;
use crate::zones::Zones;

/// What printed tables are called in messages.
const PRINTED: &str = "imported.toml";

/// How many coming times are told.
const NEXT: usize = 3;

/// One schedule, and its connection when that is new.
pub(super) struct Made {
    /// The connection's name in the configuration.
    pub(super) connection: String,
    /// The schedule's name.
    pub(super) schedule: String,
    /// The tables.
    pub(super) toml: String,
    /// What a person should know.
    pub(super) notes: Vec<String>,
    /// The statement that must be sent.
    query: String,
    /// Its values, as JSON: two objects of another order would count as equal.
    parameters: String,
}

impl Made {
    pub(super) fn of(
        request: &Request,
        name: &str,
        when: &When,
        found: Found,
    ) -> Result<Self, Failure> {
        let mut table = Table::new("schedule", name);
        table.text("connection", &found.key);
        table.text("cron", &when.cron);
        if let Some(zone) = &when.timezone {
            table.text("timezone", zone);
        }
        let procedure = call::procedure(&request.statement)
            .filter(|_| found.provider == Provider::BigQuery)
            .filter(|procedure| fits(&procedure.arguments, request.parameters.as_ref()));
        let (query, order) = match procedure {
            Some(procedure) => {
                let signature = procedure.arguments.join(", ");
                table.text("procedure", &format!("{}({signature})", procedure.name));
                (procedure.bigquery_call(), procedure.arguments)
            }
            None => {
                table.text("call", &request.statement);
                (request.statement.clone(), call::names(&request.statement))
            }
        };
        if let Some(parameters) = request.parameters.as_ref().filter(|json| !is_bare(json)) {
            table.line("parameters", &written(parameters, &order)?);
        }
        let tables = [found.table, Some(table.whole())];
        let tables: Vec<String> = tables.into_iter().flatten().collect();
        Ok(Self {
            connection: found.key,
            schedule: name.to_owned(),
            toml: tables.join("\n"),
            notes: found.notes,
            query,
            parameters: expected(request.parameters.as_ref(), &order).to_string(),
        })
    }
}

/// Whether a signature and the values have the same names.
fn fits(arguments: &[String], parameters: Option<&Json>) -> bool {
    match parameters {
        None => arguments.is_empty(),
        Some(Json::Object(pairs)) => {
            let named = |name: &String| pairs.iter().any(|(known, _)| known == name);
            pairs.len() == arguments.len() && arguments.iter().all(named)
        }
        Some(Json::List(items)) => items.is_empty() && arguments.is_empty(),
        Some(_) => false,
    }
}

/// Nothing to send.
fn is_bare(json: &Json) -> bool {
    match json {
        Json::Object(pairs) => pairs.is_empty(),
        Json::List(items) => items.is_empty(),
        _ => false,
    }
}

fn written(parameters: &Json, order: &[String]) -> Result<String, Failure> {
    tables::parameters(parameters, order).map_err(|(name, why)| {
        let name = crate::sched::fault::bounded(&crate::cli::words::plain(&name), 100);
        Failure::new(
            Exit::Usage,
            format!("the parameter {name} {why}"),
            "give another value in the command, and the right one in the configuration",
        )
    })
}

/// What must be sent: the values in the order of the call.
fn expected(parameters: Option<&Json>, order: &[String]) -> Value {
    let empty = || Value::Object(Map::new());
    let Some(json) = parameters.filter(|json| !is_bare(json)) else {
        return empty();
    };
    let Json::Object(pairs) = json else {
        return json.value();
    };
    let place = |name: &str| order.iter().position(|known| known == name);
    let mut pairs: Vec<&(String, Json)> = pairs.iter().collect();
    pairs.sort_by_key(|(name, _)| place(name).unwrap_or(order.len()));
    let pairs = pairs
        .into_iter()
        .map(|(name, json)| (name.clone(), json.value()));
    Value::Object(pairs.collect())
}

/// The tables of all schedules.
pub(super) fn text(made: &[Made]) -> String {
    let texts: Vec<&str> = made.iter().map(|made| made.toml.as_str()).collect();
    texts.join("\n")
}

/// The configuration as it is, and where something shall be added to it.
pub(super) struct Draft {
    target: Option<Target>,
    /// The configuration, besides the target when that is new.
    paths: Vec<PathBuf>,
    /// Whether the configuration was named on the command line.
    named: bool,
    config: Option<Config>,
    /// What is to be written.
    text: std::cell::OnceCell<String>,
}

/// What the tables mean.
pub(super) struct Checked {
    config: Config,
    names: Vec<String>,
    warnings: Vec<Problem>,
}

impl Draft {
    /// Reads the configuration that there is. Its problems come first.
    pub(super) fn open(context: &Context, target: Option<Target>) -> Result<Self, Failure> {
        let file = target.as_ref().map(|target| target.file.as_path());
        let named = !context.config.is_empty();
        let mut paths = match named {
            true => context.config.clone(),
            false => config::find().into_iter().collect(),
        };
        let found = file.is_none_or(|file| paths.iter().any(|path| holds(path, file)));
        if !named && !found {
            paths.clear();
        }
        if let (Some(file), Some(target)) = (file, &target) {
            match target.exists() {
                true => paths.push(file.to_owned()),
                // what is made in a moment is missed by nobody
                false => paths
                    .retain(|path| path != file && !(holds(path, file) && is_bare_folder(path))),
            }
        }
        let config = match paths.is_empty() {
            true => None,
            false => Some(config::load(&paths, &context.zones).map_err(|problems| {
                Failure::new(
                    Exit::Config,
                    problems.to_string(),
                    "mend the configuration first, or name another with --config or $NIGHTCALL_CONFIG",
                )
            })?),
        };
        Ok(Self {
            target,
            paths,
            named,
            config,
            text: std::cell::OnceCell::new(),
        })
    }

    pub(super) fn book(&self) -> Book {
        Book::of(self.config.as_ref())
    }

    /// The file that is added to.
    pub(super) fn file(&self) -> Option<&Path> {
        self.target.as_ref().map(|target| target.file.as_path())
    }

    /// Whether the configuration with these tables is right, and they mean what the commands say.
    pub(super) fn check(&self, made: &[Made], zones: &Zones) -> Result<Checked, Failure> {
        let tables = text(made);
        let (file, text, before) = match &self.target {
            Some(target) => (target.file.as_path(), target.with(&tables), target.lines()),
            None => (Path::new(PRINTED), tables, 0),
        };
        let config = config::load_with(&self.paths, file, text.clone(), zones);
        let config = config.map_err(|problems| refused(&problems))?;
        for made in made {
            means_the_same(&config, made)?;
        }
        let ours = |problem: &&Problem| {
            let name = problem.file.as_deref().and_then(Path::file_name);
            name == file.file_name() && problem.line > before
        };
        let warnings = config.warnings.iter().filter(ours).cloned().collect();
        let names = made.iter().map(|made| made.schedule.clone()).collect();
        // checked once, and written as it was checked
        let _ = self.text.set(text);
        Ok(Checked {
            config,
            names,
            warnings,
        })
    }

    /// Writes what was checked.
    pub(super) fn write(&self) -> Result<(), Failure> {
        match (&self.target, self.text.get()) {
            (Some(target), Some(text)) => target.write(text),
            _ => Ok(()),
        }
    }

    /// The next commands to type.
    pub(super) fn next(&self, context: &Context, made: &[Made]) -> Vec<String> {
        let first = made.first().map_or("", |made| made.schedule.as_str());
        let Some(file) = self.file() else {
            return vec![
                "next: save this in a file of the configuration, then".to_owned(),
                format!("  {}", context.command("check")),
                format!("  {}", context.command(format_args!("fire {first}"))),
            ];
        };
        let is_part = match self.named {
            true => context.config.iter().any(|path| holds(path, file)),
            false => config::find().is_some_and(|path| holds(&path, file)),
        };
        let also = match is_part {
            true => String::new(),
            false => format!(" --config {}", shell_word(file)),
        };
        vec![
            format!("{}{also}", context.next("check")),
            format!(
                "then: {}{also}",
                context.command(format_args!("fire {first}"))
            ),
        ]
    }
}

/// Whether a path of the configuration is this file, or the folder that it is in.
fn holds(path: &Path, file: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let toml = file.extension().is_some_and(|end| end == "toml");
    path == file
        || (real(path).is_some() && real(path) == real(file))
        || (toml && path.is_dir() && real(path) == real(folder))
}

/// A folder of the configuration with no file of it yet.
fn is_bare_folder(path: &Path) -> bool {
    let toml = |entry: std::fs::DirEntry| entry.path().extension().is_some_and(|end| end == "toml");
    std::fs::read_dir(path).is_ok_and(|mut entries| !entries.any(|entry| entry.is_ok_and(toml)))
}

fn refused(problems: &Problems) -> Failure {
    Failure::new(
        Exit::Config,
        format!("what the command asks for cannot be added:\n{problems}"),
        "mend the command or the configuration; nothing was written",
    )
}

/// What a schedule sends that was just made: its templates stand for texts only, whatever the occurrence.
fn sent(definition: &Definition) -> Arc<Parameters> {
    definition.parameters.rendered(&Occasion {
        run: &RunId::planned(definition.series.clone(), Timestamp::UNIX_EPOCH),
        civil: civil::DateTime::default(),
        fold: Fold::First,
        zone: &TimeZone::UTC,
    })
}

/// What goes to the vendor is what the command would have sent: the same statement, the same values in the same form.
fn means_the_same(config: &Config, made: &Made) -> Result<(), Failure> {
    let mut schedules = config.schedules.iter();
    let schedule = schedules.find(|schedule| schedule.name.as_str() == made.schedule);
    let definition = schedule.and_then(|schedule| schedule.definitions.first());
    let same = definition.is_some_and(|definition| {
        let values = sent(definition).to_json().to_string();
        *definition.query == made.query && values == made.parameters
    });
    match same {
        true => Ok(()),
        false => Err(Failure::new(
            Exit::Software,
            format!(
                "the schedule {} would not send what the command sends",
                made.schedule
            ),
            "nothing was written; write the schedule by hand, and report this",
        )),
    }
}

impl Checked {
    /// When each schedule runs, in words.
    pub(super) fn schedules(&self, now: Timestamp, most: usize) -> Vec<String> {
        let made = |name: &str| self.names.iter().any(|known| known == name);
        let schedules = self.config.schedules.iter();
        let schedules = schedules.filter(|schedule| made(schedule.name.as_str()));
        let mut lines: Vec<String> = schedules
            .take(most)
            .map(|schedule| {
                let next = coming(&schedule.trigger, NEXT, now);
                format!(
                    "{}: {}; next {next}",
                    schedule.name,
                    schedule.trigger.words()
                )
            })
            .collect();
        if self.names.len() > most {
            lines.push(format!("and {} more schedules", self.names.len() - most));
        }
        lines
    }

    /// What is worth a second look of what was made.
    pub(super) fn warnings(&self, most: usize) -> Vec<String> {
        let warnings = self.warnings.iter().take(most);
        warnings
            .map(|warning| format!("warning: {warning}"))
            .collect()
    }
}
