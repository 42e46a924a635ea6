//! Slack, by webhook and as a bot.

use std::time::Duration;

use nightcall::notify::setup::Reach;
use nightcall::notify::slack::{Slack, SlackSettings, SlackWay, payload};
use nightcall::notify::{Notifier, SendError};
use nightcall::secret::SecretSource;

use super::{
    TELLING, as_heard, given_up, golden, herd, huge, missing, one, presentable, retried, secret,
    short, told,
};
use crate::support::receiver::{Answer, Receiver, status};

const TAKEN: &str = r#"{"ok":true,"channel":"C0123","ts":"1764468900.000100"}"#;

fn hook(receiver: &Receiver) -> Slack {
    let url = secret(&receiver.url(&format!("/services/T0/B0/{TELLING}")));
    let way = SlackWay::Webhook { url };
    Slack::new(SlackSettings {
        way,
        reach: Reach::default(),
    })
    .unwrap()
}

fn bot_with(receiver: &Receiver, token: SecretSource, reach: Reach) -> Slack {
    let way = SlackWay::Bot {
        token,
        channel: "C0123".into(),
        api: receiver.url("/api"),
    };
    Slack::new(SlackSettings { way, reach }).unwrap()
}

fn bot(receiver: &Receiver) -> Slack {
    bot_with(
        receiver,
        secret(&format!("xoxb-{TELLING}")),
        Reach::default(),
    )
}

fn says(json: &str) -> Answer {
    Answer::Say(200, &[], json.to_owned())
}

/// A stand-in for Slack that takes what it is told.
async fn slack() -> Receiver {
    Receiver::always(says(TAKEN)).await
}

#[tokio::test]
async fn what_arrives() {
    let receiver = slack().await;
    told(&bot(&receiver), &one()).await.unwrap();
    let heard = as_heard(&receiver).replace(TELLING, "…");
    golden("slack", &heard);
    let receiver = slack().await;
    told(&bot(&receiver), &herd(200)).await.unwrap();
    golden("slack-herd", &as_heard(&receiver).replace(TELLING, "…"));
}

#[tokio::test]
async fn a_webhook_gets_the_same_blocks_without_a_channel() {
    let receiver = Receiver::always(says("ok")).await;
    let sent = told(&hook(&receiver), &one()).await.unwrap();
    assert_eq!(sent.thread, None);
    assert_eq!(receiver.heard()[0].json(), payload(&one()));
}

#[tokio::test]
async fn messages_of_a_thread_hang_together() {
    let receiver = slack().await;
    let bot = bot(&receiver);
    let first = told(&bot, &one()).await.unwrap();
    assert_eq!(first.thread.as_deref(), Some("1764468900.000100"));
    let second = bot.send(&one(), first.thread.as_deref()).await.unwrap();
    assert_eq!(second, first);
    let heard = receiver.heard();
    assert!(heard[0].json().get("thread_ts").is_none());
    assert_eq!(heard[1].json()["thread_ts"], "1764468900.000100");
}

#[tokio::test]
async fn a_thread_that_is_gone_is_begun_anew() {
    let receiver = Receiver::new(|heard| match heard.json().get("thread_ts") {
        Some(_) => says(r#"{"ok":false,"error":"thread_not_found"}"#),
        None => says(TAKEN),
    })
    .await;
    let sent = bot(&receiver).send(&one(), Some("1.2")).await.unwrap();
    assert_eq!(sent.thread.as_deref(), Some("1764468900.000100"));
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test]
async fn what_somebody_can_mend_is_tried_again() {
    for (error, remedy) in [
        ("invalid_auth", "put a valid bot token"),
        ("token_revoked", "put a valid bot token"),
        ("channel_not_found", "invite the bot"),
        ("not_in_channel", "invite the bot"),
        ("is_archived", "name another channel"),
        ("missing_scope", "chat:write"),
        ("internal_error", ""),
        ("something_new", ""),
    ] {
        let answer = says(&format!(r#"{{"ok":false,"error":"{error}"}}"#));
        let receiver = Receiver::always(answer).await;
        let (why, _) = retried(told(&bot(&receiver), &one()).await);
        assert!(why.contains(error) && why.contains(remedy), "{why}");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_is_given_up() {
    for error in ["msg_too_long", "invalid_blocks", "no_text"] {
        let answer = format!(
            r#"{{"ok":false,"error":"{error}","response_metadata":{{"messages":["[ERROR] must be shorter"]}}}}"#
        );
        let receiver = Receiver::always(says(&answer)).await;
        let why = given_up(told(&bot(&receiver), &one()).await);
        assert_eq!(
            why,
            format!("Slack refused: {error} [ERROR] must be shorter")
        );
    }
    let receiver = Receiver::always(Answer::Say(400, &[], "invalid_payload".into())).await;
    let why = given_up(told(&hook(&receiver), &one()).await);
    assert!(why.contains("invalid_payload"), "{why}");
}

#[tokio::test]
async fn slack_says_how_long_to_wait() {
    let limited = r#"{"ok":false,"error":"ratelimited"}"#;
    for (answer, seconds) in [
        (Answer::Say(429, &["Retry-After: 30"], limited.into()), 30),
        (Answer::Say(200, &["Retry-After: 20"], limited.into()), 20),
        (says(limited), 60),
    ] {
        let receiver = Receiver::always(answer).await;
        let (_, after) = retried(told(&bot(&receiver), &one()).await);
        assert_eq!(after, Some(Duration::from_secs(seconds)));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_slacks_took_nothing() {
    for answer in [
        says("<html>please log in</html>"),
        says(""),
        says("{}"),
        Answer::Endless(200),
    ] {
        let receiver = Receiver::always(answer).await;
        retried(told(&bot(&receiver), &one()).await);
    }
    for code in [302, 403, 404, 410, 500] {
        let receiver = Receiver::always(status(code)).await;
        retried(told(&hook(&receiver), &one()).await);
        retried(told(&bot(&receiver), &one()).await);
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_the_time_limit_and_no_more() {
    for answer in [Answer::Hang, Answer::Stall(200), Answer::Drop] {
        let receiver = Receiver::always(answer).await;
        let bot = bot_with(&receiver, secret(&format!("xoxb-{TELLING}")), short());
        retried(told(&bot, &one()).await);
    }
}

#[tokio::test]
async fn no_secret_is_given_away() {
    let receiver = Receiver::always(Answer::Echo(404)).await;
    for channel in [hook(&receiver), bot(&receiver)] {
        let error = told(&channel, &one()).await.unwrap_err().to_string();
        assert!(error.contains("answered 404"), "{error}");
    }
    let words = format!(r#"{{"ok":false,"error":"bad token xoxb-{TELLING}"}}"#);
    let receiver = Receiver::always(says(&words)).await;
    let (why, _) = retried(told(&bot(&receiver), &one()).await);
    assert_eq!(why, "Slack refused: bad token [secret]");
    let (why, _) = retried(told(&bot_with(&receiver, missing(), short()), &one()).await);
    assert!(why.contains("/nowhere/secret"), "{why}");
}

#[tokio::test]
async fn a_webhook_in_the_open_is_not_used() {
    let way = SlackWay::Webhook {
        url: secret(&format!("http://hooks.slack.example/{TELLING}")),
    };
    let slack = Slack::new(SlackSettings {
        way,
        reach: short(),
    })
    .unwrap();
    let error = told(&slack, &one()).await.unwrap_err();
    presentable(&error);
    assert!(
        matches!(&error, SendError::Retry { why, .. } if why.contains("not by https")),
        "{error}"
    );
}

#[tokio::test]
async fn three_megabytes_of_text_arrive_cut() {
    let receiver = slack().await;
    told(&bot(&receiver), &huge()).await.unwrap();
    let length = receiver.heard()[0].body.len();
    assert!(length < 128 << 10, "{length}");
}
