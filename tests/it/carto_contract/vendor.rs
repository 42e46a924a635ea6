//! A very small HTTP server that answers byte by byte what a test says, also what no proper server would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Which connection it came by, from 0.
    pub(super) connection: usize,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")
            .first()
            .and_then(|value| value.strip_prefix("Bearer "))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// What to do with a request.
pub(super) enum Act {
    /// Send these bytes, keep the connection.
    Send(Vec<u8>),
    /// Send these bytes, then close.
    SendAndClose(Vec<u8>),
    /// Close without a word.
    Close,
    /// Never answer.
    Silence,
    /// Send these bytes, then one more byte now and then for ever.
    Drip(Vec<u8>),
    /// Send these bytes, then so many more.
    Flood(Vec<u8>, usize),
}

/// A whole answer.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

/// A whole answer with a JSON body.
pub(super) fn json(status: u16, body: &str) -> Act {
    Act::Send(answer(
        status,
        &[("content-type", "application/json")],
        body,
    ))
}

pub(super) struct Vendor {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    flooded: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

impl Vendor {
    pub(super) async fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let flooded = Arc::new(AtomicUsize::new(0));
        let script: Arc<Script> = Arc::new(script);
        let (log, count) = (Arc::clone(&seen), Arc::clone(&flooded));
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (log, count) = (Arc::clone(&log), Arc::clone(&count));
                let script = Arc::clone(&script);
                tokio::spawn(
                    async move { serve(stream, connection, &*script, &log, &count).await },
                );
            }
        });
        Self {
            address,
            seen,
            flooded,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many bytes of a flood could be sent.
    pub(super) fn flooded(&self) -> usize {
        self.flooded.load(Ordering::SeqCst)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &Script,
    log: &Mutex<Vec<Seen>>,
    flooded: &AtomicUsize,
) {
    while let Some(seen) = request(&mut stream, connection).await {
        log.lock().unwrap().push(seen.clone());
        match script(&seen) {
            Act::Send(bytes) => {
                let _ = stream.write_all(&bytes).await;
            }
            Act::SendAndClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Act::Close => return,
            Act::Silence => std::future::pending::<()>().await,
            Act::Drip(bytes) => {
                let _ = stream.write_all(&bytes).await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                return;
            }
            Act::Flood(bytes, total) => {
                let _ = stream.write_all(&bytes).await;
                let chunk = vec![b' '; 64 * 1024];
                let mut sent = 0;
                while sent < total && stream.write_all(&chunk).await.is_ok() {
                    sent += chunk.len();
                    flooded.store(sent, Ordering::SeqCst);
                }
                return;
            }
        }
    }
}

async fn request(stream: &mut TcpStream, connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Seen {
        method,
        target,
        headers,
        body,
        connection,
    })
}
