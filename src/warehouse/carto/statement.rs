//! What is sent: the addresses of the job calls and the body of a submission.
//!
//! Invariant: an address never holds a credential, and a credential never travels in plain text except to this
//! machine; both are refused here, where addresses are made, whatever the configuration or the store says.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use url::{Host, Url};

use crate::sched::call::{APP, Submission, Target};
use crate::sched::fault::{Fault, FaultClass};
use crate::sched::id::JobId;
use crate::sched::time::Timestamp;

/// The body of a submission, in the order of the vendor's page.
#[derive(Serialize)]
struct Body<'a> {
    query: &'a str,
    #[serde(rename = "queryParameters", skip_serializing_if = "Option::is_none")]
    query_parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

/// The marker, flat.
#[derive(Serialize)]
struct Metadata<'a> {
    app: &'a str,
    instance: &'a str,
    run: String,
    attempt: u32,
}

/// The body of a submission, with its marker or without. Values keep the form in which they were written; without
/// values there is no `queryParameters`.
pub(super) fn body(submission: &Submission, marked: bool) -> Result<Vec<u8>, Fault> {
    let parameters = &submission.parameters;
    let body = Body {
        query: submission.query.trim(),
        query_parameters: (!parameters.is_empty()).then(|| parameters.to_json()),
        metadata: marked.then(|| Metadata {
            app: APP,
            instance: &submission.marker.instance,
            run: submission.marker.run.to_string(),
            attempt: submission.marker.attempt,
        }),
    };
    serde_json::to_vec(&body)
        .map_err(|error| Fault::new(FaultClass::Permanent, "request", &error.to_string()))
}

/// Where jobs are created.
pub(super) fn jobs_of_connection(target: &Target) -> Result<Url, Fault> {
    under(target, &["v3", "sql", &target.connection, "job"])
}

/// Where one job is read and cancelled.
pub(super) fn one_job(target: &Target, job: &JobId) -> Result<Url, Fault> {
    under(
        target,
        &["v3", "sql", &target.connection, "job", job.as_str()],
    )
}

/// Where jobs are listed: of every connection, created since then.
pub(super) fn job_list(target: &Target, since: Timestamp) -> Result<Url, Fault> {
    let mut url = under(target, &["v3", "sql", "jobs"])?;
    url.set_query(Some(&format!("created_since={since:.3}")));
    Ok(url)
}

fn under(target: &Target, segments: &[&str]) -> Result<Url, Fault> {
    let wrong = |why: &str| {
        Fault::new(FaultClass::Permanent, "base_url", why)
            .with_remedy("correct `base_url` (and `name`) of this connection in the TOML")
    };
    let mut url = checked(&target.base_url).map_err(wrong)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("the base URL has a `?` or a `#`"));
    }
    let mut path = url.path().trim_end_matches('/').to_owned();
    for segment in segments {
        // Whatever is done to them, clients and servers take these two for steps up and down the path.
        if segment.is_empty() || *segment == "." || *segment == ".." {
            return Err(wrong(
                "a name in the address of the request is empty or made of dots",
            ));
        }
        path.push('/');
        percent_encode(segment, &mut path);
    }
    url.set_path(&path);
    Ok(url)
}

/// An address that a credential may be sent to; else what is wrong with it, without quoting it.
pub(super) fn checked(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "the address is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address holds a user name or a password");
    }
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_this_machine(&host) => Ok(url),
        ("http", _) => {
            Err("plain http would show the credential to everyone on the way: use https")
        }
        _ => Err("the address is not an https URL"),
    }
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Everything but the unreserved characters of RFC 3986 is encoded, so that no name can be read as a path.
fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::sched::call::{Marker, Parameters};

    fn target(base_url: &str, connection: &str) -> Target {
        Target {
            base_url: base_url.into(),
            connection: connection.into(),
        }
    }

    fn submission(query: &str, parameters: &str) -> Submission {
        Submission {
            target: target("https://gcp-us-east1.api.carto.com", "your_connection"),
            query: query.into(),
            parameters: Parameters::from_json(serde_json::from_str(parameters).unwrap())
                .unwrap()
                .into(),
            marker: Marker {
                instance: "prod".into(),
                run: "store-clusters/hyper@2026-02-03T01:15:00Z".parse().unwrap(),
                attempt: 2,
            },
        }
    }

    #[test]
    fn the_body_has_the_vendors_fields_in_the_vendors_order() {
        let submission = submission(
            " CALL `p.d.f`(@z,@a)\n",
            r#"{"z":2,"a":2.0,"big":12345678901234567890123,"list":[750,null,true]}"#,
        );
        let body = |marked| String::from_utf8(body(&submission, marked).unwrap()).unwrap();
        assert_eq!(
            body(true),
            r#"{"query":"CALL `p.d.f`(@z,@a)","queryParameters":{"z":2,"a":2.0,"big":12345678901234567890123,"list":[750,null,true]},"metadata":{"app":"nightcall","instance":"prod","run":"store-clusters/hyper@2026-02-03T01:15:00Z","attempt":2}}"#
        );
        assert_eq!(
            body(false),
            r#"{"query":"CALL `p.d.f`(@z,@a)","queryParameters":{"z":2,"a":2.0,"big":12345678901234567890123,"list":[750,null,true]}}"#
        );
    }

    #[test]
    fn values_by_position_are_an_array_and_no_values_are_left_out() {
        let by_position = body(&submission("CALL f($1)", r#"["north",750]"#), true).unwrap();
        let none = body(&submission("CALL f()", "{}"), true).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert!(text(by_position).contains(r#""queryParameters":["north",750],"#));
        assert!(text(none).starts_with(r#"{"query":"CALL f()","metadata":{"#));
    }

    #[test]
    fn addresses_are_those_of_the_vendors_page() {
        let cloud = target("https://gcp-us-east1.api.carto.com", "your_connection");
        let job = JobId::new("job_h8UWzpdzX0s2XAAXQd3rdWCdPUT9").unwrap();
        let base = "https://gcp-us-east1.api.carto.com/v3/sql";
        let created = format!("{base}/your_connection/job");
        assert_eq!(jobs_of_connection(&cloud).unwrap().as_str(), created);
        assert_eq!(
            one_job(&cloud, &job).unwrap().as_str(),
            format!("{created}/job_h8UWzpdzX0s2XAAXQd3rdWCdPUT9")
        );
        let since = "2026-03-01T05:55:00.1239Z".parse().unwrap();
        assert_eq!(
            job_list(&cloud, since).unwrap().as_str(),
            format!("{base}/jobs?created_since=2026-03-01T05:55:00.123Z")
        );
        let since = "2026-03-01T05:55:00Z".parse().unwrap();
        assert_eq!(
            job_list(&cloud, since).unwrap().query(),
            Some("created_since=2026-03-01T05:55:00.000Z")
        );
    }

    #[test]
    fn a_self_hosted_base_url_keeps_its_path() {
        let own = target("https://carto.example.com/api/", "dw");
        assert_eq!(
            jobs_of_connection(&own).unwrap().as_str(),
            "https://carto.example.com/api/v3/sql/dw/job"
        );
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        let odd = target("https://a.example.com", "a/b?c#d%2f é|");
        let url = jobs_of_connection(&odd).unwrap();
        assert_eq!(url.path(), "/v3/sql/a%2Fb%3Fc%23d%252f%20%C3%A9%7C/job");
        assert_eq!(url.query(), None);
        for name in ["", ".", ".."] {
            assert!(jobs_of_connection(&target("https://a.example.com", name)).is_err());
        }
        let dots = JobId::new("..").unwrap();
        assert!(one_job(&odd, &dots).is_err());
    }

    #[test]
    fn a_credential_is_not_sent_in_plain_text_or_to_half_an_address() {
        for base in [
            "http://api.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "https://user:sesame@api.example.com",
            "ftp://api.example.com",
            "api.example.com",
            "https://",
            "https://api.example.com?x=",
            "https://api.example.com#",
            "",
        ] {
            let fault = jobs_of_connection(&target(base, "dw")).unwrap_err();
            assert_eq!(fault.class, FaultClass::Permanent, "{base}");
            assert!(!format!("{fault:?}").contains("sesame"));
        }
        for base in [
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:1/api",
        ] {
            assert!(jobs_of_connection(&target(base, "dw")).is_ok(), "{base}");
        }
    }
}
