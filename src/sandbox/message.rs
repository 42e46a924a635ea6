//! Requests and replies as plain values: what the deciding half of the sandbox sees of HTTP.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use url::form_urlencoded;

/// One request, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body; empty when it was too large.
    pub body: Vec<u8>,
    /// Whether the body was larger than what is taken, and thrown away.
    pub too_large: bool,
    /// Where it came from.
    pub from: IpAddr,
}

impl Request {
    /// The path, not decoded.
    pub fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or("")
    }

    /// The value of a parameter in the query of the URL.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The first header of this name, which is written in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The credential: a bearer token, or `access_token` in the URL.
    pub fn token(&self) -> Option<Cow<'_, str>> {
        let bearer = self.header("authorization").and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match bearer {
            Some(token) => Some(Cow::Borrowed(token)),
            None => self.parameter("access_token").map(Cow::Owned),
        }
    }
}

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers beside `Date`, `Content-Type` and `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the body is JSON; HTML otherwise.
    pub json: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A reply in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            json: true,
            body: body.to_string().into_bytes(),
        }
    }

    /// An error as CARTO writes it.
    pub fn error(status: u16, error: &str) -> Self {
        Self::json(status, &json!({ "error": error, "status": status }))
    }

    /// A page as a proxy or a firewall writes it.
    pub fn html(status: u16) -> Self {
        let what = reason(status);
        let body = format!(
            "<html>\n<head><title>{status} {what}</title></head>\n\
             <body><center><h1>{status} {what}</h1></center></body>\n</html>\n"
        );
        Self {
            status,
            headers: Vec::new(),
            json: false,
            body: body.into_bytes(),
        }
    }

    /// A reply without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            json: true,
            body: Vec::new(),
        }
    }

    /// The same reply with one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same reply with `Retry-After` when there is something to wait for, in whole seconds, at least one.
    pub(super) fn retry_after(self, wait: Option<Duration>) -> Self {
        match wait {
            None => self,
            Some(wait) => {
                let seconds = wait.as_millis().div_ceil(1000).max(1);
                self.with("Retry-After", seconds.to_string())
            }
        }
    }
}

/// What the server does about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// Sends this reply, in this way.
    Reply(Reply, Delivery),
    /// Resets the connection.
    Reset,
    /// Closes the connection without a word.
    Close,
    /// Resets the connection and accepts none for this long.
    Refuse(Duration),
    /// Never answers.
    Silence,
    /// Handles the request after this long, whether or not anybody still waits for the reply.
    Later(Duration),
}

/// How a reply is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As it should be.
    Whole,
    /// After this long.
    After(Duration),
    /// Only so many bytes of it.
    Cut(usize),
    /// With a `Content-Length` that is off by so much.
    WrongLength(i64),
    /// In pieces of so many bytes, with a pause after each.
    Drip(usize, Duration),
    /// Behind so many bytes of white space.
    Padded(u64),
}

/// The phrase that goes with a status code.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            method: "GET".into(),
            target: target.into(),
            headers: headers
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            body: Vec::new(),
            too_large: false,
            from: Ipv4Addr::LOCALHOST.into(),
        }
    }

    #[test]
    fn path_and_parameters_are_taken_apart() {
        let request = request(
            "/v3/sql/jobs?created_since=2026-03-01T06%3A00%3A00Z&a=b+c",
            &[],
        );
        assert_eq!(request.path(), "/v3/sql/jobs");
        assert_eq!(
            request.parameter("created_since").as_deref(),
            Some("2026-03-01T06:00:00Z")
        );
        assert_eq!(request.parameter("a").as_deref(), Some("b c"));
        assert_eq!(request.parameter("b"), None);
    }

    #[test]
    fn the_credential_is_a_bearer_or_in_the_url() {
        let header = [("authorization", "bearer abc")];
        assert_eq!(request("/", &header).token().as_deref(), Some("abc"));
        let url = request("/?access_token=xyz", &[]);
        assert_eq!(url.token().as_deref(), Some("xyz"));
        assert_eq!(
            request("/", &[("authorization", "Basic abc")]).token(),
            None
        );
    }

    #[test]
    fn waits_are_told_in_whole_seconds() {
        let reply = Reply::html(429).retry_after(Some(Duration::from_millis(1200)));
        assert_eq!(reply.headers, [("Retry-After", "2".to_owned())]);
    }
}
