//! One request to a receiver on the web, one answer, and what it means for the message.
//!
//! Invariants: no redirect is followed, so that a message and its secrets stay with whom they are meant for; no answer is
//! read beyond its bound; no address is in an error; the credential is hidden in whatever comes back.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::{
    Certificate, Client, ClientBuilder, Proxy, RequestBuilder, Response, redirect, retry,
};
use url::{Host, Url};

use super::SendError;
use super::hidden::Hidden;
use super::setup::{Reach, SetupError};
use crate::sched::time::{Timestamp, between};
use crate::secret::{Secret, SecretSource};

/// The largest file of certificates that is read, in bytes.
const MAX_CA_FILE: u64 = 4 << 20;

/// The longest wait that a receiver may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// As much of an answer as is read for the reason, in bytes.
pub(super) const FOR_A_REASON: usize = 4 << 10;

/// How long the words of an answer are waited for, when its status is known.
const WORDS: Duration = Duration::from_secs(2);

/// The HTTP client of one channel.
pub(super) struct Http {
    client: Client,
    timeout: Duration,
}

/// What a receiver answered.
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// How long it asks us to wait.
    pub(super) wait: Option<Duration>,
    response: Response,
}

impl Http {
    /// Fails when the time limit, the certificate file or the proxy cannot be used.
    pub(super) fn new(reach: &Reach) -> Result<Self, SetupError> {
        if reach.timeout.is_zero() {
            return Err(SetupError::Timeout);
        }
        let mut extra = Vec::new();
        if let Some(path) = &reach.ca_file {
            let wrong = |why| ca_file(path, why);
            extra = Certificate::from_pem_bundle(&pem(path)?)
                .map_err(|error| wrong(without_address(error)))?;
            if extra.is_empty() {
                return Err(wrong("it holds no certificate in PEM form".into()));
            }
        }
        let client = builder(reach)?.tls_certs_merge(extra.clone()).build();
        let client = client.or_else(|error| {
            // A machine without CA certificates can still speak to a receiver on loopback.
            tracing::warn!(
                error = %without_address(error),
                "no CA certificates of this system can be used: channels by https will fail; \
                 install the package ca-certificates, or set `ca_file`"
            );
            builder(reach)?
                .tls_certs_only(extra)
                .build()
                .map_err(|error| SetupError::Client(without_address(error)))
        })?;
        let timeout = reach.timeout;
        Ok(Self { client, timeout })
    }

    /// A request to be filled.
    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// The whole of a sending, secrets and all, within the time limit.
    pub(super) async fn within<T>(
        &self,
        sending: impl Future<Output = Result<T, SendError>>,
    ) -> Result<T, SendError> {
        within(self.timeout, sending).await
    }

    /// Sends the request. Any trouble on the way is to be tried again.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        hidden: &Hidden,
    ) -> Result<Answer, SendError> {
        let response = request
            .send()
            .await
            .map_err(|error| trouble(error, hidden))?;
        Ok(Answer {
            status: response.status().as_u16(),
            wait: wait(&response),
            response,
        })
    }
}

fn builder(reach: &Reach) -> Result<ClientBuilder, SetupError> {
    let plain = Client::builder()
        .user_agent(concat!("nightcall/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Whether a message is sent again is not decided here.
        .retry(retry::never())
        .referer(false)
        .connect_timeout((reach.timeout / 2).min(Duration::from_secs(10)))
        // Messages are rare: a kept connection would mostly be a dead one.
        .pool_max_idle_per_host(0);
    Ok(match &reach.proxy {
        Some(proxy) => plain.proxy(proxy_for_all(proxy)?),
        None => plain.no_proxy(),
    })
}

/// The address of a proxy may hold a password: it is never quoted.
fn proxy_for_all(address: &str) -> Result<Proxy, SetupError> {
    let url = Url::parse(address).map_err(|_| SetupError::Proxy("it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(SetupError::Proxy("it is not an http or https URL"));
    }
    Proxy::all(url).map_err(|_| SetupError::Proxy("it is not usable"))
}

/// What is in a file of certificates.
pub(super) fn pem(path: &Path) -> Result<Vec<u8>, SetupError> {
    let wrong = |error: std::io::Error| ca_file(path, error.to_string());
    let size = std::fs::metadata(path).map_err(wrong)?;
    if !size.is_file() || size.len() > MAX_CA_FILE {
        return Err(ca_file(
            path,
            "it is not a plain file of at most 4 MiB".into(),
        ));
    }
    std::fs::read(path).map_err(wrong)
}

pub(super) fn ca_file(path: &Path, why: String) -> SetupError {
    let path = path.to_owned();
    SetupError::CaFile { path, why }
}

/// Anything that ends within the limit, or is to be tried again.
pub(super) async fn within<T>(
    limit: Duration,
    sending: impl Future<Output = Result<T, SendError>>,
) -> Result<T, SendError> {
    match tokio::time::timeout(limit, sending).await {
        Ok(sent) => sent,
        Err(_) => Err(again(format!("no answer within {} s", limit.as_secs_f32()))),
    }
}

/// To be tried again, whenever.
pub(super) fn again(why: impl Into<String>) -> SendError {
    let why = why.into();
    SendError::Retry { why, after: None }
}

/// A secret that cannot be read is one that somebody can put there: nothing is given up meanwhile.
pub(super) async fn read(source: &SecretSource) -> Result<Secret, SendError> {
    source
        .read()
        .await
        .map_err(|error| again(error.to_string()))
}

/// An address that is a secret as a whole.
pub(super) async fn read_url(source: &SecretSource) -> Result<(Url, Hidden), SendError> {
    let secret = read(source).await?;
    match Url::parse(secret.expose()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {
            let hidden = Hidden::new().and_url(&secret, &url);
            Ok((url, hidden))
        }
        _ => Err(again(format!(
            "{} holds no http or https URL: put the whole address there, beginning with https://",
            source.place()
        ))),
    }
}

/// Whether what is sent there can be read by nobody on the way.
pub(super) fn is_private(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

impl Answer {
    /// The beginning of the body: at most `limit` bytes, and what came of it in time. The rest is not read: the connection
    /// is closed instead.
    pub(super) async fn beginning(mut self, limit: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let reading = async {
            while let Ok(Some(chunk)) = self.response.chunk().await {
                let room = limit - bytes.len();
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if bytes.len() == limit {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(WORDS, reading).await;
        bytes
    }

    /// Whether the message was taken.
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What an answer that is not good means for the message.
    pub(super) async fn refusal(self, hidden: &Hidden) -> SendError {
        let (status, after) = (self.status, self.wait);
        let said = hidden.said(&self.beginning(FOR_A_REASON).await);
        let remedy = remedy(status);
        let why = format!("the receiver answered {status}{said}{remedy}");
        match refuses_this_message(status) {
            true => SendError::GiveUp(why),
            false => SendError::Retry { why, after },
        }
    }
}

/// The status codes by which a receiver says that it is this message that it does not take. All others are about the
/// receiver, the address or the credential, which pass or which a person can mend.
fn refuses_this_message(status: u16) -> bool {
    matches!(status, 400 | 409 | 411 | 413 | 415 | 422 | 431)
}

fn remedy(status: u16) -> &'static str {
    match status {
        300..=399 => "; redirects are not followed: put the final address",
        401 | 403 => "; the address or the credential needs mending",
        404 | 405 | 410 => "; the address needs mending",
        407 => "; the proxy wants a credential",
        _ => "",
    }
}

/// How long the receiver asks us to wait: seconds, or a date as seen from its own clock.
fn wait(response: &Response) -> Option<Duration> {
    let header = |name| response.headers().get(name)?.to_str().ok();
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let text = header(RETRY_AFTER)?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let now = header(DATE).and_then(date).unwrap_or_else(Timestamp::now);
            between(now, date(text)?)
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn trouble(error: reqwest::Error, hidden: &Hidden) -> SendError {
    let what = match (error.is_connect(), error.is_timeout()) {
        (true, true) => "no connection in time",
        (true, false) => "no connection",
        (false, _) => "the connection broke off",
    };
    let text = hidden.in_text(without_address(error));
    let remedy = match text.contains("UnknownIssuer") {
        true => "; set `ca_file` to the certificate of the authority that vouches for it",
        false => "",
    };
    again(format!("{what}: {text}{remedy}"))
}

/// The causes of an error, the innermost last, without the address of the request.
fn without_address(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_message_is_given_up() {
        for status in [
            300, 302, 401, 403, 404, 405, 408, 410, 418, 425, 429, 500, 502, 503, 599,
        ] {
            assert!(!refuses_this_message(status), "{status}");
        }
        for status in [400, 409, 411, 413, 415, 422, 431] {
            assert!(refuses_this_message(status), "{status}");
        }
    }

    #[test]
    fn a_token_goes_only_where_nobody_listens() {
        for (address, private) in [
            ("https://slack.com/api", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://slack.com/api", false),
            ("http://localhost.example.com/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(
                is_private(&Url::parse(address).unwrap()),
                private,
                "{address}"
            );
        }
    }
}
