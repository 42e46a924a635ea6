//! A vendor that does not take `metadata`: the one other reason for which a creation leaves twice.

use nightcall::sched::step::SubmitAnswer;
use nightcall::warehouse::JobClient;

use super::vendor::{Act, Seen, Vendor, json};
use super::*;

const REFUSED: &str = r#"{"error": "\"metadata\" is not allowed", "status": 400}"#;

fn is_marked(seen: &Seen) -> bool {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    body.get("metadata").is_some()
}

/// Which submissions arrived, in their order, by whether they had the field.
fn marked(vendor: &Vendor) -> Vec<bool> {
    vendor.seen().iter().map(is_marked).collect()
}

/// Refuses the field; a creation without it has this end.
async fn strict(bare: impl Fn() -> Act + Send + Sync + 'static) -> Vendor {
    Vendor::start(move |seen| match is_marked(seen) {
        true => json(400, REFUSED),
        false => bare(),
    })
    .await
}

async fn submitted(carto: &Carto, vendor: &Vendor) -> String {
    submit_told(&carto.submit(&submission(&vendor.url())).await.answer)
}

#[tokio::test]
async fn a_refused_field_is_left_out_once_and_for_the_life_of_the_client() {
    let vendor = strict(|| json(200, &golden("created_bigquery"))).await;
    let carto = carto();
    let accepted = format!("accepted {}", job());
    assert_eq!(submitted(&carto, &vendor).await, accepted);
    assert_eq!(marked(&vendor), [true, false]);
    assert_eq!(submitted(&carto, &vendor).await, accepted);
    assert_eq!(marked(&vendor), [true, false, false]);

    let seen = vendor.seen();
    let body = |index: usize| -> serde_json::Value {
        let mut body: serde_json::Value = serde_json::from_slice(&seen[index].body).unwrap();
        body.as_object_mut().unwrap().shift_remove("metadata");
        body
    };
    assert_eq!(body(0), body(1), "nothing else changes");
    let other = super::carto();
    assert_eq!(submitted(&other, &vendor).await, accepted);
    assert_eq!(marked(&vendor), [true, false, false, true, false]);
}

#[tokio::test]
async fn a_creation_without_the_field_is_never_repeated() {
    for (bare, told) in [
        ((|| Act::Close) as fn() -> Act, "unsure transient"),
        (|| json(502, ""), "unsure transient"),
        (|| json(400, REFUSED), "refused permanent"),
        (|| json(429, ""), "refused too_many_requests"),
    ] {
        let vendor = strict(bare).await;
        let answer = submitted(&carto(), &vendor).await;
        assert!(answer.starts_with(told), "{answer}");
        assert_eq!(marked(&vendor), [true, false], "{answer}");
    }
}

#[tokio::test]
async fn a_field_that_was_not_the_reason_is_sent_again() {
    // A statement may speak of metadata too.
    let vendor = Vendor::start(|_| json(400, r#"{"error": "Not found: Table d.metadata"}"#)).await;
    let carto = carto();
    for _ in 0..2 {
        let answer = carto.submit(&submission(&vendor.url())).await.answer;
        let SubmitAnswer::Refused(fault) = answer else {
            panic!("not refused: {answer:?}");
        };
        assert!(fault.message.contains("d.metadata"), "{fault}");
    }
    assert_eq!(marked(&vendor), [true, false, true, false]);
}

#[tokio::test]
async fn no_other_refusal_is_repeated_and_no_other_status() {
    for (status, body) in [
        (400, r#"{"error": "Syntax error: Unexpected keyword"}"#),
        (400, ""),
        (400, "<html><title>Bad Request</title></html>"),
        (403, REFUSED),
        (404, REFUSED),
        (422, REFUSED),
        (429, REFUSED),
        (500, REFUSED),
        (503, REFUSED),
        (200, REFUSED),
    ] {
        let vendor = Vendor::start(move |_| json(status, body)).await;
        let answer = submitted(&carto(), &vendor).await;
        assert!(!answer.starts_with("accepted"), "{answer}");
        assert_eq!(marked(&vendor), [true], "{status} {body}");
    }
}
