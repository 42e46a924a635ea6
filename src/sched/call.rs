//! What is asked of the vendor: the statement, its parameters, and the marker by which a job is found again.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::id::{JobId, RunId};
use super::time::Timestamp;

/// The warehouse behind a connection; it decides how a CALL is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// BigQuery and the CARTO Data Warehouse.
    BigQuery,
    /// Snowflake.
    Snowflake,
    /// PostgreSQL.
    Postgres,
    /// Redshift.
    Redshift,
    /// Databricks.
    Databricks,
    /// Oracle.
    Oracle,
}

impl Provider {
    /// Every provider with the word that the configuration uses.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::BigQuery, "bigquery"),
        (Self::Snowflake, "snowflake"),
        (Self::Postgres, "postgres"),
        (Self::Redshift, "redshift"),
        (Self::Databricks, "databricks"),
        (Self::Oracle, "oracle"),
    ];

    /// The configuration's word.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(p, _)| *p == self)
            .map_or("bigquery", |(_, w)| w)
    }
}

/// The values of a CALL. Plain JSON, since the vendor takes nothing else; numbers keep the form in which they were
/// written (2 is not 2.0) and objects keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// By name (`@name`).
    Named(Map<String, Value>),
    /// By position (`$1`, `:1`).
    Positional(Vec<Value>),
}

impl Parameters {
    /// The `queryParameters` of the request.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Named(map) => Value::Object(map.clone()),
            Self::Positional(list) => Value::Array(list.clone()),
        }
    }

    /// Reads what [`Parameters::to_json`] wrote; `None` for anything that is neither an object nor an array.
    pub fn from_json(value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self::Named(map)),
            Value::Array(list) => Some(Self::Positional(list)),
            _ => None,
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Named(map) => map.is_empty(),
            Self::Positional(list) => list.is_empty(),
        }
    }
}

/// A stored procedure and the order of its arguments, as CARTO's API dialog shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// The qualified name without backticks: `project.dataset.workflow_procedure_09cc…`.
    pub name: String,
    /// The arguments in the written order.
    pub arguments: Vec<String>,
}

impl Procedure {
    /// The CALL for BigQuery: the whole name in one pair of backticks, arguments by name, no white space, as on the
    /// vendor's page.
    pub fn bigquery_call(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|a| format!("@{a}")).collect();
        format!("CALL `{}`({})", self.name, arguments.join(","))
    }
}

/// Where a statement is sent. A run keeps the target that it was planned with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The API's base URL without a trailing slash, for example `https://gcp-us-east1.api.carto.com`.
    pub base_url: Arc<str>,
    /// The name of the connection in CARTO, as in `/v3/sql/{connection}/job`.
    pub connection: Arc<str>,
}

/// The value of `app` in every marker.
pub const APP: &str = "nightcall";

/// What travels flat in a job's `metadata`, to find the job again when the answer to its submission was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Which installation of nightcall.
    pub instance: String,
    /// The run.
    pub run: RunId,
    /// The submission within the run, from 1.
    pub attempt: u32,
}

/// Everything that leaves with one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Where to.
    pub target: Target,
    /// The statement, trimmed.
    pub query: Arc<str>,
    /// Its values.
    pub parameters: Arc<Parameters>,
    /// To find the job again.
    pub marker: Marker,
}

/// One entry of the vendor's job list, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedJob {
    /// Its id.
    pub job: JobId,
    /// When the vendor says that it was created.
    pub created: Option<Timestamp>,
    /// Our marker, of whichever instance; `None` for jobs that are not ours or whose metadata is not shown.
    pub marker: Option<Marker>,
    /// The statement, when the list shows it.
    pub query: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.connection, self.base_url)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_bigquery_call_is_the_one_of_the_vendors_page() {
        let procedure = Procedure {
            name: "carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.workflow_procedure_09cc2e19ad5bbc6f".into(),
            arguments: ["number_of_clusters", "buffer_radius", "store_type"].map(String::from).to_vec(),
        };
        assert_eq!(
            procedure.bigquery_call(),
            "CALL `carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.workflow_procedure_09cc2e19ad5bbc6f`\
             (@number_of_clusters,@buffer_radius,@store_type)"
        );
    }
}
