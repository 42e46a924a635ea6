//! The reasons of faults that are told apart when faults are counted. A vendor may give any reason; what is counted has
//! few.

/// Reasons by their own word: those of the vendors that say one, and ours. A new client adds its own.
const REASONS: [&str; 33] = [
    "accessDenied",
    "attributeError",
    "backendError",
    "badGateway",
    "base_url",
    "billingNotEnabled",
    "billingTierLimitExceeded",
    "blocked",
    "bytesBilledLimitExceeded",
    "connect",
    "credential",
    "duplicate",
    "internalError",
    "invalid",
    "invalidQuery",
    "invalidUser",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "no answer",
    "no connection",
    "notFound",
    "notImplemented",
    "policyViolation",
    "quotaExceeded",
    "rateLimitExceeded",
    "request",
    "resourceInUse",
    "resourcesExceeded",
    "responseTooLarge",
    "tableUnavailable",
    "timeout",
    "unreadable",
];

/// Statuses of HTTP by their own word, as they are written in a fault.
const STATUSES: [&str; 8] = [
    "http 400", "http 401", "http 403", "http 404", "http 429", "http 502", "http 503", "http 504",
];

/// What a reason is counted as.
pub fn counted_as(reason: &str) -> &'static str {
    let known = REASONS.iter().chain(&STATUSES);
    let mut same = known.filter(|word| word.eq_ignore_ascii_case(reason));
    match same.next() {
        Some(word) => word,
        None if reason.starts_with("http 4") => "http 4xx",
        None if reason.starts_with("http 5") => "http 5xx",
        None => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_nobody_knows_is_an_other() {
        for (reason, word) in [
            ("invalidQuery", "invalidQuery"),
            ("INVALIDQUERY", "invalidQuery"),
            ("http 502", "http 502"),
            ("http 507", "http 5xx"),
            ("http 418", "http 4xx"),
            ("42883", "other"),
            ("whatever a vendor says\n", "other"),
            ("", "other"),
        ] {
            assert_eq!(counted_as(reason), word, "{reason}");
        }
    }
}
