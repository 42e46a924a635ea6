//! One sentence each: what a person should do about an error. Texts are matched generously, since the vendors' exact
//! words differ by warehouse and year; a remedy that is not needed costs less than one that is missing.

use super::protocol::Exchange;
use super::reasons::{codes_in, padded};
use super::wire::{VendorError, plain};
use crate::sched::fault::{ConnectionFault, Fault};

const ENABLE: &str = "in CARTO, open the workflow's API dialog and press Enable (or Update), then put the CALL it \
     shows into `procedure` of this schedule in the TOML";
const UPDATE: &str = "in CARTO, open the workflow's API dialog and press Update (Enable, when API access is off), then compare \
     its parameters with `procedure = \"…(…)\"` and `parameters` of this schedule in the TOML";
const TABLE: &str = "a table that the workflow uses is missing, or lies in another region: run the \
     workflow in CARTO, mend what it shows, press Update (or Enable) in its API dialog, and compare the CALL it shows \
     with `procedure` of this schedule in the TOML";
const DATASET: &str = "compare `procedure` of this schedule in the TOML with the CALL in the workflow's API dialog in \
     CARTO: the name may be mistyped; press Enable there when API access is off (else Update); when the two agree, a \
     dataset that the workflow uses is missing or lies in another region";
const RIGHTS: &str = "give the user behind the connection the right in the warehouse to run the procedure and to \
     read and write its tables";
const GRANT: &str = "give the token a grant for this connection, for the procedure and for every table that it \
     reads, or use a credential whose user has those rights";
const ADDRESS: &str = "compare `base_url` with the API base URL that CARTO shows for your account (another region \
     gives the same answer), and the connection's name with its name in CARTO";
const SIZE: &str = "the parameters are too large for one request: put large values into a table that the workflow \
     reads";
const PACE: &str = "lower `requests_per_minute`; the vendor counts requests by IP address, so others behind the \
     same address count too";
const QUOTA: &str =
    "wait for the quota to be renewed, spread the schedules, or ask for a larger quota";
const HEAVY: &str = "make the workflow lighter (fewer rows, fewer steps at once), or put the reason into \
     `[classify] transient` if it passes at another time of day";

/// What to do about a job that ended with this error.
pub(super) fn for_job(error: &VendorError) -> Option<&'static str> {
    let message = error.message.to_lowercase();
    let reason = plain(error.reason.as_deref().unwrap_or_default());
    if speaks_of_signature(&message) {
        return Some(UPDATE);
    }
    if has_code(error, &GONE_CODES) || speaks_of_gone_procedure(&message) {
        return Some(ENABLE);
    }
    match reason.as_str() {
        "quotaexceeded" => Some(QUOTA),
        "resourcesexceeded" | "responsetoolarge" => Some(HEAVY),
        "accessdenied" => Some(RIGHTS),
        _ if message.contains("not found: table") => Some(TABLE),
        // The dataset of the procedure itself, as a rule.
        "notfound" => Some(DATASET),
        _ if has_code(error, &RIGHTS_CODES) => Some(RIGHTS),
        _ if message.contains("not found: ") => Some(DATASET),
        _ => None,
    }
}

/// What to do about an answer that is not a success, to a submission, a poll or a list call.
pub(super) fn for_status(status: u16, error: &VendorError) -> Option<&'static str> {
    match status {
        403 => Some(GRANT),
        404 => for_job(error).or(Some(ADDRESS)),
        300..400 | 405 => Some(ADDRESS),
        413 => Some(SIZE),
        429 => Some(PACE),
        _ => for_job(error),
    }
}

/// What to do when no connection could be made.
pub(super) fn for_connect(text: &str) -> &'static str {
    let text = text.to_lowercase();
    if text.contains("certificate") || text.contains("unknownissuer") {
        "check that the system's CA certificates are installed (package ca-certificates); name a private one in \
         `ca_file` of this connection"
    } else if text.contains("dns") || text.contains("lookup") {
        "check `base_url` of this connection and the name resolution of this machine"
    } else {
        "check `base_url` and `proxy` of this connection, and whether this machine may reach the host"
    }
}

/// Whether the vendor answered anything; else what stands in the way, in words, before the system's own.
pub(super) fn reached(exchange: &Exchange) -> Result<(), Fault> {
    let fault = match exchange {
        Exchange::Answered(_) => return Ok(()),
        // It is the credential that could not be had a second time, after an answer.
        Exchange::Withheld(fault) if fault.connection() == Some(ConnectionFault::Unauthorized) => {
            return Ok(());
        }
        Exchange::Withheld(fault) | Exchange::Lost(fault) => fault,
    };
    // The client's own account of where it failed says nothing that the words do not.
    let said = fault.message.rsplit("client error (Connect): ").next();
    let words = in_the_way(&fault.message);
    let mut told = fault.clone();
    told.message = format!("{words} ({})", said.unwrap_or_default());
    told.remedy
        .get_or_insert_with(|| for_connect(&fault.message).to_owned());
    Err(told)
}

/// What kind of obstacle an error on the way to the vendor tells of.
fn in_the_way(text: &str) -> &'static str {
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let certificate = has(&["certificate", "unknownissuer"]);
    if certificate && has(&["expired"]) {
        "the host's certificate has expired"
    } else if certificate && has(&["not valid yet", "notvalidyet"]) {
        "the host's certificate is not valid yet: is the clock of this machine right?"
    } else if certificate && has(&["not valid for name", "notvalidforname"]) {
        "the host's certificate is for another name"
    } else if certificate {
        "the host's certificate is not trusted"
    } else if has(&["dns", "lookup"]) {
        "the name of the host does not resolve"
    } else if has(&["refused"]) {
        "the host refuses the connection"
    } else if has(&["unreachable", "no route"]) {
        "there is no route to the host"
    } else if has(&["timed out", "timeout", "time limit"]) {
        "the host does not answer in time"
    } else if has(&["tls", "handshake", "corrupt message", "invalidcontenttype"]) {
        "the host does not speak TLS as it should"
    } else {
        "the host cannot be reached"
    }
}

/// PostgreSQL, Snowflake (two), Databricks (two).
const GONE_CODES: [&str; 5] = [
    "42883",
    "002140",
    "002141",
    "ROUTINE_NOT_FOUND",
    "UNRESOLVED_ROUTINE",
];

/// PostgreSQL, Snowflake, Databricks, Oracle.
const RIGHTS_CODES: [&str; 4] = ["42501", "003001", "PERMISSION_DENIED", "ORA-01031"];

fn has_code(error: &VendorError, codes: &[&str]) -> bool {
    let is = |code: &str| codes.contains(&padded(code).as_str());
    [&error.code, &error.reason]
        .into_iter()
        .flatten()
        .any(|code| is(code))
        || codes_in(&error.message).any(|code| is(&code))
}

fn speaks_of_signature(message: &str) -> bool {
    const PHRASES: [&str; 5] = [
        "cannot coerce",
        "could not coerce",
        "no matching signature",
        "no value given for required parameter",
        "wrong_num_args",
    ];
    const OF_CALLS: [&str; 3] = ["argument", "parameter", "signature"];
    const WRONG: [&str; 13] = [
        "number of",
        "wrong",
        "too few",
        "too many",
        "missing",
        "invalid",
        "incompatible",
        "mismatch",
        "match",
        "takes ",
        "expect",
        "require",
        "not found",
    ];
    let any = |words: &[&str]| words.iter().any(|word| message.contains(word));
    any(&PHRASES) || (any(&OF_CALLS) && any(&WRONG))
}

fn speaks_of_gone_procedure(message: &str) -> bool {
    const GONE: [&str; 6] = [
        "not found",
        "does not exist",
        "doesn't exist",
        "unknown",
        "could not be resolved",
        "must be declared",
    ];
    const PROCEDURE: [&str; 4] = ["procedure", "routine", "wfproc_", "workflow_procedure_"];
    GONE.iter().any(|word| message.contains(word))
        && PROCEDURE.iter().any(|word| message.contains(word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn error(reason: &str, code: &str, message: &str) -> VendorError {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        VendorError {
            reason: some(reason),
            code: some(code),
            location: None,
            message: message.into(),
        }
    }

    #[test]
    fn a_procedure_that_is_gone_leads_to_the_enable_button() {
        for error in [
            error(
                "invalidQuery",
                "",
                "Query error: Procedure not found: `p.d.workflow_procedure_09cc`; at [1:6]",
            ),
            error(
                "notFound",
                "",
                "Not found: Routine acme:d.wfproc_api_0123 was not found",
            ),
            error(
                "",
                "42883",
                "procedure carto.wfproc_api_01(unknown) does not exist",
            ),
            error("", "2140", "SQL compilation error"),
            error(
                "",
                "",
                "002141 (42601): SQL compilation error: Unknown user-defined function",
            ),
            error(
                "",
                "",
                "[ROUTINE_NOT_FOUND] The routine `a`.`b` cannot be found. SQLSTATE: 42883",
            ),
            error(
                "",
                "",
                "PLS-00201: identifier 'CARTO.WFPROC_API_1' must be declared",
            ),
        ] {
            assert_eq!(for_job(&error), Some(ENABLE), "{error:?}");
            assert_eq!(for_status(400, &error), Some(ENABLE), "{error:?}");
        }
    }

    #[test]
    fn a_changed_signature_leads_to_the_update_button() {
        for message in [
            "Query error: Cannot coerce expression @number_of_clusters to type INT64 at [1:158]",
            "No matching signature for procedure p.d.f for argument types: STRING, INT64",
            "Wrong number of arguments to procedure p.d.f",
            "Number of arguments does not match for procedure p.d.f",
            "Query parameter 'store_type' not found at [1:120]",
            "Procedure p.d.f takes 1 arguments but the call has 3 at [1:6]",
            "Invalid argument types for function 'F': (NUMBER)",
            "ORA-06550: PLS-00306: wrong number or types of arguments in call to 'F'",
        ] {
            let error = error("invalidQuery", "", message);
            assert_eq!(for_job(&error), Some(UPDATE), "{message}");
        }
    }

    #[test]
    fn obstacles_on_the_way_are_told_apart() {
        let tcp = "error sending request: client error (Connect): tcp connect error";
        let tls = "error sending request: client error (Connect): invalid peer certificate";
        for (text, words) in [
            (
                "client error (Connect): dns error: failed to lookup address information: Name or \
                 service not known"
                    .to_owned(),
                "does not resolve",
            ),
            (
                format!("{tcp}: Connection refused (os error 111)"),
                "refuses",
            ),
            (
                format!("{tcp}: Network is unreachable (os error 101)"),
                "no route",
            ),
            (
                format!("{tcp}: deadline has elapsed: operation timed out"),
                "in time",
            ),
            (format!("{tls}: UnknownIssuer"), "not trusted"),
            (
                format!("{tls}: certificate expired: verification time 1"),
                "expired",
            ),
            (
                format!("{tls}: certificate not valid yet: verification time 1"),
                "not valid yet",
            ),
            (
                format!("{tls}: certificate not valid for name \"x\""),
                "another name",
            ),
            (
                "received corrupt message of type InvalidContentType".to_owned(),
                "speak TLS",
            ),
            ("something new".to_owned(), "cannot be reached"),
        ] {
            assert!(in_the_way(&text).contains(words), "{text}");
        }
    }

    #[test]
    fn statuses_have_their_own_remedies() {
        let none = VendorError::default();
        for (status, expected) in [
            (301, Some(ADDRESS)),
            (403, Some(GRANT)),
            (404, Some(ADDRESS)),
            (405, Some(ADDRESS)),
            (413, Some(SIZE)),
            (429, Some(PACE)),
            (400, None),
            (500, None),
        ] {
            assert_eq!(for_status(status, &none), expected, "{status}");
        }
    }

    #[test]
    fn other_errors_have_the_remedy_of_their_kind_or_none() {
        for (error, expected) in [
            (
                error("accessDenied", "", "Access Denied: Table x"),
                Some(RIGHTS),
            ),
            (
                error("", "42501", "permission denied for table x"),
                Some(RIGHTS),
            ),
            (
                error("notFound", "", "Not found: Table acme:d.t"),
                Some(TABLE),
            ),
            (
                error("invalidQuery", "", "Not found: Table acme:d.t"),
                Some(TABLE),
            ),
            (error("quotaExceeded", "", ""), Some(QUOTA)),
            (error("resourcesExceeded", "", ""), Some(HEAVY)),
            (error("backendError", "", ""), None),
            (error("invalidQuery", "", "Syntax error"), None),
        ] {
            assert_eq!(for_job(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn a_missing_dataset_leads_to_the_dialog_and_to_the_line_in_the_toml() {
        // What a mistyped `procedure` and API access that is off give.
        for error in [
            error(
                "notFound",
                "",
                "Not found: Dataset acme:workflows_temp was not found in location US",
            ),
            error(
                "invalidQuery",
                "",
                "Not found: Dataset acme:workflows_temp was not found in location US at [1:6]",
            ),
            error("notFound", "", "Not found: Project acme"),
        ] {
            for remedy in [
                for_job(&error),
                for_status(404, &error),
                for_status(400, &error),
            ] {
                let remedy = remedy.unwrap();
                for part in [
                    "API dialog",
                    "Enable",
                    "Update",
                    "`procedure`",
                    "TOML",
                    "dataset",
                ] {
                    assert!(remedy.contains(part), "{part}: {remedy}");
                }
                let first = remedy.find("`procedure`").unwrap();
                assert!(first < 120, "the likely cause comes first: {remedy}");
            }
        }
    }
}
