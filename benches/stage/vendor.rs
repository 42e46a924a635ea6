//! The sandbox in a process of its own: this same program, started once more.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nightcall::sandbox::{Sandbox, Scenario};

use super::JOB;

/// The word that makes this program the vendor.
const WORD: &str = "vendor";

/// One request to create a job, as the vendor saw it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The run of its marker.
    pub(crate) run: String,
    /// When, in microseconds since 1970.
    pub(crate) at: i64,
}

impl Arrival {
    /// How long after its nominal time it arrived, in milliseconds.
    pub(crate) fn lateness(&self) -> f64 {
        let (_, instant) = self.run.rsplit_once('@').expect("a run has its time");
        let instant: jiff::Timestamp = instant.parse().expect("a time");
        (self.at - instant.as_microsecond()) as f64 / 1000.0
    }
}

/// A running vendor; it ends when it is dropped.
pub(crate) struct Vendor {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where it is.
    pub(crate) base_url: String,
}

impl Vendor {
    /// Starts it with jobs of the usual length.
    pub(crate) fn start() -> Self {
        Self::start_with(JOB)
    }

    /// Starts it with jobs that take so long.
    pub(crate) fn start_with(job: Duration) -> Self {
        let this = std::env::current_exe().expect("this program");
        let mut child = Command::new(this)
            .args([WORD, &job.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the vendor starts");
        let ask = child.stdin.take().expect("its input");
        let mut answers = BufReader::new(child.stdout.take().expect("its output"));
        let mut base_url = String::new();
        answers.read_line(&mut base_url).expect("its address");
        Self {
            child,
            ask,
            answers,
            base_url: base_url.trim().to_owned(),
        }
    }

    /// The jobs that it knows, in the order of their creation, and how many requests it had.
    pub(crate) fn arrivals(&mut self) -> (Vec<Arrival>, u64) {
        writeln!(self.ask, "report").expect("the vendor listens");
        let mut arrivals = Vec::new();
        loop {
            let mut line = String::new();
            self.answers
                .read_line(&mut line)
                .expect("the vendor answers");
            let (at, run) = line.trim().split_once(' ').expect("two words");
            let at: i64 = at.parse().expect("a number");
            if run == "requests" {
                return (arrivals, at.unsigned_abs());
            }
            arrivals.push(Arrival {
                run: run.to_owned(),
                at,
            });
        }
    }

    /// How much of a core it used so far, in seconds.
    pub(crate) fn cpu(&self) -> f64 {
        super::machine::cpu(self.child.id())
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process is to be the vendor; then it is, until its input ends.
pub(crate) fn is_asked_for() -> bool {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() != Some(WORD) {
        return false;
    }
    let job = words
        .next()
        .and_then(|ms| ms.parse().ok())
        .expect("how long jobs take");
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(be(Duration::from_millis(job)));
    true
}

async fn be(job: Duration) {
    let mut scenario = Scenario::default();
    scenario.auth.any_token = true;
    scenario.collide = false;
    scenario.script.pending = Duration::ZERO.into();
    scenario.script.running = job.into();
    let sandbox = Sandbox::start(scenario).await.expect("a free port");
    println!("{}", sandbox.base_url());
    let (said, mut asked) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if said.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while asked.recv().await.is_some() {
        let mut text = sandbox.world().with(|world| {
            let mut text = String::new();
            for job in world.jobs() {
                let run = job
                    .marker
                    .as_ref()
                    .map_or("-", |marker| marker.run.as_str());
                text.push_str(&format!("{} {run}\n", job.created.as_microsecond()));
            }
            text
        });
        let total = sandbox.world().with(|world| world.journal().total());
        text.push_str(&format!("{total} requests\n"));
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).expect("somebody listens");
        out.flush().expect("somebody listens");
    }
}
