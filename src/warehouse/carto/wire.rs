//! What comes back about one job: tolerant reading of the vendor's JSON. Lists are read by `listing`.
//!
//! There are two shapes of a job document, nested (`status` is an object) and flat (`status` is a word), and both are
//! read by one rule, [`state`]. Nothing here decides what an answer means for a run; `classify` does.
//!
//! Invariant: the `token` of an answer, the caller's own credential, is never kept: only named fields are.

use serde_json::{Map, Value};

use super::reasons::{codes_in, padded};
use crate::sched::fault::bounded;
use crate::sched::id::JobId;

/// The longest word of a state that is passed on, in bytes.
const MAX_WORD: usize = 64;

/// The longest reason, code or location that is kept, in bytes.
const MAX_DETAIL: usize = 200;

const SUCCESS: [&str; 7] = [
    "done",
    "success",
    "succeeded",
    "completed",
    "complete",
    "finished",
    "closed",
];
const FAILURE: [&str; 6] = [
    "failed",
    "failure",
    "error",
    "failedwitherror",
    "failedwithincident",
    "disconnected",
];
const CANCELLED: [&str; 4] = ["cancelled", "canceled", "aborted", "stopped"];
const WAITING: [&str; 17] = [
    "pending",
    "queued",
    "created",
    "submitted",
    "scheduled",
    "running",
    "inprogress",
    "executing",
    "resumingwarehouse",
    "queuedreparingwarehouse",
    "blocked",
    "nodata",
    "restarted",
    "aborting",
    "cancelling",
    "canceling",
    "stopping",
];

/// Snowflake: the statement was cancelled.
const STOPPED_CODE: &str = "000604";

/// The vendor's account of what went wrong, as far as it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VendorError {
    /// `invalidQuery`.
    pub reason: Option<String>,
    /// `42883`.
    pub code: Option<String>,
    /// `query`.
    pub location: Option<String>,
    /// In words; not yet cut.
    pub message: String,
}

/// How a job stands, by its document alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    /// A known word for waiting or running.
    Working,
    /// A word that is not known; empty when there is none.
    Unknown(String),
    /// A word for success, and no final error.
    Succeeded,
    /// A word for failure, or a word for success with a final error.
    Failed(VendorError),
    /// Somebody stopped it.
    Cancelled,
}

/// Any JSON, with serde_json's limit on depth, so that no answer can exhaust the stack.
///
/// A text that was cut by its length in UTF-16 may end with half a character (`\ud83d` without its other half), which
/// some programs write and serde_json refuses. For that no document is lost: it is read as `\ufffd`.
pub(super) fn json(text: &str) -> Option<Value> {
    let read = |text: &str| serde_json::from_str(text).ok();
    read(text).or_else(|| read(&without_halves(text)?))
}

/// The text with `\ufffd` for every escape that is half a character; `None` when there is none.
fn without_halves(text: &str) -> Option<String> {
    let mut whole = String::new();
    let mut from = 0;
    let mut at = 0;
    while let Some(next) = text.get(at..)?.find('\\') {
        at += next;
        let length = match (unit(text, at), unit(text, at + 6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                whole.push_str(&text[from..at]);
                whole.push_str("\\ufffd");
                from = at + 6;
                6
            }
            (Some(_), _) => 6,
            // The escape of one sign, which may be a backslash.
            (None, _) => 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        at += length;
    }
    (from > 0).then(|| whole + &text[from..])
}

/// The number in the escape `\uXXXX` that begins at this byte, if one does.
fn unit(text: &str, at: usize) -> Option<u16> {
    let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
    let plain = hex.bytes().all(|b| b.is_ascii_hexdigit());
    u16::from_str_radix(hex, 16).ok().filter(|_| plain)
}

/// The id of a job document: `externalId`, then `jobId`, then `id`. Ids that cannot stand in an address are none.
pub(super) fn job_id(document: &Value) -> Option<JobId> {
    ["externalId", "jobId", "id"].iter().find_map(|key| {
        let text = match document.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let text = text.trim();
        JobId::new(text).filter(|_| text != "." && text != "..")
    })
}

/// Reads how a job stands, in either shape. `None` when the document is not an object.
pub(super) fn state(document: &Value) -> Option<JobState> {
    let document = document.as_object()?;
    let status = document.get("status");
    let nested = status.and_then(Value::as_object);
    let word = nested
        .and_then(|status| status.get("state"))
        .and_then(Value::as_str)
        .or_else(|| status.and_then(Value::as_str))
        .or_else(|| document.get("state").and_then(Value::as_str))
        .unwrap_or_default()
        .trim();
    let is = |words: &[&str]| words.contains(&plain(word).as_str());
    Some(if is(&SUCCESS) {
        match final_error(document, nested) {
            Some(error) => ended(error),
            None => JobState::Succeeded,
        }
    } else if is(&FAILURE) {
        ended(failure(word, document, nested))
    } else if is(&CANCELLED) {
        JobState::Cancelled
    } else if is(&WAITING) {
        JobState::Working
    } else {
        JobState::Unknown(bounded(word, MAX_WORD))
    })
}

/// How a job with a final error ended: somebody stopped it, or it failed.
fn ended(error: VendorError) -> JobState {
    if error.is_stopped() {
        JobState::Cancelled
    } else {
        JobState::Failed(error)
    }
}

/// The error that makes a job a failure. The list `errors` is not asked: BigQuery keeps errors there that a job
/// survived.
fn final_error(
    document: &Map<String, Value>,
    nested: Option<&Map<String, Value>>,
) -> Option<VendorError> {
    let in_status = |key| nested.and_then(|status| status.get(key));
    [
        in_status("errorResult"),
        in_status("error"),
        document.get("error"),
        document.get("errorResult"),
    ]
    .into_iter()
    .flatten()
    .find_map(VendorError::read)
}

/// For a job whose word says that it failed: the final error, else the first of `errors`, else the word.
fn failure(
    word: &str,
    document: &Map<String, Value>,
    nested: Option<&Map<String, Value>>,
) -> VendorError {
    let listed = || {
        nested
            .and_then(|status| status.get("errors"))
            .or_else(|| document.get("errors"))
            .and_then(VendorError::read)
    };
    let mut error = final_error(document, nested)
        .or_else(listed)
        .unwrap_or_default();
    if error.reason.is_none() && error.code.is_none() {
        error.reason = Some(bounded(word, MAX_DETAIL));
    }
    error
}

/// Lower case, without `-`, `_` and spaces: how words are compared.
pub(super) fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

impl VendorError {
    /// Reads an error in any of its forms. Null, false, zero, and empty texts, lists and objects are no error.
    pub(super) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Null | Value::Bool(false) => None,
            Value::Bool(true) => Some(Self::default()),
            Value::Number(_) => Some(Self {
                code: Some(code(value)?),
                ..Self::default()
            }),
            Value::String(text) => {
                // Empty, or the code for "no error".
                let nothing = text.trim().bytes().all(|b| b == b'0');
                (!nothing).then(|| Self {
                    message: text.trim().to_owned(),
                    ..Self::default()
                })
            }
            Value::Array(list) => list.iter().find_map(Self::read),
            Value::Object(fields) => Self::from_fields(fields),
        }
    }

    /// Reads the body of an answer that is not a success: an `error` in any form, beside or instead of it
    /// `message`, `hint` and the like.
    pub(super) fn from_body(body: &Value) -> Self {
        let Some(fields) = body.as_object() else {
            return Self::read(body).unwrap_or_default();
        };
        let mut error = ["error", "errors", "errorResult"]
            .iter()
            .filter_map(|key| fields.get(*key))
            .find_map(Self::read)
            .unwrap_or_default();
        for key in ["message", "error_description", "detail", "hint"] {
            if let Some(more) = fields.get(key).and_then(words) {
                if error.message.is_empty() {
                    error.message = more;
                } else if !error.message.contains(&more) {
                    error.message = format!("{}; {more}", error.message);
                }
            }
        }
        error.reason = error.reason.or_else(|| detail(fields, "reason"));
        error.code = error.code.or_else(|| fields.get("code").and_then(code));
        error
    }

    fn from_fields(fields: &Map<String, Value>) -> Option<Self> {
        let message = ["message", "msg", "error", "detail", "description"]
            .iter()
            .filter_map(|key| fields.get(*key))
            .find_map(words);
        let error = Self {
            reason: detail(fields, "reason"),
            code: ["code", "sqlState", "sqlstate"]
                .iter()
                .filter_map(|key| fields.get(*key))
                .find_map(code),
            location: detail(fields, "location"),
            message: message.unwrap_or_default(),
        };
        if error != Self::default() {
            return Some(error);
        }
        // Not a field that is known, and yet something: better shown as it is than taken for no error.
        let something = fields.values().any(|value| Self::read(value).is_some());
        something.then(|| Self {
            message: Value::Object(fields.clone()).to_string(),
            ..Self::default()
        })
    }

    /// Says that somebody stopped the job, and not that something went wrong: BigQuery's reason, wherever it stands, or
    /// Snowflake's code, which may stand in the message only.
    fn is_stopped(&self) -> bool {
        let says = |word: &String| plain(word) == "stopped" || padded(word) == STOPPED_CODE;
        let quoted = || codes_in(&self.message).next().as_ref().is_some_and(says);
        [&self.reason, &self.code].into_iter().flatten().any(says)
            || (self.code.is_none() && quoted())
    }
}

fn detail(fields: &Map<String, Value>, key: &str) -> Option<String> {
    let text = fields.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| bounded(text, MAX_DETAIL))
}

/// A code as text; what warehouses write for "no error" is none.
fn code(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let nothing = text.bytes().all(|b| b == b'0');
    (!nothing).then(|| bounded(&text, MAX_DETAIL))
}

/// The words of a value: itself, or of an object or a list whatever in it is a message.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then(|| text.trim().to_owned()),
        Value::Array(_) | Value::Object(_) => VendorError::read(value)
            .map(|error| error.message)
            .filter(|message| !message.is_empty()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn state_of(text: &str) -> JobState {
        state(&json(text).unwrap()).unwrap()
    }

    fn error(reason: &str, code: &str, location: &str, message: &str) -> VendorError {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        VendorError {
            reason: some(reason),
            code: some(code),
            location: some(location),
            message: message.into(),
        }
    }

    #[test]
    fn the_vendors_own_example_is_a_failure_although_it_is_done() {
        let text = r#"{"status": {"errorResult": {"reason": "invalidQuery", "location": "query",
            "message": "Query error: Cannot coerce expression @number_of_clusters to type INT64 at [1:158]"},
            "state": "DONE"}}"#;
        let message =
            "Query error: Cannot coerce expression @number_of_clusters to type INT64 at [1:158]";
        assert_eq!(
            state_of(text),
            JobState::Failed(error("invalidQuery", "", "query", message))
        );
    }

    #[test]
    fn done_without_a_final_error_is_success_however_the_absence_is_written() {
        for status in [
            r#"{"status": {"state": "DONE"}}"#,
            r#"{"status": {"state": "DONE", "errorResult": null}}"#,
            r#"{"status": {"state": "DONE", "errorResult": {}}}"#,
            r#"{"status": {"state": "DONE", "errorResult": ""}}"#,
            r#"{"status": {"state": "DONE", "errorResult": {"reason": null, "message": ""}}}"#,
            r#"{"status": {"state": "DONE", "errors": [{"reason": "invalid", "message": "x"}]}}"#,
            r#"{"status": "done", "error": {}}"#,
            r#"{"status": "success", "error": {"code": "00000", "msg": ""}}"#,
            r#"{"status": "SUCCESS", "error": false}"#,
            r#"{"state": "Succeeded"}"#,
            r#"{"status": "finished", "state": "running"}"#,
        ] {
            assert_eq!(state_of(status), JobState::Succeeded, "{status}");
        }
    }

    #[test]
    fn a_final_error_makes_a_failure_wherever_it_stands() {
        for status in [
            r#"{"status": {"state": "DONE", "errorResult": {"reason": "r", "message": "m"}}}"#,
            r#"{"status": {"state": "DONE", "error": {"reason": "r", "message": "m"}}}"#,
            r#"{"status": {"state": "DONE"}, "error": {"reason": "r", "message": "m"}}"#,
            r#"{"status": {"state": "DONE"}, "errorResult": {"reason": "r", "msg": "m"}}"#,
            r#"{"status": "failed", "error": {"reason": "r", "msg": "m"}}"#,
            r#"{"status": {"state": "FAILED", "errors": [{}, {"reason": "r", "message": "m"}]}}"#,
            r#"{"status": "failed", "error": [{"reason": "r", "message": {"error": "m"}}]}"#,
        ] {
            let expected = JobState::Failed(error("r", "", "", "m"));
            assert_eq!(state_of(status), expected, "{status}");
        }
    }

    #[test]
    fn errors_are_read_in_every_form() {
        for (status, expected) in [
            (
                r#"{"status": "failed", "error": {"code": "42883", "msg": "no such procedure"}}"#,
                error("", "42883", "", "no such procedure"),
            ),
            (
                r#"{"status": "failed", "error": {"code": 2140, "message": "m"}}"#,
                error("", "2140", "", "m"),
            ),
            (
                r#"{"status": "failed", "error": "out of memory"}"#,
                error("failed", "", "", "out of memory"),
            ),
            (
                r#"{"status": "FAILED_WITH_ERROR"}"#,
                error("FAILED_WITH_ERROR", "", "", ""),
            ),
            (
                r#"{"status": "done", "error": true}"#,
                error("", "", "", ""),
            ),
            (
                r#"{"status": "done", "error": {"exotic": "x"}}"#,
                error("", "", "", r#"{"exotic":"x"}"#),
            ),
        ] {
            assert_eq!(state_of(status), JobState::Failed(expected), "{status}");
        }
    }

    #[test]
    fn words_are_read_in_every_spelling() {
        for (word, expected) in [
            ("RUNNING", JobState::Working),
            ("in-progress", JobState::Working),
            ("In Progress", JobState::Working),
            ("QUEUED_REPARING_WAREHOUSE", JobState::Working),
            (" pending ", JobState::Working),
            ("NO_DATA", JobState::Working),
            ("Canceled", JobState::Cancelled),
            ("CANCELLED", JobState::Cancelled),
            ("aborted", JobState::Cancelled),
            ("CLOSED", JobState::Succeeded),
            ("paused", JobState::Unknown("paused".into())),
            ("", JobState::Unknown(String::new())),
        ] {
            assert_eq!(state_of(&format!(r#"{{"status": "{word}"}}"#)), expected);
            let nested = format!(r#"{{"status": {{"state": "{word}"}}}}"#);
            assert_eq!(state_of(&nested), expected);
        }
    }

    #[test]
    fn a_working_job_may_show_errors() {
        let text = r#"{"status": {"state": "RUNNING", "errorResult": {"reason": "backendError"}}}"#;
        assert_eq!(state_of(text), JobState::Working);
    }

    #[test]
    fn an_error_that_says_stopped_is_a_cancellation_in_every_shape() {
        for error in [
            r#"{"reason": "stopped"}"#,
            r#"{"reason": "Stopped", "message": "Job execution was cancelled"}"#,
            r#"{"code": "stopped"}"#,
            r#"{"code": "000604", "msg": "SQL execution canceled"}"#,
            r#"{"code": 604}"#,
            r#"{"reason": "failed", "code": "000604"}"#,
            r#""000604 (57014): SQL execution canceled""#,
        ] {
            for text in [
                format!(r#"{{"status": {{"state": "DONE", "errorResult": {error}}}}}"#),
                format!(r#"{{"status": {{"state": "FAILED", "errorResult": {error}}}}}"#),
                format!(r#"{{"status": "done", "error": {error}}}"#),
                format!(r#"{{"status": "failed", "error": {error}}}"#),
                format!(r#"{{"status": "FAILED_WITH_ERROR", "error": {error}}}"#),
                format!(r#"{{"status": "failed", "errors": [{error}]}}"#),
            ] {
                assert_eq!(state_of(&text), JobState::Cancelled, "{text}");
            }
        }
    }

    #[test]
    fn an_error_that_only_resembles_a_stop_is_a_failure() {
        for error in [
            r#"{"reason": "timeout", "message": "the job was stopped"}"#,
            r#"{"code": "000630", "msg": "000604"}"#,
            r#"{"code": "57014", "msg": "canceling statement due to statement timeout"}"#,
            r#"{"code": "604604"}"#,
            r#""the order 000604 was not found""#,
        ] {
            let text = format!(r#"{{"status": "failed", "error": {error}}}"#);
            assert!(matches!(state_of(&text), JobState::Failed(_)), "{text}");
        }
    }

    #[test]
    fn a_document_without_a_state_is_unknown_and_a_long_word_is_cut() {
        for text in [
            "{}",
            r#"{"status": null}"#,
            r#"{"status": 7}"#,
            r#"{"error": "x"}"#,
        ] {
            assert_eq!(state_of(text), JobState::Unknown(String::new()), "{text}");
        }
        let long = format!(r#"{{"status": "{}"}}"#, "x".repeat(5000));
        assert!(matches!(state_of(&long), JobState::Unknown(word) if word.len() <= MAX_WORD));
        assert_eq!(state(&json("[]").unwrap()), None);
        assert_eq!(state(&json("7").unwrap()), None);
    }

    #[test]
    fn the_id_is_found_under_three_names() {
        for (text, expected) in [
            (r#"{"id": "c", "jobId": "b", "externalId": "a"}"#, Some("a")),
            (r#"{"id": "c", "jobId": "b", "externalId": ""}"#, Some("b")),
            (r#"{"id": "c", "jobId": null}"#, Some("c")),
            (
                r#"{"id": 12345678901234567890123}"#,
                Some("12345678901234567890123"),
            ),
            (r#"{"externalId": ".."}"#, None),
            (r#"{"externalId": {"a": 1}}"#, None),
            (r#"{"token": "x"}"#, None),
            ("[]", None),
        ] {
            let id = job_id(&json(text).unwrap());
            assert_eq!(id.as_ref().map(JobId::as_str), expected, "{text}");
        }
    }

    #[test]
    fn deep_json_does_not_exhaust_the_stack() {
        assert_eq!(json(&"[".repeat(500_000)), None);
        let closed = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
        assert_eq!(json(&closed), None);
    }

    #[test]
    fn half_a_character_does_not_lose_the_document() {
        let read = |inside: &str| json(&format!(r#"{{"a": "{inside}"}}"#)).map(|v| v["a"].clone());
        for (inside, expected) in [
            (r"cut \ud83d", "cut \u{fffd}"),
            (r"\ude00 cut", "\u{fffd} cut"),
            (r"\ud83d\ud83d\ude00\uD83Dx", "\u{fffd}\u{1f600}\u{fffd}x"),
            (r"\ud83d\n\\ud83d\u0041", "\u{fffd}\n\\ud83dA"),
            (r"é\ud83d\/", "é\u{fffd}/"),
        ] {
            assert_eq!(read(inside), Some(expected.into()), "{inside}");
        }
        for broken in [r"\u+123", r"\ud83", r"\ud83d\", r"\ud83d\x", r"\é\ud83d"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn bodies_of_errors_are_read_in_every_form() {
        for (body, expected) in [
            (
                r#"{"error": "Not Found", "status": 404}"#,
                error("", "", "", "Not Found"),
            ),
            (
                r#"{"error": "Bad", "hint": "try that", "message": "Bad"}"#,
                error("", "", "", "Bad; try that"),
            ),
            (
                r#"{"error": ["first", "second"]}"#,
                error("", "", "", "first"),
            ),
            (
                r#"{"error": {"code": 400, "message": "m", "errors": [{"reason": "x"}]}}"#,
                error("", "400", "", "m"),
            ),
            (
                r#"{"message": "m", "reason": "r"}"#,
                error("r", "", "", "m"),
            ),
            (r#"["m"]"#, error("", "", "", "m")),
            ("{}", error("", "", "", "")),
        ] {
            assert_eq!(
                VendorError::from_body(&json(body).unwrap()),
                expected,
                "{body}"
            );
        }
    }
}
