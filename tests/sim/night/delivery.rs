//! From what the sandbox does with a connection to what the daemon's HTTP client makes of it: `exchange.rs` of the
//! client in virtual time.

use std::time::Duration;

use nightcall::sandbox::{Delivery, Reply};
use nightcall::sched::fault::{ConnectionFault, Fault, FaultClass};
use nightcall::sched::time::Timestamp;
use nightcall::secret::Secret;
use nightcall::warehouse::carto::protocol::{Answered, Body, Exchange};

/// So long is the head of an answer, about; what is cut within it is no answer.
const HEAD: usize = 160;

/// What the client makes of a reply, and how long after the reply began it knows.
pub(super) fn received(
    reply: &Reply,
    delivery: Delivery,
    left: Duration,
    limit: usize,
    hidden: &Secret,
    now: Timestamp,
) -> (Duration, Exchange) {
    let text = || hidden.hide_in(String::from_utf8_lossy(&reply.body).into_owned());
    let broken = |why: &str| Body::Broken(format!("the answer broke off: {why}"));
    let size = HEAD + reply.body.len();
    let (after, body) = match delivery {
        Delivery::Whole => (Duration::ZERO, Body::Whole(text())),
        Delivery::After(wait) => (wait, Body::Whole(text())),
        Delivery::Cut(at) if at < HEAD => return (Duration::ZERO, lost("connection lost")),
        Delivery::Cut(at) if at < size => (Duration::ZERO, broken("connection closed")),
        Delivery::Cut(_) => (Duration::ZERO, Body::Whole(text())),
        Delivery::WrongLength(by) if by > 0 => (Duration::ZERO, broken("connection closed")),
        Delivery::WrongLength(by) => {
            let kept = reply.body.len().saturating_sub(by.unsigned_abs() as usize);
            let kept = String::from_utf8_lossy(&reply.body[..kept]).into_owned();
            (Duration::ZERO, Body::Whole(hidden.hide_in(kept)))
        }
        Delivery::Drip(bytes, every) => {
            let pieces = |bytes_in: usize| {
                every * u32::try_from(bytes_in / bytes.max(1)).unwrap_or(u32::MAX)
            };
            if pieces(HEAD) >= left {
                return (Duration::MAX, lost("no answer in time"));
            }
            match pieces(size) < left {
                true => (pieces(size), Body::Whole(text())),
                false => (left, broken("operation timed out")),
            }
        }
        Delivery::Padded(padding) if padding + reply.body.len() as u64 > limit as u64 => {
            (Duration::ZERO, Body::TooLong)
        }
        Delivery::Padded(_) => (Duration::ZERO, Body::Whole(text())),
    };
    let header = |name: &str| {
        let found = reply
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    let answered = Answered::new(
        reply.status,
        header("date"),
        header("retry-after"),
        body,
        now,
    );
    (after, Exchange::Answered(answered))
}

/// The request left, or may have, and there is no answer.
pub(super) fn lost(reason: &str) -> Exchange {
    Exchange::Lost(Fault::new(FaultClass::Transient, reason, "as simulated"))
}

/// Nothing left.
pub(super) fn withheld(reason: &str, message: &str) -> Exchange {
    let class = FaultClass::Connection(ConnectionFault::Unreachable);
    Exchange::Withheld(Fault::new(class, reason, message))
}
