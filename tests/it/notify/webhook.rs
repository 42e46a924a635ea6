//! The webhook.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use nightcall::notify::setup::{Reach, SetupError};
use nightcall::notify::webhook::{Webhook, WebhookSettings};
use nightcall::secret::SecretSource;

use super::{
    TELLING, as_heard, given_up, golden, herd, huge, missing, one, retried, secret, short, told,
};
use crate::network::certificates::{Authority, Kind};
use crate::support::receiver::{Answer, Heard, Receiver, status};

/// Two secrets: a token in the path, and the one to sign with.
fn settings(receiver: &Receiver) -> WebhookSettings {
    WebhookSettings {
        url: secret(&receiver.url(&format!("/hooks/{TELLING}?key=q-{TELLING}"))),
        secret: Some(secret(&format!("whsec-{TELLING}"))),
        reach: Reach::default(),
    }
}

fn hook(receiver: &Receiver) -> Webhook {
    Webhook::new(settings(receiver)).unwrap()
}

fn impatient(receiver: &Receiver) -> Webhook {
    let reach = short();
    Webhook::new(WebhookSettings {
        reach,
        ..settings(receiver)
    })
    .unwrap()
}

/// What a receiver does to verify.
fn verified(heard: &Heard, secret: &str) -> bool {
    let timestamp = heard.header("x-nightcall-timestamp").unwrap();
    let signature = heard.header("x-nightcall-signature").unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}.{}", heard.body).as_bytes());
    let hex: Vec<String> = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    signature == format!("v1={}", hex.concat())
}

#[tokio::test]
async fn what_arrives() {
    let receiver = Receiver::always(status(204)).await;
    told(&hook(&receiver), &one()).await.unwrap();
    golden("webhook", &as_heard(&receiver));
}

#[tokio::test]
async fn a_signature_is_of_this_body_and_this_moment() {
    let receiver = Receiver::always(status(200)).await;
    told(&hook(&receiver), &one()).await.unwrap();
    let mut heard = receiver.heard().remove(0);
    let key = format!("whsec-{TELLING}");
    assert!(verified(&heard, &key));
    assert!(!verified(&heard, "another"));
    let then: i64 = heard
        .header("x-nightcall-timestamp")
        .unwrap()
        .parse()
        .unwrap();
    assert!((jiff::Timestamp::now().as_second() - then).abs() < 60);
    heard.body.push(' ');
    assert!(!verified(&heard, &key));
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let receiver = Receiver::always(status(200)).await;
    let settings = WebhookSettings {
        secret: None,
        ..settings(&receiver)
    };
    told(&Webhook::new(settings).unwrap(), &one())
        .await
        .unwrap();
    assert_eq!(receiver.heard()[0].header("x-nightcall-signature"), None);
}

#[tokio::test]
async fn two_sendings_of_a_message_have_one_id() {
    let receiver = Receiver::always(status(500)).await;
    let hook = hook(&receiver);
    for _ in 0..2 {
        retried(told(&hook, &one()).await);
    }
    let heard = receiver.heard();
    let ids: Vec<_> = heard
        .iter()
        .map(|heard| heard.header("x-nightcall-id"))
        .collect();
    assert_eq!(ids, [Some(one().id.as_str()); 2]);
    assert_eq!(heard[0].body, heard[1].body);
}

#[tokio::test]
async fn what_somebody_can_mend_is_tried_again() {
    for code in [
        301, 302, 401, 403, 404, 405, 408, 410, 425, 429, 500, 502, 503, 504,
    ] {
        let receiver = Receiver::always(status(code)).await;
        let (why, after) = retried(told(&hook(&receiver), &one()).await);
        assert!(why.contains(&format!("answered {code}")), "{why}");
        assert_eq!(after, None);
        assert_eq!(receiver.heard().len(), 1, "{code} is not repeated here");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_is_given_up_with_the_receivers_words() {
    for code in [400, 413, 415, 422] {
        let words = "{\"error\":\"no field 'x'\"}\n\u{1b}[31m".to_owned();
        let receiver = Receiver::always(Answer::Say(code, &[], words)).await;
        let why = given_up(told(&hook(&receiver), &one()).await);
        assert!(why.contains("no field 'x'"), "{why}");
        assert!(!why.contains('\u{1b}'), "{why:?}");
    }
}

#[tokio::test]
async fn the_receiver_says_how_long_to_wait_within_reason() {
    let cases: [(&'static [&'static str], u64); 3] = [
        (&["Retry-After: 90"], 90),
        (&["Retry-After: 99999999999"], 3_600),
        (
            &[
                "Retry-After: Mon, 30 Nov 2026 02:05:00 GMT",
                "Date: Mon, 30 Nov 2026 02:00:00 GMT",
            ],
            300,
        ),
    ];
    for (headers, seconds) in cases {
        for code in [429, 503] {
            let receiver = Receiver::always(Answer::Say(code, headers, String::new())).await;
            let (_, after) = retried(told(&hook(&receiver), &one()).await);
            assert_eq!(after, Some(Duration::from_secs(seconds)));
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver =
        Receiver::always(Answer::Say(307, &["Location: /elsewhere"], String::new())).await;
    let (why, _) = retried(told(&hook(&receiver), &one()).await);
    assert!(why.contains("put the final address"), "{why}");
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_the_time_limit_and_no_more() {
    let receiver = Receiver::always(Answer::Hang).await;
    let (why, _) = retried(told(&impatient(&receiver), &one()).await);
    assert_eq!(why, "no answer within 0.4 s");
}

#[tokio::test]
async fn a_secret_that_takes_for_ever_costs_the_time_limit_and_no_more() {
    let receiver = Receiver::always(status(200)).await;
    let slow = SecretSource::Command(["sleep", "60"].map(String::from).to_vec());
    let settings = WebhookSettings {
        url: slow,
        secret: None,
        reach: short(),
    };
    retried(told(&Webhook::new(settings).unwrap(), &one()).await);
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_read_only_as_far_as_needed() {
    let receiver = Receiver::always(Answer::Endless(200)).await;
    told(&hook(&receiver), &one()).await.unwrap();
    let receiver = Receiver::always(Answer::Endless(500)).await;
    retried(told(&hook(&receiver), &one()).await);
}

#[tokio::test]
async fn an_answer_that_stalls_is_known_by_its_status() {
    let receiver = Receiver::always(Answer::Stall(200)).await;
    told(&hook(&receiver), &one()).await.unwrap();
    let receiver = Receiver::always(Answer::Stall(422)).await;
    let why = given_up(told(&hook(&receiver), &one()).await);
    assert!(why.contains("only this"), "{why}");
}

#[tokio::test]
async fn nobody_there_is_tried_again() {
    let receiver = Receiver::always(Answer::Drop).await;
    let (why, _) = retried(told(&hook(&receiver), &one()).await);
    assert!(why.starts_with("the connection broke off"), "{why}");
    let gone = hook(&receiver);
    drop(receiver);
    let (why, _) = retried(told(&gone, &one()).await);
    assert!(
        why.starts_with("no connection") || why.starts_with("the connection"),
        "{why}"
    );
}

#[tokio::test]
async fn three_megabytes_of_text_arrive_cut() {
    let receiver = Receiver::always(status(200)).await;
    told(&hook(&receiver), &huge()).await.unwrap();
    let heard = receiver.heard().remove(0);
    assert!(heard.body.len() < 512 << 10, "{}", heard.body.len());
    let json = heard.json();
    assert_eq!(json["items"].as_array().unwrap().len(), 20);
    assert_eq!(json["more"], 10);
    assert!(
        json["items"][0]["body"]
            .as_str()
            .unwrap()
            .ends_with("bytes in all)")
    );
    told(&hook(&receiver), &herd(200)).await.unwrap();
    assert_eq!(receiver.heard()[1].json()["more"], 180);
}

#[tokio::test]
async fn a_receiver_that_repeats_everything_gives_no_secret_away() {
    for code in [400, 500] {
        let receiver = Receiver::always(Answer::Echo(code)).await;
        let error = told(&hook(&receiver), &one())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("[secret]"), "{error}");
    }
    let words = format!("no hook /hooks/{TELLING}, no secret whsec-{TELLING}, no key q-{TELLING}");
    let receiver = Receiver::always(Answer::Say(404, &[], words)).await;
    let (why, _) = retried(told(&hook(&receiver), &one()).await);
    assert_eq!(why.matches("[secret]").count(), 3, "{why}");
}

#[tokio::test]
async fn a_missing_secret_is_a_plain_reason_and_nothing_is_lost() {
    let receiver = Receiver::always(status(200)).await;
    let nowhere = WebhookSettings {
        url: missing(),
        ..settings(&receiver)
    };
    let unsigned = WebhookSettings {
        secret: Some(missing()),
        ..settings(&receiver)
    };
    for settings in [nowhere, unsigned] {
        let (why, _) = retried(told(&Webhook::new(settings).unwrap(), &one()).await);
        assert!(
            why.starts_with("file /nowhere/secret cannot be read"),
            "{why}"
        );
    }
    let settings = WebhookSettings {
        url: secret(&format!("hooks.example.com/{TELLING}")),
        ..settings(&receiver)
    };
    let (why, _) = retried(told(&Webhook::new(settings).unwrap(), &one()).await);
    assert_eq!(
        why,
        "command echo holds no http or https URL: put the whole address there, beginning with https://"
    );
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn a_secret_that_was_changed_is_used_at_the_next_sending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing");
    let receiver = Receiver::always(status(200)).await;
    let settings = WebhookSettings {
        secret: Some(SecretSource::File(path.clone())),
        ..settings(&receiver)
    };
    let hook = Webhook::new(settings).unwrap();
    for key in ["the first secret", "the second secret"] {
        std::fs::write(&path, key).unwrap();
        told(&hook, &one()).await.unwrap();
        assert!(verified(receiver.heard().last().unwrap(), key));
    }
}

#[tokio::test]
async fn a_certificate_is_believed_when_its_authority_is_named() {
    let authority = Authority::new();
    let receiver =
        Receiver::encrypted(authority.acceptor(Kind::Good, &["http/1.1"]), status(200)).await;
    let url = secret(&format!("https://{}/hooks/{TELLING}", receiver.address));
    let with = |ca_file| WebhookSettings {
        url: url.clone(),
        secret: None,
        reach: Reach {
            ca_file,
            ..Reach::default()
        },
    };
    let (why, _) = retried(told(&Webhook::new(with(None)).unwrap(), &one()).await);
    assert!(why.contains("set `ca_file`"), "{why}");
    told(&Webhook::new(with(Some(authority.file()))).unwrap(), &one())
        .await
        .unwrap();
    let missing = Webhook::new(with(Some("/nowhere/ca.pem".into()))).err();
    assert!(
        matches!(missing, Some(SetupError::CaFile { .. })),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_proxy_is_asked_when_it_is_named_and_never_shown() {
    let proxy = Receiver::always(status(200)).await;
    let with = |proxy: String| WebhookSettings {
        url: secret("http://hooks.invalid/t"),
        secret: None,
        reach: Reach {
            proxy: Some(proxy),
            ..Reach::default()
        },
    };
    told(&Webhook::new(with(proxy.url("/"))).unwrap(), &one())
        .await
        .unwrap();
    assert_eq!(proxy.heard()[0].path, "http://hooks.invalid/t");
    let error = Webhook::new(with(format!("socks9://user:{TELLING}@proxy"))).err();
    assert_eq!(
        error.unwrap().to_string(),
        "`proxy` cannot be used: it is not an http or https URL"
    );
}
