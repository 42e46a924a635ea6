//! The numbers and the health of a running daemon, as a monitor sees them.

mod health;
mod monitoring;
mod numbers;
mod page;
mod world;

pub(crate) use page::{Metric, exposed};
