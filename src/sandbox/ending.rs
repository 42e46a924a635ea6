//! How a job ends, with words that a warehouse would use.
//!
//! Written as text: `success`, `success_with_errors`, `stuck`, `stopped`, `rate_limited`, one of the reasons of
//! [`Failure::reasons`], or `reason: message` for any other reason or message.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// Why a job failed, in BigQuery's terms; `profile.rs` translates for the other warehouses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For example `invalidQuery`; in the flat and Snowflake profiles a bare code (`40001`) passes through.
    pub reason: String,
    /// For example `query`.
    pub location: Option<String>,
    /// The warehouse's words.
    pub message: String,
}

/// Every reason that is known, with a location and a message that a person could meet.
const REASONS: [(&str, &str, &str); 27] = [
    (
        "backendError",
        "",
        "Backend error. Retrying the job may solve the problem.",
    ),
    (
        "internalError",
        "",
        "An internal error occurred and the request could not be completed.",
    ),
    (
        "badGateway",
        "",
        "The service returned a bad gateway response.",
    ),
    (
        "rateLimitExceeded",
        "",
        "Exceeded rate limits: too many concurrent queries for this project.",
    ),
    (
        "jobBackendError",
        "",
        "The job encountered a backend error during execution.",
    ),
    (
        "jobInternalError",
        "",
        "The job encountered an internal error during execution.",
    ),
    (
        "jobRateLimitExceeded",
        "table",
        "The job exceeded rate limits: too many table update operations for this table.",
    ),
    (
        "tableUnavailable",
        "table",
        "The table is temporarily unavailable.",
    ),
    ("timeout", "", "The job timed out after 6h."),
    (
        "resourcesExceeded",
        "query",
        "Resources exceeded during query execution: the query could not be executed in the allotted memory.",
    ),
    (
        "quotaExceeded",
        "",
        "Quota exceeded: your project exceeded its quota for scanned bytes.",
    ),
    ("responseTooLarge", "query", "Response too large to return."),
    (
        "stopped",
        "",
        "Job execution was cancelled: user requested cancellation",
    ),
    (
        "duplicate",
        "table",
        "Already Exists: Table workflows_temp.result",
    ),
    (
        "resourceInUse",
        "table",
        "The resource is in use by another operation.",
    ),
    (
        "invalidQuery",
        "query",
        "Query error: Syntax error: Unexpected end of script at [12:1]",
    ),
    (
        "invalid",
        "parameter",
        "Invalid value for a parameter of the job.",
    ),
    (
        "notFound",
        "table",
        "Not found: Table workflows_temp.stores was not found in location US",
    ),
    (
        "accessDenied",
        "table",
        "Access Denied: Table workflows_temp.stores: User does not have permission to query the table.",
    ),
    (
        "billingNotEnabled",
        "",
        "Billing has not been enabled for this project.",
    ),
    (
        "billingTierLimitExceeded",
        "",
        "The query exceeded the billing tier.",
    ),
    (
        "bytesBilledLimitExceeded",
        "",
        "Query exceeded the limit for bytes billed: 1000000.",
    ),
    ("blocked", "", "The operation was blocked. Contact support."),
    (
        "policyViolation",
        "",
        "The operation violates an organization policy.",
    ),
    (
        "notImplemented",
        "",
        "The job cannot be executed: not implemented.",
    ),
    ("attributeError", "", "The job has an attribute error."),
    ("invalidUser", "", "The job user is not valid."),
];

impl Failure {
    /// A failure with a reason and a message; the location is that of the known reason.
    pub fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        let reason = reason.into();
        let location = REASONS
            .iter()
            .find(|(known, location, _)| *known == reason && !location.is_empty())
            .map(|(_, location, _)| (*location).to_owned());
        Self {
            location,
            reason,
            message: message.into(),
        }
    }

    /// The failure of a known reason with its usual message.
    pub fn known(reason: &str) -> Option<Self> {
        REASONS
            .iter()
            .find(|(known, _, _)| *known == reason)
            .map(|(known, _, message)| Self::new(*known, *message))
    }

    /// A script that met a rate limit: BigQuery reports it under a reason that looks permanent.
    pub fn rate_limited() -> Self {
        Self::new(
            "invalidQuery",
            "Exceeded rate limits: too many table update operations for this table at [31:1]",
        )
    }

    /// Every known reason.
    pub fn reasons() -> impl Iterator<Item = &'static str> {
        REASONS.iter().map(|(reason, _, _)| *reason)
    }
}

/// How a job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ends well.
    Success,
    /// It ends well although its `errors` are not empty.
    SuccessWithErrors,
    /// It never ends.
    Stuck,
    /// It ends with an error.
    Fails(Failure),
}

impl Ending {
    /// Ends with a known reason, or with an unknown one and no message worth reading.
    pub fn fails(reason: &str) -> Self {
        Self::Fails(
            Failure::known(reason).unwrap_or_else(|| Failure::new(reason, "The job failed.")),
        )
    }

    /// Somebody stopped it.
    pub fn stopped() -> Self {
        Self::fails("stopped")
    }

    /// Whether the job did what it was asked to do.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Success | Self::SuccessWithErrors)
    }
}

impl FromStr for Ending {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text {
            "success" => return Ok(Self::Success),
            "success_with_errors" => return Ok(Self::SuccessWithErrors),
            "stuck" => return Ok(Self::Stuck),
            "rate_limited" => return Ok(Self::Fails(Failure::rate_limited())),
            _ => {}
        }
        if let Some((reason, message)) = text.split_once(':') {
            return Ok(Self::Fails(Failure::new(reason.trim(), message.trim())));
        }
        Failure::known(text).map(Self::Fails).ok_or_else(|| {
            let known: Vec<&str> = Failure::reasons().collect();
            format!(
                "unknown ending {text:?}; known are success, success_with_errors, stuck, rate_limited, {}; \
                 write \"reason: message\" for any other",
                known.join(", ")
            )
        })
    }
}

impl<'de> Deserialize<'de> for Ending {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_known_reason_can_be_written_alone() {
        for reason in Failure::reasons() {
            let Ending::Fails(failure) = reason.parse().unwrap() else {
                panic!("{reason} does not fail");
            };
            assert_eq!(failure.reason, reason);
            assert!(!failure.message.is_empty());
        }
    }

    #[test]
    fn any_other_reason_needs_a_message() {
        assert_eq!(
            "40001: could not serialize access".parse(),
            Ok(Ending::Fails(Failure::new(
                "40001",
                "could not serialize access"
            )))
        );
        let error = "backendErorr".parse::<Ending>().unwrap_err();
        assert!(error.contains("\"backendErorr\"") && error.contains("backendError,"));
    }

    #[test]
    fn a_rate_limit_looks_like_a_wrong_query() {
        let Ok(Ending::Fails(failure)) = "rate_limited".parse() else {
            panic!("not a failure");
        };
        assert_eq!(failure.reason, "invalidQuery");
        assert!(failure.message.starts_with("Exceeded rate limits"));
    }
}
