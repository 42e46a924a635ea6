//! What arrives at real receivers, channel by channel; what is tried again and what is given up; and that whatever a
//! receiver does, a sending ends, in bounds, and shows no secret.

#[path = "notify/command.rs"]
mod command;
#[path = "notify/email.rs"]
mod email;
#[path = "notify/heartbeat.rs"]
mod heartbeat;
#[path = "notify/render.rs"]
mod render;
#[path = "notify/slack.rs"]
mod slack;
#[path = "notify/webhook.rs"]
mod webhook;

use std::time::{Duration, Instant};

use nightcall::notify::setup::Reach;
use nightcall::notify::{Item, Message, Notifier, SendError, Sent, Severity};
use nightcall::sched::notice::NoticeKind;
use nightcall::secret::SecretSource;

use crate::support::receiver::Receiver;

/// Part of every secret in these tests; no error may show it.
const TELLING: &str = "telling-0123456789";

/// The time limit of a sending to somebody who hangs.
const SHORT: Duration = Duration::from_millis(400);

/// By when it must have ended on a machine that is busy.
const ENDED: Duration = Duration::from_secs(8);

fn secret(text: &str) -> SecretSource {
    SecretSource::Command(vec!["echo".into(), text.into()])
}

fn missing() -> SecretSource {
    SecretSource::File("/nowhere/secret".into())
}

/// How a receiver that hangs is reached.
fn short() -> Reach {
    Reach {
        timeout: SHORT,
        ..Reach::default()
    }
}

fn item(n: usize) -> Item {
    let run = format!("store-clusters/hyper@2026-11-30T02:{:02}:00Z", n % 60);
    Item {
        kind: NoticeKind::Failed,
        at: "2026-11-30T02:17:03Z".parse().unwrap(),
        schedule: Some("store-clusters".parse().unwrap()),
        run: Some(run.parse().unwrap()),
        subject: format!("store-clusters/hyper failed: table <stores_{n}> & friends are gone"),
        body: "attempt 3 of 3: notFound\n\nnext: nightcall why store-clusters/hyper 02:15".into(),
    }
}

fn message(items: Vec<Item>) -> Message {
    Message {
        id: "m:store-clusters/hyper@2026-11-30T02:15:00Z:finished".into(),
        thread: "incident:carto_dw:2026-11-30T02:00:00Z".into(),
        severity: Severity::Error,
        at: "2026-11-30T02:17:03Z".parse().unwrap(),
        instance: "night-prod".into(),
        subject: match items.len() {
            1 => items[0].subject.clone(),
            n => format!("{n} runs failed: carto_dw refuses the token"),
        },
        items,
    }
}

/// One failure.
fn one() -> Message {
    message(vec![item(15)])
}

/// Many failures of one cause.
fn herd(n: usize) -> Message {
    message((0..n).map(item).collect())
}

/// 3 MB of text wherever text may be.
fn huge() -> Message {
    let text = "<&\"'\u{1b}\u{202e}ü\n".repeat(300_000);
    let mut message = herd(30);
    message.subject.clone_from(&text);
    for item in &mut message.items {
        item.subject.clone_from(&text);
        item.body.clone_from(&text);
    }
    message
}

async fn told(channel: &dyn Notifier, message: &Message) -> Result<Sent, SendError> {
    let begun = Instant::now();
    let sent = channel.send(message, None).await;
    assert!(begun.elapsed() < ENDED, "{:?}: {sent:?}", begun.elapsed());
    if let Err(error) = &sent {
        presentable(error);
    }
    sent
}

/// No error shows a secret, or is long, or more than a line.
fn presentable(error: &SendError) {
    let text = error.to_string();
    assert!(!text.contains(TELLING), "{text}");
    assert!(
        !text.is_empty() && text.len() < 700 && !text.contains('\n'),
        "{text}"
    );
}

fn retried(sent: Result<impl std::fmt::Debug, SendError>) -> (String, Option<Duration>) {
    match sent {
        Err(SendError::Retry { why, after }) => (why, after),
        other => panic!("not to be tried again: {other:?}"),
    }
}

fn given_up(sent: Result<impl std::fmt::Debug, SendError>) -> String {
    match sent {
        Err(SendError::GiveUp(why)) => why,
        other => panic!("not given up: {other:?}"),
    }
}

/// Compares with `tests/golden/notify`.
fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../golden/notify");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The request as it came, with what differs from time to time taken out.
fn as_heard(receiver: &Receiver) -> String {
    let heard = receiver.heard().remove(0);
    let mut text = format!("{} {}\n", heard.method, heard.path);
    for (name, value) in &heard.headers {
        let value = match name.as_str() {
            "host" => "(the receiver)",
            "user-agent" => value.split_once('/').map_or("", |(name, _)| name),
            "content-length" => "(its length)",
            "x-nightcall-timestamp" => "(now)",
            "x-nightcall-signature" => &value[..3],
            _ => value,
        };
        text.push_str(&format!("{name}: {value}\n"));
    }
    let body = match heard.header("content-type") {
        Some(kind) if kind.contains("json") => serde_json::to_string_pretty(&heard.json()).unwrap(),
        _ => heard.body,
    };
    format!("{text}\n{body}\n")
}
