//! Who asks: over the unix socket the system says it, over a loopback address a token does.

use std::fmt;

use tokio::net::{TcpStream, UnixStream};

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A user of this machine, by number; `None` when the system does not say.
    User(Option<u32>),
    /// Whoever has the token.
    Token,
}

/// A stream that knows who is at its other end.
pub(super) trait FromCaller {
    /// Who it is.
    fn caller(&self) -> Caller;
}

impl FromCaller for UnixStream {
    fn caller(&self) -> Caller {
        Caller::User(self.peer_cred().ok().map(|peer| peer.uid()))
    }
}

impl FromCaller for TcpStream {
    fn caller(&self) -> Caller {
        Caller::Token
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(Some(uid)) => match named("/etc/passwd", *uid) {
                Some(name) => write!(f, "{name} (uid {uid})"),
                None => write!(f, "uid {uid}"),
            },
            Self::User(None) => f.write_str("somebody on the socket"),
            Self::Token => f.write_str("the holder of the token"),
        }
    }
}

/// The name that goes with a number in `/etc/passwd` or `/etc/group`.
pub fn named(file: &str, id: u32) -> Option<String> {
    let lines = std::fs::read_to_string(file).ok()?;
    lines.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_at_least_a_number() {
        let root = Caller::User(Some(0));
        assert_eq!(root.to_string(), "root (uid 0)");
        let nobody_has_it = Caller::User(Some(3_999_999_999));
        assert_eq!(nobody_has_it.to_string(), "uid 3999999999");
    }

    #[tokio::test]
    async fn the_system_says_who_is_at_a_socket() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(matches!(one.caller(), Caller::User(Some(_))));
    }
}
