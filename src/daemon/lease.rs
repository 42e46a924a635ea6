//! The right to write the store and to act: taken at the start, renewed well before it ends, given back at the stop.
//!
//! The time it is trusted is counted on the clock that cannot be stepped.

use std::sync::Arc;
use std::time::Duration;

use crate::sched::time::{Mono, Now};
use crate::store::{Holder, Lease, Store, StoreError};

/// How long a lease holds unless it is renewed …
const TRUST: Duration = Duration::from_secs(60);
/// … and how long it is trusted before it is renewed.
const RENEW: Duration = Duration::from_secs(20);

/// Keeps a lease alive.
pub(super) struct LeaseKeeper {
    store: Arc<dyn Store>,
    lease: Lease,
    taken: Mono,
}

impl LeaseKeeper {
    /// Takes the lease; [`StoreError::Fenced`] names who has it.
    pub(super) async fn acquire(store: Arc<dyn Store>, now: Now) -> Result<Self, StoreError> {
        let holder = Holder {
            pid: std::process::id(),
            host: host(),
            started: now.wall,
        };
        let lease = store.acquire(holder, TRUST, now.wall).await?;
        Ok(Self {
            store,
            lease,
            taken: now.mono,
        })
    }

    /// The lease to commit under.
    pub(super) fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Renews the lease when it is time. Nothing may be sent when this fails.
    pub(super) async fn keep(&mut self, now: Now) -> Result<(), StoreError> {
        if now.mono < self.taken.plus(RENEW) {
            return Ok(());
        }
        self.lease = self.store.renew(self.lease(), TRUST, now.wall).await?;
        self.taken = now.mono;
        Ok(())
    }

    /// Gives the lease back; a failure matters to nobody, since it ends by itself.
    pub(super) async fn release(self) {
        let _ = self.store.release(self.lease).await;
    }
}

/// The name of this machine, for the message to whoever finds the store held.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "this machine".to_owned())
}
