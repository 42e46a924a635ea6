//! What comes back when jobs are listed: tolerant reading, entry by entry.
//!
//! A list decides whether a job that nobody answered for exists, so what it hides matters as much as what it shows:
//! entries that cannot be read are counted, and one of ours among them makes the whole list useless as proof.

use std::borrow::Cow;

use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::wire::{job_id, json};
use crate::sched::call::{APP, ListedJob, Marker};
use crate::sched::time::Timestamp;

/// The most entries of a list that are read; more are not a page but a flood.
const MAX_ENTRIES: usize = 100_000;

/// What a list answer held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The entries that could be read.
    pub jobs: Vec<ListedJob>,
    /// How many could not.
    pub skipped: usize,
    /// Whether one of those bears the name of this product, so that the list cannot show that a job is absent.
    pub skipped_ours: bool,
}

/// Reads a job list: a bare array, or an object that holds it under one of a few names. `None` when there is no
/// list, or one without end. Entries are read one by one, so that a large answer does not become a larger tree.
pub(super) fn read(text: &str) -> Option<Listing> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let listing = reader.deserialize_any(TopLevel).ok()?;
    reader.end().ok()?;
    listing
}

/// An array, or an object around one.
struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = Option<Listing>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of jobs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        read_entries(entries).map(Some)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut listing = None;
        while let Some(key) = fields.next_key::<Cow<'de, str>>()? {
            let wanted = ["data", "jobs", "rows", "items", "results"].contains(&key.as_ref());
            if listing.is_none() && wanted {
                let raw: &RawValue = fields.next_value()?;
                if raw.get().starts_with('[') {
                    let mut inner = serde_json::Deserializer::from_str(raw.get());
                    listing = Some(inner.deserialize_seq(Entries).map_err(A::Error::custom)?);
                }
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(listing)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Listing;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("jobs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Listing, A::Error> {
        read_entries(entries)
    }
}

fn read_entries<'de, A: SeqAccess<'de>>(mut entries: A) -> Result<Listing, A::Error> {
    let mut listing = Listing::default();
    while let Some(raw) = entries.next_element::<&RawValue>()? {
        if listing.jobs.len() + listing.skipped >= MAX_ENTRIES {
            return Err(A::Error::custom("more entries than a list can have"));
        }
        let document = json(raw.get());
        match document.as_ref().and_then(listed_job) {
            Some(job) => listing.jobs.push(job),
            None => {
                listing.skipped += 1;
                // What cannot even be looked into (it may be too deep) is ours when our name is anywhere in it.
                let ours = document.map_or_else(|| raw.get().contains(APP), |d| is_ours(&d));
                listing.skipped_ours |= ours;
            }
        }
    }
    Ok(listing)
}

fn listed_job(document: &Value) -> Option<ListedJob> {
    Some(ListedJob {
        job: job_id(document)?,
        created: ["createdAt", "created_at", "created"]
            .iter()
            .filter_map(|key| document.get(key)?.as_str())
            .find_map(|text| text.parse::<Timestamp>().ok()),
        marker: metadata(document).and_then(|fields| marker(&fields)),
        query: document
            .get("query")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

/// The metadata of a job: an object, or the text of one.
fn metadata(document: &Value) -> Option<Cow<'_, Map<String, Value>>> {
    match document.get("metadata")? {
        Value::Object(fields) => Some(Cow::Borrowed(fields)),
        Value::String(text) => match json(text)? {
            Value::Object(fields) => Some(Cow::Owned(fields)),
            _ => None,
        },
        _ => None,
    }
}

fn is_ours(document: &Value) -> bool {
    metadata(document).is_some_and(|fields| bears_our_name(&fields))
}

fn bears_our_name(fields: &Map<String, Value>) -> bool {
    fields.get("app").and_then(Value::as_str) == Some(APP)
}

fn marker(fields: &Map<String, Value>) -> Option<Marker> {
    if !bears_our_name(fields) {
        return None;
    }
    let attempt = match fields.get("attempt")? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    Some(Marker {
        instance: fields.get("instance")?.as_str()?.to_owned(),
        run: fields.get("run")?.as_str()?.parse().ok()?,
        attempt: attempt.trim_end_matches(".0").parse().ok()?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::sched::id::JobId;

    #[test]
    fn a_deep_list_does_not_exhaust_the_stack() {
        let deep = "[".repeat(500_000);
        assert_eq!(read(&deep), None);
        let closed = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
        assert!(read(&closed).is_none_or(|listing| listing.jobs.is_empty()));
        let hidden = format!(r#"{{"x": {closed}, "jobs": [{{"id": "a", "metadata": {closed}}}]}}"#);
        assert!(read(&hidden).is_none_or(|listing| listing.jobs.is_empty()));
    }

    const OURS: &str = r#"{"externalId": "job_1", "createdAt": "2026-03-01T06:00:01.204Z",
        "query": "CALL f()", "token": "sesame",
        "metadata": {"app": "nightcall", "instance": "prod", "run": "a/default@2026-03-01T06:00:00Z",
                     "attempt": 1}}"#;

    #[test]
    fn a_list_is_read_bare_and_wrapped() {
        let expected = ListedJob {
            job: JobId::new("job_1").unwrap(),
            created: Some("2026-03-01T06:00:01.204Z".parse().unwrap()),
            marker: Some(Marker {
                instance: "prod".into(),
                run: "a/default@2026-03-01T06:00:00Z".parse().unwrap(),
                attempt: 1,
            }),
            query: Some("CALL f()".into()),
        };
        let bare = format!("[{OURS}]");
        let mut shapes = vec![bare.clone()];
        for key in ["data", "jobs", "rows", "items", "results"] {
            shapes.push(format!(
                r#"{{"total": 1, "{key}": {bare}, "page": {{"next": null}}}}"#
            ));
        }
        for shape in shapes {
            let listing = read(&shape).unwrap();
            assert_eq!((listing.jobs, listing.skipped), (vec![expected.clone()], 0));
        }
    }

    #[test]
    fn an_empty_list_is_a_list_and_other_things_are_not() {
        assert_eq!(read("[]"), Some(Listing::default()));
        assert_eq!(read(r#"{"jobs": []}"#), Some(Listing::default()));
        for text in [
            "",
            "{}",
            "7",
            "null",
            r#""jobs""#,
            r#"{"jobs": {}}"#,
            r#"{"error": "x"}"#,
            "<html>",
            "[{\"id\": \"a\"}",
            "[] []",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn entries_that_cannot_be_read_are_counted() {
        let listing = read(r#"[7, null, {}, {"id": ""}, {"id": "a"}]"#).unwrap();
        assert_eq!((listing.jobs.len(), listing.skipped), (1, 4));
        assert!(!listing.skipped_ours);
        let listing = read(r#"[{"metadata": {"app": "nightcall"}}]"#).unwrap();
        assert!(listing.skipped_ours);
    }

    #[test]
    fn an_entry_of_ours_is_never_overlooked_because_of_what_is_beside_the_marker() {
        let with = |beside: &str| {
            read(
                &OURS
                    .replace("{\"externalId\"", &format!("[{{{beside}, \"externalId\""))
                    .replace("\"attempt\": 1}}", "\"attempt\": 1}}]"),
            )
        };
        let cut = with(r#""error": "cut \ud83d""#).unwrap();
        assert_eq!((cut.jobs.len(), cut.jobs[0].marker.is_some()), (1, true));
        let deep = format!(r#""x": {}{}"#, "[".repeat(150), "]".repeat(150));
        assert!(with(&deep).unwrap().skipped_ours);
    }

    #[test]
    fn markers_are_read_back_in_every_form_and_others_are_none() {
        let entry = |metadata: &str| format!(r#"[{{"id": "a", "metadata": {metadata}}}]"#);
        let run = "a/default@2026-03-01T06:00:00Z";
        for metadata in [
            format!(r#"{{"app": "nightcall", "instance": "i", "run": "{run}", "attempt": 3}}"#),
            format!(r#"{{"attempt": "3", "run": "{run}", "instance": "i", "app": "nightcall"}}"#),
            format!(r#"{{"app": "nightcall", "instance": "i", "run": "{run}", "attempt": 3.0}}"#),
            format!(
                r#""{{\"app\": \"nightcall\", \"instance\": \"i\", \"run\": \"{run}\", \"attempt\": 3}}""#
            ),
        ] {
            let listing = read(&entry(&metadata)).unwrap();
            let marker = listing.jobs[0].marker.clone();
            assert_eq!(
                marker.map(|m| (m.attempt, m.run.to_string())),
                Some((3, run.into()))
            );
        }
        for metadata in [
            "{}",
            "null",
            "7",
            r#""nightcall""#,
            r#"{"app": "other", "instance": "i", "run": "a/b@2026-03-01T06:00:00Z", "attempt": 1}"#,
            r#"{"app": "nightcall", "instance": "i", "run": "noon", "attempt": 1}"#,
            r#"{"app": "nightcall", "instance": "i", "run": "a/b@2026-03-01T06:00:00Z", "attempt": -1}"#,
            r#"{"app": "nightcall", "run": "a/b@2026-03-01T06:00:00Z", "attempt": 1}"#,
        ] {
            assert_eq!(
                read(&entry(metadata)).unwrap().jobs[0].marker,
                None,
                "{metadata}"
            );
        }
    }

    #[test]
    fn a_flood_of_entries_is_refused() {
        let flood = format!("[{}0]", "0,".repeat(MAX_ENTRIES));
        assert_eq!(read(&flood), None);
    }
}
