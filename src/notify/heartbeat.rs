//! An outside dead man's switch: it raises the alarm when nightcall does not report, whatever the reason.
//!
//! The form of healthchecks.io, which others speak too: `URL` is success, `URL/start` and `URL/fail` are what they say.
//! `rid` makes a pair of the start and the end of a run.

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;

use super::http::{self, Http};
use super::plain::{self, ID, LINE};
use super::setup::{Reach, SetupError};
use super::{Beat, Heartbeat, Reply, SendError, identity};
use crate::sched::id::RunId;
use crate::secret::SecretSource;

/// What a dead man's switch needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatSettings {
    /// The address of the check, a secret as a whole; `/start` and `/fail` are added to its path.
    pub url: SecretSource,
    /// How it is reached.
    pub reach: Reach,
}

/// A dead man's switch.
pub struct Switch {
    url: SecretSource,
    http: Http,
}

impl Switch {
    /// Fails when the time limit, the certificate file or the proxy cannot be used.
    pub fn new(settings: HeartbeatSettings) -> Result<Self, SetupError> {
        let http = Http::new(&settings.reach)?;
        let url = settings.url;
        Ok(Self { url, http })
    }

    async fn ping(&self, beat: &Beat) -> Result<(), SendError> {
        let (url, hidden) = http::read_url(&self.url).await?;
        let request = self
            .http
            .post(address(url, beat))
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            )
            .body(words(beat));
        let answer = self.http.send(request, &hidden).await?;
        if !answer.is_good() {
            return Err(match answer.refusal(&hidden).await {
                // There is nothing in a report that could be refused: it is the address.
                SendError::GiveUp(why) => http::again(why),
                again => again,
            });
        }
        // Some refusals come with 200 and words.
        let said = answer.beginning(http::FOR_A_REASON).await;
        let said = String::from_utf8_lossy(&said).to_ascii_lowercase();
        if said.contains("(not found)") {
            return Err(http::again(
                "the switch does not know this check: mend the address",
            ));
        }
        if said.contains("(rate limited)") {
            return Err(SendError::Retry {
                why: "the switch hears too many reports about this check".into(),
                after: Some(std::time::Duration::from_secs(60)),
            });
        }
        Ok(())
    }
}

impl Heartbeat for Switch {
    fn beat<'a>(&'a self, beat: &'a Beat) -> Reply<'a, Result<(), SendError>> {
        Box::pin(self.http.within(self.ping(beat)))
    }
}

fn address(mut url: Url, beat: &Beat) -> Url {
    let (word, run) = match beat {
        Beat::Alive => (None, None),
        Beat::Started(run) => (Some("start"), Some(run)),
        Beat::Succeeded(run) => (None, Some(run)),
        Beat::Failed(run, _) => (Some("fail"), Some(run)),
    };
    if let (Some(word), Ok(mut path)) = (word, url.path_segments_mut()) {
        path.pop_if_empty().push(word);
    }
    if let Some(run) = run {
        let rid = identity::of(&run.to_string()).to_string();
        url.query_pairs_mut().append_pair("rid", &rid);
    }
    url
}

/// What the switch shows beside the report.
fn words(beat: &Beat) -> String {
    let name = |run: &RunId| plain::line(&run.to_string(), ID);
    match beat {
        Beat::Alive => "nightcall is there and on time".into(),
        Beat::Started(run) => format!("{} started", name(run)),
        Beat::Succeeded(run) => format!("{} succeeded", name(run)),
        Beat::Failed(run, outcome) => format!("{}: {}", name(run), plain::line(outcome, LINE)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_are_added_to_the_path_and_nothing_else_is_lost() {
        let run: RunId = "store-clusters/hyper@2026-03-01T02:15:00Z".parse().unwrap();
        let rid = format!("rid={}", identity::of(&run.to_string()));
        let failed = Beat::Failed(run.clone(), "lost".into());
        for (base, beat, wanted) in [
            ("https://hc/5d1c", Beat::Alive, "https://hc/5d1c".to_owned()),
            (
                "https://hc/5d1c/",
                Beat::Started(run.clone()),
                format!("https://hc/5d1c/start?{rid}"),
            ),
            (
                "https://hc/5d1c",
                failed,
                format!("https://hc/5d1c/fail?{rid}"),
            ),
            (
                "https://hc/k/s?create=1",
                Beat::Succeeded(run),
                format!("https://hc/k/s?create=1&{rid}"),
            ),
        ] {
            let found = address(Url::parse(base).unwrap(), &beat);
            assert_eq!(found.as_str(), wanted);
        }
    }

    #[test]
    fn settings_show_places_only() {
        let url = SecretSource::Command(vec!["echo".into(), "https://hc-ping.com/t0ken".into()]);
        let settings = HeartbeatSettings {
            url,
            reach: Reach::default(),
        };
        assert!(!format!("{settings:?}").contains("t0ken"));
    }
}
