//! What a look at everything before the night found: one finding a check, in words, with what to do.

use std::fmt;

/// How bad a finding is; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It is well.
    Well,
    /// The night will pass, but somebody should look.
    Warning,
    /// Something will not run, or cannot be kept, as it is.
    Problem,
}

impl Severity {
    /// The word for people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// What was looked at: a connection, a file, this machine.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is the case; never with a secret.
    pub message: String,
    /// What a person should do, when there is something to do.
    pub remedy: Option<String>,
}

impl Finding {
    /// It is well.
    pub fn well(
        check: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            check,
            subject: subject.into(),
            severity: Severity::Well,
            message: message.into(),
            remedy: None,
        }
    }

    /// It is this bad, and this is what to do.
    pub fn bad(
        severity: Severity,
        check: &'static str,
        subject: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            remedy: Some(remedy.into()),
            ..Self::well(check, subject, message)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            check,
            subject,
            severity,
            message,
            ..
        } = self;
        write!(f, "{}: {check} of {subject}: {message}", severity.word())?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// How many findings there are of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Problems.
    pub problems: usize,
    /// Warnings.
    pub warnings: usize,
    /// Checks that are well.
    pub well: usize,
}

impl Tally {
    /// Counts.
    pub fn of(findings: &[Finding]) -> Self {
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        Self {
            problems: count(Severity::Problem),
            warnings: count(Severity::Warning),
            well: count(Severity::Well),
        }
    }

    /// The worst of them.
    pub fn worst(self) -> Severity {
        match self {
            Self { problems: 1.., .. } => Severity::Problem,
            Self { warnings: 1.., .. } => Severity::Warning,
            _ => Severity::Well,
        }
    }

    /// What is not well: `2 problems, 1 warning`; `None` when all is.
    pub fn complaint(self) -> Option<String> {
        let counted = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{count} {word}s")),
        };
        let words: Vec<String> = [
            counted(self.problems, "problem"),
            counted(self.warnings, "warning"),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let well = match self.well {
            1 => "1 check is well".to_owned(),
            count => format!("{count} checks are well"),
        };
        match self.complaint() {
            Some(complaint) => write!(f, "{complaint}; {well}"),
            None => write!(f, "all {well}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_says_what_is_bad_before_what_is_well() {
        let tally = |problems, warnings, well| Tally {
            problems,
            warnings,
            well,
        };
        for (tally, words, worst) in [
            (
                tally(2, 1, 14),
                "2 problems, 1 warning; 14 checks are well",
                Severity::Problem,
            ),
            (
                tally(0, 2, 1),
                "2 warnings; 1 check is well",
                Severity::Warning,
            ),
            (tally(0, 0, 11), "all 11 checks are well", Severity::Well),
        ] {
            assert_eq!((tally.to_string().as_str(), tally.worst()), (words, worst));
        }
    }

    #[test]
    fn a_finding_in_one_line_ends_with_what_to_do() {
        let well = Finding::well("disk", "/var", "40 GiB are free");
        assert_eq!(well.to_string(), "ok: disk of /var: 40 GiB are free");
        let bad = Finding::bad(Severity::Problem, "disk", "/var", "it is full", "free some");
        assert_eq!(
            bad.to_string(),
            "problem: disk of /var: it is full; free some"
        );
    }
}
