//! The disk misbehaves: it is full, read-only, broken or slow, at the start, in the middle of the night, at any single
//! call; and what a database that was damaged does.
//!
//! `shim.rs` stands between a program and its disk, `namespace.rs` gives it a small disk of its own, `night.rs` is the
//! built program on such a disk with the sandbox as vendor.

mod chores;
mod damage;
mod late_lease;
mod meanwhile;
mod mood;
mod namespace;
mod night;
mod outage;
mod points;
mod shim;
mod start;
