//! The socket as a file: what is replaced, what is refused, who may use it, what is left behind.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use nightcall::control::{BindError, Loopback, Server};
use nightcall::secret::Secret;

#[tokio::test]
async fn the_owner_and_the_group_may_use_it_and_it_goes_with_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.sock");
    let server = Server::bind(&path, None).unwrap();
    let there = fs::symlink_metadata(&path).unwrap();
    assert!(there.file_type().is_socket());
    assert_eq!(there.permissions().mode() & 0o777, 0o660);
    drop(server);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_nobody_listens_to_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a dead daemon leaves its socket behind");
    let _server = Server::bind(&path, None).unwrap();
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
}

#[tokio::test]
async fn a_live_socket_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.sock");
    let first = Server::bind(&path, None).unwrap();
    let error = Server::bind(&path, None).err().unwrap();
    assert!(matches!(error, BindError::Held(_)), "{error:?}");
    assert!(
        error.to_string().contains("another daemon listens"),
        "{error}"
    );
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    drop(first);
}

#[tokio::test]
async fn what_is_not_a_socket_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.sock");
    fs::write(&path, "precious").unwrap();
    let error = Server::bind(&path, None).err().unwrap();
    assert!(error.to_string().contains("is not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn a_path_that_cannot_be_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(120));
    let error = Server::bind(&long, None).err().unwrap();
    assert!(
        error.to_string().contains("has at most 107 bytes"),
        "{error}"
    );
    let nowhere = folder.path().join("missing/n.sock");
    let error = Server::bind(&nowhere, None).err().unwrap();
    assert!(
        error.to_string().contains("missing does not exist"),
        "{error}"
    );
    assert!(!folder.path().join("missing").exists());
}

#[tokio::test]
async fn somebody_elses_socket_is_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.sock");
    let server = Server::bind(&path, None).unwrap();
    // Moved, not removed: so its number stays in use and the other cannot get the same.
    fs::rename(&path, folder.path().join("moved")).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
}

#[tokio::test]
async fn only_the_loopback_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n.sock");
    let anywhere = Loopback {
        address: "0.0.0.0:0".parse().unwrap(),
        token: Secret::new("token".to_owned()).unwrap(),
    };
    let error = Server::bind(&path, Some(anywhere)).err().unwrap();
    assert!(
        error.to_string().contains("not a loopback address"),
        "{error}"
    );
    assert!(
        !path.exists(),
        "a server that does not start leaves nothing"
    );
}
