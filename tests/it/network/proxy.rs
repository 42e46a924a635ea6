//! The way between the daemon and the vendor, which misbehaves by chance: drops, resets, half-open connections, delays
//! and cuts, each drawn from a seed; calm when it is told to be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A connection of the time before the storm lasts at most so long.
const BEFORE: Duration = Duration::from_millis(500);

/// Chance that falls the same way for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

/// What becomes of a connection. Positions are bytes of the stream, of requests or of answers.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Everything passes, a little late.
    Passes(Duration),
    /// Reset soon.
    Reset,
    /// Accepted, and nothing more.
    HalfOpen,
    /// After so many bytes of requests the rest is not passed on, and both sides are reset.
    RequestCut(u64),
    /// After so many bytes of answers nothing more is passed on, and the connection stays open.
    AnswerSwallowed(u64),
    /// After so many bytes of answers the client's side is closed.
    AnswerCut(u64),
    /// The same with a reset.
    AnswerReset(u64),
    /// Answers come so late.
    AnswerLate(Duration),
}

impl Fate {
    fn draw(dice: &mut Dice) -> Self {
        let place = dice.below(2000);
        match dice.below(12) {
            0 => Self::Reset,
            1 => Self::HalfOpen,
            2 | 3 => Self::RequestCut(place),
            4 | 5 => Self::AnswerSwallowed(place / 2),
            6 => Self::AnswerCut(place / 2),
            7 => Self::AnswerReset(place / 2),
            8 => Self::AnswerLate(Duration::from_millis(place)),
            _ => Self::Passes(Duration::from_millis(place / 20)),
        }
    }
}

/// The proxy.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    raging: Arc<AtomicBool>,
    storm: CancellationToken,
    spoilt: Arc<AtomicU64>,
    /// Ends it when the test does.
    _end: tokio_util::sync::DropGuard,
}

impl Proxy {
    /// Passes on to there; the storm that may come is of this seed.
    pub(super) async fn start(vendor: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (storm, end) = (CancellationToken::new(), CancellationToken::new());
        let spoilt = Arc::new(AtomicU64::new(0));
        let raging = Arc::new(AtomicBool::new(false));
        let weather = Arc::clone(&raging);
        let (calmed, ended, count) = (storm.clone(), end.clone(), Arc::clone(&spoilt));
        tokio::spawn(async move {
            let mut dice = Dice::new(seed);
            loop {
                let accepted = tokio::select! {
                    () = ended.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let Ok((client, _)) = accepted else { return };
                let calmed = calmed.clone();
                if !weather.load(Ordering::SeqCst) {
                    let fine = pass(client, vendor, Fate::Passes(Duration::ZERO));
                    tokio::spawn(async move {
                        match calmed.is_cancelled() {
                            true => fine.await,
                            // What was before the storm ends with it, so that the storm meets new connections.
                            false => drop(tokio::time::timeout(BEFORE, fine).await),
                        }
                    });
                    continue;
                }
                let fate = Fate::draw(&mut dice);
                count.fetch_add(1, Ordering::SeqCst);
                // Even a good connection is dropped some time, and what the storm has spoilt does not outlast it.
                let life = match fate {
                    Fate::Passes(_) => Duration::from_millis(100 + dice.below(1000)),
                    _ => Duration::from_secs(3),
                };
                let passed = tokio::time::timeout(life, pass(client, vendor, fate));
                tokio::spawn(calmed.run_until_cancelled_owned(passed));
            }
        });
        Self {
            address,
            raging,
            storm,
            spoilt,
            _end: end.drop_guard(),
        }
    }

    /// The storm begins.
    pub(super) fn rage(&self) {
        self.raging.store(true, Ordering::SeqCst);
    }

    /// From now on everything passes.
    pub(super) fn calm(&self) {
        self.raging.store(false, Ordering::SeqCst);
        self.storm.cancel();
    }

    /// Connections that came to a bad end so far.
    pub(super) fn spoilt(&self) -> u64 {
        self.spoilt.load(Ordering::SeqCst)
    }
}

async fn pass(client: TcpStream, vendor: SocketAddr, fate: Fate) {
    match fate {
        Fate::Reset => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return client.set_zero_linger().unwrap();
        }
        Fate::HalfOpen => {
            let _held = client;
            return std::future::pending().await;
        }
        _ => {}
    }
    let Ok(server) = TcpStream::connect(vendor).await else {
        return;
    };
    if matches!(fate, Fate::RequestCut(_) | Fate::AnswerReset(_)) {
        client.set_zero_linger().unwrap();
        server.set_zero_linger().unwrap();
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let most = match fate {
            Fate::RequestCut(place) => place,
            _ => u64::MAX,
        };
        let mut limited = (&mut from_client).take(most);
        let _ = tokio::io::copy(&mut limited, &mut to_server).await;
        if most == u64::MAX {
            let _ = to_server.shutdown().await;
            std::future::pending::<()>().await;
        }
    };
    let answers = async {
        let (most, late) = match fate {
            Fate::AnswerSwallowed(place) | Fate::AnswerCut(place) | Fate::AnswerReset(place) => {
                (place, Duration::ZERO)
            }
            Fate::AnswerLate(late) | Fate::Passes(late) => (u64::MAX, late),
            _ => (u64::MAX, Duration::ZERO),
        };
        let mut bytes = [0; 4096];
        let mut left = usize::try_from(most).unwrap_or(usize::MAX);
        while let Ok(n @ 1..) = from_server.read(&mut bytes).await {
            tokio::time::sleep(late).await;
            let passed = n.min(left);
            if to_client.write_all(&bytes[..passed]).await.is_err() {
                return;
            }
            left -= passed;
            if left == 0 {
                break;
            }
        }
        if matches!(fate, Fate::AnswerSwallowed(_)) {
            std::future::pending::<()>().await;
        }
    };
    // Whichever side ends first ends both.
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}
