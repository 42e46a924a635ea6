//! Condition by operation: the answer, and how many requests arrived.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use nightcall::warehouse::JobClient;
use nightcall::warehouse::carto::Carto;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::certificates::Authority;
use super::conditions::{
    Condition, LONGEST, Operation, Place, begin, encrypted, odd_answers, redirects, without_answer,
};
use super::peer::{Peer, Step};
use super::{cancelled, carto, carto_by_oauth, job, listed, polled, submission, submitted, target};

/// So many questions are asked at a time: each is to have its time on a machine with two cores.
const AT_ONCE: usize = 12;

/// What is expected. The last column is how many requests arrived whole at the server, for each operation when they
/// differ. `token` is what a submission is answered with when the server is the one that issues tokens.
#[rustfmt::skip]
const EXPECTED: &str = "\
condition                | submit               | poll                 | cancel               | list                 | token                | requests
all is well              | accepted             | working              | noted                | 2 jobs               | accepted             | 1
refused                  | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
no such name             | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
a name, its port closed  | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
reset before it was read | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 0
closed before it was read| unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 0
reset after it           | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
closed after it          | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
accepts, never reads     | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 0
reads, never answers     | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
vanishes within the head | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
vanishes within the body | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
reset within the body    | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
drips, within the limit  | accepted             | working              | noted                | 2 jobs               | accepted             | 1
drips, beyond the limit  | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
truncated JSON           | unsure transient     | no answer transient  | noted                | unsupported transient| refused, no token    | 1
length too long, closed  | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
length too long, open    | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
length too short         | unsure transient     | no answer transient  | noted                | unsupported transient| refused, no token    | 1
two lengths              | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
chunked                  | accepted             | working              | noted                | 2 jobs               | accepted             | 1
chunked, cut between     | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
chunked, cut within      | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
chunked, garbage         | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
garbage after the head   | unsure transient     | no answer transient  | noted                | unsupported transient| refused, no token    | 1
garbage for a head       | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
a head without end       | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
a second answer behind   | accepted             | working              | noted                | 2 jobs               | accepted             | 1
100 Continue before      | accepted             | working              | noted                | 2 jobs               | accepted             | 1
100 Continue and no more | unsure transient     | no answer transient  | no answer transient  | no answer transient  | refused, no token    | 1
101 Switching Protocols  | unsure permanent     | no answer slow       | no answer slow       | no answer permanent  | refused unauthorized | 1
another encoding         | unsure transient     | no answer transient  | noted                | unsupported transient| refused, no token    | 1
301 to another host      | unsure permanent     | no answer slow       | no answer slow       | unsupported permanent| refused unauthorized | 1
302 to another host      | unsure permanent     | no answer slow       | no answer slow       | unsupported permanent| refused unauthorized | 1
303 to another host      | unsure permanent     | no answer slow       | no answer slow       | unsupported permanent| refused unauthorized | 1
307 to another host      | unsure permanent     | no answer slow       | no answer slow       | unsupported permanent| refused unauthorized | 1
308 to another host      | unsure permanent     | no answer slow       | no answer slow       | unsupported permanent| refused unauthorized | 1
307 from https to http   | unsure permanent     | no answer slow       | no answer slow       | unsupported permanent| refused unauthorized | 1
TLS: all is well         | accepted             | working              | noted                | 2 jobs               | accepted             | 1
TLS: expired             | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
TLS: not valid yet       | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
TLS: self-signed         | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
TLS: another host's      | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
TLS: cut within the body | unsure transient     | no answer transient  | noted                | no answer transient  | refused, no token    | 1
not TLS, closed          | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
not TLS, but http        | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
not TLS, reset           | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
not TLS, silent          | refused unreachable  | no answer unreachable| no answer unreachable| no answer unreachable| refused, no token    | 0
";

/// Shared by all cells.
struct Bench {
    authority: Authority,
    carto: Carto,
    turns: Semaphore,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_condition_has_its_answer_for_every_operation_and_no_request_is_repeated() {
    // Bound and not listening: refused, and nobody else can have the port meanwhile.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = closed.local_addr().unwrap().port();
    let welcome = vec![Step::Read, Step::Send(b"HTTP/1.1 200 OK\r\n\r\n{}".into())];
    let elsewhere = Peer::start(None, welcome).await;

    let mut conditions = without_answer(&format!("http://127.0.0.1:{port}"), port);
    conditions.extend(odd_answers());
    conditions.extend(redirects(&format!("http://{}", elsewhere.address)));
    conditions.extend(encrypted());

    let authority = Authority::new();
    let carto = carto(Some(authority.file()));
    let turns = Semaphore::new(AT_ONCE);
    let bench = Arc::new(Bench {
        authority,
        carto,
        turns,
    });
    let seen = table(conditions, bench).await;
    assert!(seen == EXPECTED, "seen:\n{seen}\nexpected:\n{EXPECTED}");
    assert_eq!(elsewhere.counts.connections(), 0, "a redirect was followed");
}

async fn table(conditions: Vec<Condition>, bench: Arc<Bench>) -> String {
    let mut cells = JoinSet::new();
    let names: Vec<&str> = conditions.iter().map(|(name, _)| *name).collect();
    for (row, (name, place)) in conditions.into_iter().enumerate() {
        let place = Arc::new(place);
        for (column, operation) in Operation::ALL.into_iter().enumerate() {
            let (place, bench) = (Arc::clone(&place), Arc::clone(&bench));
            cells.spawn(async move {
                let _turn = bench.turns.acquire().await.unwrap();
                let begun = Instant::now();
                let (told, requests) = ask(&place, operation, &bench).await;
                let took = begun.elapsed();
                assert!(took < LONGEST, "{name}: {operation:?} took {took:?}");
                (row, column, told, requests)
            });
        }
    }
    let mut rows = vec![(vec![String::new(); 5], [0; 5]); names.len()];
    while let Some(cell) = cells.join_next().await {
        let (row, column, told, requests) = cell.unwrap();
        rows[row].0[column] = told;
        rows[row].1[column] = requests;
    }
    let mut text = String::from(EXPECTED.split_inclusive('\n').next().unwrap());
    for (name, (told, requests)) in names.iter().zip(rows) {
        write!(text, "{name:25}").unwrap();
        for told in told {
            write!(text, "| {told:21}").unwrap();
        }
        let same = requests.iter().all(|n| *n == requests[0]);
        match same {
            true => writeln!(text, "| {}", requests[0]).unwrap(),
            false => writeln!(text, "| {requests:?}").unwrap(),
        }
    }
    text
}

/// One question; what was answered, and how many requests arrived.
async fn ask(place: &Place, operation: Operation, bench: &Bench) -> (String, usize) {
    let (url, peer) = begin(place, operation, &bench.authority).await;
    let at = target(&url);
    let carto = &bench.carto;
    let told = match operation {
        Operation::Submit => submitted(&carto.submit(&submission(&url, 1)).await.answer),
        Operation::Poll => polled(&carto.poll(&at, &job()).await.answer),
        Operation::Cancel => cancelled(&carto.cancel(&at, &job()).await.answer),
        Operation::List => {
            let since = "2026-03-01T05:55:00Z".parse().unwrap();
            listed(&carto.list(&at, since).await.answer)
        }
        Operation::Token => by_token(&url, bench).await,
    };
    (told, peer.map_or(0, |peer| peer.counts.requests()))
}

/// A submission whose token must be had there first. Without one nothing of it leaves.
async fn by_token(url: &str, bench: &Bench) -> String {
    let body = r#"{"externalId": "job_1"}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let vendor = Peer::start(None, vec![Step::Read, Step::Send(answer.into_bytes())]).await;
    let carto = carto_by_oauth(format!("{url}/oauth/token"), Some(bench.authority.file()));
    let at = format!("http://{}", vendor.address);
    let told = submitted(&carto.submit(&submission(&at, 1)).await.answer);
    let issued = told == "accepted";
    assert_eq!(
        vendor.counts.requests(),
        usize::from(issued),
        "{url}: {told}"
    );
    assert_eq!(vendor.counts.with("Bearer issued"), usize::from(issued));
    // Which of two equal time limits passes first is chance; either way it is the connection's fault.
    match told.as_str() {
        "refused unreachable" | "refused unavailable" => "refused, no token".into(),
        _ => told,
    }
}
