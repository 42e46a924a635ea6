//! What a `curl` command asks of CARTO's SQL API.

use url::Url;
use url::form_urlencoded;

use super::fault::Fault;
use super::json::Json;
use super::options::{self, Kind};
use super::words::{Command, Credential, Word};
use crate::secret::Secret;

/// A request that starts a workflow.
pub(super) struct Request {
    /// The API, without a trailing slash.
    pub(super) base_url: String,
    /// The connection's name in CARTO.
    pub(super) connection: String,
    /// The statement, trimmed.
    pub(super) statement: String,
    /// Its values: an object or a list.
    pub(super) parameters: Option<Json>,
    /// How the token was given.
    pub(super) credential: Option<Credential>,
    /// What of the command has no place in a schedule.
    pub(super) left_out: Vec<&'static str>,
}

/// What a command of a script is.
pub(super) enum Asked {
    /// It starts a workflow.
    Start(Box<Request>),
    /// It asks how a job stands.
    Status,
    /// No curl command, and none is hidden in it.
    Other,
}

/// Gives the text of the file that a command takes its body from.
pub(super) type Bodies<'f> = dyn Fn(&str) -> Result<String, Fault> + 'f;

const NOT_CURL: Fault = Fault::new(
    "this is not a curl command",
    "leave nothing there but the command of CARTO's dialog",
);
const NO_VALUE: Fault = Fault::new(
    "the last option has no value",
    "copy the command again, whole",
);
const UNKNOWN_OPTION: Fault = Fault::new(
    "an option is not one of curl's",
    "copy the command again; a dash may have become a longer one",
);
const TWO_URLS: Fault = Fault::new(
    "the command has more than one URL, or text without its quotes",
    "put the URL, each header and the body between single quotes",
);
const NO_URL: Fault = Fault::new(
    "the command has no URL",
    "copy the command again, with the https://… of the workflow",
);
const BAD_URL: Fault = Fault::new(
    "the URL cannot be read",
    "write it as https://gcp-us-east1.api.carto.com/v3/sql/CONNECTION/job",
);
const USER_IN_URL: Fault = Fault::new(
    "the URL holds a user or a password",
    "take it out: CARTO takes a token in the Authorization header",
);
const NOT_SQL: Fault = Fault::new(
    "the URL is not that of CARTO's SQL API",
    "it must end in /v3/sql/CONNECTION/job or /v3/sql/CONNECTION/query",
);
const OTHER_METHOD: Fault = Fault::new(
    "the command is neither POST nor GET, so it starts no workflow",
    "copy the command that CARTO's dialog shows",
);
const NO_STATEMENT: Fault = Fault::new(
    "the command has no statement",
    "its body must be JSON with a \"query\", as CARTO's dialog shows it",
);
const TWO_STATEMENTS: Fault = Fault::new(
    "the command has two statements",
    "keep one: \"query\" for /job, \"q\" for /query",
);
const NO_TEXT: Fault = Fault::new(
    "\"query\" is no text",
    "write the CALL between double quotes",
);
const TWO_BODIES: Fault = Fault::new(
    "the command has more than one body",
    "keep one --data with the whole JSON",
);
const PARAMETERS: Fault = Fault::new(
    "\"queryParameters\" is neither an object nor a list",
    "write { \"name\": value }, or [value, value] for values by position",
);
const FROM_STDIN: Fault = Fault::new(
    "the body comes from standard input (@-)",
    "write the body behind --data, or name its file: --data @body.json",
);
const FILE_IN_ENCODED: Fault = Fault::new(
    "--data-urlencode with a file (@) is not read",
    "write the value itself",
);

/// Reads a command.
pub(super) fn read(
    command: &Command,
    bodies: &Bodies<'_>,
    secrets: &mut Vec<Secret>,
) -> Result<Asked, Fault> {
    let assigned = |word: &&Word| is_assignment(word.head());
    let skipped = command.words.iter().take_while(assigned).count();
    let words = &command.words[skipped..];
    let Some((program, words)) = words.split_first() else {
        return Ok(Asked::Other);
    };
    let name = program.text().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    match name {
        "curl" | "curl.exe" => {}
        "export" | "set" | "cd" | "echo" | "printf" | "sleep" | "exit" => return Ok(Asked::Other),
        _ => return Err(NOT_CURL.at(program.line)),
    }
    Said::read(words)
        .and_then(|said| said.asked(bodies, secrets))
        .map_err(|fault| fault.at(command.line))
}

/// `NAME=value`, before a command or alone.
fn is_assignment(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, _)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(plain)
    })
}

/// A piece of the body.
enum Piece {
    /// `--data`
    Text(Word),
    /// `--data-raw`
    Raw(Word),
    /// `--data-urlencode`
    Encoded(Word),
}

/// What the words of a command say.
#[derive(Default)]
struct Said {
    url: Option<Word>,
    method: Option<Word>,
    pieces: Vec<Piece>,
    query: Vec<Word>,
    get: bool,
    head: bool,
    credential: Option<Credential>,
    bearer: Option<Word>,
    left_out: Vec<&'static str>,
}

impl Said {
    fn read(words: &[Word]) -> Result<Self, Fault> {
        let mut said = Self::default();
        let mut words = words.iter();
        let mut only_urls = false;
        while let Some(word) = words.next() {
            let head = word.head();
            if only_urls || !head.starts_with('-') || head == "-" {
                said.take(Kind::Url, word.clone())?;
            } else if head == "--" {
                only_urls = true;
            } else if let Some(name) = head.strip_prefix("--") {
                let kind = options::long(name).ok_or(UNKNOWN_OPTION.at(word.line))?;
                said.long(kind, word, &mut words)?;
            } else {
                said.short(word, &mut words)?;
            }
        }
        Ok(said)
    }

    fn long<'w>(
        &mut self,
        kind: Kind,
        word: &Word,
        words: &mut impl Iterator<Item = &'w Word>,
    ) -> Result<(), Fault> {
        match options::takes_value(kind) {
            true => {
                let value = words.next().ok_or(NO_VALUE.at(word.line))?;
                self.take(kind, value.clone())
            }
            false => self.flag(kind, word),
        }
    }

    /// `-sSL`, `-XPOST`, `-H'…'`: letters until one takes the rest.
    fn short<'w>(
        &mut self,
        word: &Word,
        words: &mut impl Iterator<Item = &'w Word>,
    ) -> Result<(), Fault> {
        for (at, letter) in word.head().char_indices().skip(1) {
            let kind = options::short(letter).ok_or(UNKNOWN_OPTION.at(word.line))?;
            if !options::takes_value(kind) {
                self.flag(kind, word)?;
                continue;
            }
            let value = match word.tail(at + letter.len_utf8()) {
                Some(rest) => rest,
                None => words.next().ok_or(NO_VALUE.at(word.line))?.clone(),
            };
            return self.take(kind, value);
        }
        Ok(())
    }

    fn flag(&mut self, kind: Kind, word: &Word) -> Result<(), Fault> {
        match kind {
            Kind::Get => self.get = true,
            Kind::Head => self.head = true,
            Kind::Refused(why) => return Err(refused(why).at(word.line)),
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, kind: Kind, value: Word) -> Result<(), Fault> {
        let line = value.line;
        match kind {
            Kind::Url if self.url.is_some() => return Err(TWO_URLS.at(line)),
            Kind::Url => self.url = Some(value),
            Kind::Method => self.method = Some(value),
            Kind::Header => self.credential = value.credential.or(self.credential.take()),
            Kind::Bearer => {
                self.credential = Some(value.as_credential());
                self.bearer = Some(value);
            }
            Kind::Data => self.pieces.push(Piece::Text(value)),
            Kind::Raw => self.pieces.push(Piece::Raw(value)),
            Kind::Encoded => self.pieces.push(Piece::Encoded(value)),
            Kind::Query => self.query.push(value),
            Kind::Refused(why) => return Err(refused(why).at(line)),
            Kind::LeftOut(what) if !self.left_out.contains(&what) => self.left_out.push(what),
            Kind::LeftOut(_) | Kind::Passed | Kind::Flag | Kind::Get | Kind::Head => {}
        }
        Ok(())
    }

    /// What the request means.
    fn asked(self, bodies: &Bodies<'_>, secrets: &mut Vec<Secret>) -> Result<Asked, Fault> {
        if let Some(Ok(token)) = self.bearer.as_ref().map(Word::text) {
            secrets.extend(Secret::new(token.to_owned()));
        }
        let word = self.url.as_ref().ok_or(NO_URL)?;
        let url = parse_url(word.text()?).map_err(|fault| fault.at(word.line))?;
        let place = Place::of(&url).map_err(|fault| fault.at(word.line))?;
        let Place::Route {
            base_url,
            connection,
        } = place
        else {
            return Ok(Asked::Status);
        };
        let mut fields = Fields::default();
        for (name, value) in url.query_pairs() {
            fields.pair(&name, &value, secrets)?;
        }
        for word in &self.query {
            fields.encoded(word, secrets)?;
        }
        let method = match &self.method {
            Some(word) => word.text()?.to_ascii_uppercase(),
            None if self.head => "HEAD".to_owned(),
            None if self.get || self.pieces.is_empty() => "GET".to_owned(),
            None => "POST".to_owned(),
        };
        if method != "POST" && method != "GET" {
            return Err(OTHER_METHOD);
        }
        fields.body(&self.pieces, bodies, secrets)?;
        let statement = fields.statement.unwrap_or_default().trim().to_owned();
        if statement.is_empty() {
            return Err(NO_STATEMENT);
        }
        Ok(Asked::Start(Box::new(Request {
            base_url,
            connection,
            statement,
            parameters: fields.parameters,
            credential: self.credential,
            left_out: self.left_out,
        })))
    }
}

fn refused(why: &'static str) -> Fault {
    Fault::new(why, "write the command as CARTO's dialog shows it")
}

/// The statement and its values, from wherever the command says them.
#[derive(Default)]
struct Fields {
    statement: Option<String>,
    parameters: Option<Json>,
}

impl Fields {
    fn statement(&mut self, text: &str) -> Result<(), Fault> {
        match self.statement.replace(text.to_owned()) {
            Some(before) if before != text => Err(TWO_STATEMENTS),
            _ => Ok(()),
        }
    }

    fn parameters(&mut self, json: Json) -> Result<(), Fault> {
        match json {
            Json::Null => {}
            Json::Object(_) | Json::List(_) => self.parameters = Some(json),
            _ => return Err(PARAMETERS),
        }
        Ok(())
    }

    /// A pair of a URL or of a form.
    fn pair(&mut self, name: &str, value: &str, secrets: &mut Vec<Secret>) -> Result<(), Fault> {
        match name {
            "query" | "q" => self.statement(value),
            "queryParameters" => self.parameters(Json::parse(value)?),
            "access_token" | "api_key" | "token" => {
                secrets.extend(Secret::new(value.to_owned()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// `name=value` of which the value is not yet encoded.
    fn encoded(&mut self, word: &Word, secrets: &mut Vec<Secret>) -> Result<(), Fault> {
        let text = word.text()?;
        match (text.split_once('='), text.contains('@')) {
            (Some((name, value)), _) if !name.contains('@') => self.pair(name, value, secrets),
            (_, true) => Err(FILE_IN_ENCODED.at(word.line)),
            _ => Ok(()),
        }
    }

    fn body(
        &mut self,
        pieces: &[Piece],
        bodies: &Bodies<'_>,
        secrets: &mut Vec<Secret>,
    ) -> Result<(), Fault> {
        for piece in pieces {
            let (word, text) = match piece {
                Piece::Encoded(word) => {
                    self.encoded(word, secrets)?;
                    continue;
                }
                Piece::Raw(word) => (word, word.text()?.to_owned()),
                Piece::Text(word) => (word, body_text(word.text()?, bodies)?),
            };
            let form = !text.trim_start().starts_with(['{', '[', '"']) && text.contains('=');
            if !form && pieces.len() > 1 {
                return Err(TWO_BODIES.at(word.line));
            }
            match form {
                true => {
                    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
                        self.pair(&name, &value, secrets)?;
                    }
                }
                false => self.json(&text).map_err(|fault| fault.at(word.line))?,
            }
        }
        Ok(())
    }

    fn json(&mut self, text: &str) -> Result<(), Fault> {
        let body = Json::parse(text.trim())?;
        for name in ["query", "q"] {
            match body.member(name) {
                Some(Json::Text(text)) => self.statement(text)?,
                Some(_) => return Err(NO_TEXT),
                None => {}
            }
        }
        if let Some(parameters) = body.member("queryParameters") {
            self.parameters(parameters.clone())?;
        }
        Ok(())
    }
}

/// The body that `--data` names.
fn body_text(text: &str, bodies: &Bodies<'_>) -> Result<String, Fault> {
    match text.strip_prefix('@') {
        Some("-") => Err(FROM_STDIN),
        Some(file) => bodies(file),
        None => Ok(text.to_owned()),
    }
}

fn parse_url(text: &str) -> Result<Url, Fault> {
    let text = text.trim();
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let url = Url::parse(&whole).map_err(|_| BAD_URL)?;
    if url.host_str().is_none_or(str::is_empty) || !["http", "https"].contains(&url.scheme()) {
        return Err(BAD_URL);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(USER_IN_URL);
    }
    Ok(url)
}

/// What a URL leads to.
enum Place {
    /// Where statements are sent.
    Route {
        base_url: String,
        connection: String,
    },
    /// One job.
    Job,
}

impl Place {
    fn of(url: &Url) -> Result<Self, Fault> {
        let path = url.path().trim_matches('/');
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let api = parts.windows(2).position(|pair| pair == ["v3", "sql"]);
        let at = api.ok_or(NOT_SQL)?;
        let (prefix, rest) = parts.split_at(at);
        match rest {
            [_, _, connection, "job" | "query"] => {
                let mut base = url.clone();
                base.set_path(&prefix.join("/"));
                base.set_query(None);
                base.set_fragment(None);
                Ok(Self::Route {
                    base_url: base.as_str().trim_end_matches('/').to_owned(),
                    connection: decoded(connection),
                })
            }
            [_, _, _, "job", _] => Ok(Self::Job),
            _ => Err(NOT_SQL),
        }
    }
}

/// A part of a path without its percent signs. The `url` crate decodes forms, where three more signs mean something.
fn decoded(part: &str) -> String {
    let signs = [('+', "%2B"), ('&', "%26"), ('=', "%3D")];
    let plain = signs.iter().fold(part.to_owned(), |part, (sign, code)| {
        part.replace(*sign, code)
    });
    let mut pairs = form_urlencoded::parse(plain.as_bytes());
    pairs
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
