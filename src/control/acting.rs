//! The acting routes: a run by hand, what people do to a running scheduler, another configuration. Each is decided by the
//! daemon, stored with who asked and why, and answered when it is durable.

use std::future::Future;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::routing::post;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::Reread;
use super::api::{Door, in_time};
use super::asked::{self, Asked};
use super::caller::Caller;
use super::wire::{
    ActedView, AgainBody, CancelBody, FiredView, PauseBody, ReloadBody, ResolveBody, ResumeBody,
    SkipBody,
};
use super::wrong::{Code, Wrong, bad, wrong};
use crate::daemon::Undecided;
use crate::sched::act::{Act, Acted, By, How};
use crate::sched::step::Fired;
use crate::sched::time::words;

/// The largest body of a request, in bytes.
const BODY: usize = 64 * 1024;
/// A body must be there within this.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// What is under way when the daemon stops may still be answered within this.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Every acting route.
pub(super) fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/fire", post(fire))
        .route("/v1/pause", post(act::<PauseBody>))
        .route("/v1/resume", post(act::<ResumeBody>))
        .route("/v1/skip", post(act::<SkipBody>))
        .route("/v1/unskip", post(unskip))
        .route("/v1/cancel", post(act::<CancelBody>))
        .route("/v1/retry", post(retry))
        .route("/v1/rerun", post(rerun))
        .route("/v1/backfill", post(backfill))
        .route("/v1/resolve", post(act::<ResolveBody>))
        .route("/v1/reload", post(reload))
}

type Who = Extension<Caller>;
type Answer = Result<Json<ActedView>, Wrong>;

async fn fire(State(door): State<Door>, request: Request) -> Result<Json<FiredView>, Wrong> {
    let asked = asked::fire_request(&body(request).await?)?;
    let (schedule, set) = (asked.schedule.clone(), asked.set.clone());
    match decided(&door, door.api.handle.fire(asked)).await? {
        Fired::Run(run) => {
            let other = run.series.schedule != schedule;
            if other || set.is_some_and(|set| set != run.series.set) {
                return Err(wrong(
                    Code::Refused,
                    format!("the key belongs to another run: {run}"),
                    "take a new key for a new run",
                ));
            }
            let run = run.to_string();
            Ok(Json(FiredView { run }))
        }
        Fired::Refused { message, hint } => Err(wrong(Code::Refused, message, hint)),
    }
}

async fn act<B: Asked>(
    State(door): State<Door>,
    Extension(caller): Who,
    request: Request,
) -> Answer {
    let (act, note) = asked::body::<B>(&body(request).await?)?.act()?;
    done(&door, &caller, act, note).await
}

async fn unskip(State(door): State<Door>, Extension(caller): Who, request: Request) -> Answer {
    let (act, note) = asked::unskip(&body(request).await?)?;
    done(&door, &caller, act, note).await
}

async fn retry(door: State<Door>, caller: Who, request: Request) -> Answer {
    again(door, caller, request, How::Retry).await
}

async fn rerun(door: State<Door>, caller: Who, request: Request) -> Answer {
    again(door, caller, request, How::Rerun).await
}

async fn backfill(door: State<Door>, caller: Who, request: Request) -> Answer {
    again(door, caller, request, How::Backfill).await
}

async fn again(
    State(door): State<Door>,
    Extension(caller): Who,
    request: Request,
    how: How,
) -> Answer {
    let asked: AgainBody = asked::body(&body(request).await?)?;
    let (act, note) = asked::again(asked, how)?;
    done(&door, &caller, act, note).await
}

async fn done(door: &Door, caller: &Caller, act: Act, note: Option<String>) -> Answer {
    let by = By::new(&caller.to_string(), note.as_deref());
    let acted = decided(door, door.api.handle.act(act, by)).await?;
    view(acted, Vec::new(), Code::Refused)
}

/// Reads the configuration again. That it is wrong is also told like everything that people must know.
async fn reload(State(door): State<Door>, Extension(caller): Who, request: Request) -> Answer {
    let asked: ReloadBody = asked::body(&body(request).await?)?;
    let by = By::new(&caller.to_string(), asked.note.as_deref());
    let read = door.api.reload.clone();
    let Reread { new, notes } =
        in_time(spawn_blocking(move || read()))
            .await?
            .map_err(|error| {
                wrong(
                    Code::Internal,
                    format!("the configuration cannot be read: {error}"),
                    "this is a bug in nightcall; please report it",
                )
            })?;
    let acted = decided(&door, door.api.handle.reload(new, by)).await?;
    view(acted, notes, Code::Configuration)
}

fn view(acted: Acted, notes: Vec<String>, refused: Code) -> Answer {
    match acted {
        Acted::Done { message, runs } => Ok(Json(ActedView {
            message,
            runs: runs.iter().map(ToString::to_string).collect(),
            notes,
        })),
        Acted::Refused { message, hint } => Err(wrong(refused, message, hint)),
    }
}

/// What the daemon decides, while it does not stop.
async fn decided<T>(
    door: &Door,
    answer: impl Future<Output = Result<T, Undecided>>,
) -> Result<T, Wrong> {
    let last_word = async {
        door.stop.cancelled().await;
        sleep(LAST_WORD).await;
    };
    let decided = tokio::select! {
        decided = in_time(answer) => decided?,
        () = last_word => Err(Undecided::Stopping),
    };
    decided.map_err(|undecided| {
        let (code, hint) = match undecided {
            // It may yet have been taken in: whoever asks again must ask for the same.
            Undecided::Stopping => (Code::NoAnswer, "ask again when it runs again"),
            Undecided::Unusable(_) => (
                Code::Unavailable,
                "ask again when it can; `nightcall status` says when",
            ),
        };
        wrong(code, undecided.to_string(), hint)
    })
}

/// The body, whole and bounded.
async fn body(request: Request) -> Result<Bytes, Wrong> {
    let too_long = || {
        wrong(
            Code::TooLarge,
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
            Code::BodyTimeout,
            format!("the body was not there within {}", words(BODY_WITHIN)),
            "send it again",
        )),
    }
}
