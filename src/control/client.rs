//! The other end of the unix socket: what acting commands use. Tells apart that no daemon is there, that an answer was
//! lost, and that the daemon said no.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{ActedView, ErrorView, FireBody, FiredView, FollowLine, StatusView};
use crate::sched::id::RunId;

/// A connection must be made within this.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// An answer must be there within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A daemon that sends not even an empty line for so long hangs: it sends one every 15 s.
const SILENT: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes; a run carries its parameters, which may be a whole file.
const ANSWER: usize = 64 << 20;

/// Why there is no answer. The variants are decisions for the caller.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: nothing was done.
    #[error("no daemon is running (nobody listens on {})", .socket.display())]
    NoDaemon {
        /// Where it should be.
        socket: PathBuf,
    },
    /// The socket may not be used: nothing was done.
    #[error("the daemon's socket {} may not be used: {why}", .socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The answer did not come: what was asked may or may not have been done.
    #[error("the daemon's answer was lost: {0}")]
    Lost(String),
    /// The daemon says no.
    #[error("{}", .view.message)]
    Refused {
        /// The status: 409 for a run that is refused, 404 for a run that is not there, 503 for a daemon that cannot,
        /// 504 for one that did not decide in time and may yet.
        status: u16,
        /// Why, and what to do.
        view: ErrorView,
    },
    /// What answers does not speak as this version does.
    #[error("the answer cannot be understood: {0}; is the daemon of the same version?")]
    Unreadable(String),
}

/// A client of the daemon that listens on a socket. Each question is a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// For the daemon that listens there; nothing is asked yet.
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// How the daemon stands.
    pub async fn status(&self) -> Result<StatusView, ClientError> {
        self.ask(Method::GET, "/v1/status", Bytes::new()).await
    }

    /// Asks for a run. After [`ClientError::Lost`] the same body may be sent again: its key never makes a second run.
    pub async fn fire(&self, body: &FireBody) -> Result<FiredView, ClientError> {
        self.ask(Method::POST, "/v1/fire", encoded(body)?).await
    }

    /// Asks for an act by the path of its route, `pause`, `retry` …, with its body. After [`ClientError::Lost`] the same may
    /// be asked again: what was done is answered, not done twice.
    pub async fn act(&self, route: &str, body: &impl Serialize) -> Result<ActedView, ClientError> {
        let path = format!("/v1/{route}");
        self.ask(Method::POST, &path, encoded(body)?).await
    }

    /// Follows a run: everything on record about it, then what is added, until it is finished.
    pub async fn follow(&self, run: &RunId) -> Result<Following, ClientError> {
        // Of what an id may hold only `+` means something else in an address.
        let path = format!("/v1/follow?run={}", run.to_string().replace('+', "%2B"));
        let response = self.send(Method::GET, &path, Bytes::new()).await?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            let text = timeout(ANSWER_WITHIN, whole(body)).await;
            return Err(refused(head.status, &text.map_err(|_| late())??));
        }
        Ok(Following {
            body,
            rest: BytesMut::new(),
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let answered = async {
            let (head, body) = self.send(method, path, body).await?.into_parts();
            Ok((head.status, whole(body).await?))
        };
        let (status, text) = timeout(ANSWER_WITHIN, answered)
            .await
            .map_err(|_| late())??;
        if status != StatusCode::OK {
            return Err(refused(status, &text));
        }
        serde_json::from_slice(&text).map_err(|error| ClientError::Unreadable(error.to_string()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut connection = self.connect().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Unreadable(error.to_string()))?;
        let answer = timeout(ANSWER_WITHIN, connection.send_request(request)).await;
        answer.map_err(|_| late())?.map_err(lost)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let stream = match timeout(CONNECT_WITHIN, UnixStream::connect(&self.socket)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(&error)),
            Err(_) => return Err(ClientError::Lost("it takes no connection".to_owned())),
        };
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        tokio::spawn(async move {
            // What breaks it is also the answer to the request.
            let _ = connection.await;
        });
        Ok(send)
    }

    fn unreachable(&self, error: &io::Error) -> ClientError {
        let socket = self.socket.clone();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoDaemon { socket }
            }
            io::ErrorKind::WouldBlock => ClientError::Lost("it takes no connection".to_owned()),
            _ => ClientError::Denied {
                socket,
                why: error.to_string(),
            },
        }
    }
}

/// The lines about a run, as they come.
#[derive(Debug)]
pub struct Following {
    body: Incoming,
    rest: BytesMut,
}

impl Following {
    /// The next line; the last is [`FollowLine::Run`] or [`FollowLine::Error`].
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the daemon ends or hangs before the run is finished.
    pub async fn next(&mut self) -> Result<FollowLine, ClientError> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end);
                self.rest.advance(1);
                if !line.is_empty() {
                    return serde_json::from_slice(&line)
                        .map_err(|error| ClientError::Unreadable(error.to_string()));
                }
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), ClientError> {
        if self.rest.len() > ANSWER {
            return Err(ClientError::Unreadable("a line without an end".to_owned()));
        }
        let ended = || ClientError::Lost("the daemon ended".to_owned());
        let frame = timeout(SILENT, self.body.frame()).await;
        let frame = frame
            .map_err(|_| ClientError::Lost("the daemon hangs".to_owned()))?
            .ok_or_else(ended)?
            .map_err(|_| ended())?;
        if let Ok(data) = frame.into_data() {
            self.rest.extend_from_slice(&data);
        }
        Ok(())
    }
}

fn encoded(body: &impl Serialize) -> Result<Bytes, ClientError> {
    let text = serde_json::to_vec(body);
    text.map(Bytes::from)
        .map_err(|error| ClientError::Unreadable(error.to_string()))
}

async fn whole(body: Incoming) -> Result<Bytes, ClientError> {
    let read = Limited::new(body, ANSWER).collect().await;
    read.map(|body| body.to_bytes())
        .map_err(|error| ClientError::Lost(error.to_string()))
}

fn refused(status: StatusCode, text: &[u8]) -> ClientError {
    match serde_json::from_slice(text) {
        Ok(view) => ClientError::Refused {
            status: status.as_u16(),
            view,
        },
        Err(_) => ClientError::Unreadable(format!("status {status}")),
    }
}

fn lost(error: hyper::Error) -> ClientError {
    ClientError::Lost(error.to_string())
}

fn late() -> ClientError {
    ClientError::Lost("it took too long".to_owned())
}
