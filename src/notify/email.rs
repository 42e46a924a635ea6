//! Letters by SMTP, plain and HTML.
//!
//! `letter` writes one, `line` is the connection that it goes over, here is the talk with the server and what its answers
//! mean. A letter that is sent again has the same `Message-ID`. Whoever has it already is not addressed again while this
//! process lives, when only others were refused.

mod letter;
mod line;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::{self, response::Response};
use lettre::{Address, message};

use self::line::Line;
use super::hidden::Hidden;
use super::http::{self, again};
use super::setup::{SetupError, TIMEOUT};
use super::{Message, Notifier, Reply, SendError, Sent};
use crate::secret::SecretSource;

/// Of so many messages it is remembered who has them.
const REMEMBERED: usize = 64;

/// How long the server is given to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What an email channel needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSettings {
    /// The server to hand letters to.
    pub host: String,
    /// Its port; `None` is the usual one for the way of encryption.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Who logs in; without it nobody does.
    pub login: Option<Login>,
    /// Whom letters are from: `nightcall <nightcall@example.com>`.
    pub from: String,
    /// Whom they go to.
    pub to: Vec<String>,
    /// The longest that one sending may take, the reading of secrets included.
    pub timeout: Duration,
    /// More certificates to trust (PEM), beside those of the system.
    pub ca_file: Option<PathBuf>,
}

impl EmailSettings {
    /// With STARTTLS, without a login.
    pub fn new(host: impl Into<String>, from: impl Into<String>, to: Vec<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            tls: Tls::StartTls,
            login: None,
            from: from.into(),
            to,
            timeout: TIMEOUT,
            ca_file: None,
        }
    }
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the command STARTTLS on, and not at all without it. Port 587.
    StartTls,
    /// From the beginning. Port 465.
    Implicit,
    /// Not at all, which is possible to this machine only. Port 25.
    None,
}

impl Tls {
    fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// Where the password is.
    pub password: SecretSource,
}

/// An email channel.
pub struct Email {
    line: Line,
    login: Option<Login>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
    served: Mutex<VecDeque<Served>>,
}

/// Who has a message already.
struct Served {
    id: String,
    who: Vec<Address>,
}

impl Email {
    /// Fails when an address is not one, when nobody is addressed, when letters would go unencrypted to another machine,
    /// and when the time limit or the certificates cannot be used.
    pub fn new(settings: EmailSettings) -> Result<Self, SetupError> {
        if settings.timeout.is_zero() {
            return Err(SetupError::Timeout);
        }
        let from = mailbox("from", &settings.from)?;
        let to: Result<Vec<_>, _> = settings.to.iter().map(|to| mailbox("to", to)).collect();
        let to = to?;
        if to.is_empty() {
            return Err(SetupError::setting("to", "nobody is addressed"));
        }
        let host = &settings.host;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(SetupError::setting(
                "host",
                "it is neither a name nor an address",
            ));
        }
        if settings.tls == Tls::None && !is_loopback(host) {
            let why = "without encryption letters and passwords go to this machine only";
            return Err(SetupError::setting("tls", why));
        }
        Ok(Self {
            line: Line::new(&settings)?,
            login: settings.login,
            from,
            to,
            timeout: settings.timeout,
            served: Mutex::default(),
        })
    }

    async fn post(&self, message: &Message) -> Result<Sent, SendError> {
        let (credentials, hidden) = self.credentials().await?;
        let letter = letter::written(message, &self.from, &self.to)?;
        let who = self.left(&message.id);
        let talked = self.talk(credentials, &who, &letter).await;
        let (delivery, connection) = talked.map_err(|trouble| trouble.into_error(&hidden))?;
        goodbye(connection);
        self.settle(&message.id, delivery, &hidden)
    }

    async fn talk(
        &self,
        credentials: Option<Credentials>,
        who: &[Address],
        letter: &[u8],
    ) -> Result<(Delivery, AsyncSmtpConnection), Trouble> {
        let mut connection = self.line.open().await?;
        if let Some(credentials) = credentials {
            let ways = [Mechanism::Plain, Mechanism::Login];
            said(Stage::Login, connection.auth(&ways, &credentials).await)?;
        }
        let delivery = self.deliver(&mut connection, who, letter).await?;
        Ok((delivery, connection))
    }

    async fn credentials(&self) -> Result<(Option<Credentials>, Hidden), SendError> {
        let Some(Login { username, password }) = &self.login else {
            return Ok((None, Hidden::new()));
        };
        let password = http::read(password).await?;
        let hidden = Hidden::new().and_login(username, &password);
        let credentials = Credentials::new(username.clone(), password.expose().to_owned());
        Ok((Some(credentials), hidden))
    }

    /// Hands the letter over for everybody that the server takes it for.
    async fn deliver(
        &self,
        connection: &mut AsyncSmtpConnection,
        who: &[Address],
        letter: &[u8],
    ) -> Result<Delivery, Trouble> {
        let from = Mail::new(Some(self.from.email.clone()), Vec::new());
        said(Stage::Sender, connection.command(from).await)?;
        let mut delivery = Delivery::default();
        for address in who {
            let recipient = Rcpt::new(address.clone(), Vec::new());
            match said(Stage::Recipient, connection.command(recipient).await) {
                Ok(_) => delivery.taken.push(address.clone()),
                Err(trouble) if trouble.code.is_some_and(|code| code != 421) => {
                    delivery.refused.push((address.clone(), trouble));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        if !delivery.taken.is_empty() {
            said(Stage::Content, connection.command(Data).await)?;
            said(Stage::Content, connection.message(letter).await)?;
        }
        Ok(delivery)
    }

    /// Who does not have this message yet.
    fn left(&self, id: &str) -> Vec<Address> {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let have = served.iter().find(|s| s.id == id).map(|s| s.who.as_slice());
        let everybody = self.to.iter().map(|mailbox| mailbox.email.clone());
        everybody
            .filter(|address| !have.unwrap_or_default().contains(address))
            .collect()
    }

    /// What came of it: sent when everybody has it who ever will.
    fn settle(&self, id: &str, delivery: Delivery, hidden: &Hidden) -> Result<Sent, SendError> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = Vec::new();
        if let Some(at) = served.iter().position(|s| s.id == id) {
            who = served.remove(at).map(|s| s.who).unwrap_or_default();
        }
        who.extend(delivery.taken);
        let some_have_it = !who.is_empty();
        let mut why = Vec::new();
        let mut for_good = true;
        for (address, trouble) in delivery.refused {
            for_good &= trouble.is_final();
            why.push(format!("{address}: {}", trouble.words(hidden)));
        }
        let why = why.join("; ");
        match (why.is_empty(), for_good, some_have_it) {
            (true, ..) => Ok(Sent::default()),
            (_, true, false) => Err(SendError::GiveUp(why)),
            (_, true, true) => {
                tracing::warn!(message = id, %why, "a letter was refused for some of its recipients");
                Ok(Sent::default())
            }
            (_, false, _) => {
                served.push_back(Served {
                    id: id.to_owned(),
                    who,
                });
                if served.len() > REMEMBERED {
                    served.pop_front();
                }
                Err(again(match some_have_it {
                    true => format!("{why}; the other recipients have it"),
                    false => why,
                }))
            }
        }
    }
}

impl Notifier for Email {
    fn send<'a>(
        &'a self,
        message: &'a Message,
        _thread: Option<&'a str>,
    ) -> Reply<'a, Result<Sent, SendError>> {
        Box::pin(http::within(self.timeout, self.post(message)))
    }
}

/// Whom the server took the letter for, and whom not.
#[derive(Default)]
struct Delivery {
    taken: Vec<Address>,
    refused: Vec<(Address, Trouble)>,
}

/// How far the talk had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connection,
    Login,
    Sender,
    Recipient,
    Content,
}

/// What went wrong, and when.
#[derive(Debug)]
struct Trouble {
    stage: Stage,
    /// What the server answered, if it did.
    code: Option<u16>,
    text: String,
}

impl Trouble {
    fn new(stage: Stage, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            stage,
            code: None,
            text,
        }
    }

    fn of(stage: Stage, error: &smtp::Error) -> Self {
        let mut text = String::new();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        if text.is_empty() {
            text = error.to_string();
        }
        let code = error
            .status()
            .and_then(|code| code.to_string().parse().ok());
        Self { stage, code, text }
    }

    /// Whether this letter will never be taken. Everything that is about the login, the sender or the server is mended by
    /// somebody, or passes; so is what a server says of the login at a later point.
    fn is_final(&self) -> bool {
        let about_the_letter = matches!(self.stage, Stage::Recipient | Stage::Content);
        let code = self.code.unwrap_or_default();
        about_the_letter && (500..600).contains(&code) && !matches!(code, 530 | 534 | 535 | 538)
    }

    fn words(&self, hidden: &Hidden) -> String {
        let said = hidden.said(self.text.as_bytes());
        let what = match self.stage {
            Stage::Connection => "no connection",
            Stage::Login => "the login was refused",
            Stage::Sender => "the sender was refused",
            Stage::Recipient => "the recipient was refused",
            Stage::Content => "the letter was refused",
        };
        match self.code {
            Some(code) => format!("{what}: {code}{}", said.replacen(':', "", 1)),
            None if self.stage == Stage::Connection => format!("{what}{said}"),
            None => format!("the connection broke off{said}"),
        }
    }

    fn into_error(self, hidden: &Hidden) -> SendError {
        let why = self.words(hidden);
        match self.is_final() {
            true => SendError::GiveUp(why),
            false => again(match self.stage {
                Stage::Login => format!("{why}; mend `username` and `password`"),
                Stage::Sender => format!("{why}; mend `from`, or who may send as that"),
                _ => why,
            }),
        }
    }
}

fn said(stage: Stage, answer: Result<Response, smtp::Error>) -> Result<Response, Trouble> {
    answer.map_err(|error| Trouble::of(stage, &error))
}

/// The letter is handed over: what the server makes of the goodbye changes nothing, and nobody waits for it.
fn goodbye(mut connection: AsyncSmtpConnection) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
    });
}

fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, SetupError> {
    let bad = |why: String| SetupError::setting(key, format!("{why}: {text}"));
    let mailbox: message::Mailbox = text
        .parse()
        .map_err(|_| bad("it is not an address".into()))?;
    match mailbox.email.to_string().is_ascii() {
        true => Ok(mailbox),
        false => Err(bad(
            "addresses beyond ASCII are not taken by every server".into()
        )),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings() -> EmailSettings {
        let to = vec!["Geo <geo@example.com>".to_owned()];
        EmailSettings::new("smtp.example.com", "nightcall@example.com", to)
    }

    #[test]
    fn what_cannot_work_is_said_at_once() {
        type Spoil = fn(&mut EmailSettings);
        let cases: [(Spoil, &str); 6] = [
            (|s| s.to.clear(), "`to`"),
            (|s| s.to.push("nobody".into()), "not an address: nobody"),
            (|s| s.from = "a@b@c".into(), "`from`"),
            (|s| s.host = "smtp://x".into(), "`host`"),
            (|s| s.tls = Tls::None, "this machine only"),
            (|s| s.timeout = Duration::ZERO, "`timeout`"),
        ];
        for (spoil, part) in cases {
            let mut settings = settings();
            spoil(&mut settings);
            let error = Email::new(settings).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn only_this_machine_hears_letters_in_the_open() {
        for (host, loopback) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }

    #[test]
    fn answers_about_the_letter_are_final_and_others_are_not() {
        let trouble = |stage, code| Trouble {
            stage,
            code: Some(code),
            text: String::new(),
        };
        for (stage, code, is_final) in [
            (Stage::Recipient, 550, true),
            (Stage::Recipient, 530, false),
            (Stage::Recipient, 450, false),
            (Stage::Content, 552, true),
            (Stage::Content, 451, false),
            (Stage::Sender, 550, false),
            (Stage::Login, 535, false),
            (Stage::Connection, 554, false),
        ] {
            assert_eq!(
                trouble(stage, code).is_final(),
                is_final,
                "{stage:?} {code}"
            );
        }
    }

    #[test]
    fn settings_show_places_only() {
        let mut settings = settings();
        settings.login = Some(Login {
            username: "ops".into(),
            password: SecretSource::Command(vec!["echo".into(), "pa55word".into()]),
        });
        assert!(!format!("{settings:?}").contains("pa55word"));
    }
}
