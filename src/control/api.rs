//! The reading routes: read what was asked, ask the daemon or its store, answer JSON. Whatever fails is a [`Wrong`].
//! What acts is in `acting.rs`.

use std::future::Future;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::asked::{run_id, run_query};
use super::wire::{FollowAsked, RunAsked, RunView, RunsAsked, StatusView, StoryView};
use super::wrong::{Code, Wrong, bad, wrong};
use super::{Api, acting, follow, health, metrics};
use crate::sched::id::RunId;
use crate::sched::run::Run;
use crate::sched::time::{TimeZone, words};
use crate::store::Story;

/// The daemon and the store must answer within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);

/// What every handler needs.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) api: Api,
    pub(super) stop: CancellationToken,
}

impl Door {
    pub(super) fn new(api: Api, stop: CancellationToken) -> Self {
        Self { api, stop }
    }

    /// The story of a run, or that there is none.
    pub(super) async fn story(&self, run: &RunId) -> Result<Story, Wrong> {
        let story = in_time(self.api.store.story(run.clone())).await??;
        story.ok_or_else(|| {
            wrong(
                Code::NotFound,
                format!("there is no run {run}"),
                "`nightcall runs` lists those that there are",
            )
        })
    }

    /// The zone of a run's schedule.
    pub(super) fn zone(&self, run: &Run) -> TimeZone {
        (self.api.zone)(&run.definition.trigger.zone).unwrap_or(TimeZone::UTC)
    }
}

/// An answer that does not come is an error, too.
pub(super) async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, Wrong> {
    timeout(ANSWER_WITHIN, answer).await.map_err(|_| {
        wrong(
            Code::NoAnswer,
            format!("no answer within {}", words(ANSWER_WITHIN)),
            "ask again; the same request never makes two runs",
        )
    })
}

/// Everything. What is not there is refused in the same form.
pub(super) fn routes(door: Door) -> Router {
    let all = reading().merge(acting::routes());
    all.fallback(unknown)
        .method_not_allowed_fallback(not_this_way)
        .with_state(door)
}

fn reading() -> Router<Door> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/runs", get(runs))
        .route("/v1/run", get(run))
        .route("/v1/follow", get(following))
        .route("/healthz", get(health::health))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
}

async fn unknown(uri: Uri) -> Wrong {
    let path: String = uri.path().chars().take(200).collect();
    wrong(
        Code::NotFound,
        format!("there is nothing at {path}"),
        "every path is in docs/api.md",
    )
}

async fn not_this_way(method: Method) -> Wrong {
    wrong(
        Code::MethodNotAllowed,
        format!("this cannot be asked with {method}"),
        "GET reads, POST acts",
    )
}

// ---- reading -----------------------------------------------------------------------------------------------------

async fn status(State(door): State<Door>) -> Json<StatusView> {
    let handle = &door.api.handle;
    let (status, channels) = (handle.status(), handle.channels());
    let complaints = health::complaints(&status, &channels);
    Json(StatusView::of(&status, &channels, complaints))
}

async fn runs(
    State(door): State<Door>,
    asked: Result<Query<RunsAsked>, QueryRejection>,
) -> Result<Json<Vec<RunView>>, Wrong> {
    let query = run_query(question(asked)?)?;
    let runs = in_time(door.api.store.runs(query)).await??;
    let views = runs.iter().map(|run| RunView::of(run, &door.zone(run)));
    Ok(Json(views.collect()))
}

async fn run(
    State(door): State<Door>,
    asked: Result<Query<RunAsked>, QueryRejection>,
) -> Result<Json<StoryView>, Wrong> {
    let id = run_id(&question(asked)?.id)?;
    let story = door.story(&id).await?;
    Ok(Json(StoryView::of(&story, &door.zone(&story.run))))
}

async fn following(
    State(door): State<Door>,
    asked: Result<Query<FollowAsked>, QueryRejection>,
) -> Result<Response, Wrong> {
    let id = run_id(&question(asked)?.run)?;
    // Before the story is read, so that nothing falls between the two.
    let feed = door.api.handle.feed();
    let story = door.story(&id).await?;
    Ok(follow::answer(door, feed, story))
}

fn question<T>(asked: Result<Query<T>, QueryRejection>) -> Result<T, Wrong> {
    match asked {
        Ok(Query(asked)) => Ok(asked),
        Err(rejection) => Err(bad(
            rejection.body_text(),
            "look at the part of the address after the question mark",
        )),
    }
}
