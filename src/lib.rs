//! nightcall: a scheduler daemon for CARTO workflows.
//!
//! `sched` decides, `store` remembers, `daemon` acts, everything else watches. Imports go one way:
//!
//! ```text
//! main -> cli -> control -> daemon -> { store, warehouse, notify } traits -> sched
//! ```
//!
//! `config` sees only `sched` and `secret`; siblings do not see each other; `cli/serve.rs` is the one place that
//! names concrete stores and clients. `tests/it/tidy.rs` keeps it so.

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod notify;
pub mod sandbox;
pub mod sched;
pub mod secret;
pub mod store;
pub mod systemd;
pub mod telemetry;
pub mod warehouse;
pub mod zones;
