//! Names and ids: what reads is written back to the same, in a form that keys, addresses and file names can hold.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use nightcall::sched::id::{
    ClientKey, ConnectionName, JobId, RunId, RunKind, ScheduleName, SeriesId, SetName,
};

/// Every line of the text is tried as every kind of name.
pub fn ids(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.split('\n') {
        name::<ScheduleName>(line);
        name::<SetName>(line);
        name::<ConnectionName>(line);
        name::<ClientKey>(line);
        series(line);
        run(line);
        job(line);
    }
}

/// What is refused quotes a bounded part; what is taken is written as it was.
fn name<T: FromStr + Display>(text: &str)
where
    T::Err: Debug + Display,
{
    match text.parse::<T>() {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            assert!((1..=100).contains(&text.len()) && text.is_ascii());
        }
        Err(error) => assert!(error.to_string().len() <= 4096, "{error}"),
    }
}

fn series(text: &str) {
    match text.parse::<SeriesId>() {
        Ok(id) => assert_eq!(id.to_string(), text),
        Err(error) => assert!(error.to_string().len() <= 4096, "{error}"),
    }
}

/// An instant may be written in several ways; once written by us it stays.
fn run(text: &str) {
    let id: RunId = match text.parse() {
        Ok(id) => id,
        Err(error) => {
            assert!(error.to_string().len() <= 4096, "{error}");
            return;
        }
    };
    let written = id.to_string();
    assert_eq!(
        written.parse().as_ref(),
        Ok(&id),
        "{written} reads as another"
    );
    assert!(written.bytes().all(|b| b.is_ascii_graphic()), "{written:?}");
    assert!(written.len() <= 400, "{written}");
    let series: SeriesId = id
        .series
        .to_string()
        .parse()
        .expect("its series reads back");
    assert_eq!(series, id.series);
    let planned = RunId::planned(series, id.instant);
    assert_eq!(planned == id, id.kind == RunKind::Generation(0));
    assert_eq!(
        planned.to_string() == written,
        planned == id,
        "two ids, one text"
    );
}

fn job(text: &str) {
    match JobId::new(text) {
        Some(id) => {
            assert_eq!(id.as_str(), text);
            assert!((1..=JobId::MAX).contains(&text.len()));
            assert!(!text.contains(char::is_control));
        }
        None => assert!(
            text.is_empty() || text.len() > JobId::MAX || text.contains(char::is_control),
            "{text:?} is an id"
        ),
    }
}
