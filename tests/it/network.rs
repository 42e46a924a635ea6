//! The network misbehaves, on real sockets: what each question to the vendor is answered with when a connection is
//! refused, reset, silent, slow, cut, garbled, redirected or not what it claims to be; that no request is made twice;
//! and what the whole daemon makes of a minute of such weather.

#![allow(clippy::print_stderr)]

#[path = "network/certificates.rs"]
pub(crate) mod certificates;
#[path = "network/conditions.rs"]
mod conditions;
#[path = "network/herd.rs"]
mod herd;
#[path = "network/http2.rs"]
mod http2;
#[path = "network/late.rs"]
mod late;
#[path = "network/peer.rs"]
mod peer;
#[path = "network/proxy.rs"]
mod proxy;
#[path = "network/reuse.rs"]
mod reuse;
#[path = "network/storm.rs"]
mod storm;
#[path = "network/table.rs"]
mod table;

use std::path::PathBuf;
use std::time::Duration;

use nightcall::sched::call::{Marker, Parameters, Submission, Target};
use nightcall::sched::fault::Fault;
use nightcall::sched::id::JobId;
use nightcall::sched::step::{CancelAnswer, ListAnswer, PollAnswer, SubmitAnswer};
use nightcall::secret::SecretSource;
use nightcall::warehouse::carto::{Carto, CartoCredential, CartoSettings, ClassifyRules};

/// The credential that must stay with the host that it is meant for.
const TOKEN: &str = "eyJ0ZXN0IjoidGhlIGNhbGxlcnMgb3duIHRva2VuIn0";

/// The time limit of a request in these tests.
const LIMIT: Duration = Duration::from_secs(2);

/// A client with the one token, which trusts these certificates too.
fn carto(ca_file: Option<PathBuf>) -> Carto {
    client(
        CartoCredential::Token(SecretSource::Command(vec!["echo".into(), TOKEN.into()])),
        ca_file,
    )
}

/// A client that asks for its token there.
fn carto_by_oauth(token_url: String, ca_file: Option<PathBuf>) -> Carto {
    let credential = CartoCredential::OAuth {
        token_url,
        client_id: "client-1".into(),
        client_secret: SecretSource::Command(vec!["echo".into(), TOKEN.into()]),
        audience: "carto-cloud-native-api".into(),
    };
    client(credential, ca_file)
}

fn client(credential: CartoCredential, ca_file: Option<PathBuf>) -> Carto {
    Carto::new(CartoSettings {
        credential,
        request_timeout: LIMIT,
        ca_file,
        proxy: None,
        rules: ClassifyRules::default(),
    })
    .unwrap()
}

fn target(base_url: &str) -> Target {
    Target {
        base_url: base_url.into(),
        connection: "dw".into(),
    }
}

fn job() -> JobId {
    JobId::new("job_1").unwrap()
}

/// A submission; the attempt tells it from others.
fn submission(base_url: &str, attempt: u32) -> Submission {
    Submission {
        target: target(base_url),
        query: "CALL `a.b.c`(@x)".into(),
        parameters: Parameters::from_json(serde_json::json!({"x": 1}))
            .unwrap()
            .into(),
        marker: Marker {
            instance: "test".into(),
            run: "tick/default@2026-02-03T01:15:00Z".parse().unwrap(),
            attempt,
        },
    }
}

fn with_class(word: &str, fault: &Fault) -> String {
    assert!(!format!("{fault:?}").contains(TOKEN), "{fault:?}");
    format!("{word} {}", fault.class.word())
}

fn submitted(answer: &SubmitAnswer) -> String {
    match answer {
        SubmitAnswer::Accepted(_) => "accepted".into(),
        SubmitAnswer::Refused(fault) => with_class("refused", fault),
        SubmitAnswer::Unsure(fault) => with_class("unsure", fault),
    }
}

fn polled(answer: &PollAnswer) -> String {
    match answer {
        PollAnswer::Working { .. } => "working".into(),
        PollAnswer::Succeeded => "succeeded".into(),
        PollAnswer::Cancelled => "cancelled".into(),
        PollAnswer::Failed(fault) => with_class("failed", fault),
        PollAnswer::Gone(fault) => with_class("gone", fault),
        PollAnswer::NoAnswer(fault) => with_class("no answer", fault),
    }
}

fn cancelled(answer: &CancelAnswer) -> String {
    match answer {
        CancelAnswer::Noted => "noted".into(),
        CancelAnswer::NoAnswer(fault) => with_class("no answer", fault),
    }
}

fn listed(answer: &ListAnswer) -> String {
    match answer {
        ListAnswer::Jobs(jobs) => format!("{} jobs", jobs.len()),
        ListAnswer::Unsupported(fault) => with_class("unsupported", fault),
        ListAnswer::NoAnswer(fault) => with_class("no answer", fault),
    }
}
