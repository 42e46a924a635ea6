//! Every key that a configuration may hold, table by table: the one list behind the check for unknown keys, the
//! guesses at what was meant, and the test that each key is documented.
//!
//! A file is read as a tree of TOML values with their places (`read.rs`), not through derived types: those stop at the
//! first error, and all problems are to be shown at once.

/// A table of the configuration and the keys it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// How people write it: `[connection.NAME]`.
    pub table: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// The file itself.
pub const ROOT: Keys = Keys {
    table: "the top of the file",
    keys: &[
        "daemon",
        "connection",
        "notify",
        "defaults",
        "classify",
        "schedule",
    ],
};

/// `[daemon]`.
pub const DAEMON: Keys = Keys {
    table: "[daemon]",
    keys: &[
        "database",
        "control",
        "http",
        "instance",
        "retention",
        "doctor_at",
    ],
};

/// `daemon.retention`.
pub const RETENTION: Keys = Keys {
    table: "daemon.retention",
    keys: &["days", "runs_per_series"],
};

/// `[connection.*]`.
pub const CONNECTION: Keys = Keys {
    table: "[connection.NAME]",
    keys: &[
        "name",
        "base_url",
        "provider",
        "token",
        "oauth",
        "requests_per_minute",
        "max_in_flight",
        "poll",
        "request_timeout",
        "list_lag",
        "give_up",
        "ca_file",
        "proxy",
    ],
};

/// `connection.*.oauth`.
pub const OAUTH: Keys = Keys {
    table: "connection.NAME.oauth",
    keys: &["token_url", "client_id", "client_secret", "audience"],
};

/// `connection.*.poll`.
pub const POLL: Keys = Keys {
    table: "connection.NAME.poll",
    keys: &["first", "factor", "max"],
};

/// Where a secret is kept: `token` and `client_secret`.
pub const SECRET: Keys = Keys {
    table: "connection.NAME.token",
    keys: &["env", "file", "credential", "command"],
};

/// `[notify.*]`; which of these a channel may say depends on its type.
pub const NOTIFY: Keys = Keys {
    table: "[notify.NAME]",
    keys: &[
        "type", "on", "tags", "owners", "timeout", "url", "secret", "ca_file", "token", "channel",
        "host", "port", "tls", "username", "password", "from", "to", "command",
    ],
};

/// `[defaults]`.
pub const DEFAULTS: Keys = Keys {
    table: "[defaults]",
    keys: &[
        "owner",
        "tags",
        "notify",
        "enabled",
        "connection",
        "timezone",
        "from",
        "until",
        "exclude",
        "jitter",
        "dst_gap",
        "dst_overlap",
        "timeout",
        "start_deadline",
        "cancel_grace",
        "retry",
        "misfire",
        "overlap",
        "doubt",
        "priority",
    ],
};

/// `[schedule.*]`: its own keys, then those of `[defaults]`.
pub const SCHEDULE: Keys = Keys {
    table: "[schedule.NAME]",
    keys: &[
        "description",
        "note",
        "cron",
        "every",
        "procedure",
        "call",
        "parameters",
        "set",
        "after",
        "owner",
        "tags",
        "notify",
        "enabled",
        "connection",
        "timezone",
        "from",
        "until",
        "exclude",
        "jitter",
        "dst_gap",
        "dst_overlap",
        "timeout",
        "start_deadline",
        "cancel_grace",
        "retry",
        "misfire",
        "overlap",
        "doubt",
        "priority",
    ],
};

/// `retry` of a schedule or of `[defaults]`.
pub const RETRY: Keys = Keys {
    table: "retry",
    keys: &[
        "attempts",
        "backoff",
        "factor",
        "max_backoff",
        "jitter",
        "on_timeout",
    ],
};

/// `misfire` of a schedule or of `[defaults]`.
pub const MISFIRE: Keys = Keys {
    table: "misfire",
    keys: &["catch_up", "window", "tolerance", "max"],
};

/// `after` of a schedule.
pub const AFTER: Keys = Keys {
    table: "after",
    keys: &["schedules", "on"],
};

/// `[classify]`.
pub const CLASSIFY: Keys = Keys {
    table: "[classify]",
    keys: &["transient", "permanent"],
};

/// Every table.
pub const TABLES: [&Keys; 14] = [
    &ROOT,
    &DAEMON,
    &RETENTION,
    &CONNECTION,
    &OAUTH,
    &POLL,
    &SECRET,
    &NOTIFY,
    &DEFAULTS,
    &SCHEDULE,
    &RETRY,
    &MISFIRE,
    &AFTER,
    &CLASSIFY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_may_say_whatever_the_defaults_may() {
        for key in DEFAULTS.keys {
            assert!(SCHEDULE.keys.contains(key), "{key}");
        }
    }

    #[test]
    fn no_table_lists_a_key_twice() {
        for table in TABLES {
            for key in table.keys {
                let times = table.keys.iter().filter(|k| *k == key).count();
                assert_eq!(times, 1, "{} {key}", table.table);
            }
        }
    }
}
