//! A mail server that keeps the letters it takes, and misbehaves as it is told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A letter that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    pub(crate) encrypted: bool,
    /// What was said to log in, decoded by nobody.
    pub(crate) login: Option<String>,
}

/// What it does instead of what it should.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// This line.
    Say(String),
    /// Nothing more.
    Hang,
    /// It hangs up.
    Drop,
    /// A line without end.
    Endless,
}

pub(crate) fn say(line: &str) -> Option<Act> {
    Some(Act::Say(line.to_owned()))
}

/// Asked at each command, at the greeting (`""`) and after the letter (`"."`); `None` is what a good server does.
type Moods = dyn Fn(&str) -> Option<Act> + Send + Sync;

/// How it encrypts.
#[derive(Clone)]
pub(crate) enum Lock {
    Open,
    /// When asked.
    StartTls(TlsAcceptor),
    /// From the beginning.
    Implicit(TlsAcceptor),
}

pub(crate) struct MailServer {
    pub(crate) port: u16,
    letters: Arc<Mutex<Vec<Letter>>>,
    commands: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl MailServer {
    pub(crate) async fn new(
        lock: Lock,
        moods: impl Fn(&str) -> Option<Act> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (letters, commands) = (Arc::default(), Arc::default());
        let talk = Talk {
            lock,
            moods: Arc::new(moods),
            letters: Arc::clone(&letters),
            commands: Arc::clone(&commands),
        };
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let talk = talk.clone();
                talks.spawn(async move {
                    match &talk.lock {
                        Lock::Implicit(tls) => {
                            let stream = tls.accept(stream).await.ok()?;
                            talk.whole(Box::new(stream), true).await
                        }
                        _ => talk.whole(Box::new(stream), false).await,
                    }
                });
            }
        });
        Self {
            port,
            letters,
            commands,
            task,
        }
    }

    pub(crate) async fn open() -> Self {
        Self::new(Lock::Open, |_| None).await
    }

    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().clone()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().clone()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Talk {
    lock: Lock,
    moods: Arc<Moods>,
    letters: Arc<Mutex<Vec<Letter>>>,
    commands: Arc<Mutex<Vec<String>>>,
}

impl Talk {
    async fn whole(&self, stream: Box<dyn Stream>, mut encrypted: bool) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let mut letter = empty(encrypted);
        self.answer(&mut stream, "", "220 test ESMTP").await?;
        loop {
            let line = line(&mut stream).await?;
            self.commands.lock().unwrap().push(line.clone());
            let verb = line.split(' ').next().unwrap().to_uppercase();
            let inside = || {
                line.split_once('<')
                    .unwrap()
                    .1
                    .split_once('>')
                    .unwrap()
                    .0
                    .to_owned()
            };
            let mut good = "250 ok".to_owned();
            match verb.as_str() {
                "EHLO" => {
                    let starttls = matches!(self.lock, Lock::StartTls(_)) && !encrypted;
                    let offer = if starttls { "250-STARTTLS\r\n" } else { "" };
                    good = format!("250-test\r\n{offer}250-8BITMIME\r\n250 AUTH PLAIN LOGIN");
                }
                "AUTH" => {
                    letter.login = Some(line.clone());
                    good = "235 welcome".into();
                }
                "STARTTLS" => {
                    let Lock::StartTls(tls) = &self.lock else {
                        return None;
                    };
                    self.answer(&mut stream, &line, "220 go on").await?;
                    let encrypting = tls.accept(stream.into_inner()).await.ok()?;
                    stream = BufReader::new(Box::new(encrypting));
                    encrypted = true;
                    letter = empty(true);
                    continue;
                }
                "MAIL" => letter.from = inside(),
                "DATA" => good = "354 the letter, please".into(),
                "QUIT" => good = "221 goodbye".into(),
                _ => {}
            }
            let fine = self.answer(&mut stream, &line, &good).await?;
            match verb.as_str() {
                "RCPT" if fine => letter.to.push(inside()),
                "DATA" if fine => {
                    letter.text = text(&mut stream).await?;
                    if self.answer(&mut stream, ".", "250 taken").await? {
                        self.letters.lock().unwrap().push(letter.clone());
                    }
                }
                "QUIT" => return Some(()),
                _ => {}
            }
        }
    }

    /// Whether it was the good answer.
    async fn answer(
        &self,
        stream: &mut BufReader<Box<dyn Stream>>,
        at: &str,
        good: &str,
    ) -> Option<bool> {
        let (line, fine) = match (self.moods)(at) {
            None => (good.to_owned(), true),
            Some(Act::Say(line)) => (line, false),
            Some(Act::Drop) => return None,
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::Endless) => loop {
                stream.write_all(&[b'2'; 65_536]).await.ok()?;
            },
        };
        stream
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .ok()?;
        stream.flush().await.ok()?;
        Some(fine)
    }
}

fn empty(encrypted: bool) -> Letter {
    Letter {
        from: String::new(),
        to: Vec::new(),
        text: String::new(),
        encrypted,
        login: None,
    }
}

async fn line(stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

/// The letter, without the points that were doubled.
async fn text(stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(1..) if line == ".\r\n" => return Some(text),
            Ok(1..) => text.push_str(line.strip_prefix('.').unwrap_or(&line)),
            _ => return None,
        }
    }
}
