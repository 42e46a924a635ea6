//! A server that does with each connection what a script says, and counts what it saw.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One thing that is done with a connection. After the last it is closed, in order unless a reset was among them.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Read one whole request.
    Read,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these bytes in ten pieces, so that all of them take so long.
    Drip(Vec<u8>, Duration),
    /// Do nothing for so long.
    Wait(Duration),
    /// Never do anything again.
    Hold,
    /// The connection is reset instead of closed.
    Reset,
}

/// What a server saw.
#[derive(Debug, Default)]
pub(super) struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    bodies: Mutex<Vec<String>>,
}

impl Counts {
    /// Connections that were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests that arrived whole.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The requests that arrived whole and contain this text.
    pub(super) fn with(&self, text: &str) -> usize {
        let bodies = self.bodies.lock().unwrap();
        bodies.iter().filter(|body| body.contains(text)).count()
    }

    pub(super) fn note(&self, request: String) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.bodies.lock().unwrap().push(request);
    }
}

/// The server.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Peer {
    /// Serves every connection by this script, inside TLS when there is an acceptor.
    pub(super) async fn start(tls: Option<TlsAcceptor>, script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let seen = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                if script.iter().any(|step| matches!(step, Step::Reset)) {
                    stream.set_zero_linger().unwrap();
                }
                let (tls, script, seen) = (tls.clone(), script.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    match tls {
                        None => play(stream, script, &seen).await,
                        // A client that does not like the certificate ends the handshake.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                play(stream, script, &seen).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            counts,
            task,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Vec<Step>, seen: &Counts) {
    for step in script {
        let done = match step {
            Step::Read => match request(&mut stream).await {
                Some(request) => {
                    seen.note(request);
                    Ok(())
                }
                None => return,
            },
            Step::Send(bytes) => stream.write_all(&bytes).await,
            Step::Drip(bytes, whole) => drip(&mut stream, &bytes, whole).await,
            Step::Wait(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            Step::Hold => std::future::pending().await,
            Step::Reset => return,
        };
        if done.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

async fn drip(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    whole: Duration,
) -> std::io::Result<()> {
    for piece in bytes.chunks(bytes.len().div_ceil(10)) {
        tokio::time::sleep(whole / 10).await;
        stream.write_all(piece).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// One whole request, head and body; `None` when the connection ends before.
pub(super) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}
