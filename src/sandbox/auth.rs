//! Who may ask: fixed tokens, and tokens handed out for a client's id and secret that live for a while.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::job::later;
use super::message::{Reply, Request};
use super::span;

/// The token that works when a scenario names no other.
pub const TOKEN: &str = "sandbox-token";

/// Which credentials are good.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Auth {
    /// The fixed token.
    pub token: String,
    /// Tokens that are known but may do nothing (403).
    pub without_grant: Vec<String>,
    /// Takes every token, so that a file made for CARTO can be rehearsed as it is.
    pub any_token: bool,
    /// The token endpoint.
    pub oauth: Oauth,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            token: TOKEN.into(),
            without_grant: Vec::new(),
            any_token: false,
            oauth: Oauth::default(),
        }
    }
}

/// The token endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Oauth {
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// How long a token lives.
    #[serde(deserialize_with = "span::plain")]
    pub lifetime: Duration,
    /// Whether everybody is refused with 401.
    pub refuse: bool,
}

impl Default for Oauth {
    fn default() -> Self {
        Self {
            client_id: "sandbox-client".into(),
            client_secret: "sandbox-secret".into(),
            lifetime: Duration::from_secs(86_400),
            refuse: false,
        }
    }
}

/// The tokens that were handed out.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    /// With the end of their lives.
    live: HashMap<String, Timestamp>,
    issued: u64,
}

impl Desk {
    /// Tokens handed out so far.
    pub(super) fn issued(&self) -> u64 {
        self.issued
    }

    /// Every token that was handed out is worth nothing from now on.
    pub(super) fn revoke_all(&mut self) {
        self.live.clear();
    }

    /// The token of a request, if it is good.
    ///
    /// # Errors
    /// The reply to give otherwise.
    pub(super) fn admit(
        &self,
        auth: &Auth,
        request: &Request,
        now: Timestamp,
    ) -> Result<String, Reply> {
        let Some(token) = request.token().filter(|token| !token.is_empty()) else {
            return Err(Reply::error(401, "Token not defined"));
        };
        let token = token.into_owned();
        if auth.without_grant.contains(&token) {
            let what = "You don't have permissions to use this connection";
            return Err(Reply::error(403, what));
        }
        let alive = self.live.get(&token).is_some_and(|end| now < *end);
        if alive || auth.any_token || token == auth.token {
            Ok(token)
        } else {
            Err(Reply::error(401, "invalid token"))
        }
    }

    /// Answers the token endpoint.
    pub(super) fn issue(&mut self, oauth: &Oauth, request: &Request, now: Timestamp) -> Reply {
        let form = form(request);
        let field = |name: &str| form.get(name).and_then(Value::as_str).unwrap_or("");
        if field("grant_type") != "client_credentials" {
            return refused(403, "unsupported_grant_type", "Unsupported grant type");
        }
        let known =
            field("client_id") == oauth.client_id && field("client_secret") == oauth.client_secret;
        if oauth.refuse || !known {
            return refused(401, "access_denied", "Unauthorized");
        }
        if field("audience").is_empty() {
            return refused(403, "access_denied", "No audience parameter was provided");
        }
        self.issued += 1;
        self.live.retain(|_, end| now < *end);
        let token = format!("sandbox-oauth-{}", self.issued);
        self.live.insert(token.clone(), later(now, oauth.lifetime));
        Reply::json(
            200,
            &json!({
                "access_token": token,
                "scope": "read:current_user write:connections",
                "expires_in": oauth.lifetime.as_secs(),
                "token_type": "Bearer",
            }),
        )
    }
}

/// The fields of a token request, form-encoded or JSON.
fn form(request: &Request) -> Map<String, Value> {
    if let Ok(Value::Object(map)) = serde_json::from_slice(&request.body) {
        return map;
    }
    form_urlencoded::parse(&request.body)
        .map(|(key, value)| (key.into_owned(), Value::String(value.into_owned())))
        .collect()
}

fn refused(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "error": error, "error_description": description }),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn request(token: Option<&str>, body: &str) -> Request {
        Request {
            method: "POST".into(),
            target: "/oauth/token".into(),
            headers: token
                .map(|t| ("authorization".to_owned(), format!("Bearer {t}")))
                .into_iter()
                .collect(),
            body: body.into(),
            too_large: false,
            from: Ipv4Addr::LOCALHOST.into(),
        }
    }

    const GOOD: &str = "grant_type=client_credentials&client_id=sandbox-client\
                        &client_secret=sandbox-secret&audience=carto-cloud-native-api";

    #[test]
    fn each_credential_gets_its_own_answer() {
        let desk = Desk::default();
        let auth = Auth {
            without_grant: vec!["poor".into()],
            ..Auth::default()
        };
        let answer = |token| {
            let admitted = desk.admit(&auth, &request(token, ""), Timestamp::UNIX_EPOCH);
            admitted.map_err(|reply| (reply.status, String::from_utf8(reply.body).unwrap()))
        };
        assert_eq!(answer(Some(TOKEN)), Ok(TOKEN.into()));
        let (status, body) = answer(None).unwrap_err();
        assert!(status == 401 && body.contains("Token not defined"));
        let (status, body) = answer(Some("who")).unwrap_err();
        assert!(status == 401 && body.contains("invalid token"));
        assert_eq!(answer(Some("poor")).unwrap_err().0, 403);
    }

    #[test]
    fn a_token_that_was_handed_out_lives_as_long_as_was_said() {
        let mut desk = Desk::default();
        let auth = Auth {
            oauth: Oauth {
                lifetime: Duration::from_secs(5),
                ..Oauth::default()
            },
            ..Auth::default()
        };
        let start = Timestamp::UNIX_EPOCH;
        let reply = desk.issue(&auth.oauth, &request(None, GOOD), start);
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, &body["expires_in"]), (200, &json!(5)));
        let with = request(body["access_token"].as_str(), "");
        let after = |seconds| later(start, Duration::from_secs(seconds));
        assert!(desk.admit(&auth, &with, after(4)).is_ok());
        assert_eq!(desk.admit(&auth, &with, after(5)).unwrap_err().status, 401);
        assert_eq!(desk.issued(), 1);
    }

    #[test]
    fn the_token_endpoint_refuses_strangers_and_takes_json_too() {
        let mut desk = Desk::default();
        let oauth = Oauth::default();
        let mut ask = |body: &str| desk.issue(&oauth, &request(None, body), Timestamp::UNIX_EPOCH);
        let stranger = ask(&GOOD.replace("sandbox-secret", "guess"));
        assert_eq!(stranger.status, 401);
        assert!(String::from_utf8_lossy(&stranger.body).contains("access_denied"));
        assert_eq!(ask("").status, 403);
        let json = json!({
            "grant_type": "client_credentials", "client_id": "sandbox-client",
            "client_secret": "sandbox-secret", "audience": "x",
        });
        assert_eq!(ask(&json.to_string()).status, 200);
    }
}
