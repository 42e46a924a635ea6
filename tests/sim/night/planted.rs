//! Faults that the driver of the simulation makes on purpose, to see that they are caught. The code under test knows
//! nothing of them.

/// What the driver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// The intent of a submission is not stored, and nobody looks whether it was.
    ForgetsIntent,
    /// The effects of a step leave before its commit.
    ActsFirst,
    /// Cursors are not stored.
    ForgetsCursor,
    /// What was decided is stored, but notices are not.
    ForgetsNotices,
    /// The vendor lists jobs later than `list_lag` says.
    ListsLate,
    /// Commits are taken whoever has the lease.
    NoFence,
}
