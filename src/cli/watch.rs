//! Waiting for one run: its story as it goes on, then how it ended. The run does not depend on who waits.

use std::pin::pin;
use std::time::Duration;

use tokio::signal::ctrl_c;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::exit::{Exit, Failure, Outcome};
use super::progress::LiveLine;
use super::{Context, reach, words as shown};
use crate::control::client::{Client, ClientError, Following};
use crate::control::wire::{EventView, FaultView, FollowLine, RunView};
use crate::sched::id::RunId;
use crate::sched::time::{TimeZone, Timestamp, between, words};

/// A daemon that went away, as for a restart, is waited for so long …
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// … and looked for so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until the run has ended; Ctrl-C ends the waiting, not the run.
pub(super) async fn watch(
    context: &Context,
    client: &Client,
    run: &RunId,
    zone: TimeZone,
    expected: Option<Duration>,
) -> Outcome {
    let ended = waited(context, client, run, zone, expected).await?;
    judged(context, run, &ended)
}

/// Waits until the run has ended, however.
pub(super) async fn until_ended(
    context: &Context,
    client: &Client,
    run: &RunId,
    zone: TimeZone,
) -> Result<RunView, Failure> {
    waited(context, client, run, zone, None).await
}

async fn waited(
    context: &Context,
    client: &Client,
    run: &RunId,
    zone: TimeZone,
    expected: Option<Duration>,
) -> Result<RunView, Failure> {
    let mut watch = Watch {
        context,
        client,
        run,
        zone,
        told: 0,
        state: String::new(),
        expected,
        live: LiveLine::new(context.out.json),
    };
    tokio::select! {
        ended = watch.until_ended() => ended,
        _ = ctrl_c() => {
            LiveLine::new(context.out.json).clear();
            Err(Failure::new(
                Exit::Failed,
                format!("not waiting any more; {run} goes on"),
                context.next(format_args!("show {run}")),
            ))
        }
    }
}

struct Watch<'a> {
    context: &'a Context,
    client: &'a Client,
    run: &'a RunId,
    zone: TimeZone,
    /// Events that were told; each following begins with the first.
    told: usize,
    /// Where it stands.
    state: String,
    /// How long such runs usually take.
    expected: Option<Duration>,
    live: LiveLine,
}

/// Why the lines of one following ended without the run.
enum Cut {
    /// They cannot be written; nobody reads any more.
    Deaf(Failure),
    Lost(ClientError),
}

impl From<Failure> for Cut {
    fn from(failure: Failure) -> Self {
        Self::Deaf(failure)
    }
}

impl From<ClientError> for Cut {
    fn from(error: ClientError) -> Self {
        Self::Lost(error)
    }
}

impl Watch<'_> {
    async fn until_ended(&mut self) -> Result<RunView, Failure> {
        let mut heard = Instant::now();
        let mut missing = false;
        loop {
            let cut = match self.client.follow(self.run).await {
                Ok(following) => {
                    missing = false;
                    let cut = self.tell(following).await;
                    heard = Instant::now();
                    cut
                }
                Err(error) => Err(error.into()),
            };
            self.live.clear();
            let error = match cut {
                Ok(run) => return Ok(run),
                Err(Cut::Deaf(failure)) => return Err(failure),
                Err(Cut::Lost(error)) => error,
            };
            if !may_come_back(&error) || heard.elapsed() > BACK_WITHIN {
                return Err(self.gave_up(error));
            }
            if !std::mem::replace(&mut missing, true) {
                self.live.note(&format!("{error}; waiting for the daemon"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Tells the lines of one following; gives back the finished run.
    async fn tell(&mut self, mut following: Following) -> Result<RunView, Cut> {
        let mut seen = 0;
        loop {
            match self.next(&mut following).await? {
                FollowLine::Event(event) => {
                    seen += 1;
                    if seen > self.told {
                        self.told = seen;
                        self.event(event)?;
                    }
                }
                FollowLine::Run(run) => {
                    if self.context.out.json {
                        self.context.out.object(&FollowLine::Run(run.clone()))?;
                    }
                    return Ok(*run);
                }
                FollowLine::Error(error) => return Err(ClientError::Lost(error.message).into()),
            }
        }
    }

    /// The next line; until it comes the terminal shows how long that takes.
    async fn next(&mut self, following: &mut Following) -> Result<FollowLine, ClientError> {
        let mut next = pin!(following.next());
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                line = &mut next => return line,
                _ = second.tick() => self.live.wait(&self.state, self.expected),
            }
        }
    }

    fn event(&mut self, event: EventView) -> Result<(), Failure> {
        self.live.clear();
        if self.context.out.json {
            return self.context.out.object(&FollowLine::Event(event));
        }
        self.state = event.state.clone();
        self.context
            .out
            .line(line_of(&event, &self.zone, Timestamp::now()))
    }

    fn gave_up(&self, error: ClientError) -> Failure {
        if !may_come_back(&error) {
            return reach::failure(self.context, error);
        }
        Failure::new(
            Exit::Unavailable,
            format!(
                "{error}; {} is on record and is watched again when the daemon runs",
                self.run
            ),
            self.context.next(format_args!("show {}", self.run)),
        )
    }
}

/// How the command ends that waited for a run.
fn judged(context: &Context, id: &RunId, run: &RunView) -> Outcome {
    let outcome = run.outcome.as_deref().unwrap_or("finished");
    if outcome == "succeeded" {
        if !context.out.json {
            context.out.line(success(run))?;
        }
        return Ok(Exit::Ok);
    }
    let because = match &run.fault {
        Some(fault) => format!(": {}", fault_words(fault)),
        None => run
            .reason
            .as_ref()
            .map_or_else(String::new, |r| format!(": {r}")),
    };
    let remedy = run.fault.as_ref().and_then(|fault| fault.remedy.as_ref());
    let next = context.next(format_args!("why {}", id));
    Err(Failure::new(
        Exit::Failed,
        format!(
            "{} {}{}",
            id,
            outcome.replace('_', " "),
            shown::plain(&because)
        ),
        remedy.map_or_else(|| next.clone(), |remedy| format!("{remedy}\n{next}")),
    ))
}

fn may_come_back(error: &ClientError) -> bool {
    match error {
        ClientError::Lost(_) | ClientError::NoDaemon { .. } => true,
        ClientError::Refused { status, .. } => *status == 503,
        ClientError::Denied { .. } | ClientError::Unreadable(_) => false,
    }
}

fn line_of(event: &EventView, zone: &TimeZone, now: Timestamp) -> String {
    let at = shown::moment_of(&event.at, zone, now);
    let mut line = format!("{at}  {:<12}", event.what);
    if event.attempt > 0 {
        line.push_str(&format!("  attempt {}", event.attempt));
    }
    if let Some(job) = &event.job {
        line.push_str(&format!("  job {job}"));
    }
    let fault = event.fault.as_ref().map(fault_words);
    for part in [event.why.clone(), fault].into_iter().flatten() {
        line.push_str(&format!("  {}", shown::plain(&part)));
    }
    line.trim_end().to_owned()
}

fn fault_words(fault: &FaultView) -> String {
    let at = fault.location.as_ref().map(|place| format!(" at {place}"));
    let reason = &fault.reason;
    match fault.message.as_str() {
        "" => format!("{reason}{}", at.unwrap_or_default()),
        message => format!("{reason}{}: {message}", at.unwrap_or_default()),
    }
}

fn success(run: &RunView) -> String {
    let time = |text: &str| text.parse::<Timestamp>().ok();
    let took = time(&run.due).zip(run.finished.as_deref().and_then(time));
    let took = took.map(|(due, finished)| format!(" after {}", words(between(due, finished))));
    let attempts = match run.attempts {
        0 | 1 => String::new(),
        n => format!(", {n} attempts"),
    };
    format!("succeeded{}{attempts}", took.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn event() -> EventView {
        EventView {
            at: "2026-02-03T01:15:03.5Z".to_owned(),
            what: "refused".to_owned(),
            state: "backoff".to_owned(),
            attempt: 2,
            why: Some("again in 30s".to_owned()),
            fault: Some(FaultView {
                class: "transient".to_owned(),
                reason: "backendError".to_owned(),
                location: Some("query".to_owned()),
                message: "try later".to_owned(),
                remedy: None,
            }),
            job: Some("job_1".to_owned()),
        }
    }

    #[test]
    fn a_line_tells_when_what_and_why() {
        let madrid = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-02-03T02:00:00Z".parse().unwrap();
        assert_eq!(
            line_of(&event(), &madrid, now),
            "Tue 3 Feb 02:15:03 +01:00  refused       attempt 2  job job_1  again in 30s  \
             backendError at query: try later"
        );
        let bare = EventView {
            what: "asked".to_owned(),
            attempt: 0,
            why: None,
            fault: None,
            job: None,
            ..event()
        };
        assert_eq!(
            line_of(&bare, &TimeZone::UTC, now),
            "Tue 3 Feb 01:15:03 +00:00  asked"
        );
    }
}
