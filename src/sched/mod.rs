//! The pure heart: it decides, and does nothing else.
//!
//! `Scheduler::handle(input, now)` takes one thing that happened and gives back a [`Step`]: the changes to store and
//! the effects to perform *after* they are stored. This folder has no IO, no async, no clock reading, no randomness
//! and no logging; it can be replayed, simulated and tested in virtual time. Every `match` on the state of a run
//! lives here.
//!
//! Where to read first: `run.rs` and `machine.rs` (the state machine), `plan.rs` (a span of time into decisions), `scheduler/`.

pub mod act;
pub mod calendar;
pub mod call;
pub mod fault;
pub mod finding;
pub mod id;
pub mod machine;
pub mod notice;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod policy;
pub mod run;
pub mod schedule;
pub mod scheduler;
pub mod step;
pub mod template;
pub mod time;
pub mod trigger;
pub mod written;

pub use scheduler::Scheduler;
pub use step::{Change, Effect, Input, Step};
