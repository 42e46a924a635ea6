//! Any receiver on the web: JSON by POST, signed when there is a secret for it.
//!
//! What arrives and how a signature is verified is in `docs/channels.md`.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use sha2::Sha256;

use super::http::{self, Http};
use super::setup::{Reach, SetupError};
use super::{Message, Notifier, Reply, SendError, Sent, identity, render};
use crate::sched::time::Timestamp;
use crate::secret::{Secret, SecretSource};

/// What a webhook needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The address, a secret as a whole.
    pub url: SecretSource,
    /// What bodies are signed with; without it they are not signed.
    pub secret: Option<SecretSource>,
    /// How it is reached.
    pub reach: Reach,
}

/// A receiver on the web.
pub struct Webhook {
    url: SecretSource,
    secret: Option<SecretSource>,
    http: Http,
}

impl Webhook {
    /// Fails when the time limit, the certificate file or the proxy cannot be used.
    pub fn new(settings: WebhookSettings) -> Result<Self, SetupError> {
        let http = Http::new(&settings.reach)?;
        let WebhookSettings { url, secret, .. } = settings;
        Ok(Self { url, secret, http })
    }

    async fn post(&self, message: &Message) -> Result<Sent, SendError> {
        let body = render::json(message).to_string();
        let now = Timestamp::now().as_second().to_string();
        let (url, mut hidden) = http::read_url(&self.url).await?;
        let mut request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Nightcall-Id", identity::for_header(&message.id))
            .header("X-Nightcall-Timestamp", &now);
        if let Some(source) = &self.secret {
            let secret = http::read(source).await?;
            request = request.header("X-Nightcall-Signature", signature(&secret, &now, &body)?);
            hidden = hidden.and(&secret);
        }
        let answer = self.http.send(request.body(body), &hidden).await?;
        match answer.is_good() {
            true => Ok(Sent::default()),
            false => Err(answer.refusal(&hidden).await),
        }
    }
}

impl Notifier for Webhook {
    fn send<'a>(
        &'a self,
        message: &'a Message,
        _thread: Option<&'a str>,
    ) -> Reply<'a, Result<Sent, SendError>> {
        Box::pin(self.http.within(self.post(message)))
    }
}

/// `v1=` and HMAC-SHA256 over the timestamp, a point and the body: who has the secret can tell that both are ours, and
/// that the body is not an old one sent again.
fn signature(secret: &Secret, timestamp: &str, body: &str) -> Result<HeaderValue, SendError> {
    let bad = || http::again("the message cannot be signed");
    let key = secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| bad())?;
    for part in [timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    let mut text = String::from("v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    HeaderValue::from_str(&text).map_err(|_| bad())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `printf '1764468900.{"version":1}' | openssl dgst -sha256 -hmac 'whsec_test'`
    #[test]
    fn a_signature_is_what_openssl_says() {
        let secret = Secret::new("whsec_test".into()).unwrap();
        let signed = signature(&secret, "1764468900", r#"{"version":1}"#).unwrap();
        assert_eq!(
            signed.to_str().unwrap(),
            "v1=3a71b43552780fbe8f1fa06719acec11150d720aff862e1723def0d0ef9565d6"
        );
    }

    #[test]
    fn settings_show_places_only() {
        let settings = WebhookSettings {
            url: SecretSource::Command(vec!["echo".into(), "https://example.com/t0ken".into()]),
            secret: Some(SecretSource::Env("HOOK_SECRET".into())),
            reach: Reach::default(),
        };
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("HOOK_SECRET") && !shown.contains("t0ken"),
            "{shown}"
        );
    }
}
