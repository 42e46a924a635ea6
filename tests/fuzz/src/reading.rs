//! A text as a configuration file, in a folder that is made once: written, loaded, judged.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::LazyLock;

use nightcall::config::{self, Config, Problem, Problems};
use nightcall::zones::Zones;
use tempfile::TempDir;

/// Zone data, read once.
pub(crate) static ZONES: LazyLock<Zones> = LazyLock::new(Zones::load);

/// The names of all zones, read once.
pub(crate) static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| ZONES.names());

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// A folder in memory where there is one: every input is a file.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("there is a folder for temporary files")
}

/// Loads the text as a file called `nightcall.toml`.
pub(crate) fn load(text: &str) -> Result<Config, Problems> {
    FOLDER.with_borrow_mut(|kept| {
        let file: PathBuf = kept
            .get_or_insert_with(folder)
            .path()
            .join("nightcall.toml");
        std::fs::write(&file, text).expect("the file can be written");
        config::load(&[file], &ZONES)
    })
}

/// Loads the text and judges what is said of it; gives back the refusal, or nothing.
pub fn load_once(text: &str) -> String {
    match load(text) {
        Ok(config) => {
            config.warnings.iter().for_each(well_formed);
            String::new()
        }
        Err(problems) => rendered(&problems),
    }
}

/// What people see of a refusal, all of it, after checks of its form.
pub(crate) fn rendered(problems: &Problems) -> String {
    assert!(!problems.0.is_empty(), "refused without a problem");
    let shown = problems.to_string();
    for problem in &problems.0 {
        well_formed(problem);
    }
    shown
}

/// A problem has a place that exists and words that do not move the cursor of a terminal.
pub(crate) fn well_formed(problem: &Problem) {
    assert!(!problem.message.is_empty(), "{problem:?}");
    assert_eq!(problem.line == 0, problem.column == 0, "{problem:?}");
    assert!(problem.width >= 1, "{problem:?}");
    let shown = problem.to_string();
    let wild = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!shown.contains(wild), "{shown:?}");
    assert!(
        shown.lines().count() <= 5,
        "a problem has a place, a message, a line, a caret and a hint: {shown:?}"
    );
    // The name of a key and a quoted value are shortened where they are shown; nothing floods a terminal.
    assert!(
        shown.len() <= 16 * 1024,
        "{} bytes for one problem",
        shown.len()
    );
}

/// A number that is the same for the same bytes, on every machine (FNV-1a).
pub(crate) fn number_of(bytes: &[u8]) -> u64 {
    let start: u64 = 0xcbf2_9ce4_8422_2325;
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
