//! From a request to what is done about it: the firewall, what goes wrong on purpose, the credential, the route.
//! Pure, as [`World`] is.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::Value;

use super::answers::order;
use super::fault::{Fault, Operation, Subject};
use super::job::Marker;
use super::journal::Entry;
use super::message::{Delivery, Exchange, Reply, Request};
use super::statement;
use super::world::World;

/// What a path and a method ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Create { connection: String, by_url: bool },
    Read { id: String },
    Cancel { id: String },
    List,
    Query { cached: bool },
    Token,
    Unknown,
}

impl Route {
    fn of(request: &Request, base_path: &str) -> Self {
        let (method, path) = (request.method.as_str(), request.path());
        if (method, path) == ("POST", "/oauth/token") {
            return Self::Token;
        }
        let Some(path) = path.strip_prefix(base_path) else {
            return Self::Unknown;
        };
        let parts: Vec<String> = path.split('/').skip(1).map(percent_decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (method, parts.as_slice()) {
            ("GET", ["v3", "sql", "jobs"]) => Self::List,
            ("POST" | "GET", ["v3", "sql", connection, "job"]) => Self::Create {
                connection: (*connection).to_owned(),
                by_url: method == "GET",
            },
            ("GET", ["v3", "sql", _, "job", id]) => Self::Read {
                id: (*id).to_owned(),
            },
            ("DELETE", ["v3", "sql", _, "job", id]) => Self::Cancel {
                id: (*id).to_owned(),
            },
            ("POST" | "GET", ["v3", "sql", _, "query"]) => Self::Query {
                cached: method == "GET",
            },
            _ => Self::Unknown,
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Self::Create { .. } => Operation::Create,
            Self::Read { .. } => Operation::Read,
            Self::Cancel { .. } => Operation::Cancel,
            Self::List => Operation::List,
            Self::Query { .. } => Operation::Query,
            Self::Token => Operation::Token,
            Self::Unknown => Operation::Other,
        }
    }
}

impl World {
    /// Somebody opens a connection: what goes wrong already, if anything.
    pub fn connect(&mut self, now: Timestamp) -> Option<Exchange> {
        self.advance(now);
        self.journal.count_connection();
        let subject = Subject {
            operation: Operation::Connect,
            run: None,
            procedure: None,
        };
        match self.faults.strike(&subject, &mut self.dice)? {
            Fault::Refuse(wait) => Some(Exchange::Refuse(wait)),
            Fault::Silence => Some(Exchange::Silence),
            _ => Some(Exchange::Reset),
        }
    }

    /// What is done about a request.
    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Exchange {
        self.advance(now);
        let route = Route::of(request, &self.scenario.base_path);
        let about = self.about(&route, request);
        let (fault, exchange) = match self.blocked(request.from) {
            Some(reply) => (None, Exchange::Reply(reply, Delivery::Whole)),
            None => {
                let subject = Subject {
                    operation: route.operation(),
                    run: about.run.as_deref(),
                    procedure: about.procedure.as_deref(),
                };
                let fault = self.faults.strike(&subject, &mut self.dice);
                let word = fault.as_ref().map(Fault::word);
                (word, self.suffer(fault, &route, request))
            }
        };
        let exchange = self.dated(exchange);
        self.journal.note(Entry {
            number: 0,
            at: self.now(),
            operation: route.operation(),
            run: about.run,
            request: request.clone(),
            fault,
            status: match &exchange {
                Exchange::Reply(reply, _) => Some(reply.status),
                _ => None,
            },
            sent: None,
        });
        exchange
    }

    /// Handles a request that was held back ([`Exchange::Later`]).
    pub fn handle_late(&mut self, request: &Request, now: Timestamp) -> Exchange {
        self.advance(now);
        let route = Route::of(request, &self.scenario.base_path);
        let reply = self.answer(&route, request);
        self.dated(Exchange::Reply(reply, Delivery::Whole))
    }

    fn blocked(&mut self, from: IpAddr) -> Option<Reply> {
        let limit = self.scenario.limit.clone()?;
        let rest = self.limiter.admit(&limit, from, self.now()).err()?;
        Some(Reply::html(429).retry_after(limit.retry_after.then_some(rest)))
    }

    fn dated(&self, exchange: Exchange) -> Exchange {
        let Exchange::Reply(reply, delivery) = exchange else {
            return exchange;
        };
        let date = self.shown(self.now());
        match DateTimePrinter::new().timestamp_to_rfc9110_string(&date) {
            Ok(date) => Exchange::Reply(reply.with("Date", date), delivery),
            Err(_) => Exchange::Reply(reply, delivery),
        }
    }

    /// What a request is about, for the rules and the journal.
    fn about(&self, route: &Route, request: &Request) -> About {
        let of_job = |id: &str| {
            self.job(id).map_or_else(About::default, |job| About {
                run: job.marker.as_ref().map(|marker| marker.run.clone()),
                procedure: job.procedure.clone(),
            })
        };
        match route {
            Route::Read { id } | Route::Cancel { id } => of_job(id),
            Route::Create { connection, by_url } => {
                let Ok(order) = order(connection, *by_url, request) else {
                    return About::default();
                };
                About {
                    run: order
                        .metadata
                        .as_ref()
                        .and_then(Marker::read)
                        .map(|marker| marker.run),
                    procedure: statement::parse(&order.query).map(|call| call.name),
                }
            }
            _ => About::default(),
        }
    }

    /// Answers a request while something goes wrong, or nothing does.
    fn suffer(&mut self, fault: Option<Fault>, route: &Route, request: &Request) -> Exchange {
        let Some(fault) = fault else {
            return Exchange::Reply(self.answer(route, request), Delivery::Whole);
        };
        let delivery = match fault {
            Fault::Reset => return Exchange::Reset,
            Fault::Refuse(wait) => return Exchange::Refuse(wait),
            Fault::Silence => return Exchange::Silence,
            Fault::LateHandling(wait) => return Exchange::Later(wait),
            Fault::Redirect(to) => {
                let reply = Reply::empty(307).with("Location", to);
                return Exchange::Reply(reply, Delivery::Whole);
            }
            Fault::Status(status) => {
                if status.handled {
                    self.answer(route, request);
                }
                let reply = if status.html {
                    Reply::html(status.code)
                } else {
                    Reply::error(status.code, fault_text(status.code))
                };
                let reply = reply.retry_after(status.retry_after);
                return Exchange::Reply(reply, Delivery::Whole);
            }
            Fault::DropReply => {
                self.answer(route, request);
                return Exchange::Close;
            }
            Fault::Garble => {
                let mut reply = self.answer(route, request);
                reply.body.truncate(reply.body.len() * 2 / 3);
                return Exchange::Reply(reply, Delivery::Whole);
            }
            Fault::NoId => {
                let reply = without_id(self.answer(route, request));
                return Exchange::Reply(reply, Delivery::Whole);
            }
            Fault::LateReply(wait) => Delivery::After(wait),
            Fault::CutReply(bytes) => Delivery::Cut(bytes),
            Fault::WrongLength(by) => Delivery::WrongLength(by),
            Fault::Drip(drip) => Delivery::Drip(drip.bytes, drip.every),
            Fault::Huge(bytes) => Delivery::Padded(bytes),
        };
        Exchange::Reply(self.answer(route, request), delivery)
    }

    /// Answers a request as it should be answered.
    fn answer(&mut self, route: &Route, request: &Request) -> Reply {
        match route {
            Route::Token => {
                return self
                    .desk
                    .issue(&self.scenario.auth.oauth, request, self.now());
            }
            Route::Unknown => return Reply::error(404, "Not Found"),
            _ => {}
        }
        let token = match self.desk.admit(&self.scenario.auth, request, self.now()) {
            Ok(token) => token,
            Err(reply) => return reply,
        };
        if request.too_large {
            return Reply::error(413, "request entity too large");
        }
        if self.strange_connection(request) {
            return Reply::error(404, "Connection not found");
        }
        match route {
            Route::Create { connection, by_url } => match order(connection, *by_url, request) {
                Ok(order) => self.answer_create(&order, &token),
                Err(reply) => reply,
            },
            Route::Read { id } => self.answer_read(id),
            Route::Cancel { id } => self.answer_cancel(id),
            Route::List => self.answer_list(request),
            Route::Query { cached } => self.answer_query(*cached, request),
            Route::Token | Route::Unknown => Reply::error(404, "Not Found"),
        }
    }

    /// Whether the path names a connection that does not exist.
    fn strange_connection(&self, request: &Request) -> bool {
        let known = &self.scenario.connections;
        let path = request
            .path()
            .strip_prefix(self.scenario.base_path.as_str());
        let name = path
            .and_then(|path| path.strip_prefix("/v3/sql/"))
            .and_then(|rest| rest.split_once('/'))
            .map(|(name, _)| percent_decoded(name));
        !known.is_empty() && name.is_some_and(|name| !known.contains(&name))
    }
}

/// What a request is about.
#[derive(Default)]
struct About {
    run: Option<String>,
    procedure: Option<String>,
}

/// The text of an answer that takes the place of the right one.
fn fault_text(code: u16) -> &'static str {
    match code {
        401 => "invalid token",
        403 => "You don't have permissions to do this",
        _ => super::message::reason(code),
    }
}

/// The same reply without anything that names a job.
fn without_id(mut reply: Reply) -> Reply {
    if let Ok(Value::Object(mut map)) = serde_json::from_slice(&reply.body) {
        for id in ["externalId", "jobId", "id"] {
            map.shift_remove(id);
        }
        reply.body = Value::Object(map).to_string().into_bytes();
    }
    reply
}

/// A part of a path as it was meant. What is not valid is kept as it stands.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
