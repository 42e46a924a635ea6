//! The contract with CARTO: what is asked, byte by byte, and what its answers mean; against a server on loopback that
//! can also behave badly. The answers in `tests/golden/carto` were composed after the vendor's documentation.

#[path = "carto_contract/credential.rs"]
mod credential;
#[path = "carto_contract/metadata.rs"]
mod metadata;
#[path = "carto_contract/transport.rs"]
mod transport;
#[path = "carto_contract/vendor.rs"]
mod vendor;

use std::time::Duration;

use nightcall::sched::call::{Marker, Parameters, Procedure, Submission, Target};
use nightcall::sched::fault::Fault;
use nightcall::sched::id::JobId;
use nightcall::sched::step::{CancelAnswer, ListAnswer, PollAnswer, SubmitAnswer};
use nightcall::secret::SecretSource;
use nightcall::warehouse::JobClient;
use nightcall::warehouse::carto::{Carto, CartoCredential, CartoSettings, ClassifyRules};

use vendor::{Act, Vendor, answer, json};

const TOKEN: &str = "eyJ0ZXN0IjoidGhlIGNhbGxlcnMgb3duIHRva2VuIn0";

/// A file with a token; the folder lives as long as the test.
struct TokenFile {
    dir: tempfile::TempDir,
}

impl TokenFile {
    fn with(token: &str) -> Self {
        let file = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        file.write(token);
        file
    }

    fn write(&self, token: &str) {
        std::fs::write(self.dir.path().join("token"), token).unwrap();
    }

    fn source(&self) -> SecretSource {
        SecretSource::File(self.dir.path().join("token"))
    }
}

fn settings(credential: CartoCredential) -> CartoSettings {
    CartoSettings {
        credential,
        request_timeout: Duration::from_secs(20),
        ca_file: None,
        proxy: None,
        rules: ClassifyRules::default(),
    }
}

/// A client whose one token is [`TOKEN`].
fn carto_with(change: impl FnOnce(&mut CartoSettings)) -> Carto {
    // The name of a variable that is always there would do, but its value would not be a token of our choice.
    let source = SecretSource::Command(vec!["echo".into(), TOKEN.into()]);
    let mut settings = settings(CartoCredential::Token(source));
    change(&mut settings);
    Carto::new(settings).unwrap()
}

fn carto() -> Carto {
    carto_with(|_| {})
}

fn impatient_carto() -> Carto {
    carto_with(|settings| settings.request_timeout = Duration::from_millis(400))
}

fn target(base_url: &str) -> Target {
    Target {
        base_url: base_url.into(),
        connection: "your_connection".into(),
    }
}

fn job() -> JobId {
    JobId::new("job_h8UWzpdzX0s2XAAXQd3rdWCdPUT9").unwrap()
}

/// The submission of the vendor's page.
fn submission(base_url: &str) -> Submission {
    let procedure = Procedure {
        name: "carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528.\
               workflow_procedure_09cc2e19ad5bbc6f"
            .into(),
        arguments: ["number_of_clusters", "buffer_radius", "store_type"]
            .map(String::from)
            .to_vec(),
    };
    let values = r#"{"number_of_clusters":2,"buffer_radius":500,"store_type":"Supermarket"}"#;
    Submission {
        target: target(base_url),
        query: procedure.bigquery_call().into(),
        parameters: Parameters::from_json(serde_json::from_str(values).unwrap())
            .unwrap()
            .into(),
        marker: Marker {
            instance: "prod".into(),
            run: "store-clusters/hyper@2026-02-03T01:15:00Z".parse().unwrap(),
            attempt: 1,
        },
    }
}

fn golden(name: &str) -> String {
    let path = format!(
        "{}/tests/golden/carto/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

fn fault_told(form: &str, fault: &Fault) -> String {
    format!("{form} {}: {fault}", fault.class.word())
}

fn submit_told(answer: &SubmitAnswer) -> String {
    match answer {
        SubmitAnswer::Accepted(job) => format!("accepted {job}"),
        SubmitAnswer::Refused(fault) => fault_told("refused", fault),
        SubmitAnswer::Unsure(fault) => fault_told("unsure", fault),
    }
}

fn poll_told(answer: &PollAnswer) -> String {
    match answer {
        PollAnswer::Working { unknown: None } => "working".into(),
        PollAnswer::Working {
            unknown: Some(word),
        } => format!("working {word:?}"),
        PollAnswer::Succeeded => "succeeded".into(),
        PollAnswer::Cancelled => "cancelled".into(),
        PollAnswer::Failed(fault) => fault_told("failed", fault),
        PollAnswer::Gone(fault) => fault_told("gone", fault),
        PollAnswer::NoAnswer(fault) => fault_told("no answer", fault),
    }
}

fn list_told(answer: &ListAnswer) -> String {
    match answer {
        ListAnswer::Jobs(jobs) => format!("{} jobs", jobs.len()),
        ListAnswer::Unsupported(fault) => fault_told("unsupported", fault),
        ListAnswer::NoAnswer(fault) => fault_told("no answer", fault),
    }
}

#[tokio::test]
async fn a_submission_is_the_request_of_the_vendors_page() {
    let vendor = Vendor::start(|_| json(200, &golden("created_bigquery"))).await;
    let heard = carto().submit(&submission(&vendor.url())).await;
    assert_eq!(heard.answer, SubmitAnswer::Accepted(job()));

    let seen = vendor.seen();
    assert_eq!(seen.len(), 1);
    let seen = &seen[0];
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/v3/sql/your_connection/job")
    );
    assert_eq!(seen.header("content-type"), ["application/json"]);
    assert_eq!(seen.header("authorization"), [format!("Bearer {TOKEN}")]);
    assert_eq!(seen.header("accept"), ["application/json"]);
    assert_eq!(seen.header("host"), [vendor.address.to_string()]);
    let agent = concat!("nightcall/", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen.header("user-agent"), [agent]);
    assert!(seen.header("accept-encoding").is_empty());
    assert!(seen.header("cookie").is_empty());
    assert_eq!(
        seen.text(),
        concat!(
            r#"{"query":"CALL `carto-dw-ac-jfjjof5m.workflows_temp_ernesto_pmadmin_aa2de528."#,
            r#"workflow_procedure_09cc2e19ad5bbc6f`(@number_of_clusters,@buffer_radius,@store_type)","#,
            r#""queryParameters":{"number_of_clusters":2,"buffer_radius":500,"store_type":"Supermarket"},"#,
            r#""metadata":{"app":"nightcall","instance":"prod","#,
            r#""run":"store-clusters/hyper@2026-02-03T01:15:00Z","attempt":1}}"#
        )
    );
}

#[tokio::test]
async fn every_success_that_names_a_job_is_accepted() {
    for status in [200, 201, 202] {
        let vendor = Vendor::start(move |_| json(status, &golden("created_flat"))).await;
        let heard = carto().submit(&submission(&vendor.url())).await;
        assert_eq!(
            submit_told(&heard.answer),
            "accepted 2f0c5b0e-55c4-4f7e-8f57-9a3c1d2e4f60"
        );
    }
}

#[tokio::test]
async fn the_other_questions_go_to_the_addresses_of_the_vendors_page() {
    let vendor = Vendor::start(|seen| match seen.method.as_str() {
        "DELETE" => Act::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        _ if seen.target.starts_with("/v3/sql/jobs") => json(200, "[]"),
        _ => json(200, &golden("job_bigquery_done")),
    })
    .await;
    let (carto, target) = (carto(), target(&vendor.url()));
    let odd = JobId::new("a/b c?d#e%2F").unwrap();
    let since = "2026-03-01T05:55:00Z".parse().unwrap();
    assert_eq!(
        carto.poll(&target, &job()).await.answer,
        PollAnswer::Succeeded
    );
    assert_eq!(
        carto.cancel(&target, &job()).await.answer,
        CancelAnswer::Noted
    );
    assert_eq!(
        carto.poll(&target, &odd).await.answer,
        PollAnswer::Succeeded
    );
    let jobs = carto.list(&target, since).await.answer;
    assert_eq!(jobs, ListAnswer::Jobs(vec![]));
    let asked: Vec<String> = vendor
        .seen()
        .iter()
        .map(|seen| format!("{} {} {}", seen.method, seen.target, seen.body.len()))
        .collect();
    assert_eq!(
        asked,
        [
            "GET /v3/sql/your_connection/job/job_h8UWzpdzX0s2XAAXQd3rdWCdPUT9 0",
            "DELETE /v3/sql/your_connection/job/job_h8UWzpdzX0s2XAAXQd3rdWCdPUT9 0",
            "GET /v3/sql/your_connection/job/a%2Fb%20c%3Fd%23e%252F 0",
            "GET /v3/sql/jobs?created_since=2026-03-01T05:55:00.000Z 0",
        ]
    );
    assert!(
        vendor
            .seen()
            .iter()
            .all(|seen| seen.bearer() == Some(TOKEN))
    );
}

/// Recorded-style answers to a poll, and what they mean.
const POLLS: [(&str, &str); 22] = [
    ("job_bigquery_running", "working"),
    ("job_bigquery_done", "succeeded"),
    ("job_bigquery_survived_errors", "succeeded"),
    (
        "job_bigquery_cannot_coerce",
        "failed permanent: invalidQuery at query: Query error: Cannot coerce expression \
         @number_of_clusters to type INT64 at [1:158]",
    ),
    (
        "job_bigquery_procedure_gone",
        "failed permanent: invalidQuery at query: Procedure not found: \
         `acme-geo.carto_temp.wfproc_api_0123456789abcdef` at [1:6]",
    ),
    (
        "job_bigquery_rate_limited_script",
        "failed slow: invalidQuery at query: Query error: Exceeded rate limits: too many table \
         update operations for this table. at [14:3]",
    ),
    (
        "job_bigquery_backend_error",
        "failed transient: backendError: Error encountered during execution.",
    ),
    (
        "job_bigquery_quota",
        "failed slow: quotaExceeded: Quota exceeded: bytes scanned today",
    ),
    ("job_bigquery_stopped", "cancelled"),
    ("job_flat_running", "working"),
    ("job_flat_success", "succeeded"),
    (
        "job_postgres_procedure_gone",
        "failed permanent: 42883: procedure carto.wfproc_api_4444444444444444(unknown, integer) \
         does not exist",
    ),
    (
        "job_postgres_serialization",
        "failed transient: 40001: could not serialize access due to read/write dependencies among \
         transactions",
    ),
    (
        "job_redshift_isolation",
        "failed transient: failure: ERROR: 1023 DETAIL: Serializable isolation violation on table \
         - 100, transactions forming the cycle are: 1, 2",
    ),
    ("job_snowflake_queued", "working"),
    (
        "job_snowflake_routine_gone",
        "failed permanent: FAILED_WITH_ERROR: 002141 (42601): SQL compilation error:\n\
         Unknown user-defined function CARTO.WFPROC_API_1",
    ),
    (
        "job_snowflake_lock",
        "failed transient: 625: Statement was aborted because the number of waiters for this lock \
         exceeds the limit",
    ),
    ("job_snowflake_aborted", "cancelled"),
    (
        "job_databricks_routine_gone",
        "failed permanent: FAILED: [ROUTINE_NOT_FOUND] The routine `main`.`carto`.`wfproc_api_1` \
         cannot be found. SQLSTATE: 42883",
    ),
    (
        "job_oracle_listener",
        "failed transient: error: ORA-12541: TNS:no listener",
    ),
    ("job_unknown_word", "working \"HIBERNATING\""),
    ("job_without_status", "working \"\""),
];

#[tokio::test]
async fn recorded_jobs_are_read_as_what_they_are() {
    // The connection is the name of the golden file, so that one server can answer for all.
    let vendor = Vendor::start(|seen| {
        let name = seen.target.split('/').nth(3).unwrap();
        json(200, &golden(name))
    })
    .await;
    let carto = carto();
    for (name, expected) in POLLS {
        let target = Target {
            connection: name.into(),
            ..target(&vendor.url())
        };
        let heard = carto.poll(&target, &job()).await;
        assert_eq!(poll_told(&heard.answer), expected, "{name}");
        if name.ends_with("_gone") {
            let PollAnswer::Failed(fault) = heard.answer else {
                panic!("{name} did not fail");
            };
            let remedy = fault.remedy.unwrap();
            assert!(remedy.contains("press Enable"), "{name}: {remedy}");
        }
    }
    let recorded = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/carto"))
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("job_")
        })
        .count();
    assert_eq!(recorded, POLLS.len(), "a recorded job is not in the table");
}

#[tokio::test]
async fn recorded_refusals_say_whose_fault_it_is_and_what_to_do() {
    let vendor = Vendor::start(|seen| {
        let name = seen.target.split('/').nth(3).unwrap();
        let status = name.split('_').nth(1).unwrap().parse().unwrap();
        json(status, &golden(name))
    })
    .await;
    let carto = carto();
    for (name, expected, remedy) in [
        (
            "error_400_sql",
            "refused permanent: http 400: Syntax error: Expected end of input but got identifier \
             \"CAL\" at [1:1]; check the statement",
            None,
        ),
        (
            "error_401_token_not_defined",
            "refused unauthorized: http 401: Token not defined",
            Some("put a valid API Access Token into command echo"),
        ),
        (
            "error_403_permissions",
            "refused permanent: http 403: You don't have permissions to execute this query",
            Some("give the token a grant"),
        ),
        (
            "error_404_not_found",
            "refused permanent: http 404: Not Found",
            Some("compare `base_url`"),
        ),
    ] {
        let mut submission = submission(&vendor.url());
        submission.target.connection = name.into();
        let answer = carto.submit(&submission).await.answer;
        assert_eq!(submit_told(&answer), expected);
        let SubmitAnswer::Refused(fault) = answer else {
            panic!("{name} was not refused");
        };
        match remedy {
            Some(part) => assert!(fault.remedy.as_ref().unwrap().contains(part), "{fault:?}"),
            None => assert_eq!(fault.remedy, None),
        }
    }
}

#[tokio::test]
async fn recorded_lists_show_markers_and_count_as_lists_when_cut() {
    let vendor = Vendor::start(|seen| {
        let whole = seen.target.contains("2026-02");
        let name = if whole {
            "list_array"
        } else {
            "list_wrapped_and_cut"
        };
        json(200, &golden(name))
    })
    .await;
    let (carto, target) = (carto(), target(&vendor.url()));
    let heard = carto
        .list(&target, "2026-02-03T00:00:00Z".parse().unwrap())
        .await;
    let ListAnswer::Jobs(jobs) = heard.answer else {
        panic!("not a list");
    };
    let read: Vec<String> = jobs
        .iter()
        .map(|job| {
            let marker = job
                .marker
                .as_ref()
                .map(|m| format!("{} {} {}", m.instance, m.run, m.attempt));
            format!(
                "{} {:?} {:?}",
                job.job,
                job.created.map(|t| t.to_string()),
                marker
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            r#"job_2 Some("2026-02-03T02:15:01Z") Some("prod store-clusters/hyper@2026-02-03T01:15:00Z+1 2")"#,
            r#"job_1 Some("2026-02-03T01:15:01.204Z") Some("prod store-clusters/hyper@2026-02-03T01:15:00Z 1")"#,
            r#"job_0 Some("2026-02-03T01:00:00Z") None"#,
        ]
    );
    let heard = carto
        .list(&target, "2026-01-01T00:00:00Z".parse().unwrap())
        .await;
    assert_eq!(list_told(&heard.answer), "1 jobs");
}

#[tokio::test]
async fn the_vendors_clock_and_wishes_are_heard() {
    let vendor = Vendor::start(|_| {
        let headers = [
            ("date", "Sun, 01 Mar 2026 06:00:00 GMT"),
            ("retry-after", "Sun, 01 Mar 2026 06:01:30 GMT"),
        ];
        Act::Send(answer(
            429,
            &headers,
            "<html><title>Slow down</title></html>",
        ))
    })
    .await;
    let heard = carto().submit(&submission(&vendor.url())).await;
    assert_eq!(heard.date, "2026-03-01T06:00:00Z".parse().ok());
    assert_eq!(
        submit_told(&heard.answer),
        "refused too_many_requests: http 429: Slow down"
    );
    let SubmitAnswer::Refused(fault) = heard.answer else {
        panic!("not refused");
    };
    assert_eq!(fault.retry_after, Some(Duration::from_secs(90)));
}
