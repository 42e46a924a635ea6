//! The routes: read what was asked, ask the daemon or its store, answer JSON. Whatever fails is a [`Wrong`].

use std::future::Future;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::asked::{fire_request, run_id, run_query};
use super::loopback::only_reading;
use super::wire::{
    FiredView, FollowAsked, HealthView, RunAsked, RunView, RunsAsked, StatusView, StoryView,
};
use super::wrong::{Wrong, bad, wrong};
use super::{Api, follow};
use crate::daemon::{Status, Undecided};
use crate::sched::id::RunId;
use crate::sched::run::Run;
use crate::sched::step::Fired;
use crate::sched::time::{TimeZone, Timestamp, between, words};
use crate::store::Story;

/// The largest body of a request, in bytes.
const BODY: usize = 64 * 1024;
/// A body must be there within this.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// The daemon and the store must answer within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// What is under way when the daemon stops may still be answered within this.
const LAST_WORD: Duration = Duration::from_secs(2);
/// A daemon that says nothing for so long hangs.
const SILENT: Duration = Duration::from_secs(30);

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
                StatusCode::NOT_FOUND,
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
async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, Wrong> {
    timeout(ANSWER_WITHIN, answer).await.map_err(|_| {
        wrong(
            StatusCode::GATEWAY_TIMEOUT,
            format!("no answer within {}", words(ANSWER_WITHIN)),
            "ask again; the same request never makes two runs",
        )
    })
}

/// Everything, for the unix socket.
pub(super) fn acting(door: Door) -> Router {
    let routes = routes().route("/v1/fire", post(fire));
    with_refusals(routes).with_state(door)
}

/// What only reads, for a loopback address.
pub(super) fn reading(door: Door) -> Router {
    with_refusals(routes())
        .layer(middleware::from_fn(only_reading))
        .with_state(door)
}

fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/runs", get(runs))
        .route("/v1/run", get(run))
        .route("/v1/follow", get(following))
        .route("/healthz", get(health))
}

/// What is not there is refused in the same form; concerns the routes that are there already.
fn with_refusals(routes: Router<Door>) -> Router<Door> {
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(not_this_way)
}

async fn unknown(uri: Uri) -> Wrong {
    let path: String = uri.path().chars().take(200).collect();
    wrong(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {path}"),
        "there are /v1/status, /v1/fire (on the socket), /v1/runs, /v1/run, /v1/follow and /healthz",
    )
}

async fn not_this_way(method: Method) -> Wrong {
    wrong(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("this cannot be asked with {method}"),
        "POST is for /v1/fire, GET for all else",
    )
}

// ---- reading -----------------------------------------------------------------------------------------------------

async fn status(State(door): State<Door>) -> Json<StatusView> {
    let status = door.api.handle.status();
    Json(StatusView::of(&status, complaints(&status)))
}

async fn health(State(door): State<Door>) -> (StatusCode, Json<HealthView>) {
    let complaints = complaints(&door.api.handle.status());
    let healthy = complaints.is_empty();
    let status = match healthy {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let view = HealthView {
        healthy,
        complaints,
    };
    (status, Json(view))
}

/// What the daemon says is wrong, and what it cannot say itself: that it says nothing.
fn complaints(status: &Status) -> Vec<String> {
    let mut complaints = status.complaints();
    if status.store.is_some() {
        return complaints;
    }
    let silent = between(status.at, Timestamp::now());
    if silent > SILENT {
        complaints.insert(
            0,
            format!("the daemon hangs: nothing for {}", words(silent)),
        );
    } else if status.scheduler.mark.is_none() {
        complaints.insert(
            0,
            "the daemon is starting: it reads its database".to_owned(),
        );
    }
    complaints
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

// ---- acting ------------------------------------------------------------------------------------------------------

async fn fire(State(door): State<Door>, request: Request) -> Result<Json<FiredView>, Wrong> {
    let body = body(request).await?;
    let asked = fire_request(&body)?;
    let (schedule, set) = (asked.schedule.clone(), asked.set.clone());
    let last_word = async {
        door.stop.cancelled().await;
        sleep(LAST_WORD).await;
    };
    let fired = tokio::select! {
        fired = in_time(door.api.handle.fire(asked)) => fired?,
        () = last_word => Err(Undecided::Stopping),
    };
    match fired {
        Ok(Fired::Run(run)) => {
            let other = run.series.schedule != schedule;
            if other || set.is_some_and(|set| set != run.series.set) {
                return Err(wrong(
                    StatusCode::CONFLICT,
                    format!("the key belongs to another run: {run}"),
                    "take a new key for a new run",
                ));
            }
            let run = run.to_string();
            Ok(Json(FiredView { run }))
        }
        Ok(Fired::Refused { message, hint }) => Err(wrong(StatusCode::CONFLICT, message, hint)),
        Err(undecided) => {
            let (status, hint) = match undecided {
                // It may yet have been taken in: whoever asks again must do so with the same key.
                Undecided::Stopping => {
                    (StatusCode::GATEWAY_TIMEOUT, "ask again when it runs again")
                }
                Undecided::Unusable(_) => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ask again when it can; `nightcall status` says when",
                ),
            };
            Err(wrong(status, undecided.to_string(), hint))
        }
    }
}

/// The body, whole and bounded.
async fn body(request: Request) -> Result<Bytes, Wrong> {
    let too_long = || {
        wrong(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {} KiB", BODY / 1024),
            "large values belong into the configuration: { file = \"…\" }",
        )
    };
    match timeout(
        BODY_WITHIN,
        Limited::new(request.into_body(), BODY).collect(),
    )
    .await
    {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => Err(bad(
            format!("the body cannot be read: {error}"),
            "send it again",
        )),
        Err(_) => Err(wrong(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body was not there within {}", words(BODY_WITHIN)),
            "send it again",
        )),
    }
}
