//! What the vendor answers, to the four questions.
//!
//! An input is text like an HTTP answer: a line with the status, lines `date: …`, `retry-after: …`, `transient: …`,
//! `permanent: …` (the user's rules) and `cut: broken` or `cut: long`, an empty line, and the body, any bytes. In the
//! body `TOKEN` stands for our own credential, `SLASHED` and `ESCAPED` for two ways in which JSON may write it.

use nightcall::sched::fault::{Fault, MAX_MESSAGE};
use nightcall::sched::step::{CancelAnswer, ListAnswer, PollAnswer, SubmitAnswer};
use nightcall::sched::time::Timestamp;
use nightcall::secret::Secret;
use nightcall::warehouse::carto::ClassifyRules;
use nightcall::warehouse::carto::protocol::{
    Answered, Body, Exchange, cancel, list, poll, refuses_metadata, submit,
};
use serde_json::Value;
use serde_json::value::RawValue;

/// Our credential, with signs that encoders of JSON like to escape.
const TOKEN: &str = "eyJ+c2VzYW1l/b3Blbg==&up<now>";

/// The statuses that say that no job was made.
const NOTHING_MADE: [u16; 9] = [400, 401, 403, 404, 405, 413, 415, 422, 429];

/// Gives the answer to all four readers.
pub fn job(data: &[u8]) {
    let answer = Answer::read(data);
    let rules = &answer.rules;
    let exchange = || Exchange::Answered(answer.answered.clone());
    assert!(!refuses_metadata(&exchange()) || answer.status() == 400);
    submitted(&answer, &submit(exchange(), rules));
    polled(&answer, &poll(exchange(), rules));
    cancelled(&answer, &cancel(exchange(), rules));
    listed(&answer, &list(exchange(), rules));
}

struct Answer {
    answered: Answered,
    rules: ClassifyRules,
    /// The body, when it is whole and JSON.
    document: Option<Value>,
    /// Escapes of the body may be half a character: then it is read, though not here.
    halves: bool,
}

impl Answer {
    fn read(data: &[u8]) -> Self {
        let end = data.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = match end {
            Some(end) => (&data[..end], &data[end + 2..]),
            None => (data, &b""[..]),
        };
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.trim().parse().ok());
        let (mut date, mut retry_after, mut cut) = (None, None, None);
        let mut rules = ClassifyRules::default();
        for (key, value) in lines.filter_map(|line| line.split_once(": ")) {
            match key {
                "date" => date = Some(value),
                "retry-after" => retry_after = Some(value),
                "cut" => cut = Some(value),
                "transient" => rules.transient.push(value.to_owned()),
                "permanent" => rules.permanent.push(value.to_owned()),
                _ => {}
            }
        }
        let secret = Secret::new(TOKEN.to_owned()).expect("it is a credential");
        let body = match cut {
            Some("broken") => Body::Broken("the answer broke off".to_owned()),
            Some("long") => Body::TooLong,
            _ => Body::whole(filled(body), &secret),
        };
        let text = match &body {
            Body::Whole(text) => text.as_str(),
            _ => "",
        };
        let document: Option<Value> = serde_json::from_str(text).ok();
        let halves = document.is_none() && text.to_lowercase().contains("\\ud");
        let status = status.filter(|status| (100..1000).contains(status));
        let now = Timestamp::UNIX_EPOCH;
        Self {
            answered: Answered::new(status.unwrap_or(200), date, retry_after, body, now),
            rules,
            document,
            halves,
        }
    }

    fn status(&self) -> u16 {
        self.answered.status
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }
}

/// The body with our credential where its stand-ins are.
fn filled(body: &[u8]) -> Vec<u8> {
    let escaped: String = TOKEN
        .bytes()
        .map(|b| match b.is_ascii_alphanumeric() {
            true => char::from(b).to_string(),
            false => format!("\\u{b:04x}"),
        })
        .collect();
    let slashed = TOKEN.replace('/', "\\/");
    match std::str::from_utf8(body) {
        Ok(text) => text
            .replace("TOKEN", TOKEN)
            .replace("SLASHED", &slashed)
            .replace("ESCAPED", &escaped)
            .into_bytes(),
        Err(_) => body.to_owned(),
    }
}

fn silent(shown: &str) {
    assert!(!shown.contains(TOKEN), "shows the credential: {shown}");
}

/// A fault is bounded, printable, and silent about the credential.
fn sound(fault: &Fault) {
    silent(&format!("{fault} {fault:?}"));
    let wild = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!fault.to_string().contains(wild), "{fault:?}");
    assert!(
        fault.message.len() <= MAX_MESSAGE,
        "{} bytes",
        fault.message.len()
    );
    assert!(
        !fault.reason.is_empty() && fault.reason.len() <= 256,
        "{fault:?}"
    );
    assert!(
        fault.location.as_ref().is_none_or(|at| at.len() <= 256),
        "{fault:?}"
    );
    let day = std::time::Duration::from_secs(86_400);
    assert!(
        fault.retry_after.is_none_or(|wait| wait <= day),
        "{fault:?}"
    );
}

/// The id is the one of the document; refused is what certainly made no job; the rest is unsure.
fn submitted(answer: &Answer, said: &SubmitAnswer) {
    silent(&format!("{said:?}"));
    match said {
        SubmitAnswer::Accepted(job) => {
            assert!(answer.is_success(), "{said:?}");
            let document = answer.document.as_ref();
            let named = document.is_some_and(|document| names(document, job.as_str()));
            assert!(named || answer.halves, "{job} is not in {document:?}");
        }
        SubmitAnswer::Refused(fault) => {
            assert!(
                NOTHING_MADE.contains(&answer.status()),
                "{} is refused",
                answer.status()
            );
            sound(fault);
        }
        SubmitAnswer::Unsure(fault) => {
            assert!(!NOTHING_MADE.contains(&answer.status()), "{said:?}");
            sound(fault);
        }
    }
}

/// Whether a document has this id under one of its names.
fn names(document: &Value, job: &str) -> bool {
    ["externalId", "jobId", "id"]
        .iter()
        .any(|key| match document.get(key) {
            Some(Value::String(text)) => text.trim() == job,
            Some(Value::Number(number)) => number.to_string() == job,
            _ => false,
        })
}

/// An end is told by a document of a successful answer only, and a job with a final error did not succeed.
fn polled(answer: &Answer, said: &PollAnswer) {
    silent(&format!("{said:?}"));
    let readable = answer.document.as_ref().is_some_and(Value::is_object);
    let believed = answer.is_success() && (readable || answer.halves);
    match said {
        PollAnswer::Working { unknown } => {
            assert!(believed, "{said:?}");
            let word = unknown.as_deref().unwrap_or_default();
            assert!(
                word.len() <= 64 && !word.contains(char::is_control),
                "{word:?}"
            );
        }
        PollAnswer::Succeeded => {
            assert!(believed, "{said:?}");
            let error = answer.document.as_ref().and_then(final_error);
            assert_eq!(error, None, "succeeded with an error");
        }
        PollAnswer::Cancelled => assert!(believed, "{said:?}"),
        PollAnswer::Failed(fault) => {
            assert!(believed, "{said:?}");
            sound(fault);
        }
        PollAnswer::Gone(fault) => {
            assert!([400, 404, 410].contains(&answer.status()), "{said:?}");
            sound(fault);
        }
        PollAnswer::NoAnswer(fault) => {
            assert!(!(answer.is_success() && readable), "{said:?}");
            sound(fault);
        }
    }
}

/// The words of a final error as BigQuery writes it.
fn final_error(document: &Value) -> Option<&str> {
    let error = document.get("status")?.get("errorResult")?;
    let said = |key| error.get(key).and_then(Value::as_str).map(str::trim);
    let words = said("message").or_else(|| said("reason"))?;
    let nothing = words.bytes().all(|b| b == b'0');
    (!nothing).then_some(words)
}

fn cancelled(answer: &Answer, said: &CancelAnswer) {
    silent(&format!("{said:?}"));
    let over = [400, 404, 409, 410].contains(&answer.status());
    match said {
        CancelAnswer::Noted => assert!(answer.is_success() || over, "{said:?}"),
        CancelAnswer::NoAnswer(fault) => {
            assert!(!answer.is_success() && !over, "{said:?}");
            sound(fault);
        }
    }
}

/// A list is believed only whole: with a job of ours that cannot be read it proves nothing.
fn listed(answer: &Answer, said: &ListAnswer) {
    silent(&format!("{said:?}"));
    let jobs = match said {
        ListAnswer::Jobs(jobs) => jobs,
        ListAnswer::Unsupported(fault) | ListAnswer::NoAnswer(fault) => return sound(fault),
    };
    assert!(answer.is_success(), "{said:?}");
    if let Body::Whole(text) = &answer.answered.body {
        overlooks_nothing(text);
    }
    let Some(document) = &answer.document else {
        return;
    };
    assert!(document.is_array() || document.is_object());
    let Some(entries) = document.as_array() else {
        return;
    };
    assert!(jobs.len() <= entries.len());
    let ours = |entry: &&Value| entry["metadata"]["app"] == "nightcall";
    for entry in entries.iter().filter(ours) {
        let read = jobs.iter().any(|job| names(entry, job.job.as_str()));
        assert!(read, "a job of ours is left out of the list: {entry}");
    }
}

/// No entry is ours that cannot be looked into: it may be too deep. (An escape may be half a character, which is read.)
fn overlooks_nothing(text: &str) {
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(text) else {
        return;
    };
    for entry in entries.iter().map(|entry| entry.get()) {
        let closed = serde_json::from_str::<Value>(entry).is_err() && !entry.contains('\\');
        let ours = entry.contains("\"app\": \"nightcall\"");
        assert!(!(closed && ours), "a list is believed with {entry}");
    }
}
