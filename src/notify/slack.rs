//! Slack: a bot, which can answer in threads, or an incoming webhook, which cannot.
//!
//! `blocks` words a message within Slack's limits, `errors` knows what Slack's errors mean for it.

mod blocks;
mod errors;

use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use url::Url;

use self::errors::Meaning;
use super::hidden::Hidden;
use super::http::{self, Http};
use super::setup::{Reach, SetupError};
use super::{Message, Notifier, Reply, SendError, Sent};
use crate::secret::{Secret, SecretSource};

pub use blocks::payload;

/// Where Slack's API is.
pub const API: &str = "https://slack.com/api";

/// The longest answer that is read, in bytes: Slack repeats the message in it.
const MAX_ANSWER: usize = 1 << 20;

/// What a Slack channel needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackSettings {
    /// How Slack is told.
    pub way: SlackWay,
    /// How it is reached.
    pub reach: Reach,
}

/// How Slack is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlackWay {
    /// By an incoming webhook: an address that is a secret as a whole. It cannot thread.
    Webhook {
        /// The address.
        url: SecretSource,
    },
    /// As a bot with the scope `chat:write`, which was invited to the channel.
    Bot {
        /// The bot's token, `xoxb-…`.
        token: SecretSource,
        /// The channel's id (`C0123456789`), or its name.
        channel: String,
        /// Where the API is: [`API`], unless somebody stands in for it.
        api: String,
    },
}

/// A channel of Slack.
pub struct Slack {
    way: Way,
    http: Http,
}

enum Way {
    Webhook(SecretSource),
    Bot {
        token: SecretSource,
        channel: String,
        url: Url,
    },
}

impl Slack {
    /// Fails when the channel has no name, when the API is neither by https nor on loopback, and when the time limit, the
    /// certificate file or the proxy cannot be used.
    pub fn new(settings: SlackSettings) -> Result<Self, SetupError> {
        let http = Http::new(&settings.reach)?;
        let way = match settings.way {
            SlackWay::Webhook { url } => Way::Webhook(url),
            SlackWay::Bot {
                token,
                channel,
                api,
            } => Way::Bot {
                token,
                channel: named(channel)?,
                url: post_message(&api)?,
            },
        };
        Ok(Self { way, http })
    }

    async fn post(&self, message: &Message, thread: Option<&str>) -> Result<Sent, SendError> {
        match &self.way {
            Way::Webhook(source) => {
                let (url, hidden) = http::read_url(source).await?;
                if !http::is_private(&url) {
                    let place = source.place();
                    let why = format!(
                        "{place} holds an address that is not by https: copy it again from Slack"
                    );
                    return Err(http::again(why));
                }
                self.by_webhook(url, &hidden, message).await
            }
            Way::Bot {
                token,
                channel,
                url,
            } => {
                let token = http::read(token).await?;
                let bot = Bot {
                    http: &self.http,
                    token: &token,
                    channel,
                    url,
                };
                match bot.post(message, thread).await {
                    // Somebody deleted what the thread hangs on. Better a new thread than silence.
                    Err(Meaning::NoThread) if thread.is_some() => bot.post(message, None).await,
                    posted => posted,
                }
                .map_err(Meaning::into_error)
            }
        }
    }

    async fn by_webhook(
        &self,
        url: Url,
        hidden: &Hidden,
        message: &Message,
    ) -> Result<Sent, SendError> {
        let request = with_json(self.http.post(url), &payload(message));
        let answer = self.http.send(request, hidden).await?;
        if answer.is_good() {
            return Ok(Sent::default());
        }
        Err(answer.refusal(hidden).await)
    }
}

impl Notifier for Slack {
    fn send<'a>(
        &'a self,
        message: &'a Message,
        thread: Option<&'a str>,
    ) -> Reply<'a, Result<Sent, SendError>> {
        Box::pin(self.http.within(self.post(message, thread)))
    }
}

fn named(channel: String) -> Result<String, SetupError> {
    let fits =
        !channel.is_empty() && channel.len() <= 100 && !channel.contains(char::is_whitespace);
    match fits {
        true => Ok(channel),
        false => Err(SetupError::setting(
            "channel",
            "it is neither an id nor a name of a channel",
        )),
    }
}

fn post_message(api: &str) -> Result<Url, SetupError> {
    let bad = |why: &str| SetupError::setting("api", why);
    let url = Url::parse(&format!("{}/chat.postMessage", api.trim_end_matches('/')))
        .map_err(|_| bad("it is not a URL"))?;
    match http::is_private(&url) && matches!(url.scheme(), "http" | "https") {
        true => Ok(url),
        false => Err(bad("the token would be readable on the way: use https")),
    }
}

fn with_json(request: RequestBuilder, payload: &Value) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(payload.to_string())
}

/// One sending by a bot.
struct Bot<'a> {
    http: &'a Http,
    token: &'a Secret,
    channel: &'a str,
    url: &'a Url,
}

impl Bot<'_> {
    async fn post(&self, message: &Message, thread: Option<&str>) -> Result<Sent, Meaning> {
        let mut payload = payload(message);
        payload["channel"] = self.channel.into();
        if let Some(thread) = thread {
            payload["thread_ts"] = thread.into();
        }
        let hidden = Hidden::new().and(self.token);
        let request = self
            .http
            .post(self.url.clone())
            .header(reqwest::header::AUTHORIZATION, bearer(self.token)?);
        let answer = self
            .http
            .send(with_json(request, &payload), &hidden)
            .await?;
        if !answer.is_good() {
            return Err(answer.refusal(&hidden).await.into());
        }
        let wait = answer.wait;
        let body = answer.beginning(MAX_ANSWER).await;
        let Ok(said) = serde_json::from_slice::<Value>(&body) else {
            let why = format!(
                "the receiver answers as Slack does not{}",
                hidden.said(&body)
            );
            return Err(http::again(why).into());
        };
        if said["ok"] != true {
            return Err(errors::meaning(&said, wait, &hidden));
        }
        let begun = said["ts"].as_str().filter(|ts| ts.len() <= 64);
        Ok(Sent {
            thread: thread.or(begun).map(str::to_owned),
        })
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, SendError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| http::again("the token cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bot(channel: &str, api: &str) -> SlackSettings {
        SlackSettings {
            way: SlackWay::Bot {
                token: SecretSource::Command(vec!["echo".into(), "xoxb-t0ken".into()]),
                channel: channel.into(),
                api: api.into(),
            },
            reach: Reach::default(),
        }
    }

    #[test]
    fn what_cannot_work_is_said_at_once() {
        assert!(Slack::new(bot("C0123", API)).is_ok());
        for (channel, api, part) in [
            ("", API, "`channel`"),
            ("two words", API, "`channel`"),
            ("C0123", "http://slack.com/api", "use https"),
            ("C0123", "slack", "not a URL"),
        ] {
            let error = Slack::new(bot(channel, api)).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn settings_show_places_only() {
        let url = SecretSource::Command(vec!["echo".into(), "https://hooks/t0ken".into()]);
        let webhook = SlackSettings {
            way: SlackWay::Webhook { url },
            reach: Reach::default(),
        };
        for settings in [bot("C0123", API), webhook] {
            let shown = format!("{settings:?}");
            assert!(!shown.contains("t0ken"), "{shown}");
        }
    }
}
