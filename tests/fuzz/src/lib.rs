//! What must hold of whatever nightcall is given to read: one function for each kind of input.
//!
//! Each takes any bytes and panics when something does not hold. They are called by the libFuzzer targets beside this
//! folder (`tests/fuzz/run`) and, with the seeds and a few thousand mutations of them, by the ordinary test
//! `tests/it/hostile.rs`, which is why nothing here names libFuzzer.

mod config;
mod control;
mod cron;
mod ids;
mod import;
mod job;
mod parameters;
mod reading;
mod scenario;
mod template;

pub use config::config;
pub use control::control;
pub use cron::cron;
pub use ids::ids;
pub use import::import;
pub use job::job;
pub use parameters::parameters;
pub use reading::load_once;
pub use scenario::scenario;
pub use template::template;
