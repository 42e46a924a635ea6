//! The credential of the daemon's client in virtual time: a fixed token, or one obtained by OAuth, kept until shortly
//! before its end and fetched again when the vendor refuses it: `auth.rs` of the client.

use std::time::Duration;

use nightcall::sandbox::TOKEN;
use nightcall::sched::fault::{ConnectionFault, Fault, FaultClass};
use nightcall::secret::Secret;
use nightcall::warehouse::carto::protocol::{Body, Exchange};
use serde_json::Value;
use url::form_urlencoded;

const MARGIN: Duration = Duration::from_secs(300);
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// What nobody may ever read in what the daemon writes.
pub(super) const SECRETS: [&str; 3] = [TOKEN, "sandbox-oauth-", "sandbox-secret"];

/// The credential of one process.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    oauth: bool,
    held: Option<Held>,
    /// Calls that wait for the token that is being fetched.
    waiting: Vec<u64>,
    fetching: bool,
}

#[derive(Clone, Debug)]
struct Held {
    token: String,
    renew: Duration,
    end: Duration,
}

impl Tokens {
    pub(super) fn new(oauth: bool) -> Self {
        Self {
            oauth,
            ..Self::default()
        }
    }

    /// A token that is good as far as is known and not the one that was refused.
    pub(super) fn good(&self, refused: Option<&str>, t: Duration) -> Option<String> {
        if !self.oauth {
            return Some(TOKEN.to_owned());
        }
        let held = self.held.as_ref()?;
        (t < held.renew && refused != Some(held.token.as_str())).then(|| held.token.clone())
    }

    /// A call waits; `true` when a token has to be fetched now.
    pub(super) fn wait(&mut self, call: u64) -> bool {
        self.waiting.push(call);
        !std::mem::replace(&mut self.fetching, true)
    }

    /// The body of the request for a token.
    pub(super) fn form() -> Vec<u8> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", "sandbox-client")
            .append_pair("client_secret", "sandbox-secret")
            .append_pair("audience", "carto-cloud-native-api")
            .finish();
        form.into_bytes()
    }

    /// What came of fetching one; who waited for it, and why there is none, if there is none.
    pub(super) fn fetched(&mut self, exchange: Exchange, t: Duration) -> (Vec<u64>, Option<Fault>) {
        self.fetching = false;
        let fault = match issued(exchange) {
            Ok((token, life)) => {
                let renew = t + life - MARGIN.min(life / 10);
                let end = t + life;
                self.held = Some(Held { token, renew, end });
                None
            }
            Err(fault) => {
                if let Some(held) = &mut self.held {
                    held.renew = t + RENEW_AGAIN;
                }
                self.held.take_if(|held| t >= held.end);
                Some(fault)
            }
        };
        (std::mem::take(&mut self.waiting), fault)
    }
}

fn fault(kind: ConnectionFault, message: &str) -> Fault {
    Fault::new(FaultClass::Connection(kind), "credential", message)
}

fn issued(exchange: Exchange) -> Result<(String, Duration), Fault> {
    let answered = match exchange {
        Exchange::Answered(answered) => answered,
        Exchange::Withheld(why) | Exchange::Lost(why) => {
            return Err(fault(ConnectionFault::Unreachable, &why.message));
        }
    };
    let kind = match answered.status {
        200..300 => ConnectionFault::Unavailable,
        429 => ConnectionFault::TooMany,
        408 | 425 | 500.. => ConnectionFault::Unavailable,
        _ => ConnectionFault::Unauthorized,
    };
    let none = || {
        let what = format!("the token endpoint answered {}", answered.status);
        let retry_after = answered.retry_after;
        Fault {
            retry_after,
            ..fault(kind, &what)
        }
    };
    let Body::Whole(text) = &answered.body else {
        return Err(none());
    };
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    match (
        answered.status,
        json["access_token"].as_str(),
        json["expires_in"].as_u64(),
    ) {
        (200..300, Some(token), Some(life)) => Ok((token.to_owned(), Duration::from_secs(life))),
        _ => Err(none()),
    }
}

/// The token as the client hides it in what it reads.
pub(super) fn secret(token: &str) -> Secret {
    Secret::new(token.to_owned()).unwrap()
}
