//! What an exchange means: status and body to an answer of the heart. Pure, with a table of tests.
//!
//! A submission has three endings. It was *refused* when nothing left this machine, or when the vendor's status says
//! that it does not create jobs for such requests; it is *unsure* in every other case that is not an id. A request
//! that may have arrived is never called refused: that would be a licence to send it twice.

use super::ClassifyRules;
use super::listing;
use super::protocol::{Answered, Body, Exchange};
use super::reasons::{QUOTA_WAIT, class_of};
use super::remedy;
use super::wire::{self, JobState, VendorError, plain};
use crate::sched::fault::{ConnectionFault, Fault, FaultClass, bounded};
use crate::sched::step::{CancelAnswer, ListAnswer, PollAnswer, SubmitAnswer};

/// How much of a body that is not JSON is shown, in bytes.
const SHOWN_TEXT: usize = 300;

/// Whether a creation was turned away, as it seems, because of its field `metadata`. Only 400 counts: it says that
/// nothing was made of the request.
pub fn refuses_metadata(exchange: &Exchange) -> bool {
    let Exchange::Answered(answered) = exchange else {
        return false;
    };
    let speaks_of_it = || {
        let message = vendor_error(&answered.body).message.to_lowercase();
        message.contains("metadata")
    };
    answered.status == 400 && speaks_of_it()
}

/// What came of a submission.
pub fn submit(exchange: Exchange, rules: &ClassifyRules) -> SubmitAnswer {
    let answered = match exchange {
        Exchange::Withheld(fault) => return SubmitAnswer::Refused(fault),
        Exchange::Lost(fault) => return SubmitAnswer::Unsure(fault),
        Exchange::Answered(answered) => answered,
    };
    match answered.status {
        200..300 => match document(&answered.body) {
            Ok(document) => match wire::job_id(&document) {
                Some(job) => SubmitAnswer::Accepted(job),
                None => SubmitAnswer::Unsure(unreadable("the answer names no job")),
            },
            Err(fault) => SubmitAnswer::Unsure(fault),
        },
        // Certainly no job: the request was turned away before anything was made of it.
        400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 => {
            SubmitAnswer::Refused(fault_of_status(&answered, rules))
        }
        _ => SubmitAnswer::Unsure(fault_of_status(&answered, rules)),
    }
}

/// How a job stands.
pub fn poll(exchange: Exchange, rules: &ClassifyRules) -> PollAnswer {
    let answered = match exchange {
        Exchange::Withheld(fault) | Exchange::Lost(fault) => {
            return PollAnswer::NoAnswer(asking_again(fault));
        }
        Exchange::Answered(answered) => answered,
    };
    match answered.status {
        200..300 => match document(&answered.body) {
            Ok(document) => job_stands(&document, rules),
            Err(fault) => PollAnswer::NoAnswer(fault),
        },
        400 | 404 | 410 => PollAnswer::Gone(fault_of_status(&answered, rules)),
        _ => PollAnswer::NoAnswer(asking_again(fault_of_status(&answered, rules))),
    }
}

fn job_stands(document: &serde_json::Value, rules: &ClassifyRules) -> PollAnswer {
    match wire::state(document) {
        Some(JobState::Working) => PollAnswer::Working { unknown: None },
        Some(JobState::Unknown(word)) => PollAnswer::Working {
            unknown: Some(printable(&word)),
        },
        Some(JobState::Succeeded) => PollAnswer::Succeeded,
        Some(JobState::Cancelled) => PollAnswer::Cancelled,
        Some(JobState::Failed(error)) => PollAnswer::Failed(fault_of_job(error, rules)),
        None => PollAnswer::NoAnswer(unreadable("the answer is not a job")),
    }
}

/// What came of a request to stop a job. That there is nothing to stop is an answer too; polling shows the rest.
pub fn cancel(exchange: Exchange, rules: &ClassifyRules) -> CancelAnswer {
    match exchange {
        Exchange::Withheld(fault) | Exchange::Lost(fault) => {
            CancelAnswer::NoAnswer(asking_again(fault))
        }
        Exchange::Answered(answered) => match answered.status {
            200..300 | 400 | 404 | 409 | 410 => CancelAnswer::Noted,
            _ => CancelAnswer::NoAnswer(asking_again(fault_of_status(&answered, rules))),
        },
    }
}

/// What a list call gave.
pub fn list(exchange: Exchange, rules: &ClassifyRules) -> ListAnswer {
    let answered = match exchange {
        Exchange::Withheld(fault) | Exchange::Lost(fault) => return ListAnswer::NoAnswer(fault),
        Exchange::Answered(answered) => answered,
    };
    match answered.status {
        200..300 => jobs_listed(&answered.body),
        // Asking again would not help: these are about who asks and what is asked.
        300..400 | 400 | 403 | 404 | 405 | 410 | 422 | 501 => {
            ListAnswer::Unsupported(fault_of_status(&answered, rules))
        }
        _ => ListAnswer::NoAnswer(fault_of_status(&answered, rules)),
    }
}

fn jobs_listed(body: &Body) -> ListAnswer {
    let text = match body {
        Body::Whole(text) => text,
        Body::TooLong => return ListAnswer::Unsupported(unreadable("the list is too long")),
        Body::Broken(why) => return ListAnswer::NoAnswer(unreadable(why)),
    };
    let Some(listing) = listing::read(text) else {
        let what = format!("the answer is not a list of jobs: {}", shown(text));
        return ListAnswer::Unsupported(unreadable(&what));
    };
    if listing.skipped > 0 {
        tracing::warn!(
            skipped = listing.skipped,
            read = listing.jobs.len(),
            "the vendor's job list has entries that cannot be read"
        );
    }
    if listing.skipped_ours {
        // Taken for absent, such a job would be submitted a second time.
        let what = "the list shows a job of nightcall whose id cannot be read";
        return ListAnswer::Unsupported(unreadable(what));
    }
    ListAnswer::Jobs(listing.jobs)
}

/// The fault of a job that ended with an error.
fn fault_of_job(error: VendorError, rules: &ClassifyRules) -> Fault {
    let class = class_of(&error, rules, FaultClass::Permanent);
    let remedy = remedy::for_job(&error);
    fault_of(class, "failed", error, remedy)
}

/// The fault of an answer that is not a success.
pub(super) fn fault_of_status(answered: &Answered, rules: &ClassifyRules) -> Fault {
    let status = answered.status;
    let mut error = vendor_error(&answered.body);
    if error.code.as_deref() == Some(&status.to_string()) {
        // The status once more, not a code of the warehouse.
        error.code = None;
    }
    let class = match class_of_status(status) {
        // Whatever the words, the connection is at fault, and no rule makes it the run's.
        class @ FaultClass::Connection(_) => class,
        class => class_of(&error, rules, class),
    };
    let remedy = remedy::for_status(status, &error);
    let mut fault = fault_of(class, &format!("http {status}"), error, remedy);
    fault.retry_after = answered.retry_after.or(fault.retry_after);
    fault
}

fn fault_of(
    class: FaultClass,
    ours: &str,
    error: VendorError,
    remedy: Option<&'static str>,
) -> Fault {
    let reason = error
        .reason
        .or(error.code)
        .map_or_else(|| ours.to_owned(), |reason| printable(&reason));
    let quota = plain(&reason) == "quotaexceeded";
    let mut fault = Fault::new(class, reason, &printable(&error.message));
    fault.location = error.location.as_deref().map(printable);
    fault.retry_after = (quota && class == FaultClass::Slow).then_some(QUOTA_WAIT);
    fault.remedy = remedy.map(str::to_owned);
    fault
}

/// The vendor's words end in terminals, logs and the database: without control characters but those of plain text.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

fn class_of_status(status: u16) -> FaultClass {
    match status {
        401 => FaultClass::Connection(ConnectionFault::Unauthorized),
        429 => FaultClass::Connection(ConnectionFault::TooMany),
        503 => FaultClass::Connection(ConnectionFault::Unavailable),
        501 | 505 => FaultClass::Permanent,
        408 | 425 | 500.. => FaultClass::Transient,
        _ => FaultClass::Permanent,
    }
}

/// For questions about a job that lives: they are asked again whatever the fault, so a permanent one, a right that was
/// taken away, is asked again slowly, since rights may be given back.
fn asking_again(mut fault: Fault) -> Fault {
    if fault.class == FaultClass::Permanent {
        fault.class = FaultClass::Slow;
    }
    fault
}

/// A body that should be JSON. Of one that is not, nothing is believed.
fn document(body: &Body) -> Result<serde_json::Value, Fault> {
    match body {
        Body::Whole(text) => wire::json(text)
            .ok_or_else(|| unreadable(&format!("the answer is not JSON: {}", shown(text)))),
        Body::TooLong => Err(unreadable("the answer is too long")),
        Body::Broken(why) => Err(unreadable(why)),
    }
}

fn unreadable(what: &str) -> Fault {
    Fault::new(FaultClass::Transient, "unreadable", &printable(what))
}

fn vendor_error(body: &Body) -> VendorError {
    let message = match body {
        Body::Whole(text) => match wire::json(text) {
            Some(json) => return VendorError::from_body(&json),
            None => shown(text),
        },
        Body::TooLong => "(the body is too long)".into(),
        Body::Broken(why) => why.clone(),
    };
    VendorError {
        message,
        ..VendorError::default()
    }
}

/// A text of unknown kind for people: of an HTML page its title, of anything else the beginning, on one line.
fn shown(text: &str) -> String {
    let text = text.trim_start();
    let lower = text
        .get(..text.len().min(4096))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower[start..].find("</title>")? + start;
        text.get(start..end)
    });
    let words = match title {
        Some(title) => title,
        None if text.starts_with('<') => "(an HTML page)",
        None => text,
    };
    let line: Vec<&str> = words.split_whitespace().take(60).collect();
    bounded(&line.join(" "), SHOWN_TEXT)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sched::id::JobId;

    const UNAUTHORIZED: FaultClass = FaultClass::Connection(ConnectionFault::Unauthorized);
    const TOO_MANY: FaultClass = FaultClass::Connection(ConnectionFault::TooMany);
    const UNAVAILABLE: FaultClass = FaultClass::Connection(ConnectionFault::Unavailable);
    const UNREACHABLE: FaultClass = FaultClass::Connection(ConnectionFault::Unreachable);

    fn answered(status: u16, body: &str) -> Exchange {
        Exchange::Answered(Answered {
            status,
            date: None,
            retry_after: None,
            body: Body::Whole(body.into()),
        })
    }

    fn with_body(status: u16, body: Body) -> Exchange {
        Exchange::Answered(Answered {
            status,
            date: None,
            retry_after: None,
            body,
        })
    }

    fn no_rules() -> ClassifyRules {
        ClassifyRules::default()
    }

    /// The form of an answer in a word, with the class of its fault.
    fn submitted(exchange: Exchange) -> (&'static str, Option<FaultClass>) {
        match submit(exchange, &no_rules()) {
            SubmitAnswer::Accepted(_) => ("accepted", None),
            SubmitAnswer::Refused(fault) => ("refused", Some(fault.class)),
            SubmitAnswer::Unsure(fault) => ("unsure", Some(fault.class)),
        }
    }

    fn polled(exchange: Exchange) -> (&'static str, Option<FaultClass>) {
        match poll(exchange, &no_rules()) {
            PollAnswer::Working { .. } => ("working", None),
            PollAnswer::Succeeded => ("succeeded", None),
            PollAnswer::Failed(fault) => ("failed", Some(fault.class)),
            PollAnswer::Cancelled => ("cancelled", None),
            PollAnswer::Gone(fault) => ("gone", Some(fault.class)),
            PollAnswer::NoAnswer(fault) => ("no answer", Some(fault.class)),
        }
    }

    fn stopped(exchange: Exchange) -> (&'static str, Option<FaultClass>) {
        match cancel(exchange, &no_rules()) {
            CancelAnswer::Noted => ("noted", None),
            CancelAnswer::NoAnswer(fault) => ("no answer", Some(fault.class)),
        }
    }

    fn listed(exchange: Exchange) -> (&'static str, Option<FaultClass>) {
        match list(exchange, &no_rules()) {
            ListAnswer::Jobs(_) => ("jobs", None),
            ListAnswer::Unsupported(fault) => ("unsupported", Some(fault.class)),
            ListAnswer::NoAnswer(fault) => ("no answer", Some(fault.class)),
        }
    }

    #[test]
    fn an_answer_that_is_not_json_does_not_move_the_cursor_of_a_terminal() {
        let answer = || answered(200, "\u{1b}[2J\u{7}<b \u{9b}31m");
        let SubmitAnswer::Unsure(submitted) = submit(answer(), &no_rules()) else {
            panic!("it is unsure");
        };
        let ListAnswer::Unsupported(listed) = list(answer(), &no_rules()) else {
            panic!("it is no list");
        };
        for fault in [submitted, listed] {
            assert!(fault.message.contains("[2J"), "{fault:?}");
            assert!(!fault.message.contains(char::is_control), "{fault:?}");
        }
    }

    #[test]
    fn every_status_has_its_meaning_for_every_question() {
        use FaultClass::{Permanent, Slow, Transient};
        type Meaning = (&'static str, Option<FaultClass>);
        let table: [(u16, Meaning, Meaning, Meaning, Meaning); 26] = {
            let refused = |class| ("refused", Some(class));
            let unsure = |class| ("unsure", Some(class));
            let gone = ("gone", Some(Permanent));
            let none = |class| ("no answer", Some(class));
            let noted = ("noted", None);
            let unsupported = ("unsupported", Some(Permanent));
            let odd = (unsure(Permanent), none(Slow), none(Slow));
            [
                (301, odd.0, odd.1, odd.2, unsupported),
                (302, odd.0, odd.1, odd.2, unsupported),
                (303, odd.0, odd.1, odd.2, unsupported),
                (307, odd.0, odd.1, odd.2, unsupported),
                (308, odd.0, odd.1, odd.2, unsupported),
                (400, refused(Permanent), gone, noted, unsupported),
                (
                    401,
                    refused(UNAUTHORIZED),
                    none(UNAUTHORIZED),
                    none(UNAUTHORIZED),
                    none(UNAUTHORIZED),
                ),
                (402, odd.0, odd.1, odd.2, none(Permanent)),
                (403, refused(Permanent), none(Slow), none(Slow), unsupported),
                (404, refused(Permanent), gone, noted, unsupported),
                (405, refused(Permanent), none(Slow), none(Slow), unsupported),
                (
                    408,
                    unsure(Transient),
                    none(Transient),
                    none(Transient),
                    none(Transient),
                ),
                (409, unsure(Permanent), none(Slow), noted, none(Permanent)),
                (410, unsure(Permanent), gone, noted, unsupported),
                (
                    413,
                    refused(Permanent),
                    none(Slow),
                    none(Slow),
                    none(Permanent),
                ),
                (
                    415,
                    refused(Permanent),
                    none(Slow),
                    none(Slow),
                    none(Permanent),
                ),
                (418, odd.0, odd.1, odd.2, none(Permanent)),
                (422, refused(Permanent), none(Slow), none(Slow), unsupported),
                (
                    425,
                    unsure(Transient),
                    none(Transient),
                    none(Transient),
                    none(Transient),
                ),
                (
                    429,
                    refused(TOO_MANY),
                    none(TOO_MANY),
                    none(TOO_MANY),
                    none(TOO_MANY),
                ),
                (
                    500,
                    unsure(Transient),
                    none(Transient),
                    none(Transient),
                    none(Transient),
                ),
                (501, unsure(Permanent), none(Slow), none(Slow), unsupported),
                (
                    502,
                    unsure(Transient),
                    none(Transient),
                    none(Transient),
                    none(Transient),
                ),
                (
                    503,
                    unsure(UNAVAILABLE),
                    none(UNAVAILABLE),
                    none(UNAVAILABLE),
                    none(UNAVAILABLE),
                ),
                (
                    504,
                    unsure(Transient),
                    none(Transient),
                    none(Transient),
                    none(Transient),
                ),
                (
                    599,
                    unsure(Transient),
                    none(Transient),
                    none(Transient),
                    none(Transient),
                ),
            ]
        };
        for (status, submission, question, stop, jobs) in table {
            for body in [
                "",
                "{}",
                "<html><title>Oh</title></html>",
                r#"{"error": "x"}"#,
            ] {
                assert_eq!(
                    submitted(answered(status, body)),
                    submission,
                    "{status} {body}"
                );
                assert_eq!(polled(answered(status, body)), question, "{status} {body}");
                assert_eq!(stopped(answered(status, body)), stop, "{status} {body}");
                assert_eq!(listed(answered(status, body)), jobs, "{status} {body}");
            }
        }
    }

    #[test]
    fn a_refusal_stays_certain_when_its_body_cannot_be_read() {
        for body in [Body::TooLong, Body::Broken("the connection broke".into())] {
            assert_eq!(submitted(with_body(400, body)).0, "refused");
        }
    }

    #[test]
    fn a_success_that_names_no_job_is_unsure() {
        for body in [
            Body::Whole(String::new()),
            Body::Whole("{}".into()),
            Body::Whole("[]".into()),
            Body::Whole(r#"{"externalId": "#.into()),
            Body::Whole(r#"{"externalId": ""}"#.into()),
            Body::Whole("<html></html>".into()),
            Body::TooLong,
            Body::Broken("the connection broke".into()),
        ] {
            for status in [200, 201, 204, 206] {
                let told = submitted(with_body(status, body.clone()));
                assert_eq!(told, ("unsure", Some(FaultClass::Transient)), "{body:?}");
            }
        }
    }

    #[test]
    fn every_success_with_an_id_is_accepted() {
        for status in [200, 201, 202] {
            let exchange = answered(status, r#"{"externalId": "job_1", "token": "x"}"#);
            let job = JobId::new("job_1").unwrap();
            assert_eq!(submit(exchange, &no_rules()), SubmitAnswer::Accepted(job));
        }
    }

    #[test]
    fn what_never_left_is_refused_and_what_may_have_left_is_unsure() {
        let fault = Fault::new(UNREACHABLE, "connect", "");
        let withheld = || Exchange::Withheld(fault.clone());
        let lost = || Exchange::Lost(Fault::new(FaultClass::Transient, "no answer", ""));
        assert_eq!(submitted(withheld()), ("refused", Some(UNREACHABLE)));
        assert_eq!(submitted(lost()), ("unsure", Some(FaultClass::Transient)));
        for exchange in [withheld(), lost()] {
            assert_eq!(polled(exchange.clone()).0, "no answer");
            assert_eq!(stopped(exchange.clone()).0, "no answer");
            assert_eq!(listed(exchange).0, "no answer");
        }
    }

    #[test]
    fn job_documents_become_answers() {
        use FaultClass::{Permanent, Slow, Transient};
        let done = |reason: &str, message: &str| {
            format!(
                r#"{{"status": {{"state": "DONE", "errorResult":
                    {{"reason": "{reason}", "message": "{message}"}}}}}}"#
            )
        };
        for (body, expected) in [
            (
                r#"{"status": {"state": "DONE"}}"#.to_owned(),
                ("succeeded", None),
            ),
            (
                r#"{"status": "running", "error": {}}"#.to_owned(),
                ("working", None),
            ),
            (r#"{"status": "hibernating"}"#.to_owned(), ("working", None)),
            (done("stopped", "x"), ("cancelled", None)),
            (
                done("invalidQuery", "Syntax error"),
                ("failed", Some(Permanent)),
            ),
            (
                done("invalidQuery", "Exceeded rate limits"),
                ("failed", Some(Slow)),
            ),
            (done("backendError", "x"), ("failed", Some(Transient))),
            ("[]".to_owned(), ("no answer", Some(Transient))),
            ("<html>".to_owned(), ("no answer", Some(Transient))),
            (r#"{"status": {"#.to_owned(), ("no answer", Some(Transient))),
        ] {
            assert_eq!(polled(answered(200, &body)), expected, "{body}");
        }
        let unknown = poll(answered(200, r#"{"status": "hibernating"}"#), &no_rules());
        assert_eq!(
            unknown,
            PollAnswer::Working {
                unknown: Some("hibernating".into())
            }
        );
    }

    #[test]
    fn the_fault_of_a_job_keeps_the_vendors_words() {
        let body = r#"{"status": {"state": "DONE", "errorResult": {"reason": "invalidQuery",
            "location": "query", "message": "Cannot coerce expression @n to type INT64 at [1:158]"}}}"#;
        let PollAnswer::Failed(fault) = poll(answered(200, body), &no_rules()) else {
            panic!("not failed");
        };
        assert_eq!(
            fault.to_string(),
            "invalidQuery at query: Cannot coerce expression @n to type INT64 at [1:158]"
        );
        assert!(fault.remedy.unwrap().contains("press Update"));
    }

    #[test]
    fn the_vendors_words_cannot_control_a_terminal() {
        let body = r#"{"status": "failed", "error": {"reason": "r\u001b[2J", "location": "l\u0000",
            "msg": "a\u001b]0;x\u0007\nb"}}"#;
        let PollAnswer::Failed(fault) = poll(answered(200, body), &no_rules()) else {
            panic!("not failed");
        };
        assert_eq!(fault.to_string(), "r [2J at l : a ]0;x \nb");
    }

    #[test]
    fn a_quota_waits_for_an_hour_unless_the_user_says_otherwise() {
        let body = r#"{"status": "failed", "error": {"reason": "quotaExceeded", "msg": "x"}}"#;
        let fault = |rules: &ClassifyRules| match poll(answered(200, body), rules) {
            PollAnswer::Failed(fault) => (fault.class, fault.retry_after),
            other => panic!("{other:?}"),
        };
        assert_eq!(fault(&no_rules()), (FaultClass::Slow, Some(QUOTA_WAIT)));
        let rules = ClassifyRules {
            transient: vec!["quotaexceeded".into()],
            permanent: vec![],
        };
        assert_eq!(fault(&rules), (FaultClass::Transient, None));
    }

    #[test]
    fn the_words_of_a_refusal_are_classed_like_those_of_a_job() {
        let rate = answered(400, r#"{"error": "Exceeded rate limits"}"#);
        assert_eq!(submitted(rate), ("refused", Some(FaultClass::Slow)));
        let rules = ClassifyRules {
            transient: vec!["odd thing".into()],
            permanent: vec!["broken for good".into(), "unauthorized".into()],
        };
        for (status, words, expected) in [
            (400, "an odd thing", FaultClass::Transient),
            (500, "broken for good", FaultClass::Permanent),
            (401, "unauthorized", UNAUTHORIZED),
        ] {
            let exchange = answered(status, &format!(r#"{{"error": "{words}"}}"#));
            let (SubmitAnswer::Refused(fault) | SubmitAnswer::Unsure(fault)) =
                submit(exchange, &rules)
            else {
                panic!("accepted");
            };
            assert_eq!(fault.class, expected, "{status}");
        }
    }

    #[test]
    fn faults_of_statuses_carry_reason_words_wait_and_remedy() {
        let answered = Answered {
            status: 429,
            date: None,
            retry_after: Some(Duration::from_secs(90)),
            body: Body::Whole("<html><head><TITLE>Slow\n down</TITLE></head></html>".into()),
        };
        let fault = fault_of_status(&answered, &no_rules());
        assert_eq!(fault.to_string(), "http 429: Slow down");
        assert_eq!(fault.retry_after, Some(Duration::from_secs(90)));
        assert!(fault.remedy.unwrap().contains("requests_per_minute"));
    }

    #[test]
    fn lists_that_hide_one_of_our_jobs_prove_nothing() {
        let hidden = r#"[{"id": "a"}, {"metadata": {"app": "nightcall"}}]"#;
        assert_eq!(listed(answered(200, hidden)).0, "unsupported");
        assert_eq!(listed(answered(200, r#"[{"id": "a"}, {}]"#)).0, "jobs");
    }

    #[test]
    fn a_list_that_broke_off_is_asked_for_again_and_one_without_end_is_not() {
        assert_eq!(
            listed(with_body(200, Body::Broken("x".into()))).0,
            "no answer"
        );
        assert_eq!(listed(with_body(200, Body::TooLong)).0, "unsupported");
        assert_eq!(listed(answered(200, "<html>")).0, "unsupported");
    }

    #[test]
    fn texts_of_unknown_kind_are_shown_on_one_short_line() {
        assert_eq!(shown(" <!doctype html><p>x"), "(an HTML page)");
        assert_eq!(shown("upstream\n  connect error"), "upstream connect error");
        assert!(shown(&"é ".repeat(10_000)).len() <= SHOWN_TEXT);
        assert!(shown(&"x".repeat(10_000)).ends_with('…'));
        assert_eq!(shown("<title>no end"), "(an HTML page)");
    }
}
