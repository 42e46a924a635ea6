//! `/metrics`: the numbers, for Prometheus. What was counted and timed comes from the daemon's measures; how things stand
//! is read from its status when it is asked for, so nothing is counted twice. Each metric has a row in
//! `docs/operations.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::api::Door;
use super::health::Unready;
use super::wrong::{Code, Wrong, wrong};
use crate::daemon::{DaemonHandle, Status};
use crate::sched::run::RunState;
use crate::sched::scheduler::ConnectionStatus;
use crate::sched::time::{Timestamp, between};

/// What all names begin with.
const PREFIX: &str = "nightcall";
/// The form of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A value by one label.
type By = Family<[(&'static str, String); 1], Gauge<f64, std::sync::atomic::AtomicU64>>;

pub(super) async fn metrics(
    State(door): State<Door>,
    headers: HeaderMap,
) -> Result<Response, Wrong> {
    let registry = registry(&door.api.handle, door.api.zone_data, Timestamp::now());
    let (form, written) = match wants_plain(&headers) {
        true => (
            prometheus_text::CONTENT_TYPE,
            written(|page| prometheus_text::encode(page, &registry)),
        ),
        false => (OPEN_METRICS, written(|page| text::encode(page, &registry))),
    };
    let page = written.map_err(|_| {
        wrong(
            Code::Internal,
            "the metrics cannot be written",
            "this is a bug in nightcall; please report it",
        )
    })?;
    Ok(([(header::CONTENT_TYPE, form)], page).into_response())
}

fn written(write: impl FnOnce(&mut String) -> fmt::Result) -> Result<String, fmt::Error> {
    let mut page = String::new();
    write(&mut page)?;
    Ok(page)
}

/// Whether whoever asks reads the older form only.
fn wants_plain(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let names = |form: &str| accepted.iter().any(|value| value.contains(form));
    names("text/plain") && !names("application/openmetrics-text")
}

/// Everything as it stands now.
fn registry(handle: &DaemonHandle, zone_data: Option<Timestamp>, now: Timestamp) -> Registry {
    let status = handle.status();
    let mut page = Page(Registry::with_prefix(PREFIX));
    handle.measures().register(&mut page.0);
    page.of_daemon(&status, handle.bell(), zone_data, now);
    page.of_work(&status);
    page.of_connections(handle, &status.scheduler.connections);
    page.of_doctor(&status);
    page.0
}

/// The registry while it is filled with how things stand.
struct Page(Registry);

impl Page {
    fn of_daemon(
        &mut self,
        status: &Status,
        bell: Option<Timestamp>,
        zone_data: Option<Timestamp>,
        now: Timestamp,
    ) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        self.0.register("build", "The program", Info::new(version));
        self.seconds(
            "start_time",
            "When the daemon started",
            unix(status.started),
        );
        self.seconds(
            "report_age",
            "Since the loop last reported",
            age(status.at, now),
        );
        let rang = bell.unwrap_or(status.started);
        self.seconds(
            "bell_age",
            "Since the second bell last rang",
            age(rang, now),
        );
        if let Some(released) = zone_data {
            self.seconds(
                "zone_data_age",
                "Since the zone data came out",
                age(released, now),
            );
        }
        let holding = Unready::of(status, bell, now);
        let reasons =
            Unready::ALL.map(|(why, word)| (word.to_owned(), f64::from(holding.contains(&why))));
        self.by(
            "not_ready",
            "Whether this keeps it from its work",
            "reason",
            reasons,
        );
        self.flag("observing", "It submits nothing", status.observe);
        let failed = status.scheduler.not_reloaded.is_some();
        self.flag("reload_failed", "The last reload was refused", failed);
    }

    fn of_work(&mut self, status: &Status) {
        let scheduler = &status.scheduler;
        let live = RunState::WORDS
            .into_iter()
            .filter(|word| *word != "finished");
        let live = live.map(|word| {
            let count = scheduler.live.get(word).copied().unwrap_or_default();
            (word.to_owned(), count as f64)
        });
        self.by("live_runs", "Runs that have not ended", "state", live);
        self.count("series", "Series that are planned", scheduler.series);
        self.count(
            "stopped_series",
            "Series that stand still after a bug",
            scheduler.stopped.len(),
        );
        let lost = "Series whose last run is lost and whose job may live";
        self.count("occupied_series", lost, scheduler.occupied.len());
        self.count("pauses", "Pauses in force", scheduler.pauses.len());
        let strays = ConstCounter::new(scheduler.strays);
        self.0
            .register("strays", "Answers that nobody waited for", strays);
        let bugs = ConstCounter::new(scheduler.bugs);
        self.0
            .register("bugs", "Things that must not happen and did", bugs);
    }

    fn of_connections(&mut self, handle: &DaemonHandle, connections: &[ConnectionStatus]) {
        let of = |value: fn(&ConnectionStatus) -> f64| {
            let mut by_label = BTreeMap::new();
            for connection in connections {
                let (label, _) = handle.measures().connection(&connection.name);
                *by_label.entry(label).or_insert(0.0) += value(connection);
            }
            by_label
        };
        let mut shown = |name, help, value| self.by(name, help, "connection", of(value));
        shown(
            "connection_runs",
            "Runs that are, or may be, with the vendor",
            |c| c.in_flight.into(),
        );
        shown("connection_runs_max", "How many may be", |c| {
            c.max_in_flight.into()
        });
        shown(
            "connection_waiting_runs",
            "Runs that wait for their turn",
            |c| c.waiting as f64,
        );
        shown("connection_doubtful_runs", "Runs in doubt", |c| {
            c.in_doubt as f64
        });
        shown("connection_circuit_open", "Whether it does not work", |c| {
            c.outage.is_some().into()
        });
        shown(
            "connection_list_unreadable",
            "Whether its job list cannot be read",
            |c| (c.list_readable == Some(false)).into(),
        );
        self.of_hosts(handle, connections);
    }

    /// All connections of a host say the same of it.
    fn of_hosts(&mut self, handle: &DaemonHandle, connections: &[ConnectionStatus]) {
        let own = |c: &&ConnectionStatus| handle.measures().connection(&c.name).1;
        let of = |value: fn(&ConnectionStatus) -> f64| {
            let hosts = connections.iter().filter(own);
            let values = hosts.map(|c| (c.host.clone(), value(c)));
            values.collect::<BTreeMap<_, _>>()
        };
        let mut shown = |name, help, value| self.by(name, help, "host", of(value));
        shown("host_budget_left", "Requests that may leave at once", |c| {
            c.budget_left
        });
        shown("host_budget", "The most that ever may", |c| c.budget);
        let paused = of(|c| c.paused.unwrap_or(Duration::ZERO).as_secs_f64());
        let (paused, help) = (
            family("host", paused),
            "For how long it asked to be left alone",
        );
        self.0
            .register_with_unit("host_pause", help, Unit::Seconds, paused);
    }

    /// Zero before it has looked.
    fn of_doctor(&mut self, status: &Status) {
        let examined = status.scheduler.examined;
        let tally = examined.map(|e| e.tally).unwrap_or_default();
        let at = examined.map_or(0.0, |e| unix(e.at));
        self.seconds("doctor_timestamp", "When it last looked at everything", at);
        self.count("doctor_problems", "Problems that it found", tally.problems);
        self.count("doctor_warnings", "Warnings that it found", tally.warnings);
    }

    // ---- one metric ------------------------------------------------------------------------------------------------

    fn count(&mut self, name: &str, help: &str, count: usize) {
        self.0.register(name, help, ConstGauge::new(count as f64));
    }

    fn flag(&mut self, name: &str, help: &str, holds: bool) {
        self.0
            .register(name, help, ConstGauge::new(f64::from(holds)));
    }

    fn seconds(&mut self, name: &str, help: &str, seconds: f64) {
        let gauge = ConstGauge::new(seconds);
        self.0.register_with_unit(name, help, Unit::Seconds, gauge);
    }

    fn by(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        values: impl IntoIterator<Item = (String, f64)>,
    ) {
        self.0.register(name, help, family(label, values));
    }
}

fn family(label: &'static str, values: impl IntoIterator<Item = (String, f64)>) -> By {
    let family = By::default();
    for (of, value) in values {
        family.get_or_create(&[(label, of)]).set(value);
    }
    family
}

fn age(since: Timestamp, now: Timestamp) -> f64 {
    between(since, now).as_secs_f64()
}

fn unix(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
