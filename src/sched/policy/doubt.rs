//! What to do when it cannot be told whether a job exists.

/// What follows a submission whose answer is unknown. Every policy looks for the marker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DoubtPolicy {
    /// Proven absence is a failed attempt and may be retried; without proof the run is lost.
    #[default]
    Verify,
    /// Never submit again by itself: the run is lost unless its job is found.
    Hold,
    /// For procedures that are safe to run twice: submit again also without proof.
    Resubmit,
}

/// What a lookup has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is proven that there is no job.
    ProvenAbsent,
    /// The time to look has passed and nothing is proven.
    GaveUp,
}

/// What to do with the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The attempt counts as failed; the retry policy decides.
    Failed,
    /// Nobody can say: the run is lost.
    Lost,
}

impl DoubtPolicy {
    /// Every policy with the configuration's word.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Verify, "verify"),
        (Self::Hold, "hold"),
        (Self::Resubmit, "resubmit"),
    ];

    /// The configuration's word.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(p, _)| *p == self)
            .map_or("verify", |(_, w)| w)
    }

    /// What a finding means for the run.
    pub fn decide(self, finding: Finding) -> Verdict {
        match (self, finding) {
            (Self::Hold, _) | (Self::Verify, Finding::GaveUp) => Verdict::Lost,
            (Self::Verify, Finding::ProvenAbsent) | (Self::Resubmit, _) => Verdict::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proof_or_permission_lets_an_attempt_be_made_again() {
        use {DoubtPolicy as P, Finding as F, Verdict as V};
        let table = [
            (P::Verify, F::ProvenAbsent, V::Failed),
            (P::Verify, F::GaveUp, V::Lost),
            (P::Hold, F::ProvenAbsent, V::Lost),
            (P::Hold, F::GaveUp, V::Lost),
            (P::Resubmit, F::ProvenAbsent, V::Failed),
            (P::Resubmit, F::GaveUp, V::Failed),
        ];
        for (policy, finding, verdict) in table {
            assert_eq!(policy.decide(finding), verdict, "{policy:?} {finding:?}");
        }
    }
}
