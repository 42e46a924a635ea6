//! HTTP/1.1 on one connection, by hand as far as answers go: a stand-in must be able to break an answer in the middle
//! or lie about its length, which a proper HTTP library rightly refuses. Request heads are parsed by httparse.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::message::{Delivery, Reply, Request, reason};

/// The most bytes of a request's head.
const HEAD_MAX: usize = 64 << 10;
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// A body that is too large is read to its end up to here, so that the client can hear 413.
const DISCARD_MAX: u64 = 64 << 20;

/// What came in.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A request.
    Request {
        /// What was asked.
        request: Request,
        /// Whether the client may ask more on this connection.
        keep: bool,
    },
    /// The client is gone.
    Closed,
    /// Not HTTP, or too much of it: to be answered with this status.
    Bad(u16),
}

/// One connection.
pub(super) struct Wire {
    stream: TcpStream,
    from: IpAddr,
    /// What was read and not yet used.
    buffer: Vec<u8>,
}

/// What a request's head says.
struct Head {
    request: Request,
    keep: bool,
    length: Option<u64>,
    chunked: bool,
    expects: bool,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, from: IpAddr) -> Self {
        Self {
            stream,
            from,
            buffer: Vec::new(),
        }
    }

    /// Reads one request to its end. A body above `limit` bytes is thrown away and the request marked.
    pub(super) async fn read(&mut self, limit: usize) -> io::Result<Incoming> {
        let head = loop {
            match parse_head(&self.buffer, self.from) {
                Err(status) => return Ok(Incoming::Bad(status)),
                Ok(Some((head, used))) => {
                    self.buffer.drain(..used);
                    break head;
                }
                Ok(None) if self.buffer.len() > HEAD_MAX => return Ok(Incoming::Bad(431)),
                Ok(None) => {}
            }
            if !self.more().await? {
                return Ok(Incoming::Closed);
            }
        };
        let Head {
            mut request,
            keep,
            length,
            chunked,
            expects,
        } = head;
        if expects {
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await?;
        }
        let mut body = Body::new(limit);
        let read = if chunked {
            self.read_chunks(&mut body).await?
        } else {
            self.read_exactly(length.unwrap_or(0), &mut body).await?
        };
        match read {
            Piece::Closed => return Ok(Incoming::Closed),
            Piece::Bad(status) => return Ok(Incoming::Bad(status)),
            Piece::Read => {}
        }
        request.too_large = body.too_large;
        request.body = body.bytes;
        Ok(Incoming::Request { request, keep })
    }

    /// Reads more into the buffer; false at the end of the stream.
    async fn more(&mut self) -> io::Result<bool> {
        let mut piece = [0; 8192];
        let n = self.stream.read(&mut piece).await?;
        self.buffer
            .extend_from_slice(piece.get(..n).unwrap_or_default());
        Ok(n > 0)
    }

    async fn read_exactly(&mut self, mut left: u64, body: &mut Body) -> io::Result<Piece> {
        if body.seen.saturating_add(left) > DISCARD_MAX {
            return Ok(Piece::Bad(413));
        }
        while left > 0 {
            if self.buffer.is_empty() && !self.more().await? {
                return Ok(Piece::Closed);
            }
            let here = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            body.add(self.buffer.drain(..here));
            left -= here as u64;
        }
        Ok(Piece::Read)
    }

    async fn read_chunks(&mut self, body: &mut Body) -> io::Result<Piece> {
        loop {
            let size = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Err(_) => return Ok(Piece::Bad(400)),
                    Ok(httparse::Status::Complete((used, size))) => {
                        self.buffer.drain(..used);
                        break size;
                    }
                    Ok(httparse::Status::Partial) if self.buffer.len() > HEAD_MAX => {
                        return Ok(Piece::Bad(400));
                    }
                    Ok(httparse::Status::Partial) => {}
                }
                if !self.more().await? {
                    return Ok(Piece::Closed);
                }
            };
            if size == 0 {
                return self.read_trailers().await;
            }
            match self.read_exactly(size, body).await? {
                Piece::Read => {}
                other => return Ok(other),
            }
            // The line break after a chunk is not part of it.
            match self.read_exactly(2, &mut Body::new(2)).await? {
                Piece::Read => {}
                other => return Ok(other),
            }
        }
    }

    /// Reads what follows the last chunk, up to the empty line.
    async fn read_trailers(&mut self) -> io::Result<Piece> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                self.buffer.drain(..end + 2);
                if end == 0 {
                    return Ok(Piece::Read);
                }
                continue;
            }
            if self.buffer.len() > HEAD_MAX {
                return Ok(Piece::Bad(431));
            }
            if !self.more().await? {
                return Ok(Piece::Closed);
            }
        }
    }

    /// Sends a reply in its way. True when the connection can be used again.
    pub(super) async fn send(
        &mut self,
        reply: &Reply,
        delivery: Delivery,
        keep: bool,
    ) -> io::Result<bool> {
        let mut length = reply.body.len() as u64;
        let mut whole = true;
        match delivery {
            Delivery::WrongLength(by) => {
                length = length.saturating_add_signed(by);
                whole = false;
            }
            Delivery::Padded(padding) => length += padding,
            Delivery::Cut(_) => whole = false,
            Delivery::After(wait) => sleep(wait).await,
            Delivery::Whole | Delivery::Drip(..) => {}
        }
        let mut bytes = head(reply, length, keep && whole);
        if let Delivery::Padded(padding) = delivery {
            self.stream.write_all(&bytes).await?;
            bytes.clear();
            self.pad(padding).await?;
        }
        bytes.extend_from_slice(&reply.body);
        match delivery {
            Delivery::Cut(at) => bytes.truncate(at),
            Delivery::Drip(size, pause) => {
                for piece in bytes.chunks(size.max(1)) {
                    self.stream.write_all(piece).await?;
                    sleep(pause).await;
                }
                return Ok(keep);
            }
            _ => {}
        }
        self.stream.write_all(&bytes).await?;
        self.stream.flush().await?;
        Ok(keep && whole)
    }

    async fn pad(&mut self, mut left: u64) -> io::Result<()> {
        let blank = [b' '; 8192];
        while left > 0 {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(blank.len());
            self.stream
                .write_all(blank.get(..here).unwrap_or_default())
                .await?;
            left -= here as u64;
        }
        Ok(())
    }

    /// Waits until the client gives up.
    pub(super) async fn outwait(&mut self) {
        while let Ok(true) = self.more().await {
            self.buffer.clear();
        }
    }

    /// Ends the connection as it should be ended.
    pub(super) async fn close(mut self) {
        // The client may have gone first, which ends the connection just as well.
        let _ = self.stream.shutdown().await;
    }

    /// Ends the connection with a reset: the other side gets an error, not an end.
    pub(super) fn reset(self) {
        // Without it the connection is closed all the same, only more politely.
        let _ = self.stream.set_zero_linger();
    }
}

/// What came of reading a part of a body.
enum Piece {
    Read,
    Closed,
    Bad(u16),
}

/// A body on its way in.
struct Body {
    bytes: Vec<u8>,
    seen: u64,
    limit: usize,
    too_large: bool,
}

impl Body {
    fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            seen: 0,
            limit,
            too_large: false,
        }
    }

    fn add(&mut self, piece: impl ExactSizeIterator<Item = u8>) {
        self.seen += piece.len() as u64;
        if self.too_large || self.bytes.len() + piece.len() > self.limit {
            self.too_large = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend(piece);
        }
    }
}

/// The head at the start of the buffer and its length; `None` when it has not all come.
fn parse_head(buffer: &[u8], from: IpAddr) -> Result<Option<(Head, usize)>, u16> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let used = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(_) => return Err(400),
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: parsed
            .headers
            .iter()
            .map(|header| {
                let value = String::from_utf8_lossy(header.value).into_owned();
                (header.name.to_ascii_lowercase(), value)
            })
            .collect(),
        body: Vec::new(),
        too_large: false,
        from,
    };
    let says = |name: &str, wanted: &str| {
        let value = request.header(name).unwrap_or_default();
        value
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    let keep = parsed.version == Some(1) && !says("connection", "close");
    let chunked = says("transfer-encoding", "chunked");
    let expects = says("expect", "100-continue");
    let length = match request.header("content-length").map(str::parse) {
        None => None,
        Some(Ok(length)) => Some(length),
        Some(Err(_)) => return Err(400),
    };
    let head = Head {
        request,
        keep,
        length,
        chunked,
        expects,
    };
    Ok(Some((head, used)))
}

fn head(reply: &Reply, length: u64, keep: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
    let mut add = |name: &str, value: &str| {
        // A line break inside a value would end the head early.
        let value = value.replace(['\r', '\n'], " ");
        head.push_str(&format!("{name}: {value}\r\n"));
    };
    if reply.status != 204 {
        let kind = if reply.json {
            "application/json; charset=utf-8"
        } else {
            "text/html"
        };
        add("Content-Type", kind);
        add("Content-Length", &length.to_string());
    }
    for (name, value) in &reply.headers {
        add(name, value);
    }
    if !keep {
        add("Connection", "close");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// What the sandbox reads of these bytes.
    async fn read(bytes: &[u8], limit: usize) -> Incoming {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        Wire::new(stream, peer.ip()).read(limit).await.unwrap()
    }

    fn body(incoming: Incoming) -> (Vec<u8>, bool) {
        match incoming {
            Incoming::Request { request, .. } => (request.body, request.too_large),
            other => panic!("no request but {other:?}"),
        }
    }

    #[tokio::test]
    async fn bodies_are_read_by_length_and_by_chunks() {
        let plain = read(b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 100).await;
        assert_eq!(body(plain), (b"hello".to_vec(), false));
        let chunks = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n";
        assert_eq!(body(read(chunks, 100).await), (b"hello".to_vec(), false));
    }

    #[tokio::test]
    async fn a_body_above_the_limit_is_thrown_away_and_marked() {
        let sent = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(body(read(sent, 4).await), (Vec::new(), true));
        let vast = b"POST /a HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n";
        assert!(matches!(read(vast, 4).await, Incoming::Bad(413)));
    }

    #[tokio::test]
    async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let reading = tokio::spawn(async move { Wire::new(stream, peer.ip()).read(9).await });
        let head = b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        client.write_all(head).await.unwrap();
        let mut asked = [0; 25];
        client.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        client.write_all(b"hello").await.unwrap();
        let incoming = reading.await.unwrap().unwrap();
        assert_eq!(body(incoming), (b"hello".to_vec(), false));
    }

    #[tokio::test]
    async fn what_is_not_http_is_refused_and_what_ends_early_is_gone() {
        assert!(matches!(
            read(b"\x16\x03\x01\x02\x00", 9).await,
            Incoming::Bad(400)
        ));
        let length = b"POST /a HTTP/1.1\r\nContent-Length: many\r\n\r\n";
        assert!(matches!(read(length, 9).await, Incoming::Bad(400)));
        assert!(matches!(read(b"GET / HTT", 9).await, Incoming::Closed));
        let long = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(HEAD_MAX + 1));
        assert!(matches!(read(long.as_bytes(), 9).await, Incoming::Bad(431)));
    }

    #[test]
    fn a_head_cannot_be_split_by_a_value() {
        let reply = Reply::empty(307).with("Location", "http://x/\r\nSet-Cookie: a");
        let head = String::from_utf8(head(&reply, 0, true)).unwrap();
        assert!(
            head.contains("Location: http://x/  Set-Cookie: a\r\n"),
            "{head}"
        );
    }
}
