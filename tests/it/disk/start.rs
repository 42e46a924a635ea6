//! The disk is full, read-only or broken when the daemon starts: it says so, ends with 74, and changes nothing.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::namespace;
use super::night::Place;
use super::shim::{BROKEN, FULL, READ_ONLY};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nightcall");

/// A database with some runs, as a daemon leaves it.
async fn with_history(place: &Place) -> Vec<u8> {
    let mut night = place.start();
    night.sticks().await;
    let (runs, _) = night.settles().await;
    assert!(runs.len() > 1);
    assert_eq!(night.stop().await.code(), Some(0));
    fs::read(place.database()).unwrap()
}

/// It ends with 74 and a sentence that names the file and says what to do.
fn refused(place: &Place, command: Command, case: &str, remedy: &str) {
    let (code, said) = place.ends(command);
    assert_eq!(code, 74, "{case}: {said}");
    let told = said
        .lines()
        .find(|line| line.contains("the store cannot be used"));
    let told = told.unwrap_or_else(|| panic!("{case}: {said}"));
    assert!(told.contains("nightcall.db"), "{case}: {told}");
    assert!(told.contains(remedy), "{case}: {told}");
    assert!(!said.contains("panicked"), "{case}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_disk_that_cannot_be_written_is_refused_and_changes_nothing() {
    let place = Place::new().await;
    let on_the_shim = || {
        let mut command = Command::new(PROGRAM);
        place.shim.under(&mut command);
        command
    };
    let causes = [
        ("full", FULL, "wto", "free some space"),
        ("broken", BROKEN, "wsto", ""),
        ("read-only", READ_ONLY, "wton", ""),
    ];
    for (case, error, operations, remedy) in causes {
        place.shim.fails(error, operations);
        refused(&place, on_the_shim(), &format!("{case}, empty"), remedy);
        assert!(!place.database().exists(), "{case}");
    }
    place.shim.works();
    let before = with_history(&place).await;
    let unreadable = ("unreadable", BROKEN, "r", "");
    for (case, error, operations, remedy) in causes.into_iter().chain([unreadable]) {
        place.shim.fails(error, operations);
        refused(&place, on_the_shim(), case, remedy);
        assert!(fs::read(place.database()).unwrap() == before, "{case}");
        let (code, said) = place.typed("runs");
        assert_eq!(code, 0, "{case}: {said}");
    }
    place.shim.works();
    let mut night = place.start();
    let (runs, upto) = night.settles().await;
    place.everything_once(&runs, upto);
    assert_eq!(night.stop().await.code(), Some(0));
}

/// On real file systems: small ones of our own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_disk_that_is_really_full_or_read_only_is_refused() {
    if !namespace::possible() {
        return; // the test above has shown it by the shim
    }
    let place = Place::new().await;
    let folder = place.folder();
    let kept = place.world.file("kept.db");
    fs::write(&kept, with_history(&place).await).unwrap();
    fs::remove_file(place.database()).unwrap();

    let ballast = "cat /dev/zero >\"$0/ballast\" 2>/dev/null; true";
    let copied = format!("cp '{}' \"$0/nightcall.db\"", kept.display());
    let read_only = "mount -o remount,ro \"$0\"";
    let cases = [
        ("full, empty", ballast.to_owned(), "free some space"),
        ("full", format!("{copied}; {ballast}"), "free some space"),
        ("read-only, empty", read_only.to_owned(), "write"),
        ("read-only", format!("{copied}; {read_only}"), "write"),
    ];
    for (case, prepare, remedy) in cases {
        let command = namespace::command(OsStr::new(PROGRAM), &folder, 512, &prepare);
        refused(&place, command, case, remedy);
    }
    // what is on a read-only disk can be read
    let prepare = format!("{copied}; {read_only}");
    let mut command = namespace::command(OsStr::new(PROGRAM), &folder, 512, &prepare);
    command
        .args(["runs", "--json", "--config"])
        .arg(place.world.file("nightcall.toml"));
    let (code, said) = super::night::said(&command.output().unwrap());
    assert!(code == 0 && said.contains("stuck"), "{said}");
    assert!(
        !Path::new(&folder).join("nightcall.db").exists(),
        "seen outside"
    );
}
