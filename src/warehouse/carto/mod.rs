//! CARTO's SQL jobs API: four questions over one HTTP client, each answered within the time limit of the connection.
//!
//! `protocol` is what is said, without saying it: `statement` words the requests, `wire` and `listing` read what
//! comes back, `classify` (with `reasons` and `remedy`) says what it means. `exchange` says it, `auth` has the
//! credential. What is known of the vendor, and how well, is in `docs/vendor/carto.md`.
//!
//! Invariants: a submission leaves at most once, unless the vendor's answer says that it created nothing and the next
//! request is another one: after 401 when a different token is at hand, and after a 400 that speaks of `metadata` once
//! without that field; no secret is in any answer, error, log line or `Debug`.

mod auth;
mod classify;
mod exchange;
mod jwt;
mod listing;
pub mod protocol;
mod reasons;
mod remedy;
mod statement;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use url::Url;

use self::auth::Tokens;
use self::exchange::Http;
pub use self::jwt::end as token_end;
use self::protocol::{Exchange, Request};
pub use self::protocol::{MAX_JOB, MAX_LIST};
use super::{Heard, JobClient, Looked, Reply};
use crate::sched::call::{Submission, Target};
use crate::sched::fault::{ConnectionFault, Fault, FaultClass};
use crate::sched::id::JobId;
use crate::sched::step::{CancelAnswer, ListAnswer, PollAnswer, SubmitAnswer};
use crate::sched::time::Timestamp;
use crate::secret::SecretSource;

/// How to be let in.
#[derive(Clone, PartialEq, Eq)]
pub enum CartoCredential {
    /// A static token, an API Access Token as a rule.
    Token(SecretSource),
    /// OAuth client credentials.
    OAuth {
        /// Where tokens are issued.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// Its secret.
        client_secret: SecretSource,
        /// For which API.
        audience: String,
    },
}

/// Everything that one connection needs; the base URL and the connection's name come with each call.
#[derive(Clone, PartialEq)]
pub struct CartoSettings {
    /// How to be let in.
    pub credential: CartoCredential,
    /// The longest that one call may take, the credential and a repetition after 401 included.
    pub request_timeout: Duration,
    /// More certificates to trust (PEM), beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// A proxy for every request; `None` is none, whatever the environment says.
    pub proxy: Option<String>,
    /// The user's own classes.
    pub rules: ClassifyRules,
}

/// Reasons, codes or parts of messages that the user moved to another class; compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassifyRules {
    /// These may pass.
    pub transient: Vec<String>,
    /// These never pass.
    pub permanent: Vec<String>,
}

/// Why there can be no client with such settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The certificates to trust cannot be had.
    #[error("`ca_file` {} cannot be used: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The proxy cannot be used; it is not quoted, since it may hold a password.
    #[error("`proxy` cannot be used: {0}")]
    Proxy(&'static str),
    /// Tokens cannot be asked for there.
    #[error("`token_url` cannot be used: {0}")]
    TokenUrl(&'static str),
    /// The time limit is nothing.
    #[error("`request_timeout` cannot be used: it is zero")]
    Timeout,
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

/// So many requests about single jobs are under way at once. More wait, as long as their time limit lasts: a herd would
/// otherwise open a connection for each of them, and run out of descriptors.
pub const LINES: usize = 128;

/// A connection to CARTO.
pub struct Carto {
    http: Arc<Http>,
    tokens: Tokens,
    rules: ClassifyRules,
    request_timeout: Duration,
    lines: Semaphore,
    /// The vendor takes submissions without `metadata` only.
    unmarked: AtomicBool,
}

impl Carto {
    /// Makes the client. Nothing is sent and no secret is read yet.
    pub fn new(settings: CartoSettings) -> Result<Self, SetupError> {
        if settings.request_timeout.is_zero() {
            return Err(SetupError::Timeout);
        }
        if let CartoCredential::OAuth { token_url, .. } = &settings.credential {
            statement::checked(token_url).map_err(SetupError::TokenUrl)?;
        }
        let http = Arc::new(Http::new(&settings)?);
        Ok(Self {
            tokens: Tokens::new(
                settings.credential,
                Arc::clone(&http),
                settings.request_timeout,
            ),
            http,
            rules: settings.rules,
            request_timeout: settings.request_timeout,
            lines: Semaphore::new(LINES),
            unmarked: AtomicBool::new(false),
        })
    }

    /// When a call that begins now ends at the latest.
    fn deadline(&self) -> Instant {
        Instant::now() + self.request_timeout
    }

    /// Waits for a line; whoever had none until the deadline finds that no time is left to send anything. Cancellations
    /// and lists are few and do not wait behind a herd.
    async fn line(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        match self.lines.try_acquire() {
            Ok(line) => Some(line),
            Err(_) => timeout_at(deadline, self.lines.acquire()).await.ok()?.ok(),
        }
    }

    /// A creation; once more without `metadata` when the vendor refused the field, and without it from then on.
    async fn create(&self, submission: &Submission, deadline: Instant) -> Exchange {
        let bare = || self.ask(Request::creation(submission, false), deadline);
        if self.unmarked.load(Ordering::Relaxed) {
            return bare().await;
        }
        let marked = self
            .ask(Request::creation(submission, true), deadline)
            .await;
        if !protocol::refuses_metadata(&marked) {
            return marked;
        }
        let exchange = bare().await;
        // A statement may speak of metadata too: only success shows that the field was the reason.
        if exchange.is_success() && !self.unmarked.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                connection = &*submission.target.connection,
                "the vendor refuses `metadata`: jobs are submitted without their marker from now \
                 on, and a job whose answer is lost cannot be found in the vendor's list (see \
                 `doubt`)"
            );
        }
        exchange
    }

    /// One question: with the credential at hand, and once more with another when the vendor refused that one.
    async fn ask(&self, request: Result<Request, Fault>, deadline: Instant) -> Exchange {
        let request = match request {
            Ok(request) => request,
            Err(fault) => return Exchange::Withheld(fault),
        };
        let bearer = match self.tokens.get(None, deadline).await {
            Ok(bearer) => bearer,
            Err(fault) => return Exchange::Withheld(fault),
        };
        let exchange = self.http.send(&request, &bearer, deadline).await;
        if !matches!(&exchange, Exchange::Answered(answered) if answered.status == 401) {
            return exchange;
        }
        match self.tokens.get(Some(&bearer), deadline).await {
            Ok(other) if !other.same_as(&bearer) => {
                self.http.send(&request, &other, deadline).await
            }
            Ok(_) => exchange,
            // 401 created nothing, so that nothing of this question is on its way.
            Err(fault) => Exchange::Withheld(fault),
        }
    }

    /// The answer with the vendor's clock; where the credential was refused, with what to do about this one.
    fn heard<T>(&self, exchange: Exchange, read: impl FnOnce(Exchange) -> T) -> Heard<T>
    where
        T: Faulty,
    {
        let date = exchange.date();
        let mut answer = read(exchange);
        if let Some(fault) = answer.fault() {
            let unauthorized = ConnectionFault::Unauthorized;
            if fault.class == FaultClass::Connection(unauthorized) && fault.remedy.is_none() {
                fault.remedy = Some(self.tokens.remedy());
            }
        }
        Heard { answer, date }
    }
}

/// An answer that may hold a fault.
trait Faulty {
    fn fault(&mut self) -> Option<&mut Fault>;
}

impl Faulty for SubmitAnswer {
    fn fault(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Refused(fault) | Self::Unsure(fault) => Some(fault),
            Self::Accepted(_) => None,
        }
    }
}

impl Faulty for PollAnswer {
    fn fault(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Failed(fault) | Self::Gone(fault) | Self::NoAnswer(fault) => Some(fault),
            Self::Working { .. } | Self::Succeeded | Self::Cancelled => None,
        }
    }
}

impl Faulty for CancelAnswer {
    fn fault(&mut self) -> Option<&mut Fault> {
        match self {
            Self::NoAnswer(fault) => Some(fault),
            Self::Noted => None,
        }
    }
}

impl Faulty for ListAnswer {
    fn fault(&mut self) -> Option<&mut Fault> {
        match self {
            Self::Unsupported(fault) | Self::NoAnswer(fault) => Some(fault),
            Self::Jobs(_) => None,
        }
    }
}

impl JobClient for Carto {
    fn submit<'a>(&'a self, submission: &'a Submission) -> Reply<'a, SubmitAnswer> {
        Box::pin(async move {
            let deadline = self.deadline();
            let _line = self.line(deadline).await;
            // Whatever an exchange needs is made when it begins: thousands may wait for their line.
            let exchange = Box::pin(self.create(submission, deadline)).await;
            self.heard(exchange, |exchange| protocol::submit(exchange, &self.rules))
        })
    }

    fn poll<'a>(&'a self, target: &'a Target, job: &'a JobId) -> Reply<'a, PollAnswer> {
        Box::pin(async move {
            let deadline = self.deadline();
            let _line = self.line(deadline).await;
            let exchange = Box::pin(self.ask(Request::status(target, job), deadline)).await;
            self.heard(exchange, |exchange| protocol::poll(exchange, &self.rules))
        })
    }

    fn cancel<'a>(&'a self, target: &'a Target, job: &'a JobId) -> Reply<'a, CancelAnswer> {
        Box::pin(async move {
            let exchange = self
                .ask(Request::cancellation(target, job), self.deadline())
                .await;
            self.heard(exchange, |exchange| protocol::cancel(exchange, &self.rules))
        })
    }

    fn list<'a>(&'a self, target: &'a Target, since: Timestamp) -> Reply<'a, ListAnswer> {
        Box::pin(async move {
            let exchange = self
                .ask(Request::listing(target, since), self.deadline())
                .await;
            self.heard(exchange, |exchange| protocol::list(exchange, &self.rules))
        })
    }

    fn look<'a>(&'a self, target: &'a Target, since: Timestamp) -> Reply<'a, Looked> {
        Box::pin(async move {
            let bearer = self.tokens.get(None, self.deadline()).await;
            // A credential that takes its time says nothing of the way to the vendor.
            let (request, deadline) = (Request::listing(target, since), self.deadline());
            let exchange = match (request, &bearer) {
                (request, Ok(_)) => self.ask(request, deadline).await,
                (Ok(request), Err(_)) => self.http.send_bare(&request, deadline).await,
                (Err(fault), Err(_)) => Exchange::Withheld(fault),
            };
            let credential = bearer.map(|bearer| self.tokens.validity(&bearer));
            let reached = remedy::reached(&exchange);
            let Heard { answer, date } =
                self.heard(exchange, |exchange| protocol::list(exchange, &self.rules));
            let answer = Looked {
                credential,
                reached,
                list: answer,
            };
            Heard { answer, date }
        })
    }
}

impl fmt::Debug for Carto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carto")
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CartoCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(source) => f.debug_tuple("Token").field(source).finish(),
            Self::OAuth {
                token_url,
                client_id,
                client_secret,
                audience,
            } => f
                .debug_struct("OAuth")
                .field("token_url", &host_of(token_url))
                .field("client_id", client_id)
                .field("client_secret", client_secret)
                .field("audience", audience)
                .finish(),
        }
    }
}

impl fmt::Debug for CartoSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CartoSettings")
            .field("credential", &self.credential)
            .field("request_timeout", &self.request_timeout)
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy.as_deref().map(host_of))
            .field("rules", &self.rules)
            .finish()
    }
}

/// The host of an address, all of it that can be shown without thinking.
fn host_of(address: &str) -> String {
    Url::parse(address)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "(not a URL)".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn settings() -> CartoSettings {
        CartoSettings {
            credential: CartoCredential::Token(SecretSource::Env("CARTO_API_TOKEN".into())),
            request_timeout: Duration::from_secs(30),
            ca_file: None,
            proxy: None,
            rules: ClassifyRules::default(),
        }
    }

    #[test]
    fn settings_show_hosts_and_places_and_no_secret() {
        let shown = format!(
            "{:?}",
            CartoSettings {
                credential: CartoCredential::OAuth {
                    token_url: "https://user:sesame@auth.carto.com/oauth/token?x=sesame".into(),
                    client_id: "who".into(),
                    client_secret: SecretSource::Command(vec!["vault".into(), "sesame".into()]),
                    audience: "carto-cloud-native-api".into(),
                },
                proxy: Some("http://user:sesame@proxy.example.com:3128".into()),
                ..settings()
            }
        );
        assert!(shown.contains("proxy.example.com") && shown.contains("command vault"));
        assert!(!shown.contains("sesame"), "{shown}");
    }

    #[test]
    fn settings_that_cannot_work_are_told_without_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate here").unwrap();
        let with = |change: &dyn Fn(&mut CartoSettings)| {
            let mut settings = settings();
            change(&mut settings);
            Carto::new(settings).unwrap_err().to_string()
        };
        for (told, part) in [
            (
                with(&|s| s.ca_file = Some("/nonexistent.pem".into())),
                "No such file",
            ),
            (with(&|s| s.ca_file = Some(empty.clone())), "no certificate"),
            (
                with(&|s| s.proxy = Some("socks5://u:sesame@h:1".into())),
                "`proxy`",
            ),
            (with(&|s| s.proxy = Some("u:sesame@h".into())), "`proxy`"),
            (
                with(&|s| s.request_timeout = Duration::ZERO),
                "`request_timeout`",
            ),
            (
                with(&|s| {
                    s.credential = CartoCredential::OAuth {
                        token_url: "http://auth.example.com/?k=sesame".into(),
                        client_id: String::new(),
                        client_secret: SecretSource::Env("X".into()),
                        audience: String::new(),
                    };
                }),
                "`token_url` cannot be used: plain http",
            ),
        ] {
            assert!(told.contains(part) && !told.contains("sesame"), "{told}");
        }
        assert!(Carto::new(settings()).is_ok());
    }
}
