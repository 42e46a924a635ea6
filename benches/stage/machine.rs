//! What the machine is and what processes use of it.

use std::fs::{File, read_to_string};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::figures::{quantile, sorted};

/// One line: processor, cores, kernel.
pub(crate) fn described() -> String {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{model}, {cores} cores, Linux {}, load {load} at the start",
        kernel.trim()
    )
}

/// How long a process has used a processor, in seconds.
pub(crate) fn cpu(pid: u32) -> f64 {
    let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| -> f64 {
        fields
            .get(index)
            .and_then(|f| f.parse().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

/// The same to the nanosecond, of the threads that there are.
pub(crate) fn cpu_exactly(pid: u32) -> f64 {
    let ran = |stat: String| stat.split(' ').next()?.parse::<f64>().ok();
    of_threads(pid, "schedstat", ran) / 1e9
}

/// A sum over the threads of a process, of what a file of each says.
fn of_threads(pid: u32, file: &str, read: impl Fn(String) -> Option<f64>) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    threads
        .filter_map(|thread| read_to_string(thread.ok()?.path().join(file)).ok())
        .filter_map(read)
        .sum()
}

/// A value of `/proc/PID/status` in MiB: `VmHWM` is the peak of the resident memory, `VmRSS` what it is now.
pub(crate) fn memory(pid: u32, what: &str) -> f64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(what));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// How often the threads of a process went to sleep so far, and so were woken up.
pub(crate) fn wakeups(pid: u32) -> f64 {
    of_threads(pid, "status", |status| {
        let line = status.lines().find(|l| l.starts_with("voluntary"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    })
}

/// How long one 4 KiB write with its sync takes in a folder: median and 99th percentile of 300, in milliseconds.
pub(crate) fn fsync(folder: &Path) -> (f64, f64) {
    let path = folder.join("fsync.probe");
    let mut file = File::create(&path).expect("a file to sync");
    let page = [7u8; 4096];
    let times = sorted((0..300).map(|_| {
        file.seek(SeekFrom::Start(0)).expect("to seek");
        let begun = Instant::now();
        file.write_all(&page).expect("to write");
        file.sync_data().expect("to sync");
        ms(begun.elapsed())
    }));
    let _ = std::fs::remove_file(path);
    (quantile(&times, 0.5), quantile(&times, 0.99))
}

/// In milliseconds.
pub(crate) fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1000.0
}
