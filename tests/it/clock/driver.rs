//! The driver itself under a clock that is set: it goes on saying that it lives and how it stands.

use std::collections::HashMap;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nightcall::daemon::{Clock, Daemon, Parts, Plan, SystemClock};
use nightcall::sched::time::{Now, TimeZone};
use nightcall::systemd::Notifier;
use tokio_util::sync::CancellationToken;

use crate::support::memory_store::MemoryStore;
use crate::support::runs::chores;

/// The machine's clocks, the wall clock ahead by so many seconds.
#[derive(Clone, Default)]
struct Shifted(Arc<AtomicI64>);

impl Clock for Shifted {
    fn now(&self) -> Now {
        let now = SystemClock.now();
        let ahead = jiff::SignedDuration::from_secs(self.0.load(Ordering::SeqCst));
        Now {
            wall: now.wall + ahead,
            ..now
        }
    }
}

fn parts(clock: Shifted, notify: &std::path::Path, stop: CancellationToken) -> Parts {
    Parts {
        store: Arc::new(MemoryStore::default()),
        outbox: Arc::new(MemoryStore::default()),
        clients: HashMap::new(),
        clock: Arc::new(clock),
        plan: Plan {
            config: Arc::from("hash"),
            definitions: Vec::new(),
            disabled: Vec::new(),
            connections: Vec::new(),
            observe: false,
            kept: std::time::Duration::MAX,
            zones: Arc::new(|name| TimeZone::get(name).ok()),
            checks: Arc::new(|| Box::pin(async { Vec::new() })),
            channels: Vec::new(),
        },
        chores: chores(),
        instance: Some("test".to_owned()),
        systemd: Notifier::to(notify, Some(Duration::from_secs(60))),
        stop,
    }
}

/// Whether both a sign of life and a status with these words come within a moment of now.
fn heard(socket: &UnixDatagram, words: &str) -> bool {
    // Whatever was said before now does not count.
    socket.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4096];
    while socket.recv(&mut bytes).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let (mut alive, mut status) = (false, false);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(10) && !(alive && status) {
        let Ok(n) = socket.recv(&mut bytes) else {
            return false;
        };
        let text = String::from_utf8_lossy(&bytes[..n]);
        alive |= text.contains("WATCHDOG=1");
        status |= text.contains("STATUS=") && text.contains(words);
    }
    alive && status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_is_fed_and_the_status_shown_whatever_becomes_of_the_wall_clock() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let (clock, stop) = (Shifted::default(), CancellationToken::new());
    let parts = parts(clock.clone(), &folder.path().join("notify"), stop.clone());
    let (daemon, handle) = Daemon::new(parts).await.unwrap();
    let running = tokio::spawn(daemon.run());
    assert!(heard(&socket, "nothing planned"), "at first");
    let steps = [
        (-120, "nothing planned"),
        (-300, "the clock was set back"),
        (-86_400 * 3650, "the clock was set back"),
        // Ten years to the right time are no small step; there is nobody here who could vouch for it.
        (0, "the clock is not believed"),
        (86_400 * 3650, "the clock is not believed"),
    ];
    for (ahead, words) in steps {
        clock.0.store(ahead, Ordering::SeqCst);
        assert!(heard(&socket, words), "{ahead}: not {words:?}");
        let fresh = || {
            clock
                .now()
                .wall
                .duration_since(handle.status().at)
                .as_secs()
                .abs()
                < 5
        };
        let begun = std::time::Instant::now();
        while !fresh() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{ahead}: the status is old"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}
