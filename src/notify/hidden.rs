//! What must not show in anything that comes back: the secrets of one sending, whole and in pieces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::plain;
use crate::secret::Secret;

/// As much of a receiver's own words as a reason holds, in characters.
const SAID: usize = 200;

/// A secret longer than this may be cut off before its end where a receiver's words are cut, and would not be
/// recognised: then no words are shown at all.
const LONGEST: usize = 2_048;

/// The secrets of one sending. They go when it goes.
#[derive(Default)]
pub(super) struct Hidden(Vec<Secret>);

impl Hidden {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// This secret too.
    pub(super) fn and(mut self, secret: &Secret) -> Self {
        self.add(secret.expose());
        self
    }

    /// The password too, in the forms in which it goes over the wire.
    pub(super) fn and_login(mut self, username: &str, password: &Secret) -> Self {
        let password = password.expose();
        self.add(password);
        self.add(&STANDARD.encode(password));
        self.add(&STANDARD.encode(format!("\0{username}\0{password}")));
        self
    }

    /// The address too, and its parts, since receivers like to quote the path: a token may be in the path, in the query,
    /// in the name of the host or before it.
    pub(super) fn and_url(mut self, whole: &Secret, url: &Url) -> Self {
        self.add(whole.expose());
        self.add(url.as_str());
        self.add(url.path());
        for part in url.path_segments().into_iter().flatten() {
            self.add(part);
            self.add(&decoded(part));
        }
        self.add(url.query().unwrap_or_default());
        for (_, value) in url.query_pairs() {
            self.add(&value);
        }
        for part in [
            url.host_str(),
            Some(url.username()),
            url.password(),
            url.fragment(),
        ] {
            self.add(part.unwrap_or_default());
        }
        self
    }

    fn add(&mut self, text: &str) {
        if let Ok(secret) = Secret::new(text.to_owned()) {
            self.0.push(secret);
            // The longest first: a piece would leave the rest of the whole standing.
            self.0.sort_by_key(|s| std::cmp::Reverse(s.expose().len()));
        }
    }

    /// The text without the secrets.
    pub(super) fn in_text(&self, text: String) -> String {
        self.0
            .iter()
            .fold(text, |text, secret| secret.hide_in(text))
    }

    /// What a receiver said, as a reason can hold it: `: no such hook`, or nothing.
    pub(super) fn said(&self, bytes: &[u8]) -> String {
        if self.0.iter().any(|secret| secret.expose().len() > LONGEST) {
            return String::new();
        }
        let text = self.in_text(String::from_utf8_lossy(bytes).into_owned());
        match plain::line(&text, SAID) {
            line if line.is_empty() => line,
            line => format!(": {line}"),
        }
    }
}

/// A part of a path without its `%20`s.
fn decoded(part: &str) -> String {
    let form = format!("part={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_hidden_in_each_of_its_parts() {
        let text = "https://hooks.example.com/services/T0000/B0000/x%2BXsecretXx?key=quitelongkey";
        let secret = Secret::new(text.into()).unwrap();
        let hidden = Hidden::new().and_url(&secret, &Url::parse(text).unwrap());
        for said in [
            text,
            "no hook at /services/T0000/B0000/x%2BXsecretXx",
            "no hook x%2BXsecretXx",
            "no hook x+XsecretXx",
            r#"{"path":"\/services\/T0000\/B0000\/x%2BXsecretXx"}"#,
            "unknown key: quitelongkey",
            "no such name: hooks.example.com",
        ] {
            let shown = hidden.said(said.as_bytes());
            for piece in ["XsecretXx", "quitelongkey", "hooks.example"] {
                assert!(!shown.contains(piece), "{said} is shown as {shown}");
            }
            assert!(shown.contains("[secret]"), "{shown}");
        }
    }

    #[test]
    fn a_password_is_hidden_as_it_goes_over_the_wire() {
        let password = Secret::new("correct horse battery".into()).unwrap();
        let hidden = Hidden::new().and_login("ops", &password);
        for said in [
            "correct horse battery".to_owned(),
            STANDARD.encode("correct horse battery"),
            STANDARD.encode("\0ops\0correct horse battery"),
        ] {
            assert_eq!(hidden.said(said.as_bytes()), ": [secret]");
        }
    }

    #[test]
    fn a_secret_that_is_cut_off_shows_nothing() {
        let long = Secret::new("x".repeat(5_000)).unwrap();
        let hidden = Hidden::new().and(&long);
        assert_eq!(hidden.said("x".repeat(4_000).as_bytes()), "");
    }
}
