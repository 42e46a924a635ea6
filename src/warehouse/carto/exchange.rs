//! One request, one answer: the HTTP client, its limits, and what its errors mean.
//!
//! Invariants: no redirect is followed, so that a credential stays with the host it is meant for; nothing is sent a
//! second time by the client; no answer is read beyond its bound; an error is called "withheld" only when no byte of
//! the request can have left.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Certificate, Client, ClientBuilder, Method, Proxy, Response, redirect, retry};
use tokio::time::Instant;
use url::Url;

use super::protocol::{self, Answered, Body, Exchange, Request};
use super::{CartoSettings, SetupError, remedy};
use crate::sched::fault::{ConnectionFault, Fault, FaultClass};
use crate::sched::time::Timestamp;
use crate::secret::Secret;

/// The largest file of certificates that is read, in bytes.
const MAX_CA_FILE: u64 = 4 << 20;

/// Connections that were idle for longer are not used again. Shorter than what load balancers allow, so that a
/// submission seldom meets a connection that is just being closed, and with it doubt.
const IDLE: Duration = Duration::from_secs(30);

/// The HTTP client of one connection.
pub(super) struct Http {
    client: Client,
}

impl Http {
    /// Fails when the certificate file or the proxy cannot be used.
    pub(super) fn new(settings: &CartoSettings) -> Result<Self, SetupError> {
        let mut extra = Vec::new();
        if let Some(path) = &settings.ca_file {
            extra = certificates(path)?;
        }
        let builder = || -> Result<ClientBuilder, SetupError> {
            let plain = Client::builder()
                .user_agent(concat!("nightcall/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                // The default repeats what HTTP/2 servers refuse; a submission is repeated by nobody but the heart.
                .retry(retry::never())
                .referer(false)
                .connect_timeout(connect_limit(settings.request_timeout))
                .pool_idle_timeout(IDLE)
                // What a request that was given up left in the kernel is not delivered for long: its absence would by
                // then have been proven.
                .tcp_user_timeout(connect_limit(settings.request_timeout))
                // A connection that died silently is found by a ping instead of by a row of timeouts.
                .http2_keep_alive_interval(Duration::from_secs(15))
                .http2_keep_alive_timeout(Duration::from_secs(10));
            Ok(match &settings.proxy {
                Some(proxy) => plain.proxy(proxy_for_all(proxy)?),
                None => plain.no_proxy(),
            })
        };
        let client = builder()?.tls_certs_merge(extra.clone()).build();
        let client = client.or_else(|error| {
            // A machine without CA certificates can still speak to a sandbox on loopback.
            tracing::warn!(
                error = %without_address(error),
                "no CA certificates of this system can be used: connections by https will fail; \
                 install the package ca-certificates, or set `ca_file`"
            );
            builder()?
                .tls_certs_only(extra)
                .build()
                .map_err(|error| SetupError::Client(without_address(error)))
        })?;
        Ok(Self { client })
    }

    /// Sends the request with the credential and reads the answer, all before `deadline`. The credential is hidden in
    /// whatever comes back.
    pub(super) async fn send(
        &self,
        request: &Request,
        bearer: &Secret,
        deadline: Instant,
    ) -> Exchange {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        match authorization(bearer) {
            Some(value) => headers.insert(AUTHORIZATION, value),
            None => return Exchange::Withheld(not_sent("the credential cannot stand in a header")),
        };
        let mut body = reqwest::Body::default();
        if let Some(bytes) = &request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = bytes.clone().into();
        }
        let outgoing = self
            .client
            .request(method(request.method), request.url.clone())
            .headers(headers)
            .body(body);
        self.perform(outgoing, request, Some(bearer), deadline)
            .await
    }

    /// Sends the request without any credential, to see whether anybody answers.
    pub(super) async fn send_bare(&self, request: &Request, deadline: Instant) -> Exchange {
        let outgoing = self
            .client
            .request(method(request.method), request.url.clone())
            .header(ACCEPT, "application/json");
        self.perform(outgoing, request, None, deadline).await
    }

    /// Posts a form, without a bearer; `hidden` does not show in what comes back.
    pub(super) async fn post_form(
        &self,
        url: Url,
        form: &[(&str, &str)],
        hidden: &Secret,
        limit: usize,
        deadline: Instant,
    ) -> Exchange {
        let request = Request {
            method: protocol::Method::Post,
            url,
            body: None,
            limit,
        };
        let outgoing = self
            .client
            .post(request.url.clone())
            .header(ACCEPT, "application/json")
            .form(form);
        self.perform(outgoing, &request, Some(hidden), deadline)
            .await
    }

    async fn perform(
        &self,
        outgoing: reqwest::RequestBuilder,
        request: &Request,
        hidden: Option<&Secret>,
        deadline: Instant,
    ) -> Exchange {
        let begun = Instant::now();
        let left = deadline.saturating_duration_since(begun);
        if left.is_zero() {
            return Exchange::Withheld(not_sent(
                "the time limit passed before the request was sent",
            ));
        }
        let exchange = match outgoing.timeout(left).send().await {
            Ok(response) => Exchange::Answered(answered(response, request.limit, hidden).await),
            Err(error) => from_error(error, hidden),
        };
        let status = match &exchange {
            Exchange::Answered(answered) => answered.status.to_string(),
            Exchange::Lost(fault) | Exchange::Withheld(fault) => fault.reason.clone(),
        };
        tracing::debug!(
            method = request.method.as_str(),
            host = request.url.host_str().unwrap_or_default(),
            path = request.url.path(),
            status,
            ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "exchange"
        );
        exchange
    }
}

/// Making a connection may take at most half of the time for the whole, and 10 s: so that this limit passes before
/// the other, and a host that does not answer is known not to have had the request.
fn connect_limit(request_timeout: Duration) -> Duration {
    (request_timeout / 2).min(Duration::from_secs(10))
}

fn method(method: protocol::Method) -> Method {
    match method {
        protocol::Method::Get => Method::GET,
        protocol::Method::Post => Method::POST,
        protocol::Method::Delete => Method::DELETE,
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, SetupError> {
    let wrong = |why: String| SetupError::CaFile {
        path: path.to_owned(),
        why,
    };
    let size = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?;
    if !size.is_file() || size.len() > MAX_CA_FILE {
        return Err(wrong("it is not a plain file of at most 4 MiB".into()));
    }
    let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|e| wrong(without_address(e)))?;
    if found.is_empty() {
        return Err(wrong("it holds no certificate in PEM form".into()));
    }
    Ok(found)
}

/// The address of a proxy may hold a password: it is never quoted.
fn proxy_for_all(address: &str) -> Result<Proxy, SetupError> {
    let url = Url::parse(address).map_err(|_| SetupError::Proxy("it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(SetupError::Proxy("it is not an http or https URL"));
    }
    Proxy::all(url).map_err(|_| SetupError::Proxy("it is not usable"))
}

fn authorization(bearer: &Secret) -> Option<HeaderValue> {
    let text = secrecy::zeroize::Zeroizing::new(format!("Bearer {}", bearer.expose()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn answered(response: Response, limit: usize, hidden: Option<&Secret>) -> Answered {
    let date = header(&response, DATE.as_str()).map(str::to_owned);
    let wait = header(&response, RETRY_AFTER.as_str()).map(str::to_owned);
    let status = response.status().as_u16();
    let body = read(response, limit, hidden).await;
    let now = Timestamp::now();
    Answered::new(status, date.as_deref(), wait.as_deref(), body, now)
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Reads at most `limit` bytes. The rest is not read: the connection is closed instead.
async fn read(mut response: Response, limit: usize, hidden: Option<&Secret>) -> Body {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Body::TooLong;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0).min(limit));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > limit => return Body::TooLong,
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => {
                let why = format!("the answer broke off: {}", without_address(error));
                return Body::Broken(without(hidden, why));
            }
        }
    }
    match hidden {
        Some(hidden) => Body::whole(bytes, hidden),
        None => Body::Whole(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// Only errors from making the connection are certain; everything else may have come after the request.
fn from_error(error: reqwest::Error, hidden: Option<&Secret>) -> Exchange {
    let never_left = error.is_connect() || error.is_builder();
    let timeout = error.is_timeout();
    let text = without(hidden, without_address(error));
    if never_left {
        let remedy = remedy::for_connect(&text);
        Exchange::Withheld(not_sent(&text).with_remedy(remedy))
    } else {
        let reason = if timeout {
            "no answer in time"
        } else {
            "connection lost"
        };
        Exchange::Lost(Fault::new(FaultClass::Transient, reason, &text))
    }
}

/// The text without the secret, if one was sent.
fn without(secret: Option<&Secret>, text: String) -> String {
    match secret {
        Some(secret) => secret.hide_in(text),
        None => text,
    }
}

fn not_sent(text: &str) -> Fault {
    let class = FaultClass::Connection(ConnectionFault::Unreachable);
    Fault::new(class, "connect", text)
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
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_for_connecting_passes_before_the_whole() {
        for (whole, expected) in [(30, 10_000), (10, 5_000), (1, 500)] {
            let limit = connect_limit(Duration::from_secs(whole));
            assert_eq!(limit, Duration::from_millis(expected));
        }
    }
}
