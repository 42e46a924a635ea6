//! What the client has given up must not arrive later: by then its absence may have been proven.

use std::time::Duration;

use nightcall::sched::call::Parameters;
use nightcall::warehouse::JobClient;

use super::peer::{Peer, Step};
use super::{LIMIT, carto, submission, submitted};

/// More than the receiving side takes in without reading, so that the rest waits in the sender's kernel.
const SIZE: usize = 768 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_still_holds_is_not_delivered_long_after_the_time_limit() {
    let late = LIMIT * 2;
    let peer = Peer::start(None, vec![Step::Wait(late), Step::Read]).await;
    let url = format!("http://{}", peer.address);
    let mut large = submission(&url, 1);
    let text = serde_json::json!({ "x": "x".repeat(SIZE) });
    large.parameters = Parameters::from_json(text).unwrap().into();
    let told = submitted(&carto(None).submit(&large).await.answer);
    assert_eq!(told, "unsure transient");
    // The server has begun to read meanwhile, and the rest has had time to come.
    tokio::time::sleep(late - LIMIT + Duration::from_secs(1)).await;
    assert_eq!(peer.counts.connections(), 1);
    assert_eq!(peer.counts.requests(), 0, "it arrived late");
}
