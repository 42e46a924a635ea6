//! Clock changes: what a schedule does at every change of every zone, against an expander that works it out the slow way,
//! and against what people expect (once a day, evenly spaced, always forward).
//!
//! `cargo test --test dst` looks at every zone name with a part of the cases. All of them, with progress:
//! `DST_ALL=1 cargo test --test dst -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "../expander/mod.rs"]
mod expander;

mod by_hand;
