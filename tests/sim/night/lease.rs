//! The right to write the store and to act, as the store of the daemon keeps it: one holder, an epoch that grows, an
//! end that the holder pushes ahead.

use std::time::Duration;

use nightcall::sched::time::Timestamp;

/// How long it holds unless it is renewed …
pub(super) const TRUST: Duration = Duration::from_secs(60);
/// … and how long the holder trusts it before it renews it.
pub(super) const RENEW: Duration = Duration::from_secs(20);

/// Who may write.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    epoch: u64,
    /// Who, and until when.
    held: Option<(u64, Timestamp)>,
}

impl Lease {
    /// Takes it; `None` while another process that may live has it.
    pub(super) fn acquire(
        &mut self,
        process: u64,
        other_lives: bool,
        now: Timestamp,
    ) -> Option<u64> {
        if let Some((holder, until)) = self.held
            && holder != process
            && other_lives
            && until > now
        {
            return None;
        }
        self.epoch += 1;
        self.held = Some((process, now + TRUST));
        Some(self.epoch)
    }

    /// Pushes its end ahead; `false` when somebody else took it.
    pub(super) fn renew(&mut self, epoch: u64, now: Timestamp) -> bool {
        let fenced = self.fences(epoch);
        if let Some((_, until)) = &mut self.held
            && !fenced
        {
            *until = now + TRUST;
        }
        !fenced
    }

    /// Whether a commit of that epoch is refused.
    pub(super) fn fences(&self, epoch: u64) -> bool {
        self.epoch != epoch
    }
}
