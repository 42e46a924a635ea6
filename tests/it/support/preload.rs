//! Libraries that are loaded into a program before all others, compiled from the C beside the tests.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

const OPTIONS: [&str; 5] = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"];

/// The library made of `tests/it/<of>/shim.c`. It lies in the build's own folder under a name that changes with its
/// source, so that it is made once and nothing is left elsewhere.
pub(crate) fn compiled(of: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let source = tests.join(of).join("shim.c");
    let mut hash = DefaultHasher::new();
    (fs::read(&source).unwrap(), OPTIONS).hash(&mut hash);
    let shelf = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = shelf.join(format!("{of}-{:016x}.so", hash.finish()));
    if !library.exists() {
        fs::create_dir_all(shelf).unwrap();
        // Whole at once: another process may want it now.
        let draft = library.with_extension(std::process::id().to_string());
        let mut compile = Command::new("cc");
        compile.args(OPTIONS).arg("-o").arg(&draft).arg(&source);
        let made = compile.arg("-ldl").output();
        let made = made.unwrap_or_else(|error| panic!("no C compiler, which is needed: {error}"));
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{}: {said}", source.display());
        fs::rename(&draft, &library).unwrap();
    }
    library
}
