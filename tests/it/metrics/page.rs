//! The page of a running daemon, read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use super::world::{NIGHT, Watched, World};

/// What is said of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metric {
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: String,
    /// Its labels, but for the bounds of a histogram.
    pub(crate) labels: BTreeSet<String>,
}

/// A page in either form.
pub(crate) struct Page(pub(crate) String);

impl Page {
    /// The value of the one sample that begins so, as in `name{label="value"}`.
    pub(crate) fn value(&self, sample: &str) -> f64 {
        let values: Vec<f64> = self.values(sample).collect();
        assert_eq!(values.len(), 1, "{sample}: {values:?}\n{}", self.0);
        values[0]
    }

    /// The values of all samples whose name and labels are these.
    pub(crate) fn values(&self, sample: &str) -> impl Iterator<Item = f64> {
        let lines = self.0.lines().filter_map(|line| line.rsplit_once(' '));
        lines
            .filter(move |(of, _)| *of == sample)
            .map(|(_, value)| value.parse().unwrap())
    }

    /// Every sample's name, with the endings of a histogram.
    pub(crate) fn samples(&self) -> BTreeSet<&str> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split(['{', ' ']).next().unwrap())
            .collect()
    }

    /// Every metric of a page in the older form, by its name.
    pub(crate) fn metrics(&self) -> BTreeMap<String, Metric> {
        let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
        let mut name = "";
        for line in self.0.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                let (of, kind) = told.split_once(' ').unwrap();
                name = of;
                metrics.entry(of.to_owned()).or_default().kind = kind.to_owned();
            } else if !line.starts_with('#') {
                let metric = metrics.get_mut(name).unwrap();
                metric.labels.extend(labels(line));
            }
        }
        metrics
    }
}

fn labels(sample: &str) -> Vec<String> {
    let Some((_, rest)) = sample.split_once('{') else {
        return Vec::new();
    };
    let keys = rest.split("\",").filter_map(|pair| pair.split_once("=\""));
    keys.map(|(key, _)| key.to_owned())
        .filter(|key| key != "le")
        .collect()
}

/// All that a daemon shows after a night in which everything happened.
pub(crate) async fn exposed() -> (BTreeMap<String, Metric>, BTreeSet<String>) {
    let world = World::new(NIGHT).await;
    let life = world.start().await;
    world.play(&life).await;
    let page = life.plain().await;
    let samples = page.samples().into_iter().map(str::to_owned).collect();
    let metrics = page.metrics();
    life.stop().await;
    (metrics, samples)
}

impl Watched {
    /// The page in the older form.
    pub(crate) async fn plain(&self) -> Page {
        let answer = self.ask("/metrics", true, Some("text/plain")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Page(answer.body)
    }

    /// The page as Prometheus asks for it.
    pub(crate) async fn page(&self) -> Page {
        let answer = self.ask("/metrics", true, None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Page(answer.body)
    }
}
