//! Hundreds of submissions at once: they share a bounded number of connections, and all of them arrive.

use std::sync::Arc;

use nightcall::sandbox::{Operation, Sandbox, Scenario};
use nightcall::warehouse::JobClient;
use nightcall::warehouse::carto::LINES;

use super::{carto, submission, submitted, target};

#[tokio::test(flavor = "multi_thread")]
async fn a_herd_opens_no_more_connections_than_there_are_lines() {
    let mut scenario = Scenario::default();
    scenario.auth.any_token = true;
    let sandbox = Sandbox::start(scenario).await.unwrap();
    let (carto, url) = (Arc::new(carto(None)), sandbox.base_url());
    // The credential is there before all want it at once.
    carto.poll(&target(&url), &super::job()).await;
    let asking: Vec<_> = (0..4 * LINES)
        .map(|n| {
            let (carto, url) = (Arc::clone(&carto), url.clone());
            let attempt = u32::try_from(n).unwrap();
            tokio::spawn(async move { carto.submit(&submission(&url, attempt)).await.answer })
        })
        .collect();
    for asked in asking {
        assert_eq!(submitted(&asked.await.unwrap()), "accepted");
    }
    let connections = sandbox
        .world()
        .with(|world| world.journal().count(Operation::Connect));
    // The client may connect once more where a connection was just coming back.
    assert!(connections <= 2 * LINES as u64, "{connections}");
}
