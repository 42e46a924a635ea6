//! `[daemon]` and `[classify]`: the parts that exist once.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::read::{Found, Item, Table, short};
use super::{Classify, Daemon, Retention, raw};
use crate::sched::time::{TimeZone, civil};

/// The longest path of a unix socket, in bytes.
const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The longest name of an installation.
const LONGEST_INSTANCE: usize = 100;

/// The folders that a service manager gives.
#[derive(Clone, Debug, Default)]
pub(super) struct Folders {
    /// `$STATE_DIRECTORY`.
    pub(super) state: Option<PathBuf>,
    /// `$RUNTIME_DIRECTORY`.
    pub(super) runtime: Option<PathBuf>,
}

/// `[daemon]`, from as many files as speak of it. `folder` is where the first file is.
pub(super) fn daemon(
    table: &Table<'_>,
    folder: &Path,
    service: &Folders,
    found: &mut Found,
) -> Daemon {
    table.check_keys(&raw::DAEMON, found);
    let default = |given: &Option<PathBuf>, name: &str| {
        let folder = given.as_deref().unwrap_or(folder);
        folder.join(name)
    };
    Daemon {
        database: table
            .get("database")
            .and_then(|item| path(item, found))
            .unwrap_or_else(|| default(&service.state, "nightcall.db")),
        control: table
            .get("control")
            .and_then(|item| socket(item, found))
            .unwrap_or_else(|| default(&service.runtime, "nightcall.sock")),
        http: table.get("http").and_then(|item| loopback(item, found)),
        instance: table.get("instance").and_then(|item| instance(item, found)),
        retention: retention(table, found),
        doctor_at: table
            .get("doctor_at")
            .and_then(|item| time_of_day(item, found))
            .unwrap_or(civil::time(17, 0, 0, 0)),
        doctor_zone: TimeZone::UTC,
    }
}

/// `[classify]`, from as many files as speak of it.
pub(super) fn classify(table: &Table<'_>, found: &mut Found) -> Classify {
    table.check_keys(&raw::CLASSIFY, found);
    let mut list = |key: &str| {
        table
            .get(key)
            .map(|item| item.texts(found))
            .unwrap_or_default()
    };
    let classify = Classify {
        transient: list("transient"),
        permanent: list("permanent"),
    };
    let both = |reason: &&String| classify.transient.contains(reason);
    if let (Some(reason), Some(item)) =
        (classify.permanent.iter().find(both), table.get("permanent"))
    {
        let message = format!("`{}` is in both lists", short(reason));
        found.wrong(item.problem(message).with_hint("keep it in one of them"));
    }
    classify
}

/// A path, relative to the file that says it.
pub(super) fn path(item: &Item<'_>, found: &mut Found) -> Option<PathBuf> {
    let text = item.text(found)?;
    if text.contains('\0') {
        found.wrong(item.problem("must not contain a zero byte"));
        return None;
    }
    Some(item.at.source.resolve(text))
}

fn socket(item: &Item<'_>, found: &mut Found) -> Option<PathBuf> {
    let path = path(item, found)?;
    let length = path.as_os_str().len();
    if length > LONGEST_SOCKET {
        let message = format!(
            "the path of a socket has at most {LONGEST_SOCKET} bytes, and this one has {length}"
        );
        let hint = "write a shorter one, for example /run/nightcall/nightcall.sock";
        found.wrong(item.problem(message).with_hint(hint));
        return None;
    }
    Some(path)
}

/// A loopback address with a port: the API has no password.
fn loopback(item: &Item<'_>, found: &mut Found) -> Option<SocketAddr> {
    let text = item.text(found)?;
    let example = "write \"127.0.0.1:7070\"";
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok(),
    };
    let Some(address) = address else {
        found.wrong(
            item.problem("must be an address with a port")
                .with_hint(example),
        );
        return None;
    };
    if !address.ip().is_loopback() {
        let message = "must be a loopback address, since nobody is asked for a password";
        let hint = format!("{example} and put a server that asks for one in front");
        found.wrong(item.problem(message).with_hint(hint));
        return None;
    }
    Some(address)
}

fn instance(item: &Item<'_>, found: &mut Found) -> Option<String> {
    let text = item.text(found)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if text.len() > LONGEST_INSTANCE || !text.bytes().all(plain) {
        found.wrong(item.problem("must be 1 to 100 of A-Z a-z 0-9 _ - ."));
        return None;
    }
    Some(text.to_owned())
}

fn retention(table: &Table<'_>, found: &mut Found) -> Retention {
    let mut retention = Retention {
        days: 400,
        runs_per_series: 10_000,
    };
    let Some(table) = table
        .get("retention")
        .and_then(|item| item.table(&raw::RETENTION, found))
    else {
        return retention;
    };
    if let Some(days) = table
        .get("days")
        .and_then(|item| item.integer(1..=36_500, found))
    {
        retention.days = u32::try_from(days).unwrap_or(retention.days);
    }
    if let Some(runs) = table
        .get("runs_per_series")
        .and_then(|item| item.integer(1..=1_000_000_000, found))
    {
        retention.runs_per_series = runs.unsigned_abs();
    }
    retention
}

/// A time of day: text as in "17:00", or a TOML local time.
fn time_of_day(item: &Item<'_>, found: &mut Found) -> Option<civil::Time> {
    let time = match item.value {
        DeValue::String(text) => text.parse().ok(),
        DeValue::Datetime(time) if time.date.is_none() && time.offset.is_none() => {
            item.at.text().parse().ok()
        }
        _ => None,
    };
    if time.is_none() {
        found.wrong(
            item.problem("must be a time of day")
                .with_hint(format!("write {} = \"17:00\"", item.key)),
        );
    }
    time
}
