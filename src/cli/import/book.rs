//! What the configuration has already, so that nothing is written twice.

use std::collections::HashSet;

use url::Url;

use super::call::{self, sanitised};
use super::curl::Request;
use super::tables::{Table, text};
use super::words::Credential;
use crate::cli::exit::{Exit, Failure};
use crate::config::Config;
use crate::sched::call::Provider;
use crate::sched::time::TimeZone;

/// The variable that holds the token when nothing else is said.
const VARIABLE: &str = "CARTO_API_TOKEN";

/// The budget of a host when nothing is said; the configuration's own default.
const REQUESTS_PER_MINUTE: u32 = 60;

/// The connections and schedules that there are, and those that are made.
pub(super) struct Book {
    connections: Vec<Known>,
    schedules: HashSet<String>,
    zone: TimeZone,
}

/// A connection.
struct Known {
    key: String,
    base_url: String,
    name: String,
    provider: Provider,
    requests_per_minute: u32,
    made: bool,
}

/// What the command line says of new connections.
pub(super) struct Wishes {
    /// `--provider`
    pub(super) provider: Option<Provider>,
    /// `--token-env` or `--token-file`, as the configuration writes it.
    pub(super) token: Option<String>,
}

/// Where a schedule goes.
pub(super) struct Found {
    /// The connection's name in the configuration.
    pub(super) key: String,
    /// Its warehouse.
    pub(super) provider: Provider,
    /// Its table, when it must be written.
    pub(super) table: Option<String>,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
}

impl Book {
    pub(super) fn of(config: Option<&Config>) -> Self {
        let connections = config.into_iter().flat_map(|config| &config.connections);
        let known = connections.map(|connection| {
            let target = &connection.limits.target;
            Known {
                key: connection.name().to_string(),
                base_url: target.base_url.to_string(),
                name: target.connection.to_string(),
                provider: connection.provider,
                requests_per_minute: connection.limits.requests_per_minute,
                made: false,
            }
        });
        let schedules = config.into_iter().flat_map(|config| &config.schedules);
        Self {
            connections: known.collect(),
            schedules: schedules
                .map(|schedule| schedule.name.to_string())
                .collect(),
            zone: config.map_or(TimeZone::UTC, |config| config.daemon.doctor_zone.clone()),
        }
    }

    /// The zone of schedules that name none.
    pub(super) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether there is a schedule of this name.
    pub(super) fn has(&self, schedule: &str) -> bool {
        self.schedules.contains(schedule)
    }

    /// The connection of a request: one that is there, or a new one.
    pub(super) fn connection(
        &mut self,
        request: &Request,
        wishes: &Wishes,
    ) -> Result<Found, Failure> {
        let same =
            |known: &&Known| known.base_url == request.base_url && known.name == request.connection;
        if let Some(known) = self.connections.iter().find(same) {
            return reused(known, wishes);
        }
        let (provider, why) = provider(request, wishes)?;
        let key = self.free_key(&request.connection);
        let budget = self.budget(&request.base_url);
        let (token, note) = token(request, wishes);
        let mut table = Table::new("connection", &key);
        if key != request.connection {
            table.text("name", &request.connection);
        }
        table.text("base_url", &request.base_url);
        table.text("provider", provider.word());
        table.line("token", &token);
        if budget != REQUESTS_PER_MINUTE {
            table.line("requests_per_minute", &budget.to_string());
        }
        self.connections.push(Known {
            key: key.clone(),
            base_url: request.base_url.clone(),
            name: request.connection.clone(),
            provider,
            requests_per_minute: budget,
            made: true,
        });
        Ok(Found {
            key,
            provider,
            table: Some(table.whole()),
            notes: why.into_iter().chain([note]).collect(),
        })
    }

    /// A name for the table: that of the connection as far as a table may have it, with a number when it is taken.
    fn free_key(&self, connection: &str) -> String {
        let plain = match sanitised(connection) {
            plain if plain.is_empty() => "carto".to_owned(),
            plain => plain,
        };
        let taken = |key: &str| self.connections.iter().any(|known| known.key == key);
        let numbered = (2..).map(|number| format!("{}-{number}", &plain[..plain.len().min(90)]));
        std::iter::once(plain.clone())
            .chain(numbered)
            .find(|key| !taken(key))
            .unwrap_or(plain)
    }

    /// Connections of one host must agree on its budget.
    fn budget(&self, base_url: &str) -> u32 {
        let host = host(base_url);
        let mut there = self.connections.iter();
        let same = there.find(|known| host.is_some() && self::host(&known.base_url) == host);
        same.map_or(REQUESTS_PER_MINUTE, |known| known.requests_per_minute)
    }
}

fn host(base_url: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(base_url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}

fn reused(known: &Known, wishes: &Wishes) -> Result<Found, Failure> {
    if let Some(wanted) = wishes.provider.filter(|wanted| *wanted != known.provider) {
        let message = format!(
            "[connection.{}] is there already, and its provider is {}, not {}",
            known.key,
            known.provider.word(),
            wanted.word()
        );
        let hint = "leave --provider out, or change it in the configuration";
        return Err(Failure::new(Exit::Usage, message, hint));
    }
    let mut notes = Vec::new();
    if !known.made {
        let token = match wishes.token {
            Some(_) => ", with the token that it names",
            None => "",
        };
        notes.push(format!(
            "[connection.{}] is there already and is used{token}",
            known.key
        ));
    }
    Ok(Found {
        key: known.key.clone(),
        provider: known.provider,
        table: None,
        notes,
    })
}

/// The warehouse, and a note when it was guessed.
fn provider(request: &Request, wishes: &Wishes) -> Result<(Provider, Option<String>), Failure> {
    if let Some(provider) = wishes.provider {
        return Ok((provider, None));
    }
    let Some((provider, by)) = call::provider(&request.statement, &request.connection) else {
        return Err(Failure::new(
            Exit::Usage,
            "the statement does not tell for which warehouse it is",
            "add --provider bigquery (or snowflake, postgres, redshift, databricks, oracle)",
        ));
    };
    let also = match provider {
        Provider::Postgres => ", which redshift has too",
        _ => "",
    };
    let word = provider.word();
    let note = format!("provider {word} is a guess from {by}{also}; --provider says otherwise");
    Ok((provider, Some(note)))
}

/// Where the token will be, and a note about it.
fn token(request: &Request, wishes: &Wishes) -> (String, String) {
    let env = |name: &str| format!("{{ env = {} }}", text(name));
    if let Some(token) = &wishes.token {
        let note = format!("the token was not copied: the daemon will read it from {token}");
        return (token.clone(), note);
    }
    let variable = match &request.credential {
        Some(Credential::Variable(name)) if is_plain_name(name) => name,
        _ => VARIABLE,
    };
    let note = format!(
        "the token was not copied: the daemon will read it from the environment variable {variable}"
    );
    (env(variable), note)
}

/// Whether this is the name of a variable as people make them, and not a token that began with a dollar.
fn is_plain_name(name: &str) -> bool {
    let upper = name.chars().any(|c| c.is_ascii_uppercase());
    let lower = name.chars().any(|c| c.is_ascii_lowercase());
    let digits = name.chars().filter(char::is_ascii_digit).count();
    name.len() <= 60 && !(upper && lower) && digits <= 4
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn request(base_url: &str, connection: &str) -> Request {
        Request {
            base_url: base_url.to_owned(),
            connection: connection.to_owned(),
            statement: "CALL `p.d.w`()".to_owned(),
            parameters: None,
            credential: None,
            left_out: Vec::new(),
        }
    }

    const PLAIN: Wishes = Wishes {
        provider: None,
        token: None,
    };

    #[test]
    fn a_connection_is_written_once_and_another_of_its_name_gets_a_number() {
        let mut book = Book::of(None);
        let mut found = |base_url: &str, connection: &str| {
            let found = book
                .connection(&request(base_url, connection), &PLAIN)
                .unwrap();
            (found.key, found.table.is_some())
        };
        let key = |key: &str, new: bool| (key.to_owned(), new);
        assert_eq!(found("https://a", "carto_dw"), key("carto_dw", true));
        assert_eq!(found("https://a", "carto_dw"), key("carto_dw", false));
        assert_eq!(found("https://b", "carto_dw"), key("carto_dw-2", true));
        assert_eq!(found("https://b", "carto_dw"), key("carto_dw-2", false));
        assert_eq!(found("https://c", "carto_dw"), key("carto_dw-3", true));
        assert_eq!(found("https://c", "carto/dw"), key("carto-dw", true));
        assert_eq!(found("https://c", "日本"), key("carto", true));
        assert_eq!(
            found("https://c", &"x".repeat(200)),
            key(&"x".repeat(100), true)
        );
    }

    #[test]
    fn another_warehouse_than_that_of_the_connection_is_refused() {
        let mut book = Book::of(None);
        book.connection(&request("https://a", "c"), &PLAIN).unwrap();
        let wishes = Wishes {
            provider: Some(Provider::Snowflake),
            token: None,
        };
        let failure = book
            .connection(&request("https://a", "c"), &wishes)
            .err()
            .unwrap();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(
            failure
                .message
                .ends_with("its provider is bigquery, not snowflake")
        );
    }

    #[test]
    fn what_began_with_a_dollar_and_looks_like_a_token_is_no_variable() {
        for name in ["TOKEN", "carto_token", "CARTO_API_TOKEN_2"] {
            assert!(is_plain_name(name), "{name}");
        }
        for name in [
            "eyJhbGciOiJIUzI1NiJ9",
            "d41d8cd98f00b204e9800998ecf8427e",
            "AbC",
        ] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
