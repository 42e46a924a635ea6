//! The files of this machine: the secret, the database with its log, the socket.

use super::*;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// An empty database where the configuration says.
fn database(desk: &Desk) -> PathBuf {
    let path = desk.path("nightcall.db");
    drop(serve::open_store(&path).unwrap());
    path
}

#[tokio::test]
async fn a_secret_that_others_may_read_is_told() {
    let desk = Desk::new().await;
    for (bits, severity, words) in [
        (0o600, "ok", "its owner's alone"),
        (0o400, "ok", "its owner's alone"),
        (0o640, "warning", "open to its group"),
        (0o644, "warning", "open to everybody"),
        (0o644, "warning", "chmod 600"),
    ] {
        mode(&desk.path("token"), bits);
        let said = desk.said().await;
        said.shows("credential-file", "/token", severity, words);
        said.shows("credential", "dw", "ok", "holds a token");
    }
}

#[tokio::test]
async fn a_database_is_looked_at_and_none_is_made() {
    let desk = Desk::new().await;
    let said = desk.said().await;
    said.shows("database", "nightcall.db", "ok", "there is none yet");
    said.shows("list-proof", "dw", "ok", "nothing was submitted there yet");
    assert!(!desk.path("nightcall.db").exists());
    let path = database(&desk);
    let said = desk.said().await;
    said.shows("database", "nightcall.db", "ok", "its pages fit together");
    said.shows("database-rights", "nightcall.db", "ok", "0640");
    said.shows("wal", "nightcall.db", "ok", "takes");
    said.of("disk", "nightcall.db");
    mode(&path, 0o644);
    let said = desk.said().await;
    said.shows(
        "database-rights",
        "nightcall.db",
        "warning",
        "everybody on this machine may read it",
    );
    let (text, _) = desk.typed(false, true).await;
    assert!(text.contains("its pages fit together"), "{text}");
}

#[tokio::test]
async fn a_damaged_database_is_told_with_what_to_do() {
    let desk = Desk::new().await;
    let path = database(&desk);
    // The tree of the schema keeps its head, and its cells point nowhere.
    let mut bytes = fs::read(&path).unwrap();
    let from = 108;
    bytes[from..from + 64].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let said = desk.said().await;
    said.shows("database", "nightcall.db", "problem", "it is damaged");
    said.shows(
        "database",
        "nightcall.db",
        "problem",
        "put a backup in its place",
    );
    // What is wrong with the database hides nothing of the connection.
    said.shows("job-list", "dw", "ok", "can be read");
    assert_eq!(said.exit, Exit::Failed);
}

#[tokio::test]
async fn a_log_that_is_never_moved_into_the_database_is_told() {
    let desk = Desk::new().await;
    let path = database(&desk);
    let log = fs::File::create(format!("{}-wal", path.display())).unwrap();
    for (size, severity) in [(200 << 20, "warning"), (2 << 30, "problem")] {
        // It takes no room: nothing is written.
        log.set_len(size).unwrap();
        let said = desk.said().await;
        said.shows(
            "wal",
            "nightcall.db",
            severity,
            "it is not moved into the database",
        );
    }
}

#[tokio::test]
async fn the_socket_tells_who_may_ask_for_runs() {
    let desk = Desk::new().await;
    let socket = desk.path("nightcall.sock");
    let shows = async |severity: &str, words: &str| {
        desk.said()
            .await
            .shows("control", "nightcall.sock", severity, words);
    };
    shows("warning", "there is no socket").await;
    fs::write(&socket, "").unwrap();
    shows("problem", "is not a socket").await;
    fs::remove_file(&socket).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    // Somebody takes what comes, and answers nothing.
    let knocks = std::thread::spawn(move || {
        for stream in listener.incoming().take(6) {
            drop(stream);
        }
    });
    for (bits, severity, words) in [
        (
            0o666,
            "problem",
            "everybody on this machine may ask for runs",
        ),
        (0o600, "warning", "mode 0600 instead of 0660"),
        (0o660, "ok", "a daemon listens"),
    ] {
        mode(&socket, bits);
        shows(severity, words).await;
    }
    knocks.join().unwrap();
    shows(
        "warning",
        "nobody listens to the socket that an earlier one left",
    )
    .await;
}
