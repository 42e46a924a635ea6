//! The connection to an SMTP server: encrypted as the settings say, and bounded in what it brings.
//!
//! lettre would connect and encrypt by itself. But it reads a line to its end however long that is, and keeps what came
//! before encryption began among what it reads after it. So it is given a stream that is encrypted already, and ends when
//! the server says more than a server has to say.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls_platform_verifier::Verifier;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use super::{EmailSettings, Stage, Tls, Trouble};
use crate::notify::http;
use crate::notify::setup::SetupError;

/// As much as a server may say during one sending, in bytes.
const MOST: usize = 64 << 10;

/// The longest line of a server before encryption, in bytes.
const LONGEST_LINE: u64 = 2 << 10;

/// The most lines of one answer before encryption.
const MOST_LINES: usize = 100;

/// What lettre hears in place of the greeting when the server has greeted already.
const GREETED: &[u8] = b"220 encrypted\r\n";

/// How the server is reached.
pub(super) struct Line {
    host: String,
    port: u16,
    tls: Tls,
    /// Who is believed; not needed where nothing is encrypted.
    config: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Line {
    pub(super) fn new(settings: &EmailSettings) -> Result<Self, SetupError> {
        let host = settings.host.trim_start_matches('[').trim_end_matches(']');
        let config = match settings.tls {
            Tls::None => None,
            Tls::StartTls | Tls::Implicit => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| {
                    SetupError::setting("host", "it is neither a name nor an address")
                })?;
                Some((Arc::new(config(settings)?), name))
            }
        };
        Ok(Self {
            host: host.to_owned(),
            port: settings.port.unwrap_or(settings.tls.port()),
            tls: settings.tls,
            config,
        })
    }

    /// Connects, encrypts, and introduces itself.
    pub(super) async fn open(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let stream = self.reach().await.map_err(|error| no_line(&error))?;
        let hello = ClientId::default();
        AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)
            .await
            .map_err(|error| Trouble::of(Stage::Connection, &error))
    }

    async fn reach(&self) -> io::Result<Bounded> {
        let mut tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        let peer = tcp.peer_addr()?;
        let Some((config, name)) = &self.config else {
            if !peer.ip().is_loopback() {
                return Err(io::Error::other(
                    "the server is not on this machine: use `tls`",
                ));
            }
            return Ok(Bounded::new(Box::new(tcp), peer, b""));
        };
        let mut heard: &[u8] = b"";
        if self.tls == Tls::StartTls {
            ask_for_encryption(&mut tcp).await?;
            heard = GREETED;
        }
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name.clone(), tcp).await?;
        Ok(Bounded::new(Box::new(stream), peer, heard))
    }
}

fn no_line(error: &io::Error) -> Trouble {
    let text = error.to_string();
    let remedy = match text.contains("UnknownIssuer") {
        true => "; set `ca_file` to the certificate of the authority that vouches for it",
        false => "",
    };
    Trouble::new(Stage::Connection, format!("{text}{remedy}"))
}

fn config(settings: &EmailSettings) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let none = |error: tokio_rustls::rustls::Error| SetupError::Certificates(error.to_string());
    let verifier = match &settings.ca_file {
        None => Verifier::new(Arc::clone(&provider)).map_err(none)?,
        Some(path) => {
            let wrong = |why: String| http::ca_file(path, why);
            let pem = http::pem(path)?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let found = found.map_err(|error| wrong(error.to_string()))?;
            if found.is_empty() {
                return Err(wrong("it holds no certificate in PEM form".into()));
            }
            Verifier::new_with_extra_roots(found, Arc::clone(&provider))
                .map_err(|error| wrong(error.to_string()))?
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(none)?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The few words before encryption. A server that does not offer it is not talked to any further, and one that says more
/// than it was asked is not believed: somebody in between may have said it.
async fn ask_for_encryption(tcp: &mut TcpStream) -> io::Result<()> {
    let mut talk = BufReader::new(tcp);
    expect(&mut talk, "220").await?;
    talk.write_all(b"EHLO [127.0.0.1]\r\n").await?;
    let offers = expect(&mut talk, "250").await?;
    if !offers
        .iter()
        .any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS"))
    {
        return Err(io::Error::other("the server does not offer STARTTLS"));
    }
    talk.write_all(b"STARTTLS\r\n").await?;
    expect(&mut talk, "220").await?;
    match talk.buffer().is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(
            "the server went on talking before encryption began",
        )),
    }
}

/// The lines of an answer with this code, without it.
async fn expect(talk: &mut BufReader<&mut TcpStream>, code: &str) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < MOST_LINES {
        let mut line = Vec::new();
        let read = AsyncReadExt::take(&mut *talk, LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Err(io::Error::other(
                "the server does not speak SMTP, or hung up",
            ));
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let (Some(said), Some(rest)) = (line.get(..3), line.get(3..)) else {
            return Err(io::Error::other("the server does not speak SMTP"));
        };
        if said != code {
            return Err(io::Error::other(line.trim().to_owned()));
        }
        lines.push(rest.get(1..).unwrap_or_default().to_owned());
        if !rest.starts_with('-') {
            return Ok(lines);
        }
    }
    Err(io::Error::other("the server says more than it has to say"))
}

/// What carries SMTP.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// A stream that begins with what was heard already, and ends in an error when it brings too much.
struct Bounded {
    stream: Box<dyn Stream>,
    peer: SocketAddr,
    heard: &'static [u8],
    left: usize,
}

impl Bounded {
    fn new(stream: Box<dyn Stream>, peer: SocketAddr, heard: &'static [u8]) -> Self {
        let left = MOST;
        Self {
            stream,
            peer,
            heard,
            left,
        }
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bounded({})", self.peer)
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.heard.is_empty() {
            let (now, later) = self
                .heard
                .split_at(self.heard.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.heard = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        match self.left.checked_sub(buffer.filled().len() - before) {
            Some(left) => self.left = left,
            None => {
                let why = "the server says more than it has to say";
                return Poll::Ready(Err(io::Error::other(why)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
