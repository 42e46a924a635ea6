//! What a loopback address lets through. Every user of the machine can reach it, and any page in a browser can send
//! requests to it: so a request must carry the token, which no page can, and must name the loopback, which a name that an
//! attacker points at it does not.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::token;
use super::wrong::{Code, wrong};
use crate::secret::Secret;

/// What is asked without a token: whether all is well.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Lets through what names the loopback and carries the token.
pub(super) async fn guarded(
    State(token): State<Arc<Secret>>,
    request: Request,
    next: Next,
) -> Response {
    if !names_the_loopback(request.uri(), request.headers()) {
        return wrong(
            Code::Forbidden,
            "the request does not name a loopback address",
            "use http://127.0.0.1 or http://localhost; a proxy in front must set the Host header to one of them",
        )
        .into_response();
    }
    let shown = request.headers().get(header::AUTHORIZATION);
    let opens = shown.is_some_and(|shown| token::opens(&token, shown.as_bytes()));
    if !opens && !OPEN.contains(&request.uri().path()) {
        return wrong(
            Code::Unauthorized,
            "this address asks for the token",
            "send Authorization: Bearer TOKEN; `nightcall status --token` shows it",
        )
        .into_response();
    }
    next.run(request).await
}

/// Whether the one host that the request names is the loopback, wherever it names it.
fn names_the_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let named = host.to_str().is_ok_and(is_loopback);
    named && uri.authority().is_none_or(|a| is_loopback(a.as_str()))
}

/// Whether `host[:port]` is the loopback, by address or as `localhost`.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_pass() {
        for good in [
            "localhost",
            "LocalHost:7070",
            "127.0.0.1",
            "127.0.0.1:7070",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:7070",
        ] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "",
            ":7070",
            "evil.example",
            "localhost.evil.example:7070",
            "127.0.0.1.evil.example",
            "10.0.0.1:7070",
            "[::2]:7070",
            "0.0.0.0",
            "user@localhost.evil.example",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn a_request_must_name_one_host_and_name_it_everywhere() {
        let uri: Uri = "/v1/status".parse().unwrap();
        let mut headers = HeaderMap::new();
        assert!(!names_the_loopback(&uri, &headers));
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert!(names_the_loopback(&uri, &headers));
        let absolute: Uri = "http://evil.example/v1/status".parse().unwrap();
        assert!(!names_the_loopback(&absolute, &headers));
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert!(!names_the_loopback(&uri, &headers));
    }
}
