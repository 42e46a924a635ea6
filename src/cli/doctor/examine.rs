//! The one way through all checks, for the command and for the daemon. Nothing that is wrong with one thing hides what
//! is wrong with another.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};

use super::life::Needs;
use super::patient::Patient;
use super::vendor::{self, Skew};
use super::{machine, socket};
use crate::cli::serve::Checkup;
use crate::daemon::synchronisation;
use crate::sched::finding::{Finding, Severity};
use crate::sched::time::Timestamp;

/// The pages of the database are looked at for so long, unless they are to be looked at whole.
pub(super) const DATABASE_LIMIT: Duration = Duration::from_secs(10);

impl Patient {
    /// Looks at everything, at the connections all at once, within a minute or so; `deep` takes as long as it takes.
    pub async fn examine(self: Arc<Self>) -> Vec<Finding> {
        let needs = {
            let patient = Arc::clone(&self);
            spawn_blocking(move || Needs::of(&patient.series, Timestamp::now())).await
        };
        let needs = Arc::new(needs.unwrap_or_default());
        let checkup = {
            let (path, deep) = (self.database.clone(), self.deep);
            (self.progress)("looking at the database …");
            spawn_blocking(move || Checkup::of(&path, deep, DATABASE_LIMIT))
        };
        let (checkup, connections, synchronised, control) = tokio::join!(
            checkup,
            Arc::clone(&self).connections(Arc::clone(&needs)),
            synchronisation(),
            socket::control(&self.control),
        );
        let mut findings = Vec::new();
        let mut skews = Vec::new();
        let memories = checkup.as_ref().map(|c| c.connections.as_slice());
        for (connection, seen) in self.connections.iter().zip(connections) {
            findings.extend(seen.findings);
            skews.extend(seen.skew);
            if let Ok(memories) = memories {
                let used = needs.used(connection.name());
                let proof = vendor::proof(self.as_ref(), connection, memories);
                findings.push(demoted(proof, used));
            }
        }
        findings.push(machine::clock(synchronised, &skews));
        match checkup {
            Ok(checkup) => findings.extend(machine::database(&checkup)),
            Err(error) => findings.push(Finding::bad(
                Severity::Problem,
                "database",
                self.database.display().to_string(),
                format!("looking at it failed: {error}"),
                "report this as a bug",
            )),
        }
        findings.push(machine::zone_data(&self.zones, Timestamp::now()));
        findings.push(control);
        findings
    }

    /// What was seen of each connection, in their order.
    async fn connections(self: Arc<Self>, needs: Arc<Needs>) -> Vec<Seen> {
        let mut looking = JoinSet::new();
        for index in 0..self.connections.len() {
            let (patient, needs) = (Arc::clone(&self), Arc::clone(&needs));
            looking.spawn(async move {
                let connection = &patient.connections[index];
                let name = connection.name();
                (patient.progress)(&format!("asking {name} …"));
                let mut seen = vendor::look(&patient, connection, needs.last(name)).await;
                let used = needs.used(name);
                seen.findings = seen
                    .findings
                    .into_iter()
                    .map(|finding| demoted(finding, used))
                    .collect();
                (index, seen)
            });
        }
        let mut seen = looking.join_all().await;
        seen.sort_by_key(|(index, _)| *index);
        seen.into_iter().map(|(_, seen)| seen).collect()
    }
}

/// What one connection showed.
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    pub(super) skew: Option<Skew>,
}

/// Nothing that is wrong with a connection without schedules keeps anything from running.
fn demoted(finding: Finding, used: bool) -> Finding {
    if used || finding.severity < Severity::Problem {
        return finding;
    }
    Finding {
        severity: Severity::Warning,
        message: format!("{}; no enabled schedule uses it", finding.message),
        ..finding
    }
}
