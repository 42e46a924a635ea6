//! What the daily look at everything found becomes one notice, and is shown until the next.

use super::Scheduler;
use crate::sched::fault::bounded;
use crate::sched::finding::{Finding, Severity, Tally};
use crate::sched::notice::{Notice, NoticeKind};
use crate::sched::time::{Now, Timestamp};

/// So many findings are written out in a notice.
const WRITTEN_OUT: usize = 20;
/// The longest of them, in bytes.
const LONGEST: usize = 600;

/// What the last look at everything came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examined {
    /// When.
    pub at: Timestamp,
    /// How many findings of each severity.
    pub tally: Tally,
}

impl Scheduler {
    /// One notice when something is not well; the same findings the next day are told again then.
    pub(super) fn examined(&mut self, findings: &[Finding], now: Now) {
        let tally = Tally::of(findings);
        self.examined = Some(Examined {
            at: now.wall,
            tally,
        });
        let Some(complaint) = tally.complaint() else {
            return;
        };
        self.tell(Notice {
            id: format!("doctor:{}", now.wall),
            kind: NoticeKind::Doctor,
            at: now.wall,
            schedule: None,
            run: None,
            subject: format!("before the night: {complaint}"),
            body: body(findings),
        });
    }
}

/// The worst first; what is well is not told.
fn body(findings: &[Finding]) -> String {
    let mut bad: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.severity > Severity::Well)
        .collect();
    bad.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let line = |finding: &&Finding| bounded(&finding.to_string(), LONGEST);
    let mut lines: Vec<String> = bad.iter().take(WRITTEN_OUT).map(line).collect();
    if bad.len() > WRITTEN_OUT {
        let more = bad.len() - WRITTEN_OUT;
        lines.push(format!("and {more} more: nightcall doctor"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_begins_with_the_worst_and_is_bounded() {
        let bad = |severity, subject: String| {
            Finding::bad(severity, "disk", subject, "x".repeat(5000), "do this")
        };
        let mut findings = vec![Finding::well("clock", "this machine", "fine")];
        findings.extend((0..30).map(|n| bad(Severity::Warning, n.to_string())));
        findings.push(bad(Severity::Problem, "last".to_owned()));
        let body = body(&findings);
        assert!(body.starts_with("problem: disk of last: xxx"), "{body}");
        assert!(body.ends_with("\nand 11 more: nightcall doctor"), "{body}");
        assert!(!body.contains("fine"));
        assert!(body.len() < WRITTEN_OUT * (LONGEST + 1) + 50);
    }
}
