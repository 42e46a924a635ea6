//! One effect in, one input out: asks the vendor and hands the answer to the driver.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::measure::Measures;
use crate::sched::fault::{ConnectionFault, Fault, FaultClass};
use crate::sched::id::ConnectionName;
use crate::sched::step::{
    Answer, Ask, CancelAnswer, Effect, Input, ListAnswer, PollAnswer, SubmitAnswer,
};
use crate::warehouse::{Heard, JobClient};

/// The clients by the name of their connection.
pub type Clients = HashMap<ConnectionName, Arc<dyn JobClient>>;

/// Performs effects, each in a task of its own. There are never more than one a live run and one a connection, since
/// the heart asks only one question at a time.
pub(super) struct Performer {
    clients: Clients,
    answers: mpsc::Sender<Input>,
    measures: Measures,
    tasks: TaskTracker,
}

impl Performer {
    pub(super) fn new(clients: Clients, answers: mpsc::Sender<Input>, measures: Measures) -> Self {
        Self {
            clients,
            answers,
            measures,
            tasks: TaskTracker::new(),
        }
    }

    /// From now on these are asked; what is under way is answered by the former ones.
    pub(super) fn exchange(&mut self, clients: Clients) {
        self.clients = clients;
    }

    /// Asks the vendor; replies to people are not performed here.
    pub(super) fn perform(&self, effect: Effect) {
        let Some(name) = connection(&effect) else {
            return;
        };
        let (client, answers) = (self.clients.get(name).cloned(), self.answers.clone());
        let measures = self.measures.clone();
        self.tasks.spawn(async move {
            let input = match &client {
                Some(client) => {
                    let since = Instant::now();
                    let input = ask(client.as_ref(), &effect).await;
                    measures.answered(&effect, since.elapsed());
                    input
                }
                None => no_client(&effect),
            };
            // Boxed: room for the answer would make each task that waits twice as large.
            let input = input.map(Box::new);
            // The driver is gone only when the process ends.
            if let Some(input) = input
                && let Ok(place) = answers.reserve().await
            {
                place.send(*input);
            }
        });
    }
}

/// Whom it asks, if it is a question to a vendor.
fn connection(effect: &Effect) -> Option<&ConnectionName> {
    match effect {
        Effect::Ask { connection, .. } => Some(connection),
        Effect::List { key, .. } => Some(&key.connection),
        Effect::Reply { .. } | Effect::Acted { .. } => None,
    }
}

/// The effect is borrowed, since many tasks of a herd wait in here and none is to hold it twice.
async fn ask(client: &dyn JobClient, effect: &Effect) -> Option<Input> {
    let input = match effect {
        Effect::Ask { key, ask, .. } => {
            let (answer, date) = match ask {
                Ask::Submit(submission) => {
                    let Heard { answer, date } = client.submit(submission).await;
                    (Answer::Submit(answer), date)
                }
                Ask::Poll(target, job) => {
                    let Heard { answer, date } = client.poll(target, job).await;
                    (Answer::Poll(answer), date)
                }
                Ask::Cancel(target, job) => {
                    let Heard { answer, date } = client.cancel(target, job).await;
                    (Answer::Cancel(answer), date)
                }
            };
            let key = key.clone();
            Input::Answer { key, answer, date }
        }
        Effect::List { key, target, since } => {
            let Heard { answer, date } = client.list(target, *since).await;
            let key = key.clone();
            Input::Listed { key, answer, date }
        }
        Effect::Reply { .. } | Effect::Acted { .. } => return None,
    };
    Some(input)
}

/// A run whose connection is no longer in the configuration: certainly nothing was sent.
fn no_client(effect: &Effect) -> Option<Input> {
    let name = connection(effect)?;
    let fault = Fault::new(
        FaultClass::Connection(ConnectionFault::Unauthorized),
        "no connection",
        &format!("there is no connection called {name} in the configuration"),
    )
    .with_remedy(format!(
        "put [connection.{name}] back until its runs have ended"
    ));
    let date = None;
    Some(match effect {
        Effect::Ask { key, ask, .. } => {
            let key = key.clone();
            let answer = match ask {
                Ask::Submit(_) => Answer::Submit(SubmitAnswer::Refused(fault)),
                Ask::Poll(..) => Answer::Poll(PollAnswer::NoAnswer(fault)),
                Ask::Cancel(..) => Answer::Cancel(CancelAnswer::NoAnswer(fault)),
            };
            Input::Answer { key, answer, date }
        }
        Effect::List { key, .. } => Input::Listed {
            key: key.clone(),
            answer: ListAnswer::NoAnswer(fault),
            date,
        },
        Effect::Reply { .. } | Effect::Acted { .. } => return None,
    })
}
