//! What the words of a warehouse mean for a run: reasons, codes and messages to a class. Pure tables.
//!
//! The order is: the user's own rules, the reason, the message, the code, and else what the caller says. A message is
//! asked although a reason was found, since BigQuery reports rate limits inside scripts as `invalidQuery`, and every
//! workflow is a script.

use std::sync::LazyLock;
use std::time::Duration;

use regex_lite::Regex;

use super::ClassifyRules;
use super::wire::{VendorError, plain};
use crate::sched::fault::FaultClass::{self, Once, Permanent, Slow, Transient};

/// How long to wait after `quotaExceeded` when the vendor does not say: such limits are counted by the hour or day.
pub(super) const QUOTA_WAIT: Duration = Duration::from_secs(3600);

/// How much of a message is searched for codes, in bytes.
const SEARCHED: usize = 8192;

/// BigQuery's reasons, in the spelling of [`plain`].
const REASONS: [(&str, FaultClass); 25] = [
    ("backenderror", Transient),
    ("internalerror", Transient),
    ("badgateway", Transient),
    ("ratelimitexceeded", Slow),
    ("jobbackenderror", Transient),
    ("jobinternalerror", Transient),
    ("jobratelimitexceeded", Slow),
    ("tableunavailable", Transient),
    ("timeout", Once),
    ("resourcesexceeded", Permanent),
    ("quotaexceeded", Slow),
    ("responsetoolarge", Permanent),
    ("duplicate", Once),
    ("resourceinuse", Once),
    ("invalidquery", Permanent),
    ("invalid", Permanent),
    ("notfound", Permanent),
    ("accessdenied", Permanent),
    ("billingnotenabled", Permanent),
    ("billingtierlimitexceeded", Permanent),
    ("bytesbilledlimitexceeded", Permanent),
    ("blocked", Permanent),
    ("policyviolation", Permanent),
    ("notimplemented", Permanent),
    ("attributeerror", Permanent),
];

/// Texts that make an error that looks permanent one that may pass.
const MESSAGES: [(&str, FaultClass); 11] = [
    ("exceeded rate limits", Slow),
    ("too many table update operations", Slow),
    ("too many dml statements outstanding", Slow),
    ("concurrent update", Transient),
    ("could not serialize access", Transient),
    ("serializable isolation violation", Transient),
    ("retrying the job may solve the problem", Transient),
    ("try again later", Transient),
    ("temporarily unavailable", Transient),
    ("service unavailable", Transient),
    ("backend error", Transient),
];

/// SQLSTATEs and vendor codes; the longest entry that a code begins with decides.
const CODES: [(&str, FaultClass); 42] = [
    // SQLSTATE: classes, then what differs from its class.
    ("07", Permanent),
    ("08", Transient),
    ("22", Permanent),
    ("23", Permanent),
    ("28", Permanent),
    ("2D521", Transient),
    ("3D", Permanent),
    ("3F", Permanent),
    ("40000", Transient),
    ("40001", Transient),
    ("40P01", Transient),
    ("42", Permanent),
    ("53", Transient),
    ("53100", Permanent),
    ("55P03", Transient),
    ("57014", Permanent),
    ("57P01", Transient),
    ("57P02", Transient),
    ("57P03", Transient),
    // Snowflake.
    ("000603", Transient),
    ("000625", Transient),
    ("000630", Permanent),
    ("001003", Permanent),
    ("002003", Permanent),
    ("002140", Permanent),
    ("002141", Permanent),
    ("003001", Permanent),
    // Databricks.
    ("DELTA_CONCURRENT_", Transient),
    ("TEMPORARILY_UNAVAILABLE", Transient),
    ("PERMISSION_DENIED", Permanent),
    ("ROUTINE_NOT_FOUND", Permanent),
    // Oracle.
    ("ORA-00060", Transient),
    ("ORA-00942", Permanent),
    ("ORA-01031", Permanent),
    ("ORA-03113", Transient),
    ("ORA-03135", Transient),
    ("ORA-06550", Permanent),
    ("ORA-08177", Transient),
    ("ORA-12514", Transient),
    ("ORA-12541", Transient),
    // Redshift: serializable isolation violation.
    ("1023", Transient),
    ("001023", Transient),
];

/// Where a code stands in a message: after the word SQLSTATE, as an Oracle code, before a SQLSTATE in parentheses
/// (Snowflake), in front of everything, or as an error class in brackets (Databricks).
static CODE_IN_MESSAGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i:sqlstate)[^0-9A-Za-z]{0,4}([0-9A-Z]{5})\b",
        r"|\b(ORA-[0-9]{5})\b",
        r"|\b([0-9]{6}) \([0-9A-Z]{5}\)",
        r"|^([0-9A-Z]{5}):",
        r"|\[([A-Z][A-Z0-9_]{5,})[\].]",
    ))
    .expect("the pattern is fixed and well formed")
});

/// The class of an error; `fallback` when nothing is known of it.
pub(super) fn class_of(
    error: &VendorError,
    rules: &ClassifyRules,
    fallback: FaultClass,
) -> FaultClass {
    if let Some(class) = by_rules(error, rules) {
        return class;
    }
    let known = error.reason.as_deref().and_then(by_reason);
    match known {
        Some(Permanent) => by_message(&error.message).unwrap_or(Permanent),
        Some(class) => class,
        None => by_message(&error.message)
            .or_else(|| by_code(error))
            .unwrap_or(fallback),
    }
}

/// The user's rules; `permanent` wins, since it only costs a retry.
fn by_rules(error: &VendorError, rules: &ClassifyRules) -> Option<FaultClass> {
    let message = error.message.to_lowercase();
    let matches = |rule: &String| {
        let rule = rule.trim();
        let is = |word: &Option<String>| {
            word.as_deref()
                .is_some_and(|word| word.eq_ignore_ascii_case(rule))
        };
        !rule.is_empty()
            && (is(&error.reason) || is(&error.code) || message.contains(&rule.to_lowercase()))
    };
    if rules.permanent.iter().any(matches) {
        Some(Permanent)
    } else if rules.transient.iter().any(matches) {
        Some(Transient)
    } else {
        None
    }
}

fn by_reason(reason: &str) -> Option<FaultClass> {
    let reason = plain(reason);
    if reason == "invaliduser" {
        return Some(Permanent);
    }
    REASONS
        .iter()
        .find(|(known, _)| *known == reason)
        .map(|(_, class)| *class)
}

fn by_message(message: &str) -> Option<FaultClass> {
    let message = message.to_lowercase();
    let resuming = message.contains("warehouse") && message.contains("resuming");
    MESSAGES
        .iter()
        .find(|(text, _)| message.contains(text))
        .map(|(_, class)| *class)
        .or(resuming.then_some(Transient))
}

/// By the code; else by the reason, which may be a code; else by what looks like a code in the message.
fn by_code(error: &VendorError) -> Option<FaultClass> {
    [&error.code, &error.reason]
        .into_iter()
        .flatten()
        .find_map(|code| class_of_code(code))
        .or_else(|| codes_in(&error.message).find_map(|code| class_of_code(&code)))
}

/// The codes that a message quotes, in their order.
pub(super) fn codes_in(message: &str) -> impl Iterator<Item = String> + use<> {
    let mut end = message.len().min(SEARCHED);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let found: Vec<String> = CODE_IN_MESSAGE
        .captures_iter(&message[..end])
        .flat_map(|found| {
            found
                .iter()
                .skip(1)
                .flatten()
                .map(|code| code.as_str().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    found.into_iter()
}

fn class_of_code(code: &str) -> Option<FaultClass> {
    let code = padded(code);
    CODES
        .iter()
        .filter(|(known, _)| begins_with(&code, known))
        .max_by_key(|(known, _)| known.len())
        .map(|(_, class)| *class)
}

/// Two characters are a class of SQLSTATEs and stand for all of five; a name that ends in `_` stands for a family;
/// everything else is the whole code.
fn begins_with(code: &str, known: &str) -> bool {
    match known.len() {
        2 => code.len() == 5 && code.starts_with(known),
        _ if known.ends_with('_') => code.starts_with(known),
        _ => code == known,
    }
}

/// Snowflake's codes lose their zeros when they travel as numbers.
pub(super) fn padded(code: &str) -> String {
    let digits = code.bytes().all(|b| b.is_ascii_digit());
    if digits && code.len() < 5 {
        format!("{code:0>6}")
    } else {
        code.to_ascii_uppercase()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn error(reason: &str, code: &str, message: &str) -> VendorError {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        VendorError {
            reason: some(reason),
            code: some(code),
            location: None,
            message: message.into(),
        }
    }

    fn class(reason: &str, code: &str, message: &str) -> FaultClass {
        class_of(
            &error(reason, code, message),
            &ClassifyRules::default(),
            Permanent,
        )
    }

    #[test]
    fn every_reason_that_has_a_class_is_counted_by_its_own_word() {
        for (reason, _) in REASONS {
            assert_eq!(plain(crate::warehouse::counted_as(reason)), reason);
        }
    }

    #[test]
    fn reasons_have_the_classes_of_the_table() {
        for (reason, expected) in [
            ("backendError", Transient),
            ("internalError", Transient),
            ("badGateway", Transient),
            ("rateLimitExceeded", Slow),
            ("RATE_LIMIT_EXCEEDED", Slow),
            ("jobBackendError", Transient),
            ("jobInternalError", Transient),
            ("jobRateLimitExceeded", Slow),
            ("tableUnavailable", Transient),
            ("timeout", Once),
            ("resourcesExceeded", Permanent),
            ("quotaExceeded", Slow),
            ("responseTooLarge", Permanent),
            ("duplicate", Once),
            ("resourceInUse", Once),
            ("invalidQuery", Permanent),
            ("notFound", Permanent),
            ("accessDenied", Permanent),
            ("invalidUser", Permanent),
            ("neverHeardOf", Permanent),
            ("", Permanent),
        ] {
            assert_eq!(class(reason, "", "whatever"), expected, "{reason}");
        }
    }

    #[test]
    fn messages_make_permanent_reasons_pass() {
        for (message, expected) in [
            (
                "Exceeded rate limits: too many table update operations for this table",
                Slow,
            ),
            (
                "Too many DML statements outstanding against table x, limit is 20",
                Slow,
            ),
            (
                "Transaction is aborted due to concurrent update against table x",
                Transient,
            ),
            (
                "Could not serialize access to table x due to concurrent update",
                Transient,
            ),
            (
                "An internal error occurred. Retrying the job may solve the problem.",
                Transient,
            ),
            ("Please try again later", Transient),
            ("Syntax error: Unexpected keyword", Permanent),
        ] {
            assert_eq!(class("invalidQuery", "", message), expected, "{message}");
            assert_eq!(class("", "", message), expected, "{message}");
        }
    }

    #[test]
    fn a_message_does_not_change_a_reason_that_may_pass_anyway() {
        assert_eq!(class("timeout", "", "try again later"), Once);
        assert_eq!(class("backendError", "", "exceeded rate limits"), Transient);
    }

    #[test]
    fn codes_are_read_in_the_code_first() {
        for (code, expected) in [
            ("40001", Transient),
            ("40P01", Transient),
            ("08006", Transient),
            ("08KD1", Transient),
            ("53300", Transient),
            ("53100", Permanent),
            ("55P03", Transient),
            ("57P01", Transient),
            ("57014", Permanent),
            ("42883", Permanent),
            ("23505", Permanent),
            ("2D521", Transient),
            ("000603", Transient),
            ("603", Transient),
            ("625", Transient),
            ("2140", Permanent),
            ("1023", Transient),
            ("ORA-00060", Transient),
            ("ORA-00942", Permanent),
            ("DELTA_CONCURRENT_APPEND", Transient),
            ("TEMPORARILY_UNAVAILABLE", Transient),
            ("delta_concurrent_write", Transient),
            ("08", Permanent),
            ("0800600", Permanent),
        ] {
            assert_eq!(class("", code, "SQLSTATE 42601"), expected, "code {code}");
            if expected == Transient {
                assert_eq!(class(code, "", ""), expected, "reason {code}");
            }
        }
    }

    #[test]
    fn codes_are_read_in_the_message_after_that() {
        for (message, expected) in [
            ("ERROR: deadlock detected (SQLSTATE 40P01)", Transient),
            ("deadlock detected sqlstate: '40P01'", Transient),
            ("40001: could not do it", Transient),
            ("ORA-12541: TNS:no listener", Transient),
            (
                "000625 (57014): Statement was aborted: too many lock waiters",
                Transient,
            ),
            ("002140 (42601): SQL compilation error", Permanent),
            ("[TEMPORARILY_UNAVAILABLE] come back", Transient),
            ("[DELTA_CONCURRENT_APPEND.ROW] files were added", Transient),
            ("1023: Serializable isolation violation on table", Transient),
            ("Warehouse WH is resuming", Transient),
            ("the order 40001 is unknown", Permanent),
            ("ERROR: no", Permanent),
        ] {
            assert_eq!(class("failed", "", message), expected, "{message}");
        }
    }

    #[test]
    fn codes_do_not_overrule_a_known_reason() {
        assert_eq!(class("invalidQuery", "", "SQLSTATE 40001"), Permanent);
    }

    #[test]
    fn the_users_rules_come_first_and_permanent_wins() {
        let rules = |transient: &[&str], permanent: &[&str]| ClassifyRules {
            transient: transient.iter().map(ToString::to_string).collect(),
            permanent: permanent.iter().map(ToString::to_string).collect(),
        };
        let heavy = error("resourcesExceeded", "", "Query exceeded resource limits");
        let missing = error("", "42883", "no such procedure");
        for (error, rules, expected) in [
            (&heavy, rules(&["RESOURCESEXCEEDED"], &[]), Transient),
            (&heavy, rules(&["exceeded resource"], &[]), Transient),
            (
                &heavy,
                rules(&["exceeded resource"], &["resourcesExceeded"]),
                Permanent,
            ),
            (&heavy, rules(&["resources"], &[]), Permanent),
            (&missing, rules(&["42883"], &[]), Transient),
            (&missing, rules(&["", " "], &[]), Permanent),
        ] {
            assert_eq!(class_of(error, &rules, Permanent), expected, "{rules:?}");
        }
        let flaky = error("backendError", "", "x");
        assert_eq!(
            class_of(&flaky, &rules(&[], &["backenderror"]), Transient),
            Permanent
        );
    }

    #[test]
    fn a_long_message_is_searched_at_its_beginning_only() {
        let message = format!("{}é SQLSTATE 40001", "é".repeat(SEARCHED));
        assert_eq!(class("", "", &message), Permanent);
    }
}
