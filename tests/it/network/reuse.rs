//! A connection that is used again just as the server closes it: HTTP libraries like to try once more. Whatever they
//! do, a creation arrives once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nightcall::warehouse::JobClient;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::peer::{Counts, request};
use super::{carto, job, polled, submission, submitted, target};

/// Rounds of the race for each way to close.
const ROUNDS: u32 = 200;

/// How a server ends a connection that has been idle for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It closes.
    Close,
    /// It resets.
    Reset,
    /// It says that it sends nothing more, and still reads what is on its way.
    Half,
}

/// Answers polls; ends each connection so long after its first answer. Answers whatever else it reads as long as it
/// can.
async fn server(way: Way, counts: Arc<Counts>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            number += 1;
            let idle = Duration::from_micros(25 * (number % 37));
            let counts = Arc::clone(&counts);
            tokio::spawn(async move { serve(stream, way, idle, &counts).await });
        }
    });
    address
}

async fn serve(mut stream: TcpStream, way: Way, idle: Duration, counts: &Counts) {
    if way == Way::Reset {
        stream.set_zero_linger().unwrap();
    }
    loop {
        let Some(asked) = request(&mut stream).await else {
            return;
        };
        let is_poll = asked.starts_with("GET");
        counts.note(asked);
        let body = match is_poll {
            true => r#"{"status": {"state": "running"}}"#,
            false => r#"{"externalId": "job_1"}"#,
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + body).as_bytes()).await.is_err() || !is_poll {
            continue;
        }
        // Shorter than what a timer can do: the next request is to meet the very moment.
        let begun = std::time::Instant::now();
        while begun.elapsed() < idle {
            tokio::task::yield_now().await;
        }
        match way {
            Way::Close | Way::Reset => return,
            Way::Half => {
                let _ = stream.shutdown().await;
            }
        }
    }
}

async fn race(way: Way) -> BTreeMap<String, u32> {
    let counts = Arc::new(Counts::default());
    let address = server(way, Arc::clone(&counts)).await;
    let url = format!("http://{address}");
    let carto = carto(None);
    let mut told = BTreeMap::new();
    for round in 1..=ROUNDS {
        let answer = carto.poll(&target(&url), &job()).await.answer;
        // A poll may be asked again; it is not what is looked at here.
        let first = polled(&answer);
        assert!(
            first == "working" || first.starts_with("no answer"),
            "{first}"
        );
        let begun = std::time::Instant::now();
        let pause = Duration::from_micros(u64::from(round % 41) * 20);
        while begun.elapsed() < pause {
            tokio::task::yield_now().await;
        }
        let answer = submitted(&carto.submit(&submission(&url, round)).await.answer);
        let arrived = counts.with(&format!("\"attempt\":{round}}}"));
        let most = match answer.as_str() {
            "accepted" => 1..=1,
            "unsure transient" => 0..=1,
            other => panic!("{way:?}, round {round}: {other}"),
        };
        assert!(
            most.contains(&arrived),
            "{way:?}, round {round}: {answer}, and {arrived} requests arrived"
        );
        *told.entry(answer).or_default() += 1;
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_as_the_next_request_leaves_doubles_no_creation() {
    for way in [Way::Close, Way::Reset, Way::Half] {
        let told = race(way).await;
        eprintln!("{way:?}: {told:?}");
        let accepted = told.get("accepted").copied().unwrap_or_default();
        assert!(accepted > 0, "{way:?}: {told:?}");
    }
}

/// The stray answer must not be taken for the answer to the next question: it would tie a run to a foreign job.
#[tokio::test]
async fn a_second_answer_behind_the_first_is_not_the_answer_to_the_next_question() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Some(asked) = request(&mut stream).await {
                    let text = |body: &str| {
                        let length = body.len();
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
                    };
                    let answer = match asked.starts_with("GET") {
                        true => {
                            text(r#"{"status": {"state": "running"}}"#)
                                + &text(r#"{"externalId": "foreign"}"#)
                        }
                        false => text(r#"{"externalId": "ours"}"#),
                    };
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    let carto = carto(None);
    for round in 1..=50 {
        let answer = carto.poll(&target(&url), &job()).await.answer;
        assert_eq!(polled(&answer), "working");
        let answer = carto.submit(&submission(&url, round)).await.answer;
        assert!(!format!("{answer:?}").contains("foreign"), "{answer:?}");
    }
}
