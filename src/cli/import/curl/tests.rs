//! Every form in which people have the command.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::super::words;
use super::*;

fn asked(text: &str) -> Result<Asked, Fault> {
    let script = words::script(text)?;
    let bodies = |name: &str| match name {
        "body.json" => Ok(BODY.to_owned()),
        _ => Err(NO_URL),
    };
    assert_eq!(script.commands.len(), 1, "{text}");
    read(&script.commands[0], &bodies, &mut Vec::new())
}

fn request(text: &str) -> Request {
    match asked(text) {
        Ok(Asked::Start(request)) => *request,
        Ok(_) => panic!("starts nothing: {text}"),
        Err(fault) => panic!("{fault}: {text}"),
    }
}

fn fault(text: &str) -> &'static str {
    match asked(text) {
        Ok(_) => panic!("is taken: {text}"),
        Err(fault) => fault.message,
    }
}

const BODY: &str = r#"{"query": "CALL `p.d.w`(@a,@b)", "queryParameters": {"a": 2, "b": "x y"}}"#;
const URL: &str = "https://gcp-us-east1.api.carto.com/v3/sql/carto_dw/job";

#[test]
fn every_form_of_the_command_asks_the_same() {
    let ansi = BODY.replace('"', "\\u0022").replace('`', "\\x60");
    let double = BODY.replace('"', "\\\"").replace('`', "\\`");
    let header = "-H 'Content-Type: application/json' -H 'Authorization: Bearer abcdefgh'";
    let forms = [
        format!("curl --location '{URL}' {header} --data '{BODY}'"),
        format!("curl -L {URL} {header} -d '{BODY}'"),
        format!("curl {header} --data-raw '{BODY}' --request POST --url '{URL}'"),
        format!("curl {header} --data-binary '{BODY}' -X POST '{URL}'"),
        format!("curl -XPOST {header} -d'{BODY}' '{URL}'"),
        format!("curl -sSL -X post {header} --json '{BODY}' {URL}"),
        format!("curl '{URL}' {header} --data $'{ansi}' --compressed"),
        format!("curl '{URL}' {header} --data \"{double}\""),
        format!("curl \\\r\n  '{URL}' \\\r\n  {header} \\\r\n  --data '{BODY}'\r\n"),
        format!("$ curl '{URL}' {header} -d @body.json -o /dev/null -w '%{{http_code}}' | jq ."),
        format!("TOKEN=x /usr/bin/curl '{URL}/' {header} --data '\n{BODY}\n' > out.json"),
        format!(
            "curl {} {header} -d '{BODY}'",
            URL.trim_start_matches("https://")
        ),
        format!("curl {header} -d '{BODY}' -- {URL}"),
    ];
    for form in forms {
        let request = request(&form);
        assert_eq!(
            request.base_url, "https://gcp-us-east1.api.carto.com",
            "{form}"
        );
        assert_eq!(request.connection, "carto_dw");
        assert_eq!(request.statement, "CALL `p.d.w`(@a,@b)");
        let wanted = Json::parse(BODY)
            .unwrap()
            .member("queryParameters")
            .cloned();
        assert_eq!(request.parameters, wanted, "{form}");
        assert_eq!(request.credential, Some(Credential::Literal));
    }
}

#[test]
fn the_forms_with_everything_in_the_url_are_read() {
    let forms = [
        "curl 'https://h/v3/sql/c/query?q=CALL%20x(@a)&queryParameters=%7B%22a%22:1%7D&access_token=abcdefgh'",
        "curl 'https://h/v3/sql/c/job?query=CALL+x(@a)&queryParameters={\"a\":1}'",
        "curl -G https://h/v3/sql/c/query --data-urlencode 'q=CALL x(@a)' --data-urlencode 'queryParameters={\"a\":1}'",
        "curl --get https://h/v3/sql/c/query -d 'q=CALL+x(@a)&queryParameters=%7B%22a%22%3A1%7D'",
        "curl https://h/v3/sql/c/query --url-query 'q=CALL x(@a)' --url-query 'queryParameters={\"a\":1}'",
        "curl https://h/v3/sql/c/query --data-urlencode 'q=CALL x(@a)' -d 'queryParameters={\"a\":1}'",
    ];
    for form in forms {
        let request = request(form);
        assert_eq!(request.statement, "CALL x(@a)", "{form}");
        let wanted = Json::parse("{\"a\":1}").unwrap();
        assert_eq!(request.parameters, Some(wanted), "{form}");
    }
}

#[test]
fn the_place_is_read_from_the_url() {
    let table = [
        (
            "https://x.example/api/v3/sql/c/job",
            "https://x.example/api",
            "c",
        ),
        (
            "https://x.example:8443/a/b/v3/sql/c/query/",
            "https://x.example:8443/a/b",
            "c",
        ),
        (
            "http://127.0.0.1:80/v3/sql/my%20conn%2B%26%3D/job",
            "http://127.0.0.1",
            "my conn+&=",
        ),
        (
            "HTTPS://X.Example/v3/sql/c+d/job#f",
            "https://x.example",
            "c+d",
        ),
    ];
    for (url, base_url, connection) in table {
        let request = request(&format!("curl '{url}' -d '{BODY}'"));
        assert_eq!(
            (request.base_url.as_str(), request.connection.as_str()),
            (base_url, connection)
        );
    }
}

#[test]
fn a_question_about_a_job_starts_nothing() {
    let text = format!(
        "curl --location '{URL}/job_h8UWzpdzX0s2XAAXQd3rdWCdPUT9' -H 'Authorization: Bearer abcdefgh'"
    );
    assert!(matches!(asked(&text), Ok(Asked::Status)));
    for other in ["export TOKEN=x", "TOKEN=x", "cd /tmp", "set -e"] {
        assert!(matches!(asked(other), Ok(Asked::Other)), "{other}");
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let with = |rest: &str| format!("curl '{URL}' {rest}");
    let table = [
        ("wget https://h".to_owned(), "not a curl command"),
        ("do curl x".to_owned(), "not a curl command"),
        ("curl".to_owned(), "has no URL"),
        ("curl -d '{}'".to_owned(), "has no URL"),
        ("curl https:// -d x".to_owned(), "URL cannot be read"),
        (
            "curl ftp://h/v3/sql/c/job -d x".to_owned(),
            "URL cannot be read",
        ),
        (
            "curl https://u:p@h/v3/sql/c/job".to_owned(),
            "a user or a password",
        ),
        (
            "curl https://h/v2/sql/c/job".to_owned(),
            "not that of CARTO's SQL API",
        ),
        (
            "curl https://h/v3/sql/jobs".to_owned(),
            "not that of CARTO's SQL API",
        ),
        (
            "curl https://$HOST/v3/sql/c/job".to_owned(),
            "a shell would put",
        ),
        (with("-d"), "has no value"),
        (with("—data x"), "more than one URL"),
        (with("--no-such x"), "not one of curl's"),
        (with("-ß"), "not one of curl's"),
        (with("-X DELETE"), "neither POST nor GET"),
        (with("-X PUT -d '{}'"), "neither POST nor GET"),
        (with("-I"), "neither POST nor GET"),
        (with("-X POST"), "has no statement"),
        (with("-d '{}'"), "has no statement"),
        (with("-d '{\"query\": \" \"}'"), "has no statement"),
        (with("-d '{\"query\": 1}'"), "is no text"),
        (
            with("-d '{\"query\": \"a\", \"q\": \"b\"}'"),
            "two statements",
        ),
        (with("-d '{\"query\": \"a\"} -H x'"), "not valid JSON"),
        (
            with("-d '{\"query\": \"a\"}' -d '{}'"),
            "more than one body",
        ),
        (
            with("-d '{\"query\": \"a\", \"queryParameters\": 1}'"),
            "neither an object nor a list",
        ),
        (
            with("-d \"{\\\"query\\\": \\\"CALL x($1)\\\"}\""),
            "a shell would put",
        ),
        (with("-d @-"), "standard input"),
        (with("-d @no.json"), "has no URL"),
        (with("--data-urlencode query@file"), "is not read"),
        (with("-F a=b"), "is a form"),
        (with("-K file"), "another file"),
        (with("-T file"), "uploads"),
        (with("-d '{}' --next https://h"), "several requests"),
        (with("Authorization: Bearer abcdefgh"), "more than one URL"),
    ];
    for (text, wanted) in table {
        let said = fault(&text);
        assert!(said.contains(wanted), "{text}: {said}");
    }
}

#[test]
fn what_has_no_place_in_a_schedule_is_told() {
    let text =
        format!("curl '{URL}' -d '{BODY}' --cacert ca.pem -x http://p -u a:b -A agent --user c:d");
    let request = request(&text);
    assert_eq!(request.left_out.len(), 3);
    assert_eq!(request.credential, None);
    let bearer = |given: &str| {
        let text = format!("curl '{URL}' -d '{BODY}' --oauth2-bearer {given}");
        self::request(&text).credential
    };
    assert_eq!(bearer("abcdefgh"), Some(Credential::Literal));
    assert_eq!(
        bearer("\"$TOKEN\""),
        Some(Credential::Variable("TOKEN".to_owned()))
    );
}
