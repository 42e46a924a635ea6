//! `[connection.*]`: whom to ask, how to be let in, and how often.

use std::collections::HashMap;
use std::time::Duration;

use url::{Host, Url};

use super::credential::credential;
use super::daemon::path;
use super::duration;
use super::read::{Found, Item, Table, short};
use super::{Connection, raw};
use crate::sched::call::{Provider, Target};
use crate::sched::id::ConnectionName;
use crate::sched::schedule::ConnectionLimits;
use crate::sched::schedule::PollPlan;

/// The vendor names no number; this many requests a minute are known to be let through.
const REQUESTS_PER_MINUTE: u32 = 60;

/// The longest name of a connection in CARTO.
const LONGEST_NAME: usize = 200;

/// A connection with the places that later checks point at.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// The connection.
    pub(super) connection: Connection,
    /// Its table.
    pub(super) table: Table<'a>,
}

/// Reads a connection; `None` when something is wrong with it.
pub(super) fn connection<'a>(item: &Item<'a>, found: &mut Found) -> Option<Read<'a>> {
    if !item.is_named_table("connection", found) {
        return None;
    }
    let name = name(item, found);
    let table = item.table(&raw::CONNECTION, found)?;
    let base_url = table
        .need("base_url", "\"https://gcp-us-east1.api.carto.com\"", found)
        .and_then(|item| endpoint(item, found));
    let provider = table
        .need("provider", "\"bigquery\"", found)
        .and_then(|item| item.word(&Provider::ALL, found));
    let credential = credential(&table, found);
    let vendor_name = match table.get("name") {
        Some(item) => vendor_name(item, found),
        None => name.as_ref().map(|name| name.as_str().to_owned()),
    };
    let numbers = numbers(&table, found);
    let ca_file = table.get("ca_file").and_then(|item| path(item, found));
    let proxy = table.get("proxy").and_then(|item| proxy(item, found));
    let target = Target {
        base_url: base_url?.into(),
        connection: vendor_name?.into(),
    };
    let connection = Connection {
        limits: limits(name?, target, numbers),
        provider: provider?,
        credential: credential?,
        ca_file,
        proxy,
    };
    Some(Read { connection, table })
}

fn name(item: &Item<'_>, found: &mut Found) -> Option<ConnectionName> {
    let name = ConnectionName::new(item.key);
    if name.is_err() {
        let hint = format!(
            "write [connection.my-name] and in it name = \"{}\"",
            short(item.key)
        );
        found.wrong(
            item.key_problem("a name is 1 to 100 of A-Z a-z 0-9 _ -")
                .with_hint(hint),
        );
    }
    name.ok()
}

fn vendor_name(item: &Item<'_>, found: &mut Found) -> Option<String> {
    let text = item.text(found)?;
    if text.chars().count() > LONGEST_NAME || text.chars().any(char::is_control) {
        let message = format!("must be at most {LONGEST_NAME} characters in one line");
        found.wrong(item.problem(message));
        return None;
    }
    Some(text.to_owned())
}

/// An `https` URL, or `http` to this machine only, without user, query or fragment; without a trailing slash.
pub(super) fn endpoint(item: &Item<'_>, found: &mut Found) -> Option<String> {
    let text = item.text(found)?.trim();
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            let problem = item.problem(format!("is not a URL: {error}"));
            found.wrong(match text.contains("://") {
                true => problem,
                false => problem.with_hint("begin it with https://"),
            });
            return None;
        }
    };
    if let Some((message, hint)) = refusal(&url, text) {
        let mut problem = item.problem(message);
        problem.hint = hint;
        found.wrong(problem);
        return None;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// Why a URL is not taken, and what to write instead.
fn refusal(url: &Url, text: &str) -> Option<(&'static str, Option<String>)> {
    if url.host().is_none() {
        return Some(("has no host", Some("begin it with https://".into())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "leave it out here, and say it with `token` or `oauth`";
        return Some(("must not hold a user or a password", Some(hint.into())));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url) => {}
        "http" => {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let hint = format!("write \"https://{}\"", short(rest));
            let message = "plain http would send the credential in clear, to anybody on the way";
            return Some((message, Some(hint)));
        }
        _ => return Some(("must begin with https://", None)),
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some(("must end before any ? or #", None));
    }
    None
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn proxy(item: &Item<'_>, found: &mut Found) -> Option<String> {
    let text = item.text(found)?.trim();
    let Some(url) = Url::parse(text).ok().filter(|url| url.host().is_some()) else {
        let hint = "write \"http://proxy.example.com:3128\"";
        found.wrong(item.problem("is not the URL of a proxy").with_hint(hint));
        return None;
    };
    if !["http", "https"].contains(&url.scheme()) {
        found.wrong(item.problem("must begin with http:// or https://"));
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        let message = "must not hold a user or a password: a secret does not belong in this file";
        let hint = "name a proxy that lets this machine through without one";
        found.wrong(item.problem(message).with_hint(hint));
        return None;
    }
    Some(text.to_owned())
}

/// What `[connection.*]` says of numbers and times.
struct Numbers {
    requests_per_minute: u32,
    max_in_flight: u32,
    poll: PollPlan,
    request_timeout: Duration,
    list_lag: Duration,
    give_up: Duration,
}

fn numbers(table: &Table<'_>, found: &mut Found) -> Numbers {
    let seconds = Duration::from_secs;
    let least = Duration::from_millis(1);
    let numbers = Numbers {
        requests_per_minute: count(table, "requests_per_minute", 10_000_000, found)
            .unwrap_or(REQUESTS_PER_MINUTE),
        max_in_flight: count(table, "max_in_flight", 1_000_000, found).unwrap_or(50),
        poll: poll(table, found),
        request_timeout: time(table, "request_timeout", least, found).unwrap_or(seconds(30)),
        list_lag: time(table, "list_lag", seconds(0), found).unwrap_or(seconds(60)),
        give_up: time(table, "give_up", least, found).unwrap_or(seconds(30 * 60)),
    };
    let settled = numbers.request_timeout.saturating_add(numbers.list_lag);
    if numbers.give_up <= settled {
        let at = ["give_up", "list_lag", "request_timeout"];
        if let Some(item) = at.iter().find_map(|key| table.get(key)) {
            let message = format!(
                "a job in doubt cannot be given up so soon: give_up ({}) is not longer than \
                 request_timeout and list_lag together ({}), after which absence means something",
                duration::show(numbers.give_up),
                duration::show(settled)
            );
            let better = duration::show(settled.saturating_mul(2));
            found.doubtful(
                item.problem(message)
                    .with_hint(format!("write give_up = \"{better}\"")),
            );
        }
    }
    numbers
}

fn count(table: &Table<'_>, key: &str, most: i64, found: &mut Found) -> Option<u32> {
    let value = table.get(key)?.integer(1..=most, found)?;
    u32::try_from(value).ok()
}

fn time(table: &Table<'_>, key: &str, least: Duration, found: &mut Found) -> Option<Duration> {
    table.get(key)?.duration(least, found)
}

fn poll(table: &Table<'_>, found: &mut Found) -> PollPlan {
    let mut plan = PollPlan {
        first: Duration::from_secs(2),
        factor: 1.5,
        max: Duration::from_secs(30),
    };
    let Some(item) = table.get("poll") else {
        return plan;
    };
    let Some(table) = item.table(&raw::POLL, found) else {
        return plan;
    };
    let least = Duration::from_millis(1);
    if let Some(first) = time(&table, "first", least, found) {
        plan.first = first;
    }
    if let Some(factor) = table
        .get("factor")
        .and_then(|item| item.number(1.0..=100.0, found))
    {
        plan.factor = factor;
    }
    if let Some(max) = time(&table, "max", least, found) {
        plan.max = max;
    }
    if plan.max < plan.first {
        let item = table.get("max").or(table.get("first")).unwrap_or(item);
        let message = format!(
            "the longest pause ({}) is shorter than the first ({})",
            duration::show(plan.max),
            duration::show(plan.first)
        );
        let better = duration::show(plan.first);
        found.wrong(
            item.problem(message)
                .with_hint(format!("write max = \"{better}\" or longer")),
        );
    }
    plan
}

fn limits(name: ConnectionName, target: Target, numbers: Numbers) -> ConnectionLimits {
    ConnectionLimits {
        name,
        target,
        requests_per_minute: numbers.requests_per_minute,
        max_in_flight: numbers.max_in_flight,
        poll: numbers.poll,
        request_timeout: numbers.request_timeout,
        list_lag: numbers.list_lag,
        give_up: numbers.give_up,
    }
}

/// The host of a base URL with its port, which the budget of requests belongs to.
pub(super) fn host(base_url: &str) -> String {
    match Url::parse(base_url) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default();
            let port = url.port_or_known_default().unwrap_or_default();
            format!("{host}:{port}")
        }
        Err(_) => base_url.to_owned(),
    }
}

/// Connections of one host share one budget, so they must agree on it.
pub(super) fn budgets_agree(connections: &[Read<'_>], found: &mut Found) {
    let mut first: HashMap<String, &Read<'_>> = HashMap::new();
    for read in connections {
        let limits = &read.connection.limits;
        let known = first.entry(host(&limits.target.base_url)).or_insert(read);
        let theirs = &known.connection.limits;
        if theirs.requests_per_minute == limits.requests_per_minute {
            continue;
        }
        let message = format!(
            "shares the budget of its host with {} ({}), and has {} requests a minute where that \
             has {}",
            theirs.name,
            known.table.at.words(),
            limits.requests_per_minute,
            theirs.requests_per_minute,
        );
        let (problem, both) = match read.table.get("requests_per_minute") {
            Some(item) => (
                item.problem(message),
                limits.requests_per_minute.min(theirs.requests_per_minute),
            ),
            None => (
                read.table.at.problem(&read.table.path, message),
                theirs.requests_per_minute,
            ),
        };
        let hint = format!("write requests_per_minute = {both} in both");
        found.wrong(problem.with_hint(hint));
    }
}
