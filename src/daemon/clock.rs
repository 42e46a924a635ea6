//! The clocks of the machine, and whether they can be believed.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;

use crate::sched::time::{Mono, Now, Timestamp, between};

/// A wait for a time.
pub type Moment<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where the driver reads the time.
pub trait Clock: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Now;

    /// Waits until the wall clock shows a time, or was set meanwhile: whoever waits looks at the clock again.
    fn shows(&self, at: Timestamp) -> Moment<'_> {
        Box::pin(sleep(between(self.now().wall, at)))
    }
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

    #[cfg(target_os = "linux")]
    fn shows(&self, at: Timestamp) -> Moment<'_> {
        Box::pin(async move {
            match alarm(at) {
                Ok(alarm) => {
                    // It rings also when the clock is set; and at once, again and again, where this program is shown
                    // another clock than the kernel's (as in tests).
                    let _ = alarm.readable().await;
                    if Timestamp::now() < at {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
                // No timer is to be had, for want of descriptors as a rule.
                Err(_) => sleep(between(Timestamp::now(), at)).await,
            }
        })
    }
}

/// A timer of the kernel on the real-time clock: it rings some 0.1 ms after its time, where the runtime's own counts
/// whole milliseconds, and when the clock is set (timerfd_settime(2), `TFD_TIMER_CANCEL_ON_SET`).
#[cfg(target_os = "linux")]
fn alarm(at: Timestamp) -> std::io::Result<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
    let once = Itimerspec {
        it_interval: Timespec::default(),
        it_value: Timespec {
            tv_sec: at.as_second(),
            tv_nsec: at.subsec_nanosecond().into(),
        },
    };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(&timer, flags, &once)?;
    // Its replacement is unsafe, for the sake of types that do not own their descriptor; this one does.
    #[expect(deprecated)]
    tokio::io::unix::AsyncFd::with_interest(timer, tokio::io::Interest::READABLE)
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

/// Whether the kernel says that its clock is synchronised. `false` when nobody says anything.
pub(super) async fn synchronised() -> bool {
    synchronisation().await == Some(true)
}

/// What the kernel says of its clock, as `timedatectl` tells it (the mark that the time service leaves in a file
/// outlives a step of the clock): synchronised or not, or `None` when nobody says anything.
pub async fn synchronisation() -> Option<bool> {
    let mut ask = tokio::process::Command::new("timedatectl");
    ask.args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(Duration::from_secs(5), ask.output()).await {
        Ok(Ok(said)) => match said.stdout.trim_ascii() {
            b"yes" => Some(true),
            b"no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clock_shows_a_time_when_it_has_come_and_not_before() {
        let at = Timestamp::now() + Duration::from_millis(20);
        SystemClock.shows(at).await;
        assert!(Timestamp::now() >= at);
        // One that has passed is shown at once, however long ago.
        for past in ["2020-01-01T00:00:00Z", "1960-01-01T00:00:00.5Z"] {
            SystemClock.shows(past.parse().unwrap()).await;
        }
    }
}
