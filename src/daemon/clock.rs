//! The clocks of the machine, and whether they can be believed.

use std::time::Duration;

use crate::sched::time::{Mono, Now, Timestamp};

/// Where the driver reads the time.
pub trait Clock: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;
}

/// The real clocks. Elapsed time goes on while the machine is suspended.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let since_boot = elapsed();
        Now {
            wall: Timestamp::now(),
            mono: Mono(since_boot),
        }
    }
}

#[cfg(target_os = "linux")]
fn elapsed() -> i64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    t.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(t.tv_nsec)
}

#[cfg(not(target_os = "linux"))]
fn elapsed() -> i64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    i64::try_from(start.elapsed().as_nanos()).unwrap_or(i64::MAX)
}

/// Whether the kernel says that its clock is synchronised, as `timedatectl` tells it (the mark that the time service
/// leaves in a file outlives a step of the clock). `false` when nobody says anything.
pub(super) async fn synchronised() -> bool {
    let mut ask = tokio::process::Command::new("timedatectl");
    ask.args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(Duration::from_secs(5), ask.output()).await {
        Ok(Ok(said)) => said.stdout.trim_ascii() == b"yes",
        _ => false,
    }
}
