//! The answers of the routes when nothing goes wrong: what is read out of a request and written into the reply.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::job::Job;
use super::journal::REQUESTS_MAX;
use super::message::{Reply, Request};
use super::profile::{self, Frame};
use super::world::{Cancelled, Order, Refusal, World};

impl World {
    pub(super) fn answer_create(&mut self, order: &Order, token: &str) -> Reply {
        let now = self.now();
        let job = match self.create(order, now) {
            Ok(job) => job.clone(),
            Err(Refusal::NoQuery) => {
                return Reply::error(400, "\"query\" is required");
            }
            Err(Refusal::Metadata) => {
                return Reply::error(400, "\"metadata\" is not allowed");
            }
            Err(Refusal::WrongCall(failure)) => return Reply::error(400, &failure.message),
        };
        let mut reply = self.framed(&job, |frame| profile::created(&job, frame));
        reply.insert("token".into(), token.into());
        Reply::json(self.scenario.create.status, &Value::Object(reply))
    }

    pub(super) fn answer_read(&mut self, id: &str) -> Reply {
        let now = self.now();
        let Some(job) = self.read(id, now).cloned() else {
            return Reply::error(404, "Job not found");
        };
        Reply::json(200, &Value::Object(self.view(&job)))
    }

    pub(super) fn answer_cancel(&mut self, id: &str) -> Reply {
        let now = self.now();
        match self.cancel(id, now) {
            Cancelled::Unknown => Reply::error(404, "Job not found"),
            Cancelled::Finished => Reply::error(400, "The job is already finished"),
            Cancelled::Taken if self.scenario.cancel.empty_reply => Reply::empty(204),
            Cancelled::Taken => self.answer_read(id),
        }
    }

    pub(super) fn answer_list(&mut self, request: &Request) -> Reply {
        if self.scenario.list.forbidden {
            return Reply::error(403, "You don't have permissions to list jobs");
        }
        let since = match request.parameter("created_since").map(|t| t.parse()) {
            None => None,
            Some(Ok(since)) => Some(since),
            Some(Err(_)) => {
                return Reply::error(400, "\"created_since\" must be a valid ISO 8601 date");
            }
        };
        let now = self.now();
        let jobs: Vec<Job> = self.list(since, now).into_iter().cloned().collect();
        let mut entries: Vec<Value> = jobs.iter().map(|job| self.entry(job)).collect();
        entries.extend(self.others(since));
        if let Some(page) = self.scenario.list.page {
            entries.truncate(page);
        }
        let reply = match self.scenario.list.wrapper {
            None => Value::Array(entries),
            Some(wrapper) => json!({ wrapper.word(): entries, "page": 1 }),
        };
        Reply::json(200, &reply)
    }

    /// A job as the list shows it.
    fn entry(&self, job: &Job) -> Value {
        let rules = &self.scenario.list;
        let mut entry = self.framed(job, |frame| profile::created(job, frame));
        if !rules.metadata {
            entry.shift_remove("metadata");
        }
        if !rules.query {
            entry.shift_remove("query");
        }
        if rules.status
            && let Some(status) = self.view(job).remove("status")
        {
            entry.insert("status".into(), status);
        }
        Value::Object(entry)
    }

    /// Jobs of other people, as the list shows them.
    fn others(&self, since: Option<Timestamp>) -> Vec<Value> {
        let since = since.filter(|_| !self.scenario.list.ignores_created_since);
        (1..=u64::from(self.scenario.list.others))
            .filter_map(|n| {
                let age = SignedDuration::from_secs(i64::try_from(n * 10).ok()?);
                let created = self.shown(self.now().checked_sub(age).ok()?);
                since.is_none_or(|since| created >= since).then(|| {
                    json!({
                        "externalId": format!("job_somebodyElses{n:011}"),
                        "accountId": "ac_sandbox0",
                        "userId": "auth0|0ther0ther0ther0ther0the",
                        "metadata": {},
                        "createdAt": iso(created),
                        "query": "SELECT COUNT(*) FROM somebody.elses_table",
                        "jobMetadata": { "location": "US" },
                    })
                })
            })
            .collect()
    }

    /// GET gives the first result for ever, as a cache in front of the vendor does; POST executes.
    pub(super) fn answer_query(&mut self, cached: bool, request: &Request) -> Reply {
        let (statement, parameters) = match query_of(cached, request) {
            Ok(asked) => asked,
            Err(reply) => return reply,
        };
        let key = format!("{statement}\n{parameters}");
        let hit = cached && self.cached.contains(&key);
        if let Err(failure) = self.check(&statement, &parameters) {
            return Reply::error(400, &failure.message);
        }
        if !hit {
            self.journal.executes(&statement);
        }
        if cached && self.cached.len() < REQUESTS_MAX {
            self.cached.insert(key);
        }
        let reply = Reply::json(
            200,
            &json!({
                "rows": [{ "f0_": 1 }],
                "schema": [{ "name": "f0_", "type": "INT64" }],
                "meta": { "cacheHit": hit, "totalBytesProcessed": "0" },
            }),
        );
        if cached {
            reply.with("Cache-Control", "public, max-age=31536000")
        } else {
            reply.with("Cache-Control", "no-store")
        }
    }

    fn view(&self, job: &Job) -> Map<String, Value> {
        let phase = job.phase(self.now());
        self.framed(job, |frame| profile::read(job, &phase, frame))
    }

    fn framed<T>(&self, job: &Job, draw: impl FnOnce(Frame<'_>) -> T) -> T {
        let created_at = iso(self.shown(job.created));
        draw(Frame {
            profile: self.scenario.profile,
            quirk: self.scenario.quirk,
            created_at: &created_at,
        })
    }
}

/// What a creation asks for.
pub(super) fn order(connection: &str, by_url: bool, request: &Request) -> Result<Order, Reply> {
    let mut order = Order {
        connection: connection.to_owned(),
        by_url,
        ..Order::default()
    };
    if by_url {
        order.query = request.parameter("query").unwrap_or_default();
        if let Some(text) = request.parameter("queryParameters") {
            order.parameters = serde_json::from_str(&text)
                .map_err(|_| Reply::error(400, "\"queryParameters\" is not JSON"))?;
        }
        return Ok(order);
    }
    let mut body = json_object(request)?;
    match body.remove("query") {
        Some(Value::String(query)) => order.query = query,
        None => {}
        Some(_) => return Err(Reply::error(400, "\"query\" must be a string")),
    }
    order.parameters = body.remove("queryParameters").unwrap_or(Value::Null);
    order.metadata = body.remove("metadata");
    if !matches!(
        order.parameters,
        Value::Null | Value::Object(_) | Value::Array(_)
    ) {
        let what = "\"queryParameters\" must be an object or an array";
        return Err(Reply::error(400, what));
    }
    if !matches!(order.metadata, None | Some(Value::Null | Value::Object(_))) {
        return Err(Reply::error(400, "\"metadata\" must be an object"));
    }
    Ok(order)
}

/// The statement and the parameters of a request to run something at once.
fn query_of(cached: bool, request: &Request) -> Result<(String, Value), Reply> {
    let (statement, parameters) = if cached {
        let parameters = request.parameter("queryParameters");
        let parameters = parameters.and_then(|text| serde_json::from_str(&text).ok());
        (request.parameter("q"), parameters)
    } else {
        let mut body = json_object(request)?;
        let statement = body.remove("q");
        let statement = statement.and_then(|q| q.as_str().map(str::to_owned));
        (statement, body.remove("queryParameters"))
    };
    match statement {
        Some(q) if !q.trim().is_empty() => Ok((q, parameters.unwrap_or(Value::Null))),
        _ => Err(Reply::error(400, "\"q\" is required")),
    }
}

fn json_object(request: &Request) -> Result<Map<String, Value>, Reply> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(Reply::error(400, "the body is not a JSON object")),
    }
}

/// ISO 8601 in UTC with milliseconds, always three digits.
fn iso(t: Timestamp) -> String {
    t.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
