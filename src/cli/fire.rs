//! `nightcall fire`: a run now, by hand. Asking is safe to repeat: the key makes two questions one run.

use std::hash::{BuildHasher, Hasher, RandomState};

use clap::Args;
use serde_json::{Map, Value};

use super::acts::{Target, Unanswered, Which, persistently};
use super::exit::{Exit, Failure, Outcome};
use super::select::{self, Past};
use super::{Context, complain, reach, watch};
use crate::config::Config;
use crate::control::client::{Client, ClientError};
use crate::control::wire::{FireBody, FiredView};
use crate::sched::id::{ClientKey, RunId};
use crate::sched::time::civil;

/// Run a schedule now, beside its times.
///
/// The daemon makes the run and watches it; of a tag or of all, one of each series. A busy series refuses it unless --queue or --anyway is given. The exit code
/// is 2 when the daemon refuses, and with --wait 1 when the run does not succeed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall fire store-clusters/hyper --wait\n  \
    nightcall fire store-clusters/hyper --param buffer_radius=750\n  \
    nightcall fire store-clusters/hyper --as-of 2026-02-03 --queue\n  \
    nightcall fire --tag morning-map --wait"
)]
pub struct FireArgs {
    #[command(flatten)]
    which: Which,
    /// Wait until the run has ended; the exit code says how (0: it succeeded)
    #[arg(long)]
    wait: bool,
    /// A value in place of the configured one, for this run; JSON when it reads as JSON, else text; never a template
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, Value)>,
    /// The civil date that the run is for, as templates see it [default: today, in the schedule's zone]
    #[arg(long, value_name = "DATE", value_parser = date)]
    as_of: Option<civil::Date>,
    /// Wait behind a busy series instead of being refused
    #[arg(long, conflicts_with = "anyway")]
    queue: bool,
    /// Run beside a busy series instead of being refused
    #[arg(long)]
    anyway: bool,
    /// Run it although its schedule is paused
    #[arg(long)]
    even_paused: bool,
    /// The key of this request: the same key never makes a second run [default: random]
    #[arg(long, value_parser = key, conflicts_with_all = ["tag", "all"])]
    key: Option<ClientKey>,
}

/// `nightcall fire`.
pub async fn fire(context: &Context, args: FireArgs) -> Outcome {
    let parameters = parameters(&args)?;
    let (config, client) = reach::daemon(context)?;
    let mut asking = Asking {
        context,
        config: &config,
        client: &client,
        wait: args.wait,
    };
    if args.which.selector.is_some() {
        let target = args.which.targets(&config)?.remove(0);
        return asking.one(&body(&args, &target, &parameters)).await;
    }
    let mut bodies = Vec::new();
    for target in args.which.targets(&config)? {
        let schedule = select::schedule(&config, &target.schedule)?;
        bodies.extend(schedule.definitions.iter().map(|definition| {
            let set = Some(definition.series.set.clone());
            let of_set = Target {
                set,
                ..target.clone()
            };
            body(&args, &of_set, &parameters)
        }));
    }
    asking.all(&bodies).await
}

/// How the daemon is asked.
struct Asking<'a> {
    context: &'a Context,
    config: &'a Config,
    client: &'a Client,
    wait: bool,
}

impl Asking<'_> {
    /// One run; the command ends as it does.
    async fn one(&mut self, body: &FireBody) -> Outcome {
        let run = self.made(body).await?;
        match self.wait {
            true => self.waited(&run).await,
            false => {
                if !self.context.out.json {
                    self.context
                        .out
                        .line(self.context.next(format_args!("show {run}")))?;
                }
                Ok(Exit::Ok)
            }
        }
    }

    /// Several, of which some may be refused or fail: the command ends as the first that was not well.
    async fn all(&mut self, bodies: &[FireBody]) -> Outcome {
        let mut ends = Exit::Ok;
        let mut not_well = |failure: Failure| -> Result<(), Failure> {
            if failure.exit == Exit::Unavailable {
                return Err(failure);
            }
            complain(&failure);
            if ends == Exit::Ok {
                ends = failure.exit;
            }
            Ok(())
        };
        let mut runs = Vec::new();
        for body in bodies {
            match self.made(body).await {
                Ok(run) => runs.push(run),
                Err(failure) => not_well(failure)?,
            }
        }
        for run in runs.iter().filter(|_| self.wait) {
            if let Err(failure) = self.waited(run).await {
                not_well(failure)?;
            }
        }
        Ok(ends)
    }

    /// Asks for a run, and tells its id.
    async fn made(&self, body: &FireBody) -> Result<RunId, Failure> {
        let fired = ask(self.context, self.client, body).await?;
        match self.context.out.json && !self.wait {
            true => self.context.out.object(&fired)?,
            false if !self.wait => self.context.out.line(&fired.run)?,
            false => {}
        }
        fired.run.parse().map_err(|error| {
            let what = ClientError::Unreadable(format!("{error}"));
            reach::failure(self.context, what)
        })
    }

    async fn waited(&self, run: &RunId) -> Outcome {
        let zone = reach::zone_of(self.config, run.series.schedule.as_str());
        let past = Past::open(self.config, &self.context.zones).ok().flatten();
        // Without a history the terminal shows how long it has lasted.
        let expected = past.and_then(|past| past.usually_takes(&run.series).ok().flatten());
        watch::watch(self.context, self.client, run, zone, expected).await
    }
}

/// The values that are given by hand.
fn parameters(args: &FireArgs) -> Result<Map<String, Value>, Failure> {
    let mut parameters = Map::new();
    for (name, value) in &args.params {
        if parameters.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::new(
                Exit::Usage,
                format!("--param {name} is given twice"),
                "next: nightcall fire --help",
            ));
        }
    }
    Ok(parameters)
}

fn body(args: &FireArgs, target: &Target, parameters: &Map<String, Value>) -> FireBody {
    FireBody {
        schedule: target.schedule.to_string(),
        set: target.set.as_ref().map(ToString::to_string),
        key: args
            .key
            .as_ref()
            .map_or_else(random_key, ToString::to_string),
        parameters: parameters.clone(),
        as_of: args.as_of.map(|date| date.to_string()),
        queue: args.queue,
        anyway: args.anyway,
        even_paused: args.even_paused,
    }
}

/// Asks, and asks again with the same key while the answer is lost.
async fn ask(context: &Context, client: &Client, body: &FireBody) -> Result<FiredView, Failure> {
    let asked = persistently(async || client.fire(body).await).await;
    asked.map_err(|unanswered| match unanswered {
        Unanswered::Lost(error) => unknown(context, &error, body),
        Unanswered::Not(error) => reach::failure(context, error),
    })
}

fn unknown(context: &Context, error: &ClientError, body: &FireBody) -> Failure {
    let set = body.set.as_ref().map(|set| format!("/{set}"));
    let again = context.next(format_args!(
        "fire {}{} --key {}",
        body.schedule,
        set.unwrap_or_default(),
        body.key
    ));
    Failure::new(
        Exit::Unavailable,
        format!("{error}; whether the run was made is not known"),
        format!("the same key never makes a second run; with the same other options,\n{again}"),
    )
}

/// 128 bits that nobody else has: the hasher's keys come from the system's randomness.
fn random_key() -> String {
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(), half())
}

fn parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("write it as NAME=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}

fn date(text: &str) -> Result<civil::Date, String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = text.parse().ok().filter(|_| plain);
    date.ok_or_else(|| "write it as 2026-02-03".to_owned())
}

fn key(text: &str) -> Result<ClientKey, String> {
    ClientKey::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_when_it_reads_as_json() {
        for (text, json) in [
            ("n=2", "2"),
            ("n=2.0", "2.0"),
            ("n=123456789012345678901", "123456789012345678901"),
            ("n=true", "true"),
            ("n=null", "null"),
            ("n=\"2\"", "\"2\""),
            ("n=[1,2]", "[1,2]"),
            ("n={\"a\":1}", "{\"a\":1}"),
            ("n=Hypermarket", "\"Hypermarket\""),
            ("n=2026-02-03", "\"2026-02-03\""),
            ("n=", "\"\""),
            ("n=a=b", "\"a=b\""),
        ] {
            let (name, value) = parameter(text).unwrap();
            assert_eq!((name.as_str(), value.to_string().as_str()), ("n", json));
        }
        assert!(parameter("n").is_err() && parameter("=2").is_err());
    }

    #[test]
    fn keys_are_names_and_never_the_same() {
        let keys: std::collections::HashSet<String> = (0..1000).map(|_| random_key()).collect();
        assert_eq!(keys.len(), 1000);
        assert!(
            keys.iter()
                .all(|key| key.len() == 32 && ClientKey::new(key).is_ok())
        );
    }

    #[test]
    fn a_date_is_a_date_and_nothing_more() {
        assert_eq!(date("2026-02-03").unwrap(), civil::date(2026, 2, 3));
        for text in ["2026-02-30", "3 Feb", "2026-02-03T01:00", "20260203T00", ""] {
            assert!(date(text).is_err(), "{text}");
        }
    }
}
