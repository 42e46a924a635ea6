//! `nightcall notify test`: a sample to channels, to see that it arrives.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::{Exit, Failure, Outcome};
use super::serve::notifier;
use super::{Context, words};
use crate::config::{Channel, Config};
use crate::notify::{Item, Message, SendError, Severity};
use crate::sched::notice::NoticeKind;
use crate::sched::time::Timestamp;

/// Try the channels to people.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall notify test ops\n  nightcall notify test --all --json"
)]
pub struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    Test(TestArgs),
}

/// Send a sample to a channel, from here and at once.
///
/// Needs no daemon; it reads the channel's secrets as the one who calls it. The exit code is 0 when every sample was taken.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall notify test ops\n  nightcall notify test --all --json"
)]
struct TestArgs {
    /// The names of channels
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// Every channel of the configuration
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// What became of one sample, as `--json` prints it.
#[derive(Debug, Serialize)]
struct TriedView<'a> {
    channel: &'a str,
    sent: bool,
    /// Why it was not taken.
    error: Option<String>,
}

/// `nightcall notify`.
pub async fn notify(context: &Context, args: NotifyArgs) -> Outcome {
    let NotifyCommand::Test(args) = args.command;
    let config = context.load()?;
    let mut exit = Exit::Ok;
    for channel in chosen(context, &config, &args)? {
        let sent = notifier(channel)?
            .send(&sample(Timestamp::now()), None)
            .await;
        let error = sent.err().map(|error| match error {
            SendError::Retry { why, .. } | SendError::GiveUp(why) => words::plain(&why),
        });
        if error.is_some() {
            exit = Exit::Failed;
        }
        tell(context, &channel.name, error)?;
    }
    Ok(exit)
}

fn chosen<'c>(
    context: &Context,
    config: &'c Config,
    args: &TestArgs,
) -> Result<Vec<&'c Channel>, Failure> {
    if config.channels.is_empty() {
        let hint = "add [notify.NAME]: docs/configuration.md";
        return Err(Failure::new(Exit::Failed, "there is no channel", hint));
    }
    if args.all {
        return Ok(config.channels.iter().collect());
    }
    let named = args.names.iter().map(|name| {
        let known = config.channels.iter().find(|channel| channel.name == *name);
        known.ok_or_else(|| {
            let all: Vec<&str> = config.channels.iter().map(|c| c.name.as_str()).collect();
            Failure::new(
                Exit::Failed,
                format!(
                    "there is no channel {}; there are: {}",
                    words::plain(name),
                    all.join(" ")
                ),
                context.next("notify test --all"),
            )
        })
    });
    named.collect()
}

fn tell(context: &Context, channel: &str, error: Option<String>) -> Result<(), Failure> {
    if context.out.json {
        return context.out.object(&TriedView {
            channel,
            sent: error.is_none(),
            error,
        });
    }
    context.out.line(match error {
        None => format!("{channel}: the sample was taken"),
        Some(why) => format!("{channel}: not taken: {why}"),
    })
}

/// A message that says that it is none.
fn sample(at: Timestamp) -> Message {
    let subject = "a sample: nothing is wrong".to_owned();
    Message {
        id: format!("sample:{at}"),
        thread: "sample".to_owned(),
        severity: Severity::Info,
        at,
        instance: "nightcall".to_owned(),
        subject: subject.clone(),
        items: vec![Item {
            kind: NoticeKind::Recovered,
            at,
            schedule: None,
            run: None,
            subject,
            body: "somebody asked for it with `nightcall notify test`".to_owned(),
        }],
    }
}
