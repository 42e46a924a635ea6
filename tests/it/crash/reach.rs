//! How each boundary is reached from outside. A request or a reply is held up by the vendor. A commit is held up by the
//! write lock of the database, which the test takes. That a commit has been made is seen by reading the database.

use std::time::Duration;

use nightcall::sandbox::{Entry, Fault, Operation, Rule};
use nightcall::sched::time::Timestamp;

use super::boundary::{Boundary, Hit, late_reply};
use super::dice::Dice;
use super::life::{self, BACKOFF, FIRST_POLL, LIMITED, Life, pause, since, sleep_past};
use super::program::Row;

/// Longer than a daemon lives after that.
const AGES: Duration = Duration::from_secs(3600);
/// When a boundary is not reached within this time, another life may have more luck.
const PATIENCE: Duration = Duration::from_secs(12);
/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// A reply that does not come before the kill.
fn held_reply() -> Fault {
    Fault::LateReply(AGES)
}

impl Boundary {
    /// Brings the daemon there, or somewhere else when that takes too long.
    pub(super) async fn reach(self, life: &Life<'_>, dice: &mut Dice) -> Hit {
        let reached = tokio::time::timeout(PATIENCE, self.go(life, dice)).await;
        reached.unwrap_or_else(|_| Hit::nowhere())
    }

    async fn go(self, life: &Life<'_>, dice: &mut Dice) -> Hit {
        use Operation as O;
        let first = |row: &Row| row.is("submitting", 1);
        let running = |row: &Row| row.state == "running";
        let cancelling = |row: &Row| row.state == "cancelling";
        match self {
            Self::IntentUnwritten => intent_unwritten(life).await,
            Self::IntentAtOnce => intent_at_once(dice.between(0, 8_000)).await,
            Self::IntentWritten => intent_written(life).await,
            Self::RequestLost => held(life, O::Create, Fault::Silence, "plain/", first).await,
            Self::RequestLate => {
                let late = Duration::from_millis(dice.between(100, 900));
                held(life, O::Create, Fault::LateHandling(late), "plain/", first).await
            }
            Self::ReplyHeld => held(life, O::Create, held_reply(), "plain/", first).await,
            Self::ReplyUnwritten => heard(life, O::Create, "plain/", first).await,
            Self::ReplyWritten => Hit::at(&life.fresh("plain", "running").await),
            Self::PollHeld => held(life, O::Read, Fault::Silence, "plain/a@", running).await,
            Self::EndUnwritten => heard(life, O::Read, "plain/b@", running).await,
            Self::EndWritten => Hit::at(&life.fresh("plain", "finished").await),
            Self::FailureUnwritten => {
                let first = |row: &Row| row.is("running", 1);
                heard(life, O::Read, "retried/", first).await
            }
            Self::BackoffWritten => Hit::at(&backoff(life).await),
            Self::SecondIntentUnwritten => second_intent_unwritten(life).await,
            Self::SecondIntentWritten => second_intent_written(life).await,
            Self::SecondRequestLost => second(life, Fault::Silence).await,
            Self::SecondReplyHeld => second(life, held_reply()).await,
            Self::CancelUnwritten => cancel_unwritten(life).await,
            Self::CancelWritten => cancel_written(life).await,
            Self::CancelLost => held(life, O::Cancel, Fault::Silence, "limited/", cancelling).await,
            Self::CancelHeld => held(life, O::Cancel, held_reply(), "limited/", cancelling).await,
            Self::CancelAnswered => {
                let (entry, _) = life.held(O::Cancel, None, cancelling).await;
                Hit::at_entry(&entry)
            }
            Self::StopUnwritten => stop_unwritten(life).await,
            Self::DoubtListHeld | Self::StartListHeld => {
                Hit::at_entry(&list(life, &Fault::Silence).await)
            }
            Self::DoubtListUnwritten | Self::StartListUnwritten => {
                let entry = list(life, &late_reply()).await;
                let lock = life.lock();
                life.heard(&entry).await;
                Hit::at_entry(&entry).locked(lock)
            }
            Self::StartHeld => start_held(life).await,
            Self::StartAnywhere => anywhere(dice.between(0, 250)).await,
            Self::Anywhere => anywhere(dice.between(0, 900)).await,
        }
    }
}

/// A request about a run of this series, held up.
async fn held(
    life: &Life<'_>,
    operation: Operation,
    fault: Fault,
    of: &str,
    fits: impl Fn(&Row) -> bool,
) -> Hit {
    life::arm(
        life.world,
        [Rule::on(operation, fault.clone()).run(of.to_owned())],
    );
    let (entry, _) = life.held(operation, Some(&fault), fits).await;
    Hit::at_entry(&entry)
}

/// A reply about a run of this series that is received while nothing can be committed.
async fn heard(
    life: &Life<'_>,
    operation: Operation,
    of: &str,
    fits: impl Fn(&Row) -> bool,
) -> Hit {
    let fault = late_reply();
    life::arm(
        life.world,
        [Rule::on(operation, fault.clone()).run(of.to_owned())],
    );
    loop {
        let (entry, row) = life.held(operation, Some(&fault), &fits).await;
        let lock = life.lock();
        if life.look().run(&row.id).as_ref() == Some(&row) {
            life.heard(&entry).await;
            return Hit::at_entry(&entry).locked(lock);
        }
    }
}

async fn intent_unwritten(life: &Life<'_>) -> Hit {
    let due = (life::now() / SECOND + 1) * SECOND;
    sleep_past(due - SECOND, Duration::from_millis(700)).await;
    let lock = life.lock();
    sleep_past(due, Duration::from_millis(20)).await;
    assert!(life.program.waits_for_lock().await, "nothing is planned");
    let due = Timestamp::from_nanosecond(due.into()).unwrap();
    Hit::at_run(format!("plain/a@{due}")).locked(lock)
}

/// The time at which much is due has come; the commit takes a few milliseconds from then.
async fn intent_at_once(microseconds: u64) -> Hit {
    let due = (life::now() / SECOND + 1) * SECOND;
    sleep_past(due - SECOND, Duration::from_millis(980)).await;
    let moment = due + i64::try_from(microseconds * 1000).unwrap();
    while life::now() < moment {
        std::hint::spin_loop();
    }
    let due = Timestamp::from_nanosecond(due.into()).unwrap();
    Hit::at_run(format!("plain/a@{due}"))
}

/// No new token comes from now on. Waits until a run is in this state although the request that follows it has not
/// left. `None` when nobody needed a new token in time. When it came too late for this run, the witness will say so.
async fn waits_for_token(
    life: &Life<'_>,
    (schedule, state, attempt): (&str, &str, u32),
    limit: Duration,
) -> Option<Hit> {
    let (armed, start) = (life::requests(life.world), life::now());
    life::arm(life.world, [Rule::on(Operation::Token, Fault::Silence)]);
    let mut last = None;
    while since(start) < limit {
        let rows = life.look().in_state(schedule, state);
        let new = |row: &&Row| row.attempt == attempt && row.changed > start;
        last = rows.into_iter().rev().find(|row| new(&row)).or(last);
        let asked = life.entry(armed, |e| e.fault == Some(Fault::Silence.word()));
        if let (Some(row), Some(_)) = (&last, asked)
            && since(row.changed) > Duration::from_millis(40)
        {
            return Some(Hit::at(row));
        }
        pause().await;
    }
    // The next token comes later, so that the one after it is needed at another point of the second.
    life::arm(life.world, [Rule::on(Operation::Token, late_reply())]);
    None
}

async fn intent_written(life: &Life<'_>) -> Hit {
    loop {
        let second = life::now() / SECOND * SECOND;
        sleep_past(second, Duration::from_millis(700)).await;
        let limit = Duration::from_millis(500);
        let run = ("plain", "submitting", 1);
        if let Some(hit) = waits_for_token(life, run, limit).await {
            return hit;
        }
    }
}

async fn second_intent_written(life: &Life<'_>) -> Hit {
    loop {
        backoff(life).await;
        let limit = BACKOFF + Duration::from_millis(100);
        let run = ("retried", "submitting", 2);
        if let Some(hit) = waits_for_token(life, run, limit).await {
            return hit;
        }
    }
}

async fn cancel_written(life: &Life<'_>) -> Hit {
    loop {
        life.fresh("limited", "running").await;
        let limit = LIMITED + Duration::from_millis(100);
        let run = ("limited", "cancelling", 1);
        if let Some(hit) = waits_for_token(life, run, limit).await {
            return hit;
        }
    }
}

/// A run whose first job has just failed.
async fn backoff(life: &Life<'_>) -> Row {
    loop {
        let row = life.fresh("retried", "backoff").await;
        let made = accepted(life, &row.id, 1);
        if row.attempt == 1 && row.failures == 1 && made == 1 {
            return row;
        }
        pause().await;
    }
}

async fn second_intent_unwritten(life: &Life<'_>) -> Hit {
    loop {
        let row = backoff(life).await;
        let lock = life.lock();
        if life.look().run(&row.id).as_ref() == Some(&row) {
            sleep_past(row.changed, BACKOFF + Duration::from_millis(20)).await;
            assert!(life.program.waits_for_lock().await, "no retry is due");
            return Hit::at(&row).locked(lock);
        }
    }
}

async fn second(life: &Life<'_>, fault: Fault) -> Hit {
    let row = backoff(life).await;
    let second = |row: &Row| row.is("submitting", 2);
    held(life, Operation::Create, fault, &row.id, second).await
}

async fn cancel_unwritten(life: &Life<'_>) -> Hit {
    loop {
        let row = life.fresh("limited", "running").await;
        let lock = life.lock();
        if life.look().run(&row.id).as_ref() == Some(&row) {
            sleep_past(row.changed, LIMITED + Duration::from_millis(20)).await;
            assert!(life.program.waits_for_lock().await, "no time limit passes");
            return Hit::at(&row).locked(lock);
        }
    }
}

async fn stop_unwritten(life: &Life<'_>) -> Hit {
    let cancelling = |row: &Row| row.state == "cancelling";
    let (_, row) = life.held(Operation::Cancel, None, cancelling).await;
    heard(life, Operation::Read, &row.id, cancelling).await
}

async fn list(life: &Life<'_>, fault: &Fault) -> Entry {
    let this = |e: &Entry| e.operation == Operation::List && e.fault == Some(fault.word());
    life.until("a list that is held up", || life.entry(life.began, this))
        .await
}

/// The lock has been held since before the start.
async fn start_held(life: &Life<'_>) -> Hit {
    let marked = format!("{}.lock", life.database().display());
    let pid = life.program.pid().to_string();
    life.until("a daemon that begins", || {
        let text = std::fs::read_to_string(&marked).unwrap_or_default();
        (text.trim() == pid).then_some(())
    })
    .await;
    tokio::time::sleep(FIRST_POLL).await;
    Hit::nowhere()
}

async fn anywhere(milliseconds: u64) -> Hit {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Hit::nowhere()
}

fn accepted(life: &Life<'_>, run: &str, attempt: u32) -> usize {
    life.world
        .sandbox
        .world()
        .with(|w| w.accepted(run, attempt))
}
