//! The scheduler in virtual time, against a model store that believes nothing. Scenarios show one thing each, with a
//! vendor that follows a script; `night/` looks for what nobody thought of, at the sandbox's world.
//!
//! `SIM_SEEDS=5000 cargo test --test sim` tries more seeds, `SIM_SEED=42` only this one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod dice;
#[path = "../expander/mod.rs"]
mod expander;
mod log;
mod setup;
mod sim;
mod store;
mod vendor;

mod acts;
mod after;
mod circuit;
mod clock;
mod clock_sweep;
mod course;
mod crash;
mod doubt;
mod edits;
mod hand;
mod misfire;
mod night;
mod overlap;
mod pace;
mod reload;
mod robust;
mod table;
mod templates;
