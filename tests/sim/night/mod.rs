//! Nights in virtual time: the scheduler as it is, a store that believes nothing, and the sandbox's world at the other
//! end of every request. A seed makes a [`plan::Night`], which is plain data: schedules, limits, how the vendor behaves,
//! and what happens when. It is played, all invariants of docs/ARCHITECTURE.md are asserted after every step
//! (`checks.rs` lists them), and a night that breaks one is shrunk before it is shown.
//!
//! `cargo test --test sim night` plays 200 of them; `SIM_SEEDS=5000` more, `SIM_FROM=1000` others, `SIM_SEED=42` one.

mod acts;
mod after;
mod bounds;
mod by_hand;
mod campaign;
mod checks;
mod courier;
mod crashes;
mod delivery;
mod doubts;
mod draw;
mod lease;
mod ledger;
mod oracle;
mod plan;
mod planted;
mod play;
mod process;
mod shrink;
mod tally;
mod tokens;
mod vendor;
mod weather;
mod wording;
mod words;
