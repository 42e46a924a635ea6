//! `[notify.*]`: who is told, how, and of what.

use std::time::Duration;

use super::credential::{command, secret};
use super::daemon::path;
use super::read::{Found, Item, Table, short};
use super::{Channel, ChannelKind, Tls, raw, suggest};
use crate::sched::id::ScheduleName;
use crate::sched::notice::{KINDS, NoticeKind};
use crate::secret::SecretSource;

/// How long one message may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that it may take, so that a stop is not held up.
const LONGEST: Duration = Duration::from_secs(110);

/// The ways to tell people, with the keys that only they may say.
const TYPES: [(&str, &[&str]); 4] = [
    ("webhook", &["url", "secret", "ca_file"]),
    ("slack", &["url", "token", "channel"]),
    (
        "email",
        &["host", "port", "tls", "username", "password", "from", "to"],
    ),
    ("command", &["command"]),
];

/// Keys that every type may say.
const SHARED: [&str; 5] = ["type", "timeout", "on", "tags", "owners"];

/// Reads a channel; `None` when something is wrong with it.
pub(super) fn channel(item: &Item<'_>, found: &mut Found) -> Option<Channel> {
    if !item.is_named_table("channel", found) {
        return None;
    }
    let before = found.problems.len();
    if ScheduleName::new(item.key).is_err() {
        found.wrong(item.key_problem("a name is 1 to 100 of A-Z a-z 0-9 _ -"));
    }
    let table = item.table(&raw::NOTIFY, found)?;
    let types = TYPES.map(|(name, _)| (name, name));
    let chosen = table
        .need("type", "\"slack\"", found)
        .and_then(|item| item.word(&types, found))?;
    belongs(&table, chosen, found);
    let kind = kind(&table, chosen, found);
    let texts = |key: &str, found: &mut Found| {
        let item = table.get(key)?;
        Some(item.texts(found))
    };
    let channel = Channel {
        name: item.key.to_owned(),
        on: table.get("on").map(|item| kinds(item, found)),
        tags: texts("tags", found).unwrap_or_default(),
        owners: texts("owners", found).unwrap_or_default(),
        timeout: timeout(&table, found),
        kind: kind?,
    };
    (found.problems.len() == before).then_some(channel)
}

/// A key that another type understands is a problem: it would be passed over in silence.
fn belongs(table: &Table<'_>, chosen: &str, found: &mut Found) {
    let own = TYPES.iter().find(|(name, _)| *name == chosen);
    let own = own.map_or(&[][..], |(_, keys)| *keys);
    for item in &table.items {
        let known = raw::NOTIFY.keys.contains(&item.key);
        if known && !own.contains(&item.key) && !SHARED.contains(&item.key) {
            let message = format!("a channel of type {chosen} has no `{}`", item.key);
            let all: Vec<&str> = own.iter().chain(&SHARED).copied().collect();
            let hint = format!("take it out; it may say {}", all.join(" "));
            found.wrong(item.key_problem(message).with_hint(hint));
        }
    }
}

fn kind(table: &Table<'_>, chosen: &str, found: &mut Found) -> Option<ChannelKind> {
    match chosen {
        "webhook" => Some(ChannelKind::Webhook {
            url: needed_secret(table, "url", "WEBHOOK_URL", found)?,
            secret: optional_secret(table, "secret", "WEBHOOK_SECRET", found),
            ca_file: table.get("ca_file").and_then(|item| path(item, found)),
        }),
        "slack" => slack(table, found),
        "email" => email(table, found),
        _ => {
            let item = table.need("command", "[\"/usr/local/bin/page\", \"ops\"]", found)?;
            command(item, found).map(ChannelKind::Command)
        }
    }
}

/// An incoming webhook, or a bot in a channel.
fn slack(table: &Table<'_>, found: &mut Found) -> Option<ChannelKind> {
    match (table.get("url"), table.get("token"), table.get("channel")) {
        (Some(url), None, None) => {
            secret(url, "SLACK_URL", found).map(|url| ChannelKind::SlackWebhook { url })
        }
        (None, Some(token), Some(channel)) => Some(ChannelKind::SlackBot {
            token: secret(token, "SLACK_BOT_TOKEN", found)?,
            channel: channel.text(found)?.to_owned(),
        }),
        _ => {
            let problem = table.at.problem(
                &table.path,
                "says neither the url of an incoming webhook nor token and channel of a bot",
            );
            let hint = "write url = { env = \"SLACK_URL\" }; or, for threads, \
                        token = { env = \"SLACK_BOT_TOKEN\" } and channel = \"#nightly\"";
            found.wrong(problem.with_hint(hint));
            None
        }
    }
}

fn email(table: &Table<'_>, found: &mut Found) -> Option<ChannelKind> {
    let tls = match table.get("tls") {
        Some(item) => item.word(&Tls::ALL, found)?,
        None => Tls::StartTls,
    };
    let port = match table.get("port") {
        Some(item) => u16::try_from(item.integer(1..=65_535, found)?).ok()?,
        None => tls.port(),
    };
    let host = table.need("host", "\"smtp.example.com\"", found)?;
    let host_name = host.text(found)?.to_owned();
    if tls == Tls::None && !is_this_machine(&host_name) {
        let problem = host.problem("without TLS mail goes to this machine only");
        found.wrong(problem.with_hint("write tls = \"starttls\", or host = \"localhost\""));
    }
    let password = optional_secret(table, "password", "SMTP_PASSWORD", found);
    let username = table.get("username").and_then(|item| item.text(found));
    if username.is_some() != password.is_some() {
        let problem = table
            .at
            .problem(&table.path, "says only one of username and password");
        found.wrong(problem.with_hint("say both, or neither"));
    }
    let from = table.need("from", "\"nightcall@example.com\"", found)?;
    let to = table.need("to", "[\"ops@example.com\"]", found)?;
    let to: Vec<String> = to
        .one_or_more(found)
        .iter()
        .filter_map(|item| address(item, found))
        .collect();
    if to.is_empty() {
        found.wrong(table.at.problem(&table.path, "names nobody to write to"));
    }
    Some(ChannelKind::Email {
        host: host_name,
        port,
        tls,
        login: username.map(str::to_owned).zip(password),
        from: address(from, found)?,
        to,
    })
}

fn is_this_machine(host: &str) -> bool {
    let address: Option<std::net::IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

/// A mail address, as far as it can be judged without asking: something on both sides of one `@`.
fn address(item: &Item<'_>, found: &mut Found) -> Option<String> {
    let text = item.text(found)?.trim();
    let bare = match (text.rfind('<'), text.ends_with('>')) {
        (Some(start), true) => &text[start + 1..text.len() - 1],
        _ => text,
    };
    let plain = !bare.chars().any(|c| c.is_whitespace() || c.is_control());
    let right = bare
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    if !plain || !right || text.chars().any(char::is_control) {
        let message = format!("`{}` is no mail address", short(text));
        found.wrong(
            item.problem(message)
                .with_hint("write \"name@example.com\""),
        );
        return None;
    }
    Some(text.to_owned())
}

fn needed_secret(
    table: &Table<'_>,
    key: &str,
    variable: &str,
    found: &mut Found,
) -> Option<SecretSource> {
    let example = format!("{{ env = \"{variable}\" }}");
    let item = table.need(key, &example, found)?;
    secret(item, variable, found)
}

fn optional_secret(
    table: &Table<'_>,
    key: &str,
    variable: &str,
    found: &mut Found,
) -> Option<SecretSource> {
    table
        .get(key)
        .and_then(|item| secret(item, variable, found))
}

fn timeout(table: &Table<'_>, found: &mut Found) -> Duration {
    let Some(item) = table.get("timeout") else {
        return TIMEOUT;
    };
    let said = item
        .duration(Duration::from_secs(1), found)
        .unwrap_or(TIMEOUT);
    if said > LONGEST {
        let hint = "write timeout = \"30s\"";
        found.wrong(item.problem("must be at most 110s").with_hint(hint));
    }
    said
}

/// Kinds of notices by their words.
fn kinds(item: &Item<'_>, found: &mut Found) -> Vec<NoticeKind> {
    let mut kinds = Vec::new();
    for item in item.list("a list of kinds of notices", found) {
        let Some(text) = item.text(found) else {
            continue;
        };
        match NoticeKind::from_word(text) {
            Some(kind) => kinds.push(kind),
            None => {
                let all: Vec<&str> = KINDS.iter().map(|(_, word)| *word).collect();
                let message = format!("`{}` is none of: {}", short(text), all.join(" "));
                let mut problem = item.problem(message);
                problem.hint = suggest::did_you_mean(text, all);
                found.wrong(problem);
            }
        }
    }
    kinds
}

/// The names of all channels, for those who refer to one.
pub(super) struct Names<'a> {
    known: Vec<&'a str>,
    /// A file could not be read, so that a name that is not known may be there.
    incomplete: bool,
}

impl<'a> Names<'a> {
    pub(super) fn of(items: &[Item<'a>], incomplete: bool) -> Self {
        Self {
            known: items.iter().map(|item| item.key).collect(),
            incomplete,
        }
    }

    /// The channels that `notify` names.
    pub(super) fn read(&self, item: &Item<'_>, found: &mut Found) -> Vec<String> {
        let mut names = Vec::new();
        for item in item.list("a list of channels", found) {
            let Some(text) = item.text(found) else {
                continue;
            };
            if self.incomplete || self.known.contains(&text) {
                names.push(text.to_owned());
                continue;
            }
            let mut problem = item.problem(format!("there is no [notify.{}]", short(text)));
            if found.is_few() {
                problem.hint = suggest::did_you_mean(text, self.known.iter().copied());
            }
            found.wrong(problem);
        }
        names
    }
}
