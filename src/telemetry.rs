//! Log set-up: text for people, JSON for machines, always on standard error and with times in UTC.
//!
//! `NIGHTCALL_LOG` holds a filter in the usual form (`debug`, `info,nightcall::daemon=debug`) and goes before the level
//! that the program was started with. When standard error is the journal, it has its own time stamps: lines then
//! carry neither time nor colour, but the priority prefix of `sd-daemon(3)`, so that `journalctl -p warning` works.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// The variable that holds a filter.
pub const VARIABLE: &str = "NIGHTCALL_LOG";

/// Libraries that say at INFO what concerns nobody, or at ERROR the same thing a thousand times. A filter that names
/// one of them goes before this.
const CAPS: &str =
    "tokio_cron_scheduler=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Format {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error(
        "cannot read the log filter {filter:?}: {problem}; write for example \"info\" or \"info,nightcall::daemon=debug\""
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something has set up the log of this process before.
    #[error("the log of this process is set up already")]
    AlreadySet,
}

/// Sets up the log of this process, once. `level` is a filter too; it counts when `NIGHTCALL_LOG` is not set.
pub fn init(format: Format, level: &str) -> Result<(), TelemetryError> {
    let variable = std::env::var(VARIABLE).ok();
    let filter = filter(variable.as_deref(), level)?;
    let look = Look::decide(format, &Surroundings::seen());
    subscriber(look, filter, io::stderr)
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)
}

fn filter(variable: Option<&str>, level: &str) -> Result<EnvFilter, TelemetryError> {
    let text = match variable.map(str::trim) {
        Some(text) if !text.is_empty() => text,
        _ => level,
    };
    // a later directive for the same target replaces an earlier one
    EnvFilter::builder()
        .parse(format!("{CAPS},{text}"))
        .map_err(|error| TelemetryError::Filter {
            filter: text.to_owned(),
            problem: error.to_string(),
        })
}

/// What standard error is.
struct Surroundings {
    terminal: bool,
    journal: bool,
    no_color: bool,
}

impl Surroundings {
    fn seen() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            terminal: io::stderr().is_terminal(),
            journal: std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream)),
            no_color: set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|t| t == "dumb"),
        }
    }
}

/// Whether `device:inode`, as the service manager names the stream it connected, is where standard error still goes:
/// the variable is inherited by children whose output goes elsewhere.
fn is_stderr(stream: &str) -> bool {
    let Ok(copy) = io::stderr().as_fd().try_clone_to_owned() else {
        return false;
    };
    std::fs::File::from(copy)
        .metadata()
        .is_ok_and(|file| stream == format!("{}:{}", file.dev(), file.ino()))
}

/// What a line consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Time, level, target, message; in colour when asked for.
    Text { colour: bool },
    /// The priority as a prefix, target, message.
    Journal,
    /// One object.
    Json,
}

impl Look {
    fn decide(format: Format, around: &Surroundings) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Text if around.journal => Self::Journal,
            Format::Text => Self::Text {
                colour: around.terminal && !around.no_color,
            },
        }
    }
}

fn subscriber<W>(look: Look, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match look {
        Look::Text { colour } => Box::new(base.with_ansi(colour).finish()),
        Look::Journal => {
            let inner = format::Format::default()
                .with_ansi(false)
                .without_time()
                .with_level(false);
            Box::new(base.with_ansi(false).event_format(Prefixed(inner)).finish())
        }
        Look::Json => Box::new(
            base.json()
                .flatten_event(true)
                .with_current_span(false)
                .finish(),
        ),
    }
}

/// A format that puts the priority in front, as the journal reads it.
struct Prefixed<F>(F);

impl<S, N, F> FormatEvent<S, N> for Prefixed<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// Priorities of `syslog(3)`: 3 error, 4 warning, 6 information, 7 debug.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(look: Look, filter: EnvFilter, say: impl FnOnce()) -> String {
        let paper = Paper::default();
        let page = paper.clone();
        let subscriber = subscriber(look, filter, move || page.clone());
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    fn info() -> EnvFilter {
        filter(None, "info").unwrap()
    }

    #[test]
    fn json_is_one_object_a_line_with_its_fields_beside_the_message() {
        let text = written(Look::Json, info(), || {
            tracing::warn!(run = "a/b@2026-02-03T01:15:00Z", attempt = 2, "refused");
        });
        let object: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(object["level"], "WARN");
        assert_eq!(object["message"], "refused");
        assert_eq!(object["run"], "a/b@2026-02-03T01:15:00Z");
        assert_eq!(object["attempt"].to_string(), "2");
        let time = object["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z'), "{time} is not UTC");
    }

    #[test]
    fn the_journal_gets_a_priority_and_neither_time_nor_colour() {
        let text = written(Look::Journal, info(), || {
            tracing::error!(run = "a", "broken");
            tracing::info!("fine");
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "<3>nightcall::telemetry::tests: broken run=\"a\"");
        assert_eq!(lines[1], "<6>nightcall::telemetry::tests: fine");
    }

    #[test]
    fn text_has_utc_times_and_colour_only_when_asked() {
        let say = || tracing::info!("fine");
        let plain = written(Look::Text { colour: false }, info(), say);
        assert!(!plain.contains('\u{1b}') && plain.contains("INFO") && plain.contains("fine"));
        assert!(plain.split_whitespace().next().unwrap().ends_with('Z'));
        assert!(written(Look::Text { colour: true }, info(), say).contains('\u{1b}'));
    }

    #[test]
    fn noisy_libraries_are_capped_unless_the_filter_names_them() {
        let say = || {
            tracing::info!(target: "tokio_cron_scheduler::job", "added");
            tracing::debug!(target: "nightcall::daemon", "waking");
        };
        let look = Look::Text { colour: false };
        let loud = written(look, filter(None, "debug").unwrap(), say);
        assert!(loud.contains("waking") && !loud.contains("added"));
        let named = "debug,tokio_cron_scheduler=info";
        assert!(written(look, filter(Some(named), "info").unwrap(), say).contains("added"));
    }

    #[test]
    fn the_variable_goes_before_the_level_unless_it_is_empty() {
        let say = || tracing::info!("fine");
        let look = Look::Text { colour: false };
        assert_eq!(
            written(look, filter(Some("error"), "info").unwrap(), say),
            ""
        );
        assert!(written(look, filter(Some(" "), "info").unwrap(), say).contains("fine"));
    }

    #[test]
    fn a_filter_that_cannot_be_read_says_so() {
        let error = filter(Some("nightcall=loud"), "info").unwrap_err();
        assert!(error.to_string().contains("nightcall=loud"), "{error}");
    }

    #[test]
    fn colour_is_for_terminals_and_the_journal_counts_only_for_text() {
        let around = |terminal, journal, no_color| Surroundings {
            terminal,
            journal,
            no_color,
        };
        let text = |around| Look::decide(Format::Text, &around);
        assert_eq!(
            text(around(true, false, false)),
            Look::Text { colour: true }
        );
        assert_eq!(
            text(around(true, false, true)),
            Look::Text { colour: false }
        );
        assert_eq!(
            text(around(false, false, false)),
            Look::Text { colour: false }
        );
        assert_eq!(text(around(false, true, false)), Look::Journal);
        let json = Look::decide(Format::Json, &around(true, true, false));
        assert_eq!(json, Look::Json);
    }

    #[test]
    fn a_stream_that_is_not_standard_error_is_not_the_journal() {
        assert!(!is_stderr("0:0") && !is_stderr("nonsense"));
    }

    #[test]
    fn a_second_set_up_is_an_error_and_no_panic() {
        let quiet = tracing::subscriber::NoSubscriber::default();
        let _ = tracing::subscriber::set_global_default(quiet);
        let second = init(Format::Json, "warn");
        assert!(matches!(second, Err(TelemetryError::AlreadySet)));
    }
}
