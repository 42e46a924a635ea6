//! Why there can be no channel with such settings, and the settings that channels share.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long one sending may take, unless the settings say otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there can be no channel with such settings. No text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The time limit is nothing.
    #[error("`timeout` cannot be used: it is zero")]
    Timeout,
    /// The certificates to trust cannot be had.
    #[error("`ca_file` {} cannot be used: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No certificates to trust at all.
    #[error(
        "no server can be believed: {0}; install the package ca-certificates, or set `ca_file`"
    )]
    Certificates(String),
    /// The proxy cannot be used; it is not quoted, since it may hold a password.
    #[error("`proxy` cannot be used: {0}")]
    Proxy(&'static str),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
    /// A setting that cannot be used as it is.
    #[error("`{key}` cannot be used: {why}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl SetupError {
    pub(super) fn setting(key: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Setting { key, why }
    }
}

/// How a receiver on the web is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Reach {
    /// The longest that one sending may take, the reading of secrets included.
    pub timeout: Duration,
    /// More certificates to trust (PEM), beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// A proxy for every request; `None` is none, whatever the environment says.
    pub proxy: Option<String>,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT,
            ca_file: None,
            proxy: None,
        }
    }
}

/// The address of a proxy may hold a password.
impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach")
            .field("timeout", &self.timeout)
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy.as_ref().map(|_| "(not shown)"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_not_shown() {
        let reach = Reach {
            proxy: Some("http://user:pa55word@proxy:3128".into()),
            ..Reach::default()
        };
        assert!(!format!("{reach:?}").contains("pa55word"));
    }
}
