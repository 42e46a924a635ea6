//! The credential: a static token, or one obtained by OAuth client credentials and kept until shortly before its end.
//!
//! Obtaining runs as a task of its own, one at a time: a question that cannot wait any longer gives up, the token
//! still arrives, and those who asked meanwhile share what came of it, be it a token or a fault. While a token is
//! good, nobody waits for a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::CartoCredential;
use super::exchange::Http;
use super::jwt;
use super::protocol::{Answered, Body, Exchange};
use super::statement;
use super::wire::VendorError;
use crate::sched::fault::{ConnectionFault, Fault, FaultClass};
use crate::sched::time::Timestamp;
use crate::secret::{Secret, SecretSource};
use crate::warehouse::Validity;

/// The longest answer of a token endpoint that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A token is renewed so long before its end, or a tenth of its life before, whichever is later.
const MARGIN: Duration = Duration::from_secs(300);

/// The life of a token whose end is not told.
const ASSUMED_LIFE: Duration = Duration::from_secs(3600);

/// The longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a token that is still good is used before the next attempt, after one to renew it failed.
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// A token as it was handed out.
pub(super) type Bearer = Arc<Secret>;

/// The credential of one connection.
pub(super) struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    credential: CartoCredential,
    http: Arc<Http>,
    /// How long one request to the token endpoint may take.
    limit: Duration,
    state: Mutex<State>,
    /// Held while a token is obtained.
    obtaining: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// How often obtaining a token came to an end.
    rounds: u64,
    /// What the last round came to, when it failed.
    fault: Option<Fault>,
}

struct Held {
    bearer: Bearer,
    /// From when on it is renewed; never, for a static one.
    renew: Option<Instant>,
    /// When it ends; never, for a static one.
    end: Option<Instant>,
}

/// A token with what is known of its life.
struct Fresh {
    secret: Secret,
    life: Option<Duration>,
}

impl Tokens {
    pub(super) fn new(credential: CartoCredential, http: Arc<Http>, limit: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                credential,
                http,
                limit,
                state: Mutex::default(),
                obtaining: tokio::sync::Mutex::new(()),
            }),
        }
    }

    /// A token that is good as far as is known and not the one that the vendor refused; obtained now when there is
    /// none. A static token that was refused is read again from its place and may come back unchanged.
    pub(super) async fn get(
        &self,
        refused: Option<&Bearer>,
        deadline: Instant,
    ) -> Result<Bearer, Fault> {
        let seen = {
            let state = self.shared.state();
            if let Some(bearer) = state.good(refused, Instant::now()) {
                return Ok(bearer);
            }
            state.rounds
        };
        let shared = Arc::clone(&self.shared);
        let refused = refused.cloned();
        let obtained = tokio::spawn(async move { shared.obtain(seen, refused.as_ref()).await });
        match tokio::time::timeout_at(deadline, obtained).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(unauthorized("obtaining a token was interrupted")),
            Err(_) => Err(self.shared.too_slow()),
        }
    }

    /// How long a token that was handed out is good. A command is asked again when the vendor refuses what it printed,
    /// so that only one that has ended by now says something.
    pub(super) fn validity(&self, bearer: &Bearer) -> Validity {
        let end = jwt::end(bearer);
        match (&self.shared.credential, end) {
            (CartoCredential::OAuth { .. }, _) => Validity::Renewed,
            (CartoCredential::Token(SecretSource::Command(_)), Some(end))
                if end > Timestamp::now() =>
            {
                Validity::Renewed
            }
            (CartoCredential::Token(_), Some(end)) => Validity::Until(end),
            (CartoCredential::Token(_), None) => Validity::Unknown,
        }
    }

    /// What a person should do when the vendor refuses the credential.
    pub(super) fn remedy(&self) -> String {
        match &self.shared.credential {
            CartoCredential::Token(source) => {
                let then = match source {
                    SecretSource::Env(_) | SecretSource::Credential(_) => "then restart the daemon",
                    SecretSource::File(_) | SecretSource::Command(_) => {
                        "it is read again without a restart"
                    }
                };
                format!(
                    "put a valid API Access Token into {source} (it may have expired or been revoked, or belong to \
                     another region); {then}"
                )
            }
            CartoCredential::OAuth { client_secret, .. } => format!(
                "check `client_id` and `audience` of this connection and the secret in {client_secret}; the token \
                 was just issued, so `base_url` may also belong to another region than the client"
            ),
        }
    }
}

impl State {
    /// The token in hand, unless it is due for renewal or the refused one.
    fn good(&self, refused: Option<&Bearer>, now: Instant) -> Option<Bearer> {
        let held = self.held.as_ref()?;
        let due = held.renew.is_some_and(|at| now >= at);
        let refused = refused.is_some_and(|refused| Arc::ptr_eq(refused, &held.bearer));
        (!due && !refused).then(|| Arc::clone(&held.bearer))
    }

    fn keep(&mut self, fresh: Fresh, now: Instant) -> Bearer {
        let bearer = Arc::new(fresh.secret);
        self.held = Some(Held {
            bearer: Arc::clone(&bearer),
            renew: fresh.life.map(|life| now + life - MARGIN.min(life / 10)),
            end: fresh.life.map(|life| now + life),
        });
        self.fault = None;
        bearer
    }

    /// After a failure: the token in hand as long as it has not ended and was not refused.
    fn fall_back(
        &mut self,
        fault: &Fault,
        refused: Option<&Bearer>,
        now: Instant,
    ) -> Option<Bearer> {
        self.fault = Some(fault.clone());
        let held = self.held.as_mut()?;
        let refused = refused.is_some_and(|refused| Arc::ptr_eq(refused, &held.bearer));
        if refused || held.end.is_some_and(|end| now >= end) {
            return None;
        }
        held.renew = held.renew.map(|_| now + RENEW_AGAIN);
        Some(Arc::clone(&held.bearer))
    }
}

impl Shared {
    /// The lock is held for moments and nothing in them can panic; were it otherwise, the state is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn obtain(&self, seen: u64, refused: Option<&Bearer>) -> Result<Bearer, Fault> {
        let _one_at_a_time = self.obtaining.lock().await;
        {
            let state = self.state();
            if state.rounds != seen {
                // Somebody else's round ended since this question was asked: its end is this one's too.
                if let Some(bearer) = state.good(refused, Instant::now()) {
                    return Ok(bearer);
                }
                if let Some(fault) = &state.fault {
                    return Err(fault.clone());
                }
            }
        }
        let fresh = self.fresh().await;
        let now = Instant::now();
        let mut state = self.state();
        state.rounds += 1;
        match fresh {
            Ok(fresh) => Ok(state.keep(fresh, now)),
            Err(fault) => match state.fall_back(&fault, refused, now) {
                Some(bearer) => {
                    tracing::warn!(%fault, "no new token could be had; the one in hand is used to its end");
                    Ok(bearer)
                }
                None => Err(fault),
            },
        }
    }

    async fn fresh(&self) -> Result<Fresh, Fault> {
        match &self.credential {
            CartoCredential::Token(source) => Ok(Fresh {
                secret: read_token(source).await?,
                life: None,
            }),
            CartoCredential::OAuth {
                token_url,
                client_id,
                client_secret,
                audience,
            } => {
                let secret = read(client_secret).await?;
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("client_secret", secret.expose()),
                    ("audience", audience),
                ];
                let url = statement::checked(token_url)
                    .map_err(|why| unauthorized(why).with_remedy(TOKEN_URL))?;
                let deadline = Instant::now() + self.limit;
                let exchange = self
                    .http
                    .post_form(url, &form, &secret, MAX_ANSWER, deadline)
                    .await;
                issued(exchange, client_secret)
            }
        }
    }

    fn too_slow(&self) -> Fault {
        let class = FaultClass::Connection(ConnectionFault::Unreachable);
        let what = match &self.credential {
            CartoCredential::Token(source) => {
                format!("reading the token from {source} takes longer than `request_timeout`")
            }
            CartoCredential::OAuth { .. } => {
                "obtaining a token takes longer than `request_timeout`".to_owned()
            }
        };
        Fault::new(class, "credential", &what)
    }
}

const TOKEN_URL: &str = "check `token_url` of this connection";

/// What a token endpoint answers.
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    #[serde(default)]
    expires_in: Value,
}

async fn read(source: &SecretSource) -> Result<Secret, Fault> {
    source.read().await.map_err(|error| {
        unauthorized(&format!("{} {}", error.place, error.problem)).with_remedy(error.remedy)
    })
}

async fn read_token(source: &SecretSource) -> Result<Secret, Fault> {
    let secret = read(source).await?;
    let scheme = secret.expose().get(..7);
    if scheme.is_some_and(|start| start.eq_ignore_ascii_case("bearer ")) {
        return Err(
            unauthorized(&format!("{source} begins with the word Bearer"))
                .with_remedy("leave there the token alone, without the word Bearer"),
        );
    }
    Ok(secret)
}

fn unauthorized(message: &str) -> Fault {
    let class = FaultClass::Connection(ConnectionFault::Unauthorized);
    Fault::new(class, "credential", message)
}

/// The token of an answer of the token endpoint, or whose fault it is that there is none.
fn issued(exchange: Exchange, place: &SecretSource) -> Result<Fresh, Fault> {
    let answered = match exchange {
        Exchange::Answered(answered) => answered,
        Exchange::Withheld(fault) | Exchange::Lost(fault) => {
            let class = FaultClass::Connection(ConnectionFault::Unreachable);
            return Err(Fault {
                class,
                message: format!("the token endpoint: {}", fault.message),
                remedy: fault.remedy.or(Some(TOKEN_URL.into())),
                ..fault
            });
        }
    };
    match answered.status {
        200..300 => token_of(&answered.body),
        _ => Err(not_issued(&answered, place)),
    }
}

fn token_of(body: &Body) -> Result<Fresh, Fault> {
    let unreadable = |what: &str| {
        let class = FaultClass::Connection(ConnectionFault::Unavailable);
        Fault::new(class, "credential", what).with_remedy(TOKEN_URL)
    };
    // Nothing of the answer is quoted: it may hold a token.
    let Body::Whole(text) = body else {
        return Err(unreadable(
            "the answer of the token endpoint is cut or too long",
        ));
    };
    let issued: Issued = serde_json::from_str(text)
        .map_err(|_| unreadable("the answer of the token endpoint holds no token"))?;
    let secret = Secret::new(issued.access_token)
        .map_err(|bad| unreadable(&format!("the token of the token endpoint {bad}")))?;
    let seconds = match &issued.expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let life = seconds
        .filter(|seconds| *seconds > 0.0)
        .map_or(ASSUMED_LIFE, |seconds| {
            Duration::try_from_secs_f64(seconds).map_or(LONGEST_LIFE, |life| life.min(LONGEST_LIFE))
        });
    Ok(Fresh {
        secret,
        life: Some(life),
    })
}

fn not_issued(answered: &Answered, place: &SecretSource) -> Fault {
    let (fault, remedy) = match answered.status {
        429 => (ConnectionFault::TooMany, None),
        408 | 425 | 500.. => (ConnectionFault::Unavailable, None),
        400 | 401 | 403 => (
            ConnectionFault::Unauthorized,
            Some(format!(
                "check `client_id`, `audience` and `token_url` of this connection and the secret in {place}"
            )),
        ),
        _ => (ConnectionFault::Unauthorized, Some(TOKEN_URL.to_owned())),
    };
    let said = match &answered.body {
        Body::Whole(text) => super::wire::json(text)
            .map(|json| VendorError::from_body(&json).message)
            .unwrap_or_default(),
        _ => String::new(),
    };
    let message = format!("the token endpoint answered {}: {said}", answered.status);
    let mut fault = Fault::new(
        FaultClass::Connection(fault),
        "credential",
        message.trim_end_matches(": "),
    );
    fault.retry_after = answered.retry_after;
    fault.remedy = remedy;
    fault
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into()).unwrap()
    }

    fn fresh(seconds: u64) -> Fresh {
        Fresh {
            secret: secret("t1"),
            life: Some(Duration::from_secs(seconds)),
        }
    }

    fn good_for(seconds: u64) -> Duration {
        let mut state = State::default();
        let now = Instant::now();
        state.keep(fresh(seconds), now);
        state.held.unwrap().renew.unwrap() - now
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (life, used) in [(86_400, 86_100), (3_600, 3_300), (600, 540), (10, 9)] {
            assert_eq!(good_for(life), Duration::from_secs(used), "{life}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_renewed_is_used_to_its_end_but_not_when_refused() {
        let mut state = State::default();
        let now = Instant::now();
        let bearer = state.keep(fresh(100), now);
        let fault = unauthorized("x");
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(state.good(None, later(89)).is_some());
        assert!(state.good(None, later(90)).is_none());
        assert!(state.fall_back(&fault, None, later(91)).is_some());
        assert!(state.good(None, later(92)).is_some());
        assert!(state.fall_back(&fault, Some(&bearer), later(92)).is_none());
        assert!(state.fall_back(&fault, None, later(100)).is_none());
    }

    fn life_of(body: &str) -> Option<Duration> {
        token_of(&Body::Whole(body.into())).ok()?.life
    }

    #[test]
    fn the_life_of_a_token_is_read_in_every_form_and_bounded() {
        let body = |expires: &str| format!(r#"{{"access_token": "t"{expires}}}"#);
        for (expires, seconds) in [
            (r#", "expires_in": 86400"#, 86_400),
            (r#", "expires_in": "60""#, 60),
            (r#", "expires_in": 1.5e3"#, 1_500),
            (r#", "expires_in": 1e300"#, LONGEST_LIFE.as_secs()),
            (r#", "expires_in": 0"#, 3_600),
            (r#", "expires_in": -1"#, 3_600),
            (r#", "expires_in": null"#, 3_600),
            ("", 3_600),
        ] {
            let life = life_of(&body(expires));
            assert_eq!(life, Some(Duration::from_secs(seconds)), "{expires}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_is_the_endpoints_fault_and_is_not_quoted() {
        for body in [
            "",
            "<html>sesame</html>",
            r#"{"token": "sesame"}"#,
            r#"{"access_token": ""}"#,
            r#"{"access_token": "sesame\nsesame"}"#,
            r#"{"access_token": 7}"#,
        ] {
            let fault = token_of(&Body::Whole(body.into())).err().unwrap();
            assert_eq!(
                fault.class,
                FaultClass::Connection(ConnectionFault::Unavailable),
                "{body}"
            );
            assert!(!format!("{fault:?}").contains("sesame"), "{fault:?}");
        }
    }

    #[test]
    fn refusals_of_the_token_endpoint_have_their_class() {
        let place = SecretSource::Env("CARTO_CLIENT_SECRET".into());
        for (status, expected) in [
            (400, ConnectionFault::Unauthorized),
            (401, ConnectionFault::Unauthorized),
            (403, ConnectionFault::Unauthorized),
            (404, ConnectionFault::Unauthorized),
            (302, ConnectionFault::Unauthorized),
            (429, ConnectionFault::TooMany),
            (500, ConnectionFault::Unavailable),
            (503, ConnectionFault::Unavailable),
        ] {
            let answered = Answered {
                status,
                date: None,
                retry_after: None,
                body: Body::Whole(
                    r#"{"error": "access_denied", "error_description": "Unauthorized"}"#.into(),
                ),
            };
            let fault = not_issued(&answered, &place);
            assert_eq!(fault.connection(), Some(expected), "{status}");
            assert!(fault.message.contains("access_denied; Unauthorized"));
        }
    }

    #[tokio::test]
    async fn a_token_with_its_scheme_is_refused_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "Bearer sesame").unwrap();
        let fault = read_token(&SecretSource::File(path)).await.unwrap_err();
        assert!(fault.remedy.as_ref().unwrap().contains("without the word"));
        assert!(!format!("{fault:?}").contains("sesame"));
    }
}
