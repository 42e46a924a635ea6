//! The conditions of the table: what a server, or the way to it, does to a request.

use std::time::Duration;

use super::LIMIT;
use super::certificates::{Authority, Kind};
use super::peer::{Peer, Step};

/// So that what was sent before has arrived, and is not lost with the connection.
const MOMENT: Duration = Duration::from_millis(100);

/// What may be asked, the request for a token included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Submit,
    Poll,
    Cancel,
    List,
    Token,
}

impl Operation {
    pub(super) const ALL: [Self; 5] = [
        Self::Submit,
        Self::Poll,
        Self::Cancel,
        Self::List,
        Self::Token,
    ];

    /// The body of a good answer.
    fn body(self) -> &'static str {
        match self {
            Self::Submit => r#"{"externalId": "job_1", "createdAt": "2026-02-03T01:15:01.204Z"}"#,
            Self::Poll => r#"{"externalId": "job_1", "status": {"state": "running"}}"#,
            Self::Cancel => r#"{"externalId": "job_1", "status": {"state": "canceled"}}"#,
            Self::List => r#"[{"externalId": "job_1", "query": "SELECT 1"}, {"id": "job_2"}]"#,
            Self::Token => {
                r#"{"access_token": "issued", "expires_in": 60, "token_type": "Bearer"}"#
            }
        }
    }
}

/// What a server does, by the body of a good answer.
type Script = Box<dyn Fn(&str) -> Vec<Step> + Send + Sync>;

/// Where the requests of one condition go.
pub(super) enum Place {
    /// To a server that behaves like this.
    Peer(Script),
    /// To one inside TLS, with such a certificate.
    Tls(Kind, Script),
    /// To an address where nobody is.
    Nobody(String),
    /// By `https` to a server that does not speak TLS and does this.
    Plain(Vec<Step>),
}

/// A name for the table with its place.
pub(super) type Condition = (&'static str, Place);

/// Where the client must go, and the server there.
pub(super) async fn begin(
    place: &Place,
    operation: Operation,
    authority: &Authority,
) -> (String, Option<Peer>) {
    let body = operation.body();
    match place {
        Place::Nobody(url) => (url.clone(), None),
        Place::Peer(script) => {
            let peer = Peer::start(None, script(body)).await;
            (format!("http://{}", peer.address), Some(peer))
        }
        Place::Tls(kind, script) => {
            let acceptor = authority.acceptor(*kind, &["http/1.1"]);
            let peer = Peer::start(Some(acceptor), script(body)).await;
            (format!("https://{}", peer.address), Some(peer))
        }
        Place::Plain(script) => {
            let peer = Peer::start(None, script.clone()).await;
            (format!("https://{}", peer.address), Some(peer))
        }
    }
}

/// A whole answer that says of its length what it is told to say.
fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n{body}").into_bytes()
}

fn good(body: &str) -> Vec<u8> {
    answer(&format!("content-length: {}\r\n", body.len()), body)
}

fn peer(script: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static) -> Place {
    Place::Peer(Box::new(script))
}

/// Reads the request, sends these bytes, closes.
fn says(bytes: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Place {
    peer(move |body| vec![Step::Read, Step::Send(bytes(body))])
}

/// Reads the request, sends these bytes, then is silent with the connection open.
fn says_and_holds(bytes: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Place {
    peer(move |body| vec![Step::Read, Step::Send(bytes(body)), Step::Hold])
}

fn tls(kind: Kind) -> Place {
    Place::Tls(
        kind,
        Box::new(|body| vec![Step::Read, Step::Send(good(body))]),
    )
}

/// All that happens before an answer, or instead of one.
pub(super) fn without_answer(closed: &str, closed_port: u16) -> Vec<Condition> {
    use Step::{Hold, Read, Reset, Send, Wait};
    let nobody = |url: &str| Place::Nobody(url.to_owned());
    vec![
        ("all is well", says(good)),
        ("refused", nobody(closed)),
        ("no such name", nobody("https://nowhere.invalid")),
        (
            "a name, its port closed",
            nobody(&format!("http://localhost:{closed_port}")),
        ),
        (
            "reset before it was read",
            peer(|_| vec![Wait(MOMENT), Reset]),
        ),
        ("closed before it was read", peer(|_| vec![])),
        ("reset after it", peer(|_| vec![Read, Reset])),
        ("closed after it", peer(|_| vec![Read])),
        ("accepts, never reads", peer(|_| vec![Hold])),
        ("reads, never answers", peer(|_| vec![Read, Hold])),
        (
            "vanishes within the head",
            says_and_holds(|body| good(body)[..30].to_vec()),
        ),
        (
            "vanishes within the body",
            says_and_holds(|body| good(body)[..good(body).len() - 9].to_vec()),
        ),
        (
            "reset within the body",
            peer(|body| {
                let cut = good(body)[..good(body).len() - 9].to_vec();
                vec![Read, Send(cut), Wait(MOMENT), Reset]
            }),
        ),
        (
            "drips, within the limit",
            peer(|body| vec![Read, Step::Drip(good(body), LIMIT / 3)]),
        ),
        (
            "drips, beyond the limit",
            peer(|body| vec![Read, Step::Drip(good(body), LIMIT * 8)]),
        ),
    ]
}

/// Answers that are not what they should be.
pub(super) fn odd_answers() -> Vec<Condition> {
    let long = |by: usize| {
        move |body: &str| answer(&format!("content-length: {}\r\n", body.len() + by), body)
    };
    vec![
        ("truncated JSON", says(|body| good(&body[..body.len() - 9]))),
        ("length too long, closed", says(long(10))),
        ("length too long, open", says_and_holds(long(10))),
        (
            "length too short",
            says_and_holds(|body| answer(&format!("content-length: {}\r\n", body.len() - 9), body)),
        ),
        (
            "two lengths",
            says(|body| {
                let head = format!("content-length: {}\r\ncontent-length: 3\r\n", body.len());
                answer(&head, body)
            }),
        ),
        ("chunked", says(|body| chunked(body, "0\r\n\r\n"))),
        ("chunked, cut between", says(|body| chunked(body, ""))),
        ("chunked, cut within", says(|body| chunked(body, "40\r\n{"))),
        ("chunked, garbage", says(|body| chunked(body, "zz\r\n\r\n"))),
        (
            "garbage after the head",
            says(|_| answer("", "\u{1}\u{2}garbage")),
        ),
        (
            "garbage for a head",
            says(|_| b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()),
        ),
        (
            "a head without end",
            says(|_| answer(&format!("x-pad: {}\r\n", "x".repeat(1 << 20)), "")),
        ),
        (
            "a second answer behind",
            says_and_holds(|body| [good(body), good(r#"{"externalId": "job_2"}"#)].concat()),
        ),
        (
            "100 Continue before",
            says(|body| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), good(body)].concat()),
        ),
        (
            "100 Continue and no more",
            says_and_holds(|_| b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        ),
        (
            "101 Switching Protocols",
            says(|_| b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n".to_vec()),
        ),
        (
            "another encoding",
            says(|body| {
                let head = format!(
                    "content-encoding: gzip\r\ncontent-length: {}\r\n",
                    body.len()
                );
                answer(&head, &body.replace(['{', '['], "\u{1f}"))
            }),
        ),
    ]
}

fn chunked(body: &str, then: &str) -> Vec<u8> {
    let first = format!("{:x}\r\n{body}\r\n{then}", body.len());
    answer("transfer-encoding: chunked\r\n", &first)
}

/// Answers that send the client somewhere else.
pub(super) fn redirects(elsewhere: &str) -> Vec<Condition> {
    let to = |status: u16, elsewhere: &str| {
        let text = format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: {elsewhere}/v3/sql/dw/job\r\n\
             content-length: 0\r\n\r\n"
        );
        move |_: &str| text.clone().into_bytes()
    };
    let down = to(307, elsewhere);
    vec![
        ("301 to another host", says(to(301, elsewhere))),
        ("302 to another host", says(to(302, elsewhere))),
        ("303 to another host", says(to(303, elsewhere))),
        ("307 to another host", says(to(307, elsewhere))),
        ("308 to another host", says(to(308, elsewhere))),
        (
            "307 from https to http",
            Place::Tls(
                Kind::Good,
                Box::new(move |body| vec![Step::Read, Step::Send(down(body))]),
            ),
        ),
    ]
}

/// What may be wrong with TLS.
pub(super) fn encrypted() -> Vec<Condition> {
    let cut = |body: &str| good(body)[..good(body).len() - 9].to_vec();
    vec![
        ("TLS: all is well", tls(Kind::Good)),
        ("TLS: expired", tls(Kind::Expired)),
        ("TLS: not valid yet", tls(Kind::Early)),
        ("TLS: self-signed", tls(Kind::SelfSigned)),
        ("TLS: another host's", tls(Kind::Foreign)),
        (
            "TLS: cut within the body",
            Place::Tls(
                Kind::Good,
                Box::new(move |body| {
                    let (part, moment) = (Step::Send(cut(body)), Step::Wait(MOMENT));
                    vec![Step::Read, part, moment, Step::Reset]
                }),
            ),
        ),
        ("not TLS, closed", Place::Plain(vec![])),
        (
            "not TLS, but http",
            Place::Plain(vec![Step::Send(good("{}"))]),
        ),
        ("not TLS, reset", Place::Plain(vec![Step::Reset])),
        ("not TLS, silent", Place::Plain(vec![Step::Hold])),
    ]
}

/// The longest that one question may take: its limit and what a busy machine adds.
pub(super) const LONGEST: Duration = Duration::from_secs(6);
