//! How a warehouse answers: its ids, its words for the states of a job, and the shape of its replies.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::ending::{Ending, Failure};
use super::job::{Job, Phase};

/// Whose answers are imitated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// BigQuery and the CARTO Data Warehouse: nested status, upper-case states, ids that start with `job_`.
    #[default]
    Bigquery,
    /// Snowflake's words in the nested shape.
    Snowflake,
    /// Snowflake's words in the flat shape.
    SnowflakeFlat,
    /// PostgreSQL and Redshift: flat shape, lower-case states, UUIDs, `error` with `code` and `msg`.
    Flat,
    /// Answers that nobody expects; see [`Quirk`].
    Weird,
}

/// What is odd about a weird answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// State words that no warehouse has.
    UnknownWords,
    /// No `status` at all.
    MissingStatus,
    /// `errorResult` is there and null.
    NullErrorResult,
    /// `errors` are listed without an `errorResult`, also when the job ended well.
    ErrorsWithoutResult,
    /// Known words in an unusual spelling.
    OddSpelling,
}

const QUIRKS: [Quirk; 5] = [
    Quirk::UnknownWords,
    Quirk::MissingStatus,
    Quirk::NullErrorResult,
    Quirk::ErrorsWithoutResult,
    Quirk::OddSpelling,
];

/// What a reply is drawn from, beside the job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// The warehouse.
    pub profile: Profile,
    /// The one quirk of the weird profile; each job has its own when there is none.
    pub quirk: Option<Quirk>,
    /// `createdAt` as the vendor's clock has it.
    pub created_at: &'a str,
}

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
const HEX: &str = "0123456789abcdef";

impl Profile {
    /// A new job id in the warehouse's style.
    pub(super) fn job_id(self, dice: &mut Dice) -> String {
        let mut hex = |length| dice.text(length, HEX);
        match self {
            Self::Bigquery | Self::Weird => format!("job_{}", dice.text(28, LETTERS)),
            Self::Snowflake | Self::SnowflakeFlat => {
                format!("01{}-{}-{}-0000-{}", hex(6), hex(4), hex(4), hex(12))
            }
            Self::Flat => {
                let (a, b, c, d, e) = (hex(8), hex(4), hex(3), hex(3), hex(12));
                format!("{a}-{b}-4{c}-a{d}-{e}")
            }
        }
    }

    /// The words for waiting, running, being stopped, ended well, failed, stopped.
    fn words(self) -> [&'static str; 6] {
        match self {
            Self::Bigquery | Self::Weird => {
                ["PENDING", "RUNNING", "RUNNING", "DONE", "DONE", "DONE"]
            }
            Self::Snowflake | Self::SnowflakeFlat => [
                "QUEUED",
                "RUNNING",
                "ABORTING",
                "SUCCESS",
                "FAILED_WITH_ERROR",
                "ABORTED",
            ],
            Self::Flat => [
                "pending",
                "running",
                "running",
                "done",
                "failed",
                "cancelled",
            ],
        }
    }
}

fn word(words: [&'static str; 6], phase: &Phase) -> &'static str {
    let [waits, runs, stopping, well, failed, stopped] = words;
    match phase {
        Phase::Pending => waits,
        Phase::Running => runs,
        Phase::Stopping => stopping,
        Phase::Ended(Ending::Fails(failure)) if failure.reason == "stopped" => stopped,
        Phase::Ended(Ending::Fails(_)) => failed,
        Phase::Ended(_) => well,
    }
}

/// The reply to a creation, without the echo of the token.
pub(super) fn created(job: &Job, frame: Frame<'_>) -> Map<String, Value> {
    let location = match frame.profile {
        Profile::Bigquery | Profile::Weird => json!({ "location": "US" }),
        _ => json!({}),
    };
    object(json!({
        "externalId": job.id,
        "accountId": "ac_sandbox0",
        "userId": "auth0|5a4db0c5a4db0c5a4db0c5a4",
        "connectionId": "5a32a0ea-555a-48dd-aeb1-8768aae8ef1c",
        "metadata": job.metadata,
        "createdAt": frame.created_at,
        "query": job.query,
        "jobMetadata": location,
    }))
}

/// The reply to a reading of one job.
pub(super) fn read(job: &Job, phase: &Phase, frame: Frame<'_>) -> Map<String, Value> {
    match frame.profile {
        Profile::Flat | Profile::SnowflakeFlat => flat(job, phase, frame),
        Profile::Bigquery | Profile::Snowflake => {
            let mut reply = created(job, frame);
            reply.insert("status".into(), nested(phase, frame.profile));
            reply
        }
        Profile::Weird => weird(job, phase, frame),
    }
}

fn flat(job: &Job, phase: &Phase, frame: Frame<'_>) -> Map<String, Value> {
    let error = match phase {
        Phase::Ended(Ending::Fails(failure)) => {
            json!({ "code": code(failure, frame.profile), "msg": failure.message })
        }
        _ => json!({}),
    };
    object(json!({
        "jobId": job.id,
        "query": job.query,
        "status": word(frame.profile.words(), phase),
        "error": error,
        "createdAt": frame.created_at,
        "metadata": job.metadata,
    }))
}

/// The status object: on BigQuery as on the vendor's page, with `errorResult` only when the job failed.
fn nested(phase: &Phase, profile: Profile) -> Value {
    let mut status = Map::new();
    match phase {
        Phase::Ended(Ending::Fails(failure)) if profile == Profile::Snowflake => {
            let error = json!({ "code": code(failure, profile), "message": failure.message });
            status.insert("error".into(), error);
        }
        Phase::Ended(Ending::Fails(failure)) => {
            status.insert("errorResult".into(), error_result(failure));
        }
        Phase::Ended(Ending::SuccessWithErrors) => {
            status.insert("errors".into(), json!([passing_error()]));
        }
        _ => {}
    }
    status.insert("state".into(), word(profile.words(), phase).into());
    Value::Object(status)
}

fn weird(job: &Job, phase: &Phase, frame: Frame<'_>) -> Map<String, Value> {
    let mut reply = created(job, frame);
    let each = usize::try_from(job.number).unwrap_or(0) % QUIRKS.len();
    let quirk = frame.quirk.or(QUIRKS.get(each).copied());
    let failure = match phase {
        Phase::Ended(Ending::Fails(failure)) => error_result(failure),
        _ => Value::Null,
    };
    let state = word(Profile::Bigquery.words(), phase);
    let status = match quirk {
        Some(Quirk::MissingStatus) | None => return reply,
        Some(Quirk::UnknownWords) => {
            let words = [
                "BREWING",
                "SIMMERING",
                "COOLING",
                "SERVED",
                "BURNT",
                "SPILT",
            ];
            json!({ "state": word(words, phase) })
        }
        Some(Quirk::NullErrorResult) => {
            json!({ "state": state, "errorResult": failure, "errors": null })
        }
        Some(Quirk::ErrorsWithoutResult) => {
            let error = if failure.is_null() {
                passing_error()
            } else {
                failure
            };
            json!({ "state": state, "errors": [error] })
        }
        Some(Quirk::OddSpelling) => {
            let words = [
                "Queued",
                "In-Progress",
                "Cancelling",
                "Succeeded",
                "Failed With Error",
                "Canceled",
            ];
            json!({ "state": word(words, phase), "errorResult": failure })
        }
    };
    reply.insert("status".into(), status);
    reply
}

fn error_result(failure: &Failure) -> Value {
    let mut error = Map::new();
    error.insert("reason".into(), failure.reason.clone().into());
    if let Some(location) = &failure.location {
        error.insert("location".into(), location.clone().into());
    }
    error.insert("message".into(), failure.message.clone().into());
    Value::Object(error)
}

/// An error that the job met on its way and got over.
fn passing_error() -> Value {
    json!({ "reason": "backendError", "message": "A worker was lost; the stage was run again." })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The warehouse's own code for a failure. What already looks like a code passes through.
fn code(failure: &Failure, profile: Profile) -> String {
    let is_code = failure.reason.starts_with(|c: char| c.is_ascii_digit());
    if is_code || failure.reason.starts_with("XX") {
        return failure.reason.clone();
    }
    let message = failure.message.to_ascii_lowercase();
    let missing = message.contains("procedure is not found");
    let limited = message.contains("rate limits");
    let [postgres, snowflake] = match failure.reason.as_str() {
        _ if missing => ["42883", "002141"],
        _ if limited => ["53300", "000625"],
        "backendError" | "badGateway" | "jobBackendError" => ["08006", "000603"],
        "internalError" | "jobInternalError" => ["XX000", "000603"],
        "tableUnavailable" | "resourceInUse" => ["55P03", "000625"],
        "timeout" => ["57014", "000630"],
        "stopped" => ["57014", "000604"],
        "resourcesExceeded" | "responseTooLarge" => ["53200", "100132"],
        "quotaExceeded" | "billingTierLimitExceeded" | "bytesBilledLimitExceeded" => {
            ["53400", "090073"]
        }
        "duplicate" => ["42P07", "002002"],
        "notFound" => ["42P01", "002003"],
        "accessDenied" | "blocked" | "policyViolation" | "billingNotEnabled" | "invalidUser" => {
            ["42501", "003001"]
        }
        "notImplemented" => ["0A000", "000002"],
        _ if message.contains("cannot coerce") => ["42804", "001007"],
        _ => ["42601", "001003"],
    };
    let code = match profile {
        Profile::Snowflake | Profile::SnowflakeFlat => snowflake,
        _ => postgres,
    };
    code.to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn job(number: u64) -> Job {
        let t = Timestamp::UNIX_EPOCH;
        Job {
            number,
            id: "job_1".into(),
            connection: "carto_dw".into(),
            marker: None,
            metadata: json!({"run": "r"}),
            query: "CALL a.b()".into(),
            parameters: Value::Null,
            by_url: false,
            procedure: None,
            table: None,
            runs: true,
            created: t,
            visible: t,
            listed: t,
            starts: t,
            ends: None,
            ending: Ending::Stuck,
            stop_asked: None,
            stops: None,
        }
    }

    fn frame(profile: Profile) -> Frame<'static> {
        Frame {
            profile,
            quirk: None,
            created_at: "2026-03-01T06:00:01.204Z",
        }
    }

    fn status(profile: Profile, phase: &Phase) -> Value {
        read(&job(1), phase, frame(profile))
            .remove("status")
            .unwrap()
    }

    fn failed() -> Phase {
        Phase::Ended(Ending::fails("invalidQuery"))
    }

    #[test]
    fn bigquery_says_done_and_tells_failures_by_the_error_result() {
        let well = Phase::Ended(Ending::Success);
        assert_eq!(status(Profile::Bigquery, &well), json!({"state": "DONE"}));
        let failed = status(Profile::Bigquery, &failed());
        assert_eq!(failed["state"], "DONE");
        assert_eq!(failed["errorResult"]["reason"], "invalidQuery");
        assert_eq!(failed["errorResult"]["location"], "query");
        let errors = status(Profile::Bigquery, &Phase::Ended(Ending::SuccessWithErrors));
        assert!(errors["errors"].is_array() && errors.get("errorResult").is_none());
        let stopped = status(Profile::Bigquery, &Phase::Ended(Ending::stopped()));
        assert_eq!(stopped["errorResult"]["reason"], "stopped");
    }

    #[test]
    fn flat_answers_have_words_and_codes() {
        let reply = read(&job(1), &failed(), frame(Profile::Flat));
        assert_eq!(
            (&reply["jobId"], &reply["status"]),
            (&json!("job_1"), &json!("failed"))
        );
        assert_eq!(reply["error"]["code"], "42601");
        assert!(reply.get("externalId").is_none());
        let running = read(&job(1), &Phase::Running, frame(Profile::Flat));
        assert_eq!(
            (&running["status"], &running["error"]),
            (&json!("running"), &json!({}))
        );
    }

    #[test]
    fn snowflake_has_its_own_words_in_both_shapes() {
        let stopped = Phase::Ended(Ending::stopped());
        assert_eq!(status(Profile::Snowflake, &stopped)["state"], "ABORTED");
        assert_eq!(
            status(Profile::Snowflake, &failed())["error"]["code"],
            "001003"
        );
        assert_eq!(status(Profile::SnowflakeFlat, &Phase::Stopping), "ABORTING");
    }

    #[test]
    fn a_code_that_is_written_as_a_reason_passes_through() {
        let failure = Failure::new("40P01", "deadlock detected");
        assert_eq!(code(&failure, Profile::Flat), "40P01");
        let limited = code(&Failure::rate_limited(), Profile::Flat);
        assert_eq!(limited, "53300");
    }

    #[test]
    fn weird_answers_differ_from_job_to_job_or_keep_to_one_quirk() {
        let well = Phase::Ended(Ending::Success);
        let shapes: std::collections::BTreeSet<String> = (0..5)
            .map(|n| {
                let reply = read(&job(n), &well, frame(Profile::Weird));
                reply.get("status").map_or("none".into(), Value::to_string)
            })
            .collect();
        assert_eq!(shapes.len(), 5);
        let quirk = Some(Quirk::NullErrorResult);
        let reply = read(
            &job(3),
            &well,
            Frame {
                quirk,
                ..frame(Profile::Weird)
            },
        );
        assert_eq!(reply["status"]["errorResult"], Value::Null);
        assert!(reply["status"].get("errorResult").is_some());
    }

    #[test]
    fn ids_look_like_those_of_the_warehouse() {
        let mut dice = Dice::new(5);
        let id = Profile::Bigquery.job_id(&mut dice);
        assert!(id.starts_with("job_") && id.len() == 32, "{id}");
        assert_eq!(Profile::Flat.job_id(&mut dice).len(), 36);
        let id = Profile::Snowflake.job_id(&mut dice);
        assert!(id.starts_with("01") && id.matches('-').count() == 4, "{id}");
    }
}
