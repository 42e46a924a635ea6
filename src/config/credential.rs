//! How to be let in: where a token or the secret of a client is kept, and never the secret itself.

use toml::de::DeValue;

use super::connection::endpoint;
use super::daemon::path;
use super::read::{Found, Item, Table};
use super::secrets;
use super::{Credential, raw};
use crate::secret::SecretSource;

/// The vendor's own service for tokens, and the API that they are for.
const TOKEN_URL: &str = "https://auth.carto.com/oauth/token";
const AUDIENCE: &str = "carto-cloud-native-api";

/// Exactly one of `token` and `oauth`.
pub(super) fn credential(table: &Table<'_>, found: &mut Found) -> Option<Credential> {
    match (table.get("token"), table.get("oauth")) {
        (Some(token), None) => secret(token, "CARTO_API_TOKEN", found).map(Credential::Token),
        (None, Some(oauth)) => oauth_credential(oauth, found),
        (Some(token), Some(oauth)) => {
            // both are read, so that what is wrong in them is told too
            secret(token, "CARTO_API_TOKEN", found);
            oauth_credential(oauth, found);
            let problem = oauth.key_problem("a connection has a token or oauth, not both");
            found.wrong(problem.with_hint("keep one of them"));
            None
        }
        (None, None) => {
            let hint = "add token = { env = \"CARTO_API_TOKEN\" }";
            found.wrong(
                table
                    .at
                    .problem(&table.path, "says no credential: neither token nor oauth")
                    .with_hint(hint),
            );
            None
        }
    }
}

fn oauth_credential(item: &Item<'_>, found: &mut Found) -> Option<Credential> {
    let table = item.table(&raw::OAUTH, found)?;
    let token_url = match table.get("token_url") {
        Some(item) => endpoint(item, found),
        None => Some(TOKEN_URL.to_owned()),
    };
    let audience = match table.get("audience") {
        Some(item) => item.text(found).map(str::to_owned),
        None => Some(AUDIENCE.to_owned()),
    };
    let client_id = table
        .need("client_id", "\"…\"", found)
        .and_then(|item| item.text(found));
    let client_secret = table
        .need("client_secret", "{ env = \"CARTO_CLIENT_SECRET\" }", found)
        .and_then(|item| secret(item, "CARTO_CLIENT_SECRET", found));
    Some(Credential::OAuth {
        token_url: token_url?,
        client_id: client_id?.to_owned(),
        client_secret: client_secret?,
        audience: audience?,
    })
}

/// Where a secret is kept. A secret itself is a problem, and is not shown.
pub(super) fn secret(item: &Item<'_>, variable: &str, found: &mut Found) -> Option<SecretSource> {
    let remedy = format!(
        "write {} = {{ env = \"{variable}\" }}, or {{ file = … }}, {{ credential = … }}, \
         {{ command = […] }}; and replace the secret, since it has been in a file",
        item.key
    );
    if !item.value.is_table() {
        found.wrong(
            item.problem("a secret must not be written in this file")
                .with_hint(remedy),
        );
        return None;
    }
    let table = item.table(&raw::SECRET, found)?;
    let known: Vec<&Item<'_>> = table
        .items
        .iter()
        .filter(|item| raw::SECRET.keys.contains(&item.key))
        .collect();
    let [place] = known.as_slice() else {
        found.wrong(
            item.problem("must say exactly one of env, file, credential and command")
                .with_hint(format!("write {} = {{ env = \"{variable}\" }}", item.key)),
        );
        return None;
    };
    match place.key {
        "env" => plain(
            place,
            secrets::is_variable,
            "the name of a variable",
            &remedy,
            found,
        )
        .map(SecretSource::Env),
        "credential" => plain(
            place,
            secrets::is_credential_name,
            "the name of a credential",
            &remedy,
            found,
        )
        .map(SecretSource::Credential),
        "file" => path(place, found).map(SecretSource::File),
        _ => command(place, found).map(SecretSource::Command),
    }
}

/// A name, and not the secret itself by mistake.
fn plain(
    item: &Item<'_>,
    is_name: impl Fn(&str) -> bool,
    what: &str,
    remedy: &str,
    found: &mut Found,
) -> Option<String> {
    let text = item.text(found)?;
    if !is_name(text) {
        let message = format!("must be {what}, not the secret itself");
        found.wrong(item.problem(message).with_hint(remedy));
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn command(item: &Item<'_>, found: &mut Found) -> Option<Vec<String>> {
    if let DeValue::String(_) = item.value {
        found.wrong(
            item.problem("must be a list: the program and each argument by itself")
                .with_hint("write { command = [\"pass\", \"show\", \"carto\"] }"),
        );
        return None;
    }
    let parts = item.list("a list of texts", found);
    let given = parts.len();
    let words: Vec<String> = parts
        .iter()
        .filter_map(|part| match part.value {
            // an argument may be empty, the program may not
            DeValue::String(text) => Some(text.to_string()),
            _ => part.text(found).map(str::to_owned),
        })
        .collect();
    if words
        .first()
        .is_none_or(|program| program.trim().is_empty())
    {
        found.wrong(item.problem("must name a program"));
        return None;
    }
    (words.len() == given).then_some(words)
}
