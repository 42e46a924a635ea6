//! How the credential is obtained, kept, renewed, and never shown.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightcall::secret::SecretSource;
use nightcall::warehouse::JobClient;
use nightcall::warehouse::carto::{Carto, CartoCredential};

use super::vendor::{Act, Seen, Vendor, answer, json};
use super::*;

const SECRET: &str = "very/secret-client+value=";

fn oauth(vendor: &Vendor, secret: SecretSource) -> Carto {
    let credential = CartoCredential::OAuth {
        token_url: format!("{}/oauth/token", vendor.url()),
        client_id: "client-1".into(),
        client_secret: secret,
        audience: "carto-cloud-native-api".into(),
    };
    Carto::new(settings(credential)).unwrap()
}

fn is_token_request(seen: &Seen) -> bool {
    seen.target == "/oauth/token"
}

fn count(vendor: &Vendor, wanted: impl Fn(&Seen) -> bool) -> usize {
    vendor.seen().iter().filter(|seen| wanted(seen)).count()
}

/// Issues `token-1`, `token-2`, … and takes only the one that `good` names (0: any).
async fn issuer(life: f64, good: Arc<AtomicUsize>) -> Vendor {
    let issued = AtomicUsize::new(0);
    Vendor::start(move |seen| {
        if is_token_request(seen) {
            let n = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return json(
                200,
                &format!(r#"{{"access_token": "token-{n}", "expires_in": {life}, "token_type": "Bearer"}}"#),
            );
        }
        let good = good.load(Ordering::SeqCst);
        if good != 0 && seen.bearer() != Some(&format!("token-{good}")) {
            return json(401, r#"{"error": "invalid token"}"#);
        }
        match seen.method.as_str() {
            "POST" => json(200, &golden("created_bigquery")),
            _ => json(200, &golden("job_bigquery_running")),
        }
    })
    .await
}

fn any() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

#[tokio::test]
async fn many_questions_at_once_share_one_token() {
    let vendor = issuer(86_400.0, any()).await;
    let file = TokenFile::with(SECRET);
    let carto = Arc::new(oauth(&vendor, file.source()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (carto, url) = (Arc::clone(&carto), vendor.url());
        tasks.spawn(async move { poll_told(&carto.poll(&target(&url), &job()).await.answer) });
    }
    while let Some(told) = tasks.join_next().await {
        assert_eq!(told.unwrap(), "working");
    }
    assert_eq!(count(&vendor, is_token_request), 1);
    assert_eq!(count(&vendor, |seen| seen.bearer() == Some("token-1")), 20);

    let asked = vendor.seen().into_iter().find(is_token_request).unwrap();
    assert_eq!(asked.method, "POST");
    assert_eq!(
        asked.header("content-type"),
        ["application/x-www-form-urlencoded"]
    );
    assert!(asked.bearer().is_none());
    assert_eq!(
        asked.text(),
        "grant_type=client_credentials&client_id=client-1\
         &client_secret=very%2Fsecret-client%2Bvalue%3D&audience=carto-cloud-native-api"
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let vendor = issuer(0.2, any()).await;
    let file = TokenFile::with(SECRET);
    let carto = oauth(&vendor, file.source());
    let renewed = async {
        while count(&vendor, is_token_request) < 2 {
            carto.poll(&target(&vendor.url()), &job()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed)
        .await
        .expect("the token is renewed");
    carto.poll(&target(&vendor.url()), &job()).await;
    let last = vendor.seen().pop().unwrap();
    assert_ne!(last.bearer(), Some("token-1"));
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_and_the_request_repeated_once() {
    let good = any();
    let vendor = issuer(86_400.0, Arc::clone(&good)).await;
    let file = TokenFile::with(SECRET);
    let carto = oauth(&vendor, file.source());
    carto.poll(&target(&vendor.url()), &job()).await;
    good.store(2, Ordering::SeqCst);
    let heard = carto.submit(&submission(&vendor.url())).await;
    assert!(
        matches!(heard.answer, SubmitAnswer::Accepted(_)),
        "{heard:?}"
    );
    let posts: Vec<Seen> = vendor
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "POST" && !is_token_request(seen))
        .collect();
    let bearers: Vec<_> = posts.iter().map(Seen::bearer).collect();
    assert_eq!(bearers, [Some("token-1"), Some("token-2")]);
    assert_eq!(posts[0].body, posts[1].body);

    // A vendor that refuses every token is asked twice, not for ever.
    good.store(99, Ordering::SeqCst);
    let before = vendor.seen().len();
    let heard = carto.submit(&submission(&vendor.url())).await;
    assert_eq!(
        submit_told(&heard.answer),
        "refused unauthorized: http 401: invalid token"
    );
    assert_eq!(vendor.seen().len() - before, 3);
}

#[tokio::test]
async fn many_refused_questions_make_one_renewal() {
    let good = any();
    let vendor = issuer(86_400.0, Arc::clone(&good)).await;
    let file = TokenFile::with(SECRET);
    let carto = Arc::new(oauth(&vendor, file.source()));
    carto.poll(&target(&vendor.url()), &job()).await;
    good.store(2, Ordering::SeqCst);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (carto, url) = (Arc::clone(&carto), vendor.url());
        tasks.spawn(async move { poll_told(&carto.poll(&target(&url), &job()).await.answer) });
    }
    while let Some(told) = tasks.join_next().await {
        assert_eq!(told.unwrap(), "working");
    }
    assert_eq!(count(&vendor, is_token_request), 2);
}

#[tokio::test]
async fn without_a_token_nothing_is_submitted_and_the_connection_is_at_fault() {
    for (act, class) in [
        (401_u16, "unauthorized"),
        (403, "unauthorized"),
        (429, "too_many_requests"),
        (500, "unavailable"),
        (503, "unavailable"),
        (0, "unreachable"),
        (200, "unavailable"),
    ] {
        let vendor = Vendor::start(move |_| match act {
            0 => Act::Close,
            200 => json(200, "<html>"),
            _ => json(act, r#"{"error": "access_denied"}"#),
        })
        .await;
        let file = TokenFile::with(SECRET);
        let carto = oauth(&vendor, file.source());
        let told = submit_told(&carto.submit(&submission(&vendor.url())).await.answer);
        assert!(
            told.starts_with(&format!("refused {class}: ")),
            "{act}: {told}"
        );
        let told = poll_told(&carto.poll(&target(&vendor.url()), &job()).await.answer);
        assert!(
            told.starts_with(&format!("no answer {class}: ")),
            "{act}: {told}"
        );
        assert!(!told.contains(SECRET));
        assert_eq!(count(&vendor, |seen| !is_token_request(seen)), 0);
    }
}

#[tokio::test]
async fn a_static_token_is_read_once_and_again_after_it_was_refused() {
    let file = TokenFile::with("token-old\n");
    let expected = Arc::new(Mutex::new("token-old".to_owned()));
    let accepted = Arc::clone(&expected);
    let vendor = Vendor::start(move |seen| {
        if seen.bearer() == Some(accepted.lock().unwrap().as_str()) {
            json(200, &golden("created_bigquery"))
        } else {
            json(401, r#"{"error": "invalid token"}"#)
        }
    })
    .await;
    let carto = Carto::new(settings(CartoCredential::Token(file.source()))).unwrap();
    let submission = submission(&vendor.url());
    assert!(matches!(
        carto.submit(&submission).await.answer,
        SubmitAnswer::Accepted(_)
    ));

    // A new token in its place is not looked for while the old one is good.
    file.write("token-new");
    assert!(matches!(
        carto.submit(&submission).await.answer,
        SubmitAnswer::Accepted(_)
    ));
    *expected.lock().unwrap() = "token-new".into();
    assert!(matches!(
        carto.submit(&submission).await.answer,
        SubmitAnswer::Accepted(_)
    ));
    let bearers: Vec<String> = vendor
        .seen()
        .iter()
        .map(|seen| seen.bearer().unwrap().to_owned())
        .collect();
    assert_eq!(
        bearers,
        ["token-old", "token-old", "token-old", "token-new"]
    );

    // The same token once more is not sent twice.
    *expected.lock().unwrap() = "token-third".into();
    let answer = carto.submit(&submission).await.answer;
    assert_eq!(
        submit_told(&answer),
        "refused unauthorized: http 401: invalid token"
    );
    assert_eq!(vendor.seen().len(), 5);
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_told_with_its_place() {
    let vendor = Vendor::start(|_| json(200, "{}")).await;
    let source = SecretSource::Env("NIGHTCALL_TEST_NOT_SET".into());
    let carto = Carto::new(settings(CartoCredential::Token(source))).unwrap();
    let SubmitAnswer::Refused(fault) = carto.submit(&submission(&vendor.url())).await.answer else {
        panic!("not refused");
    };
    assert_eq!(fault.class.word(), "unauthorized");
    assert_eq!(
        fault.to_string(),
        "credential: environment variable NIGHTCALL_TEST_NOT_SET is not set"
    );
    assert!(fault.remedy.unwrap().contains("set it in the environment"));
    assert!(vendor.seen().is_empty());
}

#[tokio::test]
async fn a_credential_that_takes_too_long_ends_the_question_in_time() {
    let source = SecretSource::Command(["sleep", "60"].map(String::from).to_vec());
    let mut settings = settings(CartoCredential::Token(source));
    settings.request_timeout = Duration::from_millis(200);
    let carto = Carto::new(settings).unwrap();
    let begun = std::time::Instant::now();
    let told = submit_told(&carto.submit(&submission("http://127.0.0.1:1")).await.answer);
    assert!(
        told.contains("takes longer than `request_timeout`"),
        "{told}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// Everything that is logged, down to the last detail.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_shown_whatever_the_vendor_says() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // Whether a line is wanted is remembered when it is first come by, as the thread that comes by sees it, and other
    // tests want none: come by once, then have it asked anew.
    carto().poll(&target("http://127.0.0.1:1"), &job()).await;
    tracing::callsite::rebuild_interest_cache();

    // An inquisitive vendor: it repeats whatever it was sent, in every place.
    let vendor = Vendor::start(|seen| {
        let said = match seen.bearer() {
            Some(token) => token.to_owned(),
            None => SECRET.to_owned(),
        };
        let echo = format!(
            r#"{{"error": "invalid {said}", "reason": "{said}", "hint": "{said}", "token": "{said}"}}"#
        );
        match seen.target.as_str() {
            "/oauth/token" if seen.text().contains("client-1") => {
                json(200, r#"{"access_token": "issued-sesame-token", "expires_in": 60}"#)
            }
            "/oauth/token" => json(403, &echo),
            target if target.contains("odd-status") => json(418, &echo),
            target if target.contains("odd-word") => {
                json(200, &format!(r#"{{"status": "{said}", "token": "{said}"}}"#))
            }
            target if target.contains("failing") => json(
                200,
                &format!(r#"{{"status": "failed", "error": {{"code": "{said}", "msg": "{said}"}}}}"#),
            ),
            target if target.contains("html") => {
                Act::Send(answer(500, &[], &format!("<title>{said}</title>")))
            }
            target if target.contains("dropped") => Act::Close,
            _ => json(401, &echo),
        }
    })
    .await;
    let file = TokenFile::with(SECRET);
    let mut shown = String::new();
    for carto in [carto(), oauth(&vendor, file.source())] {
        shown.push_str(&format!("{carto:?}"));
        for name in [
            "refused",
            "odd-status",
            "odd-word",
            "failing",
            "html",
            "dropped",
        ] {
            let mut submission = submission(&vendor.url());
            submission.target.connection = name.into();
            let (target, since) = (
                submission.target.clone(),
                "2026-03-01T00:00:00Z".parse().unwrap(),
            );
            shown.push_str(&format!("{:?}\n", carto.submit(&submission).await));
            shown.push_str(&format!("{:?}\n", carto.poll(&target, &job()).await));
            shown.push_str(&format!("{:?}\n", carto.cancel(&target, &job()).await));
            shown.push_str(&format!("{:?}\n", carto.list(&target, since).await));
        }
    }
    let refused = CartoCredential::OAuth {
        token_url: format!("{}/oauth/token", vendor.url()),
        client_id: "unknown".into(),
        client_secret: file.source(),
        audience: "x".into(),
    };
    let refused = Carto::new(settings(refused)).unwrap();
    shown.push_str(&format!(
        "{:?}\n",
        refused.poll(&target(&vendor.url()), &job()).await
    ));

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("/v3/sql/odd-word/job"),
        "exchanges are logged"
    );
    assert!(!logged.contains("created_since"), "queries are not logged");
    for secret in [TOKEN, SECRET, "very%2Fsecret", "issued-sesame-token"] {
        assert!(!shown.contains(secret), "shown: {shown}");
        assert!(!logged.contains(secret), "logged: {logged}");
    }
    assert!(
        shown.contains("[secret]"),
        "the vendor's words are kept without the secret"
    );
}
