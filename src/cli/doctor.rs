//! `nightcall doctor`: before the night, is everything there that it needs? The daemon makes the same checks each day.

mod examine;
mod life;
mod machine;
mod patient;
mod socket;
mod vendor;

use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::exit::{Exit, Failure, Outcome};
use super::{Context, words as shown};
use crate::control::client::Client;
use crate::sched::finding::{Finding, Severity, Tally};

pub use patient::{Patient, Progress};

/// Every check by its name, with what it asks; `docs/operations.md` has thresholds and remedies.
pub const CHECKS: [(&str, &str); 13] = [
    (
        "credential",
        "can the credential be had, and does it outlast the next 24 h?",
    ),
    (
        "credential-file",
        "is the file with the secret closed to others?",
    ),
    (
        "endpoint",
        "does the vendor's host answer, with TLS that can be trusted?",
    ),
    (
        "job-list",
        "does the vendor let us in, as far as the job list shows?",
    ),
    (
        "vendor-clock",
        "is the vendor's clock within a minute of ours?",
    ),
    ("list-proof", "has the job list shown a job of ours lately?"),
    ("clock", "is the clock of this machine synchronised?"),
    ("disk", "is there room on the disk that the database is on?"),
    ("wal", "is the write-ahead log of the usual size?"),
    ("database", "do the pages of the database fit together?"),
    ("database-rights", "is the database closed to others?"),
    ("zone-data", "is the time-zone data fresh enough?"),
    (
        "control",
        "does a daemon listen, and to nobody but its group?",
    ),
];

/// Before the night, look whether all is there that it needs.
///
/// Credentials and how long they are good, the vendor's host, the job list, clocks, disk, database, zone data, the daemon's socket. Nothing is submitted and nothing changed. The exit code is that of the worst finding: 0 when all is well, 3 for a warning, 1 for a problem.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  nightcall doctor\n  nightcall doctor --json\n  nightcall doctor --deep --config /etc/nightcall"
)]
pub struct DoctorArgs {
    /// Look at the whole database, each index against its table, however long that takes
    #[arg(long)]
    pub deep: bool,
}

/// One finding, as `--json` prints it.
#[derive(Serialize)]
struct FindingView<'a> {
    /// The name of the check.
    check: &'a str,
    /// A connection, a file, or `this machine`.
    subject: &'a str,
    /// `ok`, `warning` or `problem`.
    severity: &'static str,
    message: &'a str,
    /// What to do; null when there is nothing to do.
    remedy: Option<&'a str>,
}

/// `nightcall doctor`.
pub async fn doctor(context: &Context, args: DoctorArgs) -> Outcome {
    let config = context.load()?;
    // A connection whose credential only the service has is known to work when the daemon says so.
    let status = Client::new(&config.daemon.control).status().await.ok();
    let works = status.map(|status| {
        let connections = status.connections.into_iter();
        let works = connections
            .filter(|c| c.outage.is_none() && c.swept && c.list_readable == Some(true))
            .map(|c| c.name);
        works.collect()
    });
    let patient = Patient {
        deep: args.deep,
        works,
        progress: progress(context.out.json),
        ..Patient::of(&config, &context.zones)
    };
    let mut findings = Arc::new(patient).examine().await;
    // Within a severity they stay in the order in which they were made.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    show(context, &findings)?;
    Ok(match Tally::of(&findings).worst() {
        Severity::Well => Exit::Ok,
        Severity::Warning => Exit::Warned,
        Severity::Problem => Exit::Failed,
    })
}

/// What is being looked at, for people on a terminal.
fn progress(json: bool) -> Progress {
    use std::io::{IsTerminal, Write};
    if json || !std::io::stderr().is_terminal() {
        return patient::quietly();
    }
    Arc::new(|what| {
        // Nowhere to show it: nothing is lost.
        let _ = writeln!(anstream::stderr(), "  {what}");
    })
}

fn show(context: &Context, findings: &[Finding]) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return findings.iter().try_for_each(|finding| {
            out.object(&FindingView {
                check: finding.check,
                subject: &finding.subject,
                severity: finding.severity.word(),
                message: &finding.message,
                remedy: finding.remedy.as_deref(),
            })
        });
    }
    for finding in findings {
        let severity = format!("{:<9}", finding.severity.word());
        let colour = match finding.severity {
            Severity::Well => "succeeded",
            Severity::Warning => "skipped",
            Severity::Problem => "failed",
        };
        out.line(format!(
            "{}{:<17}{}: {}",
            out.coloured(&severity, colour),
            finding.check,
            shown::plain(&finding.subject),
            shown::plain(&finding.message)
        ))?;
        if let Some(remedy) = &finding.remedy {
            out.line(format!("         {}", shown::plain(remedy)))?;
        }
    }
    out.line("")?;
    out.line(Tally::of(findings).to_string())
}
