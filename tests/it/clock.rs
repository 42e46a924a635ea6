//! The clock of the machine is set while the built program runs, or before it was ever right; the machine is suspended
//! and wakes up. The program runs with clocks that a file shifts (`clock/shim.c`), the sandbox with those of the test.

#![allow(clippy::print_stderr)]

#[path = "clock/driver.rs"]
mod driver;
#[path = "clock/machine.rs"]
mod machine;
#[path = "clock/start.rs"]
mod start;
#[path = "clock/steps.rs"]
mod steps;
#[path = "clock/suspend.rs"]
mod suspend;
