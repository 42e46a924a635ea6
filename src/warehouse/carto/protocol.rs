//! What is said over the wire, without saying it: four requests out, what came of them in. Pure, so that whatever
//! carries messages can speak to the vendor: the HTTP client of this module, or a simulation in virtual time.
//!
//! A request is made here, `exchange` sends it and gives back an [`Exchange`], and [`submit`], [`poll`], [`cancel`] and
//! [`list`] say what that means.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use url::Url;

pub use super::classify::{cancel, list, poll, refuses_metadata, submit};
use super::statement;
use crate::sched::call::{Submission, Target};
use crate::sched::fault::Fault;
use crate::sched::id::JobId;
use crate::sched::time::{Timestamp, between};
use crate::secret::Secret;

/// The longest answer about one job that is read, in bytes.
pub const MAX_JOB: usize = 1 << 20;

/// The longest job list that is read, in bytes.
pub const MAX_LIST: usize = 16 << 20;

/// The longest wait that a vendor may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What is done to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    /// Its name in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// A request, ready to leave but for the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is done.
    pub method: Method,
    /// To what.
    pub url: Url,
    /// The JSON document that is sent.
    pub body: Option<Vec<u8>>,
    /// At most so many bytes of the answer are read.
    pub limit: usize,
}

impl Request {
    /// Asks for a job, with its marker or without.
    ///
    /// # Errors
    /// When it cannot be said: certainly nothing was sent.
    pub fn creation(submission: &Submission, marked: bool) -> Result<Self, Fault> {
        Ok(Self {
            method: Method::Post,
            url: statement::jobs_of_connection(&submission.target)?,
            body: Some(statement::body(submission, marked)?),
            limit: MAX_JOB,
        })
    }

    /// Asks how a job stands.
    ///
    /// # Errors
    /// As [`Request::creation`].
    pub fn status(target: &Target, job: &JobId) -> Result<Self, Fault> {
        Self::about(Method::Get, target, job)
    }

    /// Asks a job to stop.
    ///
    /// # Errors
    /// As [`Request::creation`].
    pub fn cancellation(target: &Target, job: &JobId) -> Result<Self, Fault> {
        Self::about(Method::Delete, target, job)
    }

    /// Asks for the jobs that were created since then.
    ///
    /// # Errors
    /// As [`Request::creation`].
    pub fn listing(target: &Target, since: Timestamp) -> Result<Self, Fault> {
        Ok(Self {
            method: Method::Get,
            url: statement::job_list(target, since)?,
            body: None,
            limit: MAX_LIST,
        })
    }

    fn about(method: Method, target: &Target, job: &JobId) -> Result<Self, Fault> {
        Ok(Self {
            method,
            url: statement::one_job(target, job)?,
            body: None,
            limit: MAX_JOB,
        })
    }
}

/// One exchange, whatever came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Exchange {
    /// Nothing left this machine for the vendor.
    Withheld(Fault),
    /// The request left, or may have, and there is no answer.
    Lost(Fault),
    /// There is a status.
    Answered(Answered),
}

impl Exchange {
    /// The vendor's clock, when there is an answer with one.
    pub fn date(&self) -> Option<Timestamp> {
        match self {
            Self::Answered(answered) => answered.date,
            _ => None,
        }
    }

    /// Whether the vendor said yes.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered(answered) if matches!(answered.status, 200..300))
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The vendor's clock.
    pub date: Option<Timestamp>,
    /// How long it asks us to wait.
    pub retry_after: Option<Duration>,
    /// The rest.
    pub body: Body,
}

impl Answered {
    /// An answer with these two headers, as they stand; `now` is our clock, for a vendor that does not tell its own.
    pub fn new(
        status: u16,
        date: Option<&str>,
        retry_after: Option<&str>,
        body: Body,
        now: Timestamp,
    ) -> Self {
        let date = date.and_then(http_date);
        Self {
            status,
            date,
            retry_after: retry_after.and_then(|text| wait(text, date.unwrap_or(now))),
            body,
        }
    }
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// All of it, the credential hidden.
    Whole(String),
    /// More than is ever read.
    TooLong,
    /// It ended before its end: the connection broke or time ran out.
    Broken(String),
}

impl Body {
    /// All bytes of a body as text; `hidden` does not show in it.
    pub fn whole(bytes: Vec<u8>, hidden: &Secret) -> Self {
        // A foreign character set in a message is no reason to lose the rest.
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Self::Whole(hidden.hide_in(text))
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text).ok()
}

/// Seconds, or a date as seen from the vendor's own clock.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => between(now, http_date(text)?),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_in_both_forms_and_bounded() {
        let date = "Sun, 01 Mar 2026 06:00:00 GMT";
        let secs = |n| Some(Duration::from_secs(n));
        for (text, expected) in [
            ("120", secs(120)),
            (" 0 ", secs(0)),
            ("99999999999", Some(MAX_RETRY_AFTER)),
            ("Sun, 01 Mar 2026 06:02:00 GMT", secs(120)),
            ("Sun, 01 Mar 2026 05:00:00 GMT", secs(0)),
            ("Mon, 01 Mar 2027 05:00:00 GMT", Some(MAX_RETRY_AFTER)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            let body = Body::Whole(String::new());
            let answered = Answered::new(429, Some(date), Some(text), body, Timestamp::MAX);
            assert_eq!(answered.date, "2026-03-01T06:00:00Z".parse().ok());
            assert_eq!(answered.retry_after, expected, "{text:?}");
        }
    }
}
