//! From a question of the heart to a request and from an exchange to an answer, by the daemon's own protocol.

use std::net::{IpAddr, Ipv4Addr};

use nightcall::sandbox;
use nightcall::sched::fault::Fault;
use nightcall::sched::step::{Answer, Ask, Effect, Input};
use nightcall::warehouse::carto::ClassifyRules;
use nightcall::warehouse::carto::protocol::{self, Exchange, Request};

use super::tokens::Tokens;
use super::vendor::Meant;

/// Where a question goes.
pub(super) fn host_of(effect: &Effect) -> String {
    let target = match effect {
        Effect::Ask { ask, .. } => match ask {
            Ask::Submit(submission) => &submission.target,
            Ask::Poll(target, _) | Ask::Cancel(target, _) => target,
        },
        Effect::List { target, .. } => target,
        other => unreachable!("{other:?} is not for the vendor"),
    };
    let address = &target.base_url;
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// The words of a question, by the daemon's own protocol; which submission it is, if it is one.
pub(super) fn worded(effect: &Effect, marked: bool) -> Result<(Request, Option<Meant>), Fault> {
    Ok(match effect {
        Effect::Ask { ask, .. } => match ask {
            Ask::Submit(submission) => {
                let marker = &submission.marker;
                let meant = (marker.run.clone(), marker.attempt);
                (Request::creation(submission, marked)?, Some(meant))
            }
            Ask::Poll(target, job) => (Request::status(target, job)?, None),
            Ask::Cancel(target, job) => (Request::cancellation(target, job)?, None),
        },
        Effect::List { target, since, .. } => (Request::listing(target, *since)?, None),
        other => unreachable!("{other:?} is not for the vendor"),
    })
}

/// A request as it arrives, with its credential.
pub(super) fn with_bearer(request: Request, token: &str) -> sandbox::Request {
    let query = request.url.query().map(|query| format!("?{query}"));
    let mut headers = vec![
        ("accept".to_owned(), "application/json".to_owned()),
        ("authorization".to_owned(), format!("Bearer {token}")),
    ];
    if request.body.is_some() {
        let kind = "application/json".to_owned();
        headers.push(("content-type".to_owned(), kind));
    }
    sandbox::Request {
        method: request.method.as_str().to_owned(),
        target: format!("{}{}", request.url.path(), query.unwrap_or_default()),
        headers,
        body: request.body.unwrap_or_default(),
        too_large: false,
        from: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// The request for a token.
pub(super) fn for_token() -> sandbox::Request {
    let form = "application/x-www-form-urlencoded".to_owned();
    sandbox::Request {
        method: "POST".to_owned(),
        target: "/oauth/token".to_owned(),
        headers: vec![("content-type".to_owned(), form)],
        body: Tokens::form(),
        too_large: false,
        from: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// What an exchange means, by the daemon's own reading.
pub(super) fn read(effect: Effect, exchange: Exchange) -> Input {
    let (date, rules) = (exchange.date(), ClassifyRules::default());
    match effect {
        Effect::Ask { key, ask, .. } => {
            let answer = match ask {
                Ask::Submit(_) => Answer::Submit(protocol::submit(exchange, &rules)),
                Ask::Poll(..) => Answer::Poll(protocol::poll(exchange, &rules)),
                Ask::Cancel(..) => Answer::Cancel(protocol::cancel(exchange, &rules)),
            };
            Input::Answer { key, answer, date }
        }
        Effect::List { key, .. } => Input::Listed {
            key,
            answer: protocol::list(exchange, &rules),
            date,
        },
        other => unreachable!("{other:?} is not for the vendor"),
    }
}
