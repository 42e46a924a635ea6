//! The answer that goes on: what is on record about a run, then what is added to it, until the run is finished.
//!
//! What is told is always read from the store; the live feed only says when to look. Records are append-only, so what
//! was told before is skipped by count: nothing is told twice, and a feed that lags loses nothing.
//!
//! Invariant: the feed is subscribed to before the story is read for the first time.

use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::sleep;

use super::api::Door;
use super::wire::{EventView, FollowLine, RunView};
use crate::sched::id::RunId;
use crate::sched::step::Change;
use crate::store::Story;

/// An empty line says that the daemon lives when nothing happens.
const BEAT: Duration = Duration::from_secs(15);
/// Lines that may wait for a slow reader.
const LINES: usize = 64;

/// Where committed changes come from.
pub(super) type Feed = broadcast::Receiver<Arc<Change>>;

/// Answers with one JSON object a line.
pub(super) fn answer(door: Door, feed: Feed, story: Story) -> Response {
    let (lines, body) = mpsc::channel(LINES);
    tokio::spawn(async move {
        // A reader that left has heard enough.
        let _ = tell(&door, feed, story, &lines).await;
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::new(Lines(body))).into_response()
}

/// The reader left.
struct Left;

async fn tell(
    door: &Door,
    mut feed: Feed,
    mut story: Story,
    lines: &mpsc::Sender<Bytes>,
) -> Result<(), Left> {
    let id = story.run.id.clone();
    let mut told = 0;
    loop {
        for record in story.records.iter().skip(told) {
            say(lines, &FollowLine::Event(EventView::of(record))).await?;
        }
        told = told.max(story.records.len());
        if story.run.outcome().is_some() {
            let view = RunView::of(&story.run, &door.zone(&story.run));
            return say(lines, &FollowLine::Run(Box::new(view))).await;
        }
        if !news(door, &mut feed, &id, lines).await? {
            return Ok(());
        }
        story = match door.story(&id).await {
            Ok(story) => story,
            Err(wrong) => return say(lines, &FollowLine::Error(wrong.view)).await,
        };
    }
}

/// Waits until there may be something new about the run; `false` when the daemon stops.
async fn news(
    door: &Door,
    feed: &mut Feed,
    id: &RunId,
    lines: &mpsc::Sender<Bytes>,
) -> Result<bool, Left> {
    loop {
        tokio::select! {
            () = door.stop.cancelled() => return Ok(false),
            () = lines.closed() => return Err(Left),
            () = mentioned(feed, id) => return Ok(true),
            () = sleep(BEAT) => send(lines, Bytes::from_static(b"\n")).await?,
        }
    }
}

/// Waits until the feed speaks of the run, or has lost something that may.
async fn mentioned(feed: &mut Feed, id: &RunId) {
    loop {
        match feed.recv().await {
            Ok(change) if matches!(&*change, Change::Run { run, .. } if run.id == *id) => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => pending().await,
        }
    }
}

async fn say(lines: &mpsc::Sender<Bytes>, line: &FollowLine) -> Result<(), Left> {
    let mut text = serde_json::to_vec(line)
        .expect("a view has text keys only and writing to memory does not fail");
    text.push(b'\n');
    send(lines, text.into()).await
}

async fn send(lines: &mpsc::Sender<Bytes>, line: Bytes) -> Result<(), Left> {
    lines.send(line).await.map_err(|_| Left)
}

/// Lines as the body of an answer.
struct Lines(mpsc::Receiver<Bytes>);

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
