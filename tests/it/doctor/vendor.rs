//! Credentials, the way to the vendor, and what the vendor says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

/// A JSON Web Token that ends so many hours from now.
fn jwt(hours: i64) -> String {
    let exp = jiff::Timestamp::now().as_second() + hours * 3600;
    let claims = URL_SAFE_NO_PAD.encode(format!("{{\"iss\": \"{SECRET}\", \"exp\": {exp}}}"));
    format!("eyJhbGciOiJIUzI1NiJ9.{claims}.{SECRET}")
}

#[tokio::test]
async fn a_token_must_outlast_the_last_run_of_the_next_day() {
    let desk = Desk::new().await;
    for (token, severity, words) in [
        (
            format!("opaque-{SECRET}"),
            "ok",
            "does not say how long it is good",
        ),
        (jwt(24 * 30), "ok", "is good until"),
        (jwt(24 * 3), "warning", "expires soon"),
        // Less than the two hours that the next run may take, whenever it is.
        (
            jwt(1),
            "problem",
            "before the last run of the next 24 h can have ended: nightly/default",
        ),
        (jwt(-1), "problem", "has expired"),
        (jwt(-1), "problem", "make a new API Access Token in CARTO"),
        (
            format!("{}.x", jwt(-1)),
            "ok",
            "does not say how long it is good",
        ),
    ] {
        desk.token(&token);
        let said = desk.said().await;
        said.shows("credential", "dw", severity, words);
        said.shows("job-list", "dw", "ok", "can be read");
        if severity == "problem" {
            assert_eq!(said.exit, Exit::Failed);
        }
    }
}

#[tokio::test]
async fn a_token_that_a_command_prints_is_asked_for_again_unless_it_has_expired() {
    let desk = Desk::new().await;
    desk.one("token = { command = [\"cat\", \"token\"] }");
    let at = desk.path("token");
    desk.one(&format!(
        "token = {{ command = [\"cat\", \"{}\"] }}",
        at.display()
    ));
    desk.token(&jwt(1));
    desk.said()
        .await
        .shows("credential", "dw", "ok", "renewed in time");
    desk.token(&jwt(-1));
    let said = desk.said().await;
    said.shows("credential", "dw", "problem", "has expired");
    said.lacks("credential-file", "dw");
}

#[tokio::test]
async fn a_credential_that_is_missing_hides_neither_its_host_nor_other_connections() {
    let desk = Desk::new().await;
    let url = desk.vendor.base_url();
    let nowhere = "token = { file = \"nowhere\" }";
    for (lines, words) in [
        (nowhere, "make the file, readable for the user"),
        (
            "token = { env = \"NIGHTCALL_TEST_NOT_SET\" }",
            "NIGHTCALL_TEST_NOT_SET is not set",
        ),
        (
            "token = { credential = \"carto-token\" }",
            "started without credentials",
        ),
        (
            "token = { command = [\"false\"] }",
            "ended with exit status: 1",
        ),
        ("token = { file = \".\" }", "is not a plain file"),
    ] {
        let other = connection("other", &url, "");
        desk.write(&(connection("dw", &url, lines) + &other));
        let said = desk.said().await;
        said.shows("credential", "dw", "problem", words);
        said.shows("endpoint", "dw", "ok", "answers");
        said.shows("vendor-clock", "dw", "ok", "of ours");
        // It was not asked with a credential, and that is told once.
        said.lacks("job-list", "dw");
        said.shows("credential", "other", "ok", "holds a token");
        said.shows("job-list", "other", "ok", "can be read");
        assert_eq!(said.exit, Exit::Failed);
    }
    // No schedule waits for the other one.
    let both = connection("dw", &url, "") + &connection("other", &url, nowhere);
    desk.write(&both);
    let said = desk.said().await;
    said.shows(
        "credential",
        "other",
        "warning",
        "no enabled schedule uses it",
    );
    assert_ne!(said.exit, Exit::Failed);
}

#[tokio::test]
async fn every_refusal_of_the_vendor_is_explained() {
    let token = format!("known-{SECRET}");
    let mut scenario = Scenario::default();
    scenario.auth.without_grant = vec![token.clone()];
    let desk = Desk::with(scenario).await;
    let said = desk.said().await;
    said.shows("job-list", "dw", "problem", "http 401");
    said.shows(
        "job-list",
        "dw",
        "problem",
        "put a valid API Access Token into file",
    );
    desk.token(&token);
    let said = desk.said().await;
    said.shows("job-list", "dw", "problem", "http 403");
    said.shows("job-list", "dw", "problem", "give the token a grant");
    for (code, severity, words) in [
        (404, "problem", "compare `base_url`"),
        (429, "warning", "lower `requests_per_minute`"),
        (503, "problem", "status page"),
        (500, "problem", "does not let us in"),
    ] {
        let mut scenario = any_token();
        scenario.faults = vec![Rule::on(Operation::List, Fault::status(code))];
        let desk = Desk::with(scenario).await;
        let said = desk.said().await;
        said.shows("endpoint", "dw", "ok", "answers");
        said.shows("job-list", "dw", severity, words);
        said.shows("job-list", "dw", severity, &code.to_string());
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_apart() {
    let desk = Desk::new().await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    desk.one(&format!("base_url = \"{closed}\""));
    let said = desk.said().await;
    said.shows("endpoint", "dw", "problem", "refuses the connection");
    said.shows("credential", "dw", "ok", "holds a token");
    said.lacks("job-list", "dw");
    desk.one("base_url = \"https://nightcall-test.invalid\"");
    let said = desk.said().await;
    said.shows("endpoint", "dw", "problem", "does not resolve");
    said.shows("endpoint", "dw", "problem", "check `base_url`");
    desk.one("ca_file = \"nowhere.pem\"");
    let said = desk.said().await;
    said.shows("endpoint", "dw", "problem", "`ca_file`");
    let mut scenario = any_token();
    scenario.faults = vec![Rule::on(Operation::List, Fault::Silence)];
    let desk = Desk::with(scenario).await;
    desk.one("request_timeout = \"300ms\"");
    let said = desk.said().await;
    said.shows("endpoint", "dw", "problem", "in time");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_believed_is_told_with_its_fault() {
    let desk = Desk::new().await;
    let authority = Authority::new();
    for (kind, trusted, words) in [
        (Kind::Good, false, "not trusted"),
        (Kind::SelfSigned, true, "not trusted"),
        (Kind::Expired, true, "has expired"),
        (Kind::Early, true, "not valid yet"),
        (Kind::Foreign, true, "for another name"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = authority.acceptor(kind, &["http/1.1"]);
        let host = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not like the certificate ends the handshake.
                let _ = acceptor.accept(stream).await;
            }
        });
        let ca_file = format!("\nca_file = \"{}\"", authority.file().display());
        let ca_file = if trusted { ca_file } else { String::new() };
        desk.one(&format!("base_url = \"https://{address}\"{ca_file}"));
        let said = desk.said().await;
        said.shows("endpoint", "dw", "problem", words);
        said.shows("endpoint", "dw", "problem", "CA certificates");
        host.abort();
    }
}

#[tokio::test]
async fn a_clock_that_is_far_from_the_vendors_proves_nothing() {
    for (skew, severity, words) in [
        (10, "ok", "of ours"),
        (300, "problem", "ahead of ours: no list proves"),
        (-300, "problem", "behind ours: no list proves"),
    ] {
        let mut scenario = any_token();
        scenario.skew = jiff::SignedDuration::from_secs(skew);
        let said = Desk::with(scenario).await.said().await;
        said.shows("vendor-clock", "dw", severity, words);
        said.shows("job-list", "dw", "ok", "can be read");
    }
}

#[tokio::test]
async fn a_client_of_oauth_must_be_given_a_token() {
    let desk = Desk::with(Scenario::default()).await;
    let oauth = |url: &str| {
        desk.one(&format!(
            "oauth = {{ token_url = \"{url}\", client_id = \"sandbox-client\", client_secret = {{ file = \"token\" }} }}"
        ));
    };
    oauth(&desk.vendor.oauth_url());
    desk.token(SECRET);
    let said = desk.said().await;
    said.shows(
        "credential",
        "dw",
        "problem",
        "the token endpoint answered 401",
    );
    said.shows("endpoint", "dw", "ok", "answers");
    let client_secret = Auth::default().oauth.client_secret;
    desk.token(&client_secret);
    let said = desk.said().await;
    said.shows("credential", "dw", "ok", "renewed in time");
    said.shows("job-list", "dw", "ok", "can be read");
    oauth("http://127.0.0.1:1/token");
    let said = desk.said().await;
    said.shows("credential", "dw", "problem", "the token endpoint: ");
}

#[tokio::test]
async fn nothing_is_submitted() {
    let desk = Desk::new().await;
    desk.said().await;
    let asked = desk.vendor.world().with(|world| {
        let entries = world.journal().entries();
        entries.map(|entry| entry.operation).collect::<Vec<_>>()
    });
    assert_eq!(asked, [Operation::List]);
}
