//! One connection: its credential, the way to the vendor, whether the vendor lets us in, both clocks, and whether the
//! job list has shown a job of ours.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::examine::Seen;
use super::life::Last;
use super::machine::apart;
use super::patient::Patient;
use crate::cli::{serve, words};
use crate::config::{Connection, Credential};
use crate::sched::fault::{ConnectionFault, Fault};
use crate::sched::finding::{Finding, Severity};
use crate::sched::id::ConnectionName;
use crate::sched::step::{ConnectionMemory, ListAnswer};
use crate::sched::time::{Timestamp, between, earlier, later};
use crate::secret::SecretSource;
use crate::warehouse::{Heard, Looked, Validity};

/// Looking at one connection ends after this, whatever its `request_timeout`.
const LONGEST: Duration = Duration::from_secs(60);
/// Jobs of so long ago are listed: the list is to be short.
const LISTED: Duration = Duration::from_secs(120);
/// The vendor's clock may be so far from ours; beyond that no list proves that a job is absent.
pub(super) const TOLERATED: Duration = Duration::from_secs(60);
/// A credential that ends within this is a warning.
const ENDS_SOON: Duration = Duration::from_secs(7 * 86_400);
/// The list is read daily: a proof that is older than two days was not renewed.
const PROOF_OLD: Duration = Duration::from_secs(2 * 86_400);

/// How far the vendor's clock is from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skew {
    pub(super) off: Duration,
}

/// Asks with a client of its own: what is in its place now is what counts tonight, and a new connection is made.
pub(super) async fn look(patient: &Patient, connection: &Connection, last: Option<&Last>) -> Seen {
    let name = connection.name();
    let mut seen = Seen {
        findings: Vec::new(),
        skew: None,
    };
    let client = match serve::client(connection, &patient.classify) {
        Ok(client) => client,
        Err(why) => {
            let remedy = format!("correct [connection.{name}]");
            seen.findings.push(problem("endpoint", name, why, remedy));
            seen.findings.extend(file_rights(connection));
            return seen;
        }
    };
    let since = earlier(Timestamp::now(), LISTED);
    let looked = tokio::time::timeout(LONGEST, client.look(&connection.limits.target, since)).await;
    // Right now, since it is compared with the vendor's clock.
    let now = Timestamp::now();
    let Ok(Heard { answer, date }) = looked else {
        let message = format!("nothing was heard within {} s", LONGEST.as_secs());
        let remedy = "lower `request_timeout`, and look at the route to the host";
        seen.findings
            .push(problem("endpoint", name, message, remedy));
        seen.findings.extend(file_rights(connection));
        return seen;
    };
    let Looked {
        credential,
        reached,
        list,
    } = answer;
    let works = |works: &Vec<String>| works.iter().any(|known| known == name.as_str());
    let elsewhere = credential.is_err() && patient.works.as_ref().is_some_and(works);
    seen.findings.push(credential_of(
        patient,
        connection,
        &credential,
        last,
        elsewhere,
        now,
    ));
    seen.findings.extend(file_rights(connection));
    if let Err(fault) = &reached {
        let remedy = remedy_of(fault, "look at the route to the host");
        let told = fault.message.clone();
        seen.findings.push(problem("endpoint", name, told, remedy));
        return seen;
    }
    let host = &connection.limits.target.base_url;
    seen.findings.push(Finding::well(
        "endpoint",
        name.as_str(),
        format!("{host} answers"),
    ));
    seen.findings
        .extend(list_of(name, credential.is_ok(), elsewhere, &list));
    seen.findings.push(clock_of(name, date, now));
    seen.skew = date.map(|date| Skew {
        off: off(date, now),
    });
    seen
}

fn problem(
    check: &'static str,
    name: &ConnectionName,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding::bad(Severity::Problem, check, name.as_str(), message, remedy)
}

fn remedy_of(fault: &Fault, otherwise: &str) -> String {
    fault.remedy.clone().unwrap_or_else(|| otherwise.to_owned())
}

/// Where the secret of the connection is kept.
fn source(connection: &Connection) -> &SecretSource {
    match &connection.credential {
        Credential::Token(source) => source,
        Credential::OAuth { client_secret, .. } => client_secret,
    }
}

/// Present, and good for long enough. `elsewhere`: it cannot be had here, but a running daemon has it.
fn credential_of(
    patient: &Patient,
    connection: &Connection,
    credential: &Result<Validity, Fault>,
    last: Option<&Last>,
    elsewhere: bool,
    now: Timestamp,
) -> Finding {
    const CHECK: &str = "credential";
    let name = connection.name();
    let place = source(connection);
    let message = match credential {
        Err(_) if elsewhere => format!(
            "{place} cannot be read here, but the running daemon has it and is let in; how long it is good is \
             looked at by the daemon, each day at {}",
            words::clock(patient.doctor_at)
        ),
        Err(fault) => {
            let remedy = remedy_of(fault, "see that the secret is where the configuration says");
            return problem(CHECK, name, fault.message.clone(), remedy);
        }
        Ok(Validity::Renewed) => format!("a token was had with {place}; it is renewed in time"),
        Ok(Validity::Unknown) => {
            format!("{place} holds a token, which does not say how long it is good")
        }
        Ok(Validity::Until(end)) => {
            let told = |at: Timestamp| words::moment(at, &patient.zone, now);
            if let Some((severity, what)) = too_short(*end, last, now, &told) {
                let message = format!("the token of {place} {what}");
                return Finding::bad(severity, CHECK, name.as_str(), message, renewal(place));
            }
            format!("{place} holds a token that is good until {}", told(*end))
        }
    };
    Finding::well(CHECK, name.as_str(), message)
}

/// How bad it is that a token ends then, in words that follow its place; `None` when it lasts long enough.
fn too_short(
    end: Timestamp,
    last: Option<&Last>,
    now: Timestamp,
    told: &impl Fn(Timestamp) -> String,
) -> Option<(Severity, String)> {
    if end <= now {
        return Some((Severity::Problem, format!("has expired: {}", told(end))));
    }
    if let Some(last) = last.filter(|last| end < last.ended) {
        let what = format!(
            "expires {}, before the last run of the next 24 h can have ended: {} is due {} and may take until {}",
            told(end),
            last.series,
            told(last.due),
            told(last.ended)
        );
        return Some((Severity::Problem, what));
    }
    let soon = end < later(now, ENDS_SOON);
    soon.then(|| (Severity::Warning, format!("expires soon: {}", told(end))))
}

fn renewal(place: &SecretSource) -> String {
    let then = match place {
        SecretSource::Env(_) | SecretSource::Credential(_) => "then restart the daemon",
        SecretSource::File(_) | SecretSource::Command(_) => "it is read again without a restart",
    };
    format!("make a new API Access Token in CARTO and put it into {place}; {then}")
}

/// A file with a secret is for its owner alone. One that cannot be seen is told as the credential that is missing.
fn file_rights(connection: &Connection) -> Option<Finding> {
    const CHECK: &str = "credential-file";
    let SecretSource::File(path) = source(connection) else {
        return None;
    };
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    let subject = path.display().to_string();
    let who = match mode {
        _ if mode & 0o007 != 0 => "everybody on this machine",
        _ if mode & 0o070 != 0 => "its group",
        _ => {
            let message = format!("it is its owner's alone (mode {mode:04o})");
            return Some(Finding::well(CHECK, subject, message));
        }
    };
    let message = format!("mode {mode:04o}: it is open to {who}");
    let remedy = format!("next: chmod 600 {subject}");
    Some(Finding::bad(
        Severity::Warning,
        CHECK,
        subject,
        message,
        remedy,
    ))
}

/// Whether the vendor lets us in. Without a credential nobody was to be let in, and that is told already.
fn list_of(
    name: &ConnectionName,
    asked: bool,
    elsewhere: bool,
    list: &ListAnswer,
) -> Option<Finding> {
    const CHECK: &str = "job-list";
    if elsewhere {
        let message = "the running daemon reads it";
        return Some(Finding::well(CHECK, name.as_str(), message));
    }
    if !asked {
        return None;
    }
    Some(match list {
        ListAnswer::Jobs(_) => Finding::well(CHECK, name.as_str(), "it can be read"),
        ListAnswer::Unsupported(fault) => problem(
            CHECK,
            name,
            format!("it cannot be read, so that a lost answer would end as lost: {fault}"),
            remedy_of(
                fault,
                "ask CARTO's support whether jobs can be listed there",
            ),
        ),
        ListAnswer::NoAnswer(fault) => Finding::bad(
            match fault.connection() {
                // It passes by itself.
                Some(ConnectionFault::TooMany) => Severity::Warning,
                _ => Severity::Problem,
            },
            CHECK,
            name.as_str(),
            format!("the vendor does not let us in: {fault}"),
            remedy_of(
                fault,
                "look at the vendor's status page, and try again in some minutes",
            ),
        ),
    })
}

fn off(date: Timestamp, now: Timestamp) -> Duration {
    between(date, now).max(between(now, date))
}

fn clock_of(name: &ConnectionName, date: Option<Timestamp>, now: Timestamp) -> Finding {
    const CHECK: &str = "vendor-clock";
    const SO: &str = "no list proves that a job is absent, so that a lost answer would end as lost";
    let Some(date) = date else {
        return Finding::bad(
            Severity::Warning,
            CHECK,
            name.as_str(),
            format!("the answer has no Date: {SO}"),
            "see whether a proxy on the way takes the header away",
        );
    };
    let off = off(date, now);
    if off <= TOLERATED {
        let message = format!("within {} of ours", apart(off.max(Duration::from_secs(1))));
        return Finding::well(CHECK, name.as_str(), message);
    }
    let way = if date > now { "ahead of" } else { "behind" };
    problem(
        CHECK,
        name,
        format!("it is {} {way} ours: {SO}", apart(off)),
        "next: timedatectl   # is the clock of this machine right?",
    )
}

/// Whether a list has shown a job of ours, as the database remembers it.
pub(super) fn proof(
    patient: &Patient,
    connection: &Connection,
    memories: &[(ConnectionName, ConnectionMemory)],
) -> Finding {
    const CHECK: &str = "list-proof";
    let name = connection.name();
    let now = Timestamp::now();
    let memory = memories.iter().find(|(known, _)| known == name);
    let submitted = memory.and_then(|(_, memory)| memory.accepted.last());
    let Some((_, submitted)) = submitted else {
        let message = "nothing was submitted there yet";
        return Finding::well(CHECK, name.as_str(), message);
    };
    let proven = memory.and_then(|(_, memory)| memory.proven);
    let told = |at: Timestamp| words::moment(at, &patient.zone, now);
    let message = match proven {
        Some(proven) if proven >= *submitted || between(proven, now) < PROOF_OLD => {
            let message = format!("a list showed a job of ours {}", told(proven));
            return Finding::well(CHECK, name.as_str(), message);
        }
        Some(proven) => format!(
            "no list has shown a job of ours since {}: a lost answer would end as lost",
            told(proven)
        ),
        None => "no list has shown a job of ours yet: a lost answer would end as lost".to_owned(),
    };
    Finding::bad(
        Severity::Warning,
        CHECK,
        name.as_str(),
        message,
        "the daemon looks again each day; when this stays, the vendor does not list what we submit: choose `doubt` \
         of the schedules with that in mind",
    )
}
