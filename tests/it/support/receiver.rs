//! A receiver on the web that keeps what it hears, and answers as it is told: also endlessly, never, or not to the end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status, more headers (`name: value` each), and a body.
    Say(u16, &'static [&'static str], String),
    /// The whole request comes back as the body.
    Echo(u16),
    /// A body without end.
    Endless(u16),
    /// Part of a body, and then nothing.
    Stall(u16),
    /// Nothing.
    Hang,
    /// The connection is closed.
    Drop,
}

pub(crate) fn status(status: u16) -> Answer {
    Answer::Say(status, &[], String::new())
}

type Answers = dyn Fn(&Heard) -> Answer + Send + Sync;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn new(answers: impl Fn(&Heard) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answers)).await
    }

    /// By TLS.
    pub(crate) async fn encrypted(tls: TlsAcceptor, answer: Answer) -> Self {
        Self::start(Some(tls), Arc::new(move |_: &Heard| answer.clone())).await
    }

    /// It always answers so.
    pub(crate) async fn always(answer: Answer) -> Self {
        Self::new(move |_| answer.clone()).await
    }

    async fn start(tls: Option<TlsAcceptor>, answers: Arc<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (keep, answers, tls) = (Arc::clone(&keep), Arc::clone(&answers), tls.clone());
                talks.spawn(async move {
                    match tls {
                        None => talk(stream, &keep, &*answers).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => talk(stream, &keep, &*answers).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self {
            address,
            heard,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    keep: &Mutex<Vec<Heard>>,
    answers: &Answers,
) -> Option<()> {
    let (heard, raw) = request(&mut stream).await?;
    keep.lock().unwrap().push(heard.clone());
    let (status, headers, body) = match answers(&heard) {
        Answer::Say(status, headers, body) => (status, headers, body.into_bytes()),
        Answer::Echo(status) => (status, [].as_slice(), raw),
        Answer::Drop => return None,
        Answer::Hang => std::future::pending().await,
        Answer::Stall(status) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 100\r\n\r\nonly this");
            stream.write_all(head.as_bytes()).await.ok()?;
            std::future::pending().await
        }
        Answer::Endless(status) => {
            let head = format!("HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            loop {
                stream.write_all(&[b'x'; 65_536]).await.ok()?;
            }
        }
    };
    let mut head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .await
        .ok()?;
    stream.write_all(&body).await.ok()?;
    stream.shutdown().await.ok()
}

/// The request, and its bytes.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<(Heard, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 65_536];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        if let Ok(httparse::Status::Complete(head)) = parsed.parse(&bytes) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let headers: Vec<(String, String)> = parsed
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), text(header.value)))
                .collect();
            let length = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
            if bytes.len() >= head + length {
                let heard = Heard {
                    method: parsed.method.unwrap().to_owned(),
                    path: parsed.path.unwrap().to_owned(),
                    headers,
                    body: text(&bytes[head..head + length]),
                };
                return Some((heard, bytes));
            }
        }
        match stream.read(&mut chunk).await {
            Ok(n @ 1..) => bytes.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}
