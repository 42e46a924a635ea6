//! The scheduler in virtual time, against a model store that believes nothing and a model vendor that can do everything
//! that a vendor can do wrong. Scenarios show one thing each; `random.rs` looks for what nobody thought of.
//!
//! `SIM_SEEDS=5000 cargo test --test sim` tries more seeds, `SIM_SEED=42` only this one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod chaos;
mod log;
mod setup;
mod sim;
mod store;
mod vendor;

mod acts;
mod acts_at_random;
mod circuit;
mod clock;
mod clock_sweep;
mod course;
mod crash;
mod doubt;
mod edits;
mod hand;
mod misfire;
mod overlap;
mod pace;
mod random;
mod reload;
mod robust;
mod table;
