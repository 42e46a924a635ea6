//! "Did you mean": the nearest of several words, and the table where a misplaced key belongs.

use super::raw::{self, Keys};

/// So many words are compared at most.
const COMPARED: usize = 2_000;

/// The word that was probably meant; `None` when none is near.
pub(super) fn nearest<'a, I>(wrong: &str, words: I) -> Option<&'a str>
where
    I: IntoIterator<Item = &'a str>,
{
    let lower = wrong.to_lowercase();
    if lower.is_empty() || lower.chars().count() > 100 {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for word in words.into_iter().take(COMPARED) {
        if let Some(distance) = near(&lower, &word.to_lowercase())
            && best.is_none_or(|(least, _)| distance < least)
        {
            best = Some((distance, word));
        }
    }
    best.map(|(_, word)| word)
}

/// How far two lower-case words are apart; `None` when that is too far for a slip.
fn near(wrong: &str, word: &str) -> Option<usize> {
    let same = |c: &char| *c != '_' && *c != '-' && *c != ' ';
    let wrong: String = wrong.chars().filter(same).collect();
    let plain: String = word.chars().filter(same).collect();
    let distance = strsim::damerau_levenshtein(&wrong, &plain);
    let length = wrong.chars().count().max(plain.chars().count());
    if distance <= length.div_ceil(3) && distance < length {
        return Some(distance);
    }
    // `zone` for `timezone`, `url` for `base_url`
    let shorter = wrong.chars().count().min(plain.chars().count());
    let part = wrong.contains(&plain) || plain.contains(&wrong);
    (part && shorter >= 3).then_some(distance + length)
}

/// "did you mean `timeout`?"
pub(super) fn did_you_mean<'a, I>(wrong: &str, words: I) -> Option<String>
where
    I: IntoIterator<Item = &'a str>,
{
    nearest(wrong, words).map(|word| format!("did you mean `{word}`?"))
}

/// What to do about a key that a table does not know.
pub(super) fn for_key(wrong: &str, table: &Keys) -> Option<String> {
    if let Some(word) = synonym(wrong).filter(|word| table.keys.contains(word)) {
        return Some(format!("did you mean `{word}`?"));
    }
    if let Some(home) = homes(wrong, table) {
        return Some(format!("`{wrong}` belongs to {home}"));
    }
    did_you_mean(wrong, table.keys.iter().copied())
}

/// Words of other schedulers for our keys.
fn synonym(wrong: &str) -> Option<&'static str> {
    let word = match wrong.to_lowercase().as_str() {
        "tz" | "zone" | "time_zone" => "timezone",
        "schedule" | "crontab" | "when" | "at" => "cron",
        "interval" | "period" => "every",
        "params" | "args" | "arguments" | "query_parameters" | "queryparameters" => "parameters",
        "sql" | "query" | "statement" => "call",
        "start_date" | "start" | "not_before" => "from",
        "end_date" | "end" | "not_after" => "until",
        "retries" | "max_attempts" => "retry",
        "catchup" | "missed" => "misfire",
        "concurrency" | "max_active_runs" => "overlap",
        "depends_on" | "needs" | "upstream" | "requires" | "wait_for" => "after",
        "disabled" | "active" | "paused" => "enabled",
        "host" | "api_url" | "region" => "base_url",
        "rate_limit" | "rpm" => "requests_per_minute",
        "state" | "db" | "path" => "database",
        "socket" => "control",
        "listen" | "port" | "bind" => "http",
        _ => return None,
    };
    Some(word)
}

/// The tables, in words, where this exact key is at home.
fn homes(wrong: &str, table: &Keys) -> Option<String> {
    let homes: Vec<&str> = raw::TABLES
        .iter()
        .filter(|t| **t != table && t.keys.contains(&wrong))
        .map(|t| t.table)
        .collect();
    match homes.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        [many @ .., last] => Some(format!("{} or {last}", many.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let table = [
            ("timout", Some("did you mean `timeout`?")),
            ("time-out", Some("did you mean `timeout`?")),
            ("Cron", Some("did you mean `cron`?")),
            ("zone", Some("did you mean `timezone`?")),
            ("retries", Some("did you mean `retry`?")),
            ("sql", Some("did you mean `call`?")),
            ("schedule", Some("did you mean `cron`?")),
            ("base_url", Some("`base_url` belongs to [connection.NAME]")),
            ("tolerance", Some("`tolerance` belongs to misfire")),
            ("xyzzy", None),
            ("", None),
        ];
        for (wrong, hint) in table {
            assert_eq!(for_key(wrong, &raw::SCHEDULE).as_deref(), hint, "{wrong}");
        }
    }

    #[test]
    fn a_key_of_the_table_around_is_sent_there() {
        assert_eq!(
            for_key("timeout", &raw::RETRY).as_deref(),
            Some("`timeout` belongs to [notify.NAME], [defaults] or [schedule.NAME]")
        );
    }
}
