//! HTTP/2, frame by frame: a server that takes a creation and then goes away, refuses the stream or breaks it. Libraries
//! repeat what a server says that it did not process; a creation is not repeated.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightcall::warehouse::JobClient;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::certificates::{Authority, Kind};
use super::{carto, job, polled, submission, submitted, target};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// `:method: POST`, `:method: GET` and `:status: 200` in the table that HTTP/2 begins with.
const POST: u8 = 0x83;
const STATUS_200: u8 = 0x88;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What becomes of a creation.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    /// Going away; the last stream that counts is the one before.
    GoneBefore(u32),
    /// Going away; this stream still counts, and is not answered.
    GoneAfter(u32),
    /// The stream is broken.
    Broken(u32),
    /// Headers and half of the body, then the stream is broken.
    HalfAnswered,
    /// The connection is closed.
    Closed,
    Silent,
    /// Going away in order was said right after the poll before; this comes by another connection.
    GoneInOrder,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_http2_server_does_with_a_creation_repeats_none() {
    let expected = [
        (Fate::Answered, "accepted"),
        (Fate::GoneInOrder, "accepted"),
        (Fate::GoneBefore(NO_ERROR), "unsure transient"),
        (Fate::GoneBefore(ENHANCE_YOUR_CALM), "unsure transient"),
        (Fate::GoneAfter(NO_ERROR), "unsure transient"),
        (Fate::Broken(REFUSED_STREAM), "unsure transient"),
        (Fate::Broken(CANCEL), "unsure transient"),
        (Fate::Broken(NO_ERROR), "unsure transient"),
        (Fate::Broken(INTERNAL_ERROR), "unsure transient"),
        (Fate::Broken(ENHANCE_YOUR_CALM), "unsure transient"),
        (Fate::HalfAnswered, "unsure transient"),
        (Fate::Closed, "unsure transient"),
        (Fate::Silent, "unsure transient"),
    ];
    let authority = Authority::new();
    for (fate, answer) in expected {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(Notify::new());
        let url = server(&authority, fate, Arc::clone(&seen), Arc::clone(&ended)).await;
        let carto = carto(Some(authority.file()));
        let first = carto.poll(&target(&url), &job()).await.answer;
        assert_eq!(polled(&first), "working", "{fate:?}");
        if matches!(fate, Fate::GoneInOrder) {
            // The client has heard it when it closes the connection.
            let closed = timeout(Duration::from_secs(10), ended.notified()).await;
            closed.expect("the client lets go of a connection that goes away");
        }
        let told = submitted(&carto.submit(&submission(&url, 1)).await.answer);
        assert_eq!(told, answer, "{fate:?}");
        let seen = seen.lock().unwrap().clone();
        let way = match fate {
            Fate::GoneInOrder => [(0, "GET"), (1, "POST")],
            _ => [(0, "GET"), (0, "POST")],
        };
        assert_eq!(seen, way, "{fate:?}");
    }
}

type Seen = Arc<Mutex<Vec<(usize, &'static str)>>>;

async fn server(authority: &Authority, fate: Fate, seen: Seen, ended: Arc<Notify>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = authority.acceptor(Kind::Good, &["h2", "http/1.1"]);
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            let ended = Arc::clone(&ended);
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                let _ = Speaker { stream }.serve(connection, fate, &seen).await;
                ended.notify_one();
            });
        }
    });
    url
}

/// One connection, byte by byte.
struct Speaker<S> {
    stream: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Speaker<S> {
    async fn serve(mut self, connection: usize, fate: Fate, seen: &Seen) -> std::io::Result<()> {
        let mut preface = [0; 24];
        self.stream.read_exact(&mut preface).await?;
        self.send(SETTINGS, 0, 0, &[]).await?;
        let mut creating = None;
        loop {
            let (kind, flags, stream, payload) = self.frame().await?;
            let mut ended = flags & END_STREAM != 0;
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await?,
                PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload).await?,
                HEADERS => {
                    let method = match payload.contains(&POST) {
                        true => "POST",
                        false => "GET",
                    };
                    seen.lock().unwrap().push((connection, method));
                    if method == "POST" {
                        creating = Some(stream);
                    }
                }
                DATA => {}
                _ => ended = false,
            }
            if !ended || !matches!(kind, HEADERS | DATA) {
                continue;
            }
            if creating == Some(stream) {
                if !self.decide(fate, stream).await? {
                    return self.stream.shutdown().await;
                }
            } else {
                self.answer(stream, r#"{"status": {"state": "running"}}"#)
                    .await?;
                if matches!(fate, Fate::GoneInOrder) {
                    self.go_away(stream, NO_ERROR).await?;
                }
            }
        }
    }

    /// What becomes of the creation; `false` when the connection is to be closed.
    async fn decide(&mut self, fate: Fate, stream: u32) -> std::io::Result<bool> {
        let created = r#"{"externalId": "job_1"}"#;
        match fate {
            Fate::Answered | Fate::GoneInOrder => self.answer(stream, created).await?,
            Fate::GoneBefore(code) => self.go_away(stream - 2, code).await?,
            Fate::GoneAfter(code) => {
                self.go_away(stream, code).await?;
                return Ok(false);
            }
            Fate::Broken(code) => {
                self.send(RST_STREAM, 0, stream, &code.to_be_bytes())
                    .await?
            }
            Fate::HalfAnswered => {
                self.send(HEADERS, END_HEADERS, stream, &[STATUS_200])
                    .await?;
                self.send(DATA, 0, stream, &created.as_bytes()[..9]).await?;
                let code = INTERNAL_ERROR.to_be_bytes();
                self.send(RST_STREAM, 0, stream, &code).await?;
            }
            Fate::Closed => return Ok(false),
            Fate::Silent => {}
        }
        Ok(true)
    }

    async fn answer(&mut self, stream: u32, body: &str) -> std::io::Result<()> {
        self.send(HEADERS, END_HEADERS, stream, &[STATUS_200])
            .await?;
        self.send(DATA, END_STREAM, stream, body.as_bytes()).await
    }

    async fn go_away(&mut self, last: u32, code: u32) -> std::io::Result<()> {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await
    }

    async fn send(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
    ) -> std::io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    async fn frame(&mut self) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await?;
        Ok((head[3], head[4], stream, payload))
    }
}
