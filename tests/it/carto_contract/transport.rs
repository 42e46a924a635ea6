//! What the transport does to an exchange, and that the client neither repeats, follows nor reads too much.

use std::time::{Duration, Instant};

use nightcall::sched::step::{ListAnswer, PollAnswer, SubmitAnswer};
use nightcall::warehouse::JobClient;
use nightcall::warehouse::carto::MAX_JOB;
use tokio::net::TcpListener;

use super::vendor::{Act, Vendor, answer, json};
use super::*;

#[tokio::test]
async fn a_reply_that_is_dropped_leaves_doubt_and_nothing_is_repeated() {
    // The first request is answered, so that the submission goes by a connection in use: the case in which HTTP
    // clients like to try again.
    let vendor = Vendor::start(|seen| match seen.method.as_str() {
        "GET" => json(200, &golden("job_bigquery_running")),
        _ => Act::Close,
    })
    .await;
    let carto = carto();
    let polled = carto.poll(&target(&vendor.url()), &job()).await;
    assert_eq!(poll_told(&polled.answer), "working");
    let heard = carto.submit(&submission(&vendor.url())).await;
    let told = submit_told(&heard.answer);
    assert!(
        told.starts_with("unsure transient: connection lost"),
        "{told}"
    );
    let seen = vendor.seen();
    let posts: Vec<usize> = seen
        .iter()
        .filter(|seen| seen.method == "POST")
        .map(|seen| seen.connection)
        .collect();
    assert_eq!(
        posts,
        [seen[0].connection],
        "one POST, by the connection in use"
    );
}

#[tokio::test]
async fn a_connection_that_is_refused_is_a_certain_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let heard = carto().submit(&submission(&url)).await;
    let told = submit_told(&heard.answer);
    assert!(told.starts_with("refused unreachable: connect"), "{told}");
    assert!(told.contains("refused (os error"), "{told}");
    assert!(!told.contains("/v3/sql"), "{told}");
}

#[tokio::test]
async fn a_host_without_a_name_is_a_certain_failure() {
    let heard = carto().submit(&submission("https://nowhere.invalid")).await;
    let SubmitAnswer::Refused(fault) = heard.answer else {
        panic!("not refused");
    };
    assert_eq!(fault.class.word(), "unreachable");
    assert!(fault.remedy.unwrap().contains("name resolution"));
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_certain_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let begun = Instant::now();
    let heard = impatient_carto().submit(&submission(&url)).await;
    let told = submit_told(&heard.answer);
    assert!(told.starts_with("refused unreachable: connect"), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_a_certain_failure() {
    let vendor = Vendor::start(|_| Act::Close).await;
    let url = vendor.url().replace("http://", "https://");
    let heard = impatient_carto().submit(&submission(&url)).await;
    let told = submit_told(&heard.answer);
    assert!(told.starts_with("refused unreachable: connect"), "{told}");
    assert!(vendor.seen().is_empty());
}

#[tokio::test]
async fn silence_beyond_the_time_limit_leaves_doubt() {
    let vendor = Vendor::start(|_| Act::Silence).await;
    let carto = impatient_carto();
    let begun = Instant::now();
    let heard = carto.submit(&submission(&vendor.url())).await;
    let told = submit_told(&heard.answer);
    assert!(
        told.starts_with("unsure transient: no answer in time"),
        "{told}"
    );
    let polled = carto.poll(&target(&vendor.url()), &job()).await;
    let told = poll_told(&polled.answer);
    assert!(
        told.starts_with("no answer transient: no answer in time"),
        "{told}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(vendor.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_that_drips_without_end_is_cut_off_by_the_time_limit() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{".to_vec();
    let vendor = Vendor::start(move |_| Act::Drip(head.clone())).await;
    let begun = Instant::now();
    let heard = impatient_carto().submit(&submission(&vendor.url())).await;
    let told = submit_told(&heard.answer);
    assert!(told.starts_with("unsure transient: unreadable"), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn no_redirect_is_followed_and_the_credential_stays_at_home() {
    let elsewhere = Vendor::start(|_| json(200, &golden("created_bigquery"))).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/v3/sql/your_connection/job", elsewhere.url());
        let vendor =
            Vendor::start(move |_| Act::Send(answer(status, &[("location", &location)], ""))).await;
        let (carto, target) = (carto(), target(&vendor.url()));
        let heard = carto.submit(&submission(&vendor.url())).await;
        assert_eq!(
            submit_told(&heard.answer),
            format!("unsure permanent: http {status}")
        );
        let polled = carto.poll(&target, &job()).await;
        assert_eq!(
            poll_told(&polled.answer),
            format!("no answer slow: http {status}")
        );
        let since = "2026-03-01T05:55:00Z".parse().unwrap();
        let listed = carto.list(&target, since).await;
        assert!(matches!(listed.answer, ListAnswer::Unsupported(_)));
        assert_eq!(vendor.seen().len(), 3);
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_enormous_answer_is_not_read() {
    const SIZE: usize = 50 << 20;
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n");
    let endless = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned();
    for head in [announced, endless] {
        let vendor = Vendor::start(move |_| Act::Flood(head.clone().into_bytes(), SIZE)).await;
        let heard = carto().submit(&submission(&vendor.url())).await;
        assert_eq!(
            submit_told(&heard.answer),
            "unsure transient: unreadable: the answer is too long"
        );
        let polled = carto().poll(&target(&vendor.url()), &job()).await;
        assert_eq!(
            poll_told(&polled.answer),
            "no answer transient: unreadable: the answer is too long"
        );
        // What the sockets hold on the way is more than what is read, and far less than the whole.
        assert!(vendor.flooded() < 16 * MAX_JOB, "{}", vendor.flooded());
    }
}

#[tokio::test]
async fn a_list_may_be_longer_than_a_job_but_not_endless() {
    let entry = format!(r#"{{"id": "a", "query": "{}"}}"#, "x".repeat(2 << 20));
    let vendor = Vendor::start(move |seen| {
        if seen.target.contains("2026-03-01") {
            json(200, &format!("[{entry}]"))
        } else {
            Act::Flood(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[".to_vec(),
                64 << 20,
            )
        }
    })
    .await;
    let (carto, target) = (carto(), target(&vendor.url()));
    let long = carto
        .list(&target, "2026-03-01T00:00:00Z".parse().unwrap())
        .await;
    assert_eq!(list_told(&long.answer), "1 jobs");
    let endless = carto
        .list(&target, "2026-02-01T00:00:00Z".parse().unwrap())
        .await;
    assert_eq!(
        list_told(&endless.answer),
        "unsupported transient: unreadable: the list is too long"
    );
    assert!(vendor.flooded() < 48 << 20, "{}", vendor.flooded());
}

#[tokio::test]
async fn answers_that_cannot_be_read_leave_doubt() {
    let created = golden("created_bigquery");
    let half = created[..60].to_owned();
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{half}");
    let deep = "[".repeat(200_000);
    for (name, bytes, told) in [
        ("cut on the way", cut.into_bytes(), "the answer broke off"),
        (
            "cut before",
            answer(200, &[], &half),
            "the answer is not JSON",
        ),
        ("empty", answer(200, &[], ""), "the answer is not JSON"),
        (
            "html",
            answer(200, &[], "<html><title>Welcome</title>"),
            "not JSON: welcome",
        ),
        (
            "no id",
            answer(200, &[], r#"{"query": "CALL f()"}"#),
            "the answer names no job",
        ),
        (
            "very deep",
            answer(200, &[], &deep),
            "the answer is not JSON",
        ),
        (
            "not http",
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            "connection lost",
        ),
    ] {
        let vendor = Vendor::start(move |_| Act::SendAndClose(bytes.clone())).await;
        let heard = carto().submit(&submission(&vendor.url())).await;
        let said = submit_told(&heard.answer);
        assert!(said.starts_with("unsure transient: "), "{name}: {said}");
        assert!(
            said.to_lowercase().contains(&told.to_lowercase()),
            "{name}: {said}"
        );
        assert_eq!(vendor.seen().len(), 1, "{name}");
        let polled = carto().poll(&target(&vendor.url()), &job()).await;
        if name != "no id" {
            assert!(
                matches!(polled.answer, PollAnswer::NoAnswer(_)),
                "{name}: {polled:?}"
            );
        }
    }
}

#[tokio::test]
async fn server_errors_after_a_submission_leave_doubt() {
    for (status, class) in [
        (500, "transient"),
        (502, "transient"),
        (503, "unavailable"),
        (504, "transient"),
    ] {
        let html = "<html><head><title>Bad thing</title></head></html>";
        let vendor = Vendor::start(move |_| Act::Send(answer(status, &[], html))).await;
        let heard = carto().submit(&submission(&vendor.url())).await;
        assert_eq!(
            submit_told(&heard.answer),
            format!("unsure {class}: http {status}: Bad thing")
        );
        assert_eq!(vendor.seen().len(), 1);
    }
}

#[tokio::test]
async fn requests_go_through_the_proxy_when_there_is_one() {
    let proxy = Vendor::start(|_| json(200, &golden("job_bigquery_done"))).await;
    let carto = carto_with(|settings| settings.proxy = Some(proxy.url()));
    let target = target("http://localhost:1");
    let heard = carto.poll(&target, &job()).await;
    assert_eq!(heard.answer, PollAnswer::Succeeded);
    let seen = proxy.seen();
    assert!(
        seen[0].target.starts_with("http://localhost:1/v3/sql/"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn an_address_that_would_show_the_credential_is_not_asked() {
    for url in ["http://192.0.2.1", "https://user:sesame@192.0.2.1"] {
        let heard = carto().submit(&submission(url)).await;
        let told = format!("{:?}", heard.answer);
        assert!(
            told.starts_with("Refused") && told.contains("base_url"),
            "{told}"
        );
        assert!(!told.contains("sesame"), "{told}");
    }
}
