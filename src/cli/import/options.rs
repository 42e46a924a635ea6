//! curl's options: which take a value, so that words are not taken for what they are not.

/// What an option is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Changes nothing that is imported.
    Flag,
    /// Takes a value that is not imported.
    Passed,
    /// Takes a value, and a schedule would run otherwise without it; where to say it instead.
    LeftOut(&'static str),
    Url,
    Method,
    Header,
    /// `-d`: a body, or `@` and the file with it.
    Data,
    /// A body as it is.
    Raw,
    /// `--data-urlencode`
    Encoded,
    /// `--url-query`
    Query,
    /// `-G`: the body goes into the URL.
    Get,
    /// `-I`
    Head,
    /// A token as a word of its own.
    Bearer,
    /// A command with it is refused.
    Refused(&'static str),
}

use Kind::{
    Bearer, Data, Encoded, Flag, Get, Head, Header, LeftOut, Method, Passed, Query, Raw, Refused,
    Url,
};

const CA: &str = "--cacert was left out: say it as ca_file of the connection";
const PROXY: &str = "the proxy was left out: say it as proxy of the connection, without a password";
const USER: &str = "--user was left out: CARTO takes a token";
const NEXT: &str = "--next joins several requests in one command: write a command for each";
const FORM: &str = "the body is a form (-F), and CARTO's SQL API takes JSON";
const CONFIG: &str = "-K takes options from another file: write them into the command";
const UPLOAD: &str = "-T uploads a file, which starts no workflow";

/// The long options that take a value.
const LONG: &[(&str, Kind)] = &[
    ("url", Url),
    ("request", Method),
    ("header", Header),
    ("data", Data),
    ("data-ascii", Data),
    ("data-binary", Data),
    ("json", Data),
    ("data-raw", Raw),
    ("data-urlencode", Encoded),
    ("url-query", Query),
    ("oauth2-bearer", Bearer),
    ("form", Refused(FORM)),
    ("form-string", Refused(FORM)),
    ("config", Refused(CONFIG)),
    ("upload-file", Refused(UPLOAD)),
    ("cacert", LeftOut(CA)),
    ("capath", LeftOut(CA)),
    ("proxy", LeftOut(PROXY)),
    ("preproxy", LeftOut(PROXY)),
    ("proxy1.0", LeftOut(PROXY)),
    ("socks4", LeftOut(PROXY)),
    ("socks4a", LeftOut(PROXY)),
    ("socks5", LeftOut(PROXY)),
    ("socks5-hostname", LeftOut(PROXY)),
    ("user", LeftOut(USER)),
];

/// Long options with a value that is not imported.
const LONG_PASSED: &str = "abstract-unix-socket alt-svc aws-sigv4 cert cert-type ciphers connect-timeout connect-to \
    continue-at cookie cookie-jar create-file-mode crlfile curves delegation dns-interface dns-ipv4-addr \
    dns-ipv6-addr dns-servers doh-url dump-header ech egd-file engine etag-compare etag-save \
    expect100-timeout happy-eyeballs-timeout-ms haproxy-clientip hostpubmd5 hostpubsha256 \
    hsts interface ip-tos ipfs-gateway keepalive-cnt keepalive-time key key-type krb libcurl limit-rate local-port \
    login-options mail-auth mail-from mail-rcpt max-filesize max-redirs max-time netrc-file noproxy output \
    output-dir parallel-max pass pinnedpubkey proto proto-default proto-redir proxy-ca proxy-cacert proxy-capath \
    proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key proxy-key-type proxy-pass \
    proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword \
    proxy-tlsuser proxy-user pubkey quote random-file range rate referer request-target resolve retry retry-delay \
    retry-max-time sasl-authzid service-name speed-limit speed-time stderr telnet-option tftp-blksize time-cond \
    tls-max tls13-ciphers tlsauthtype tlspassword tlsuser trace trace-ascii trace-config unix-socket user-agent \
    variable vlan-priority write-out";

/// Long options without a value.
const LONG_FLAGS: &str = "anyauth append basic ca-native cert-status compressed compressed-ssh create-dirs crlf digest \
    disable disable-eprt disable-epsv disallow-username-in-url doh-cert-status doh-insecure fail fail-early \
    fail-with-body false-start ftp-create-dirs ftp-pasv globoff haproxy-protocol http0.9 http1.0 http1.1 http2 \
    http2-prior-knowledge http3 http3-only ignore-content-length include insecure ipv4 ipv6 \
    junk-session-cookies list-only location location-trusted mptcp negotiate netrc netrc-optional no-alpn \
    no-buffer no-clobber no-fail no-keepalive no-location no-npn no-progress-meter no-sessionid no-show-error \
    no-silent ntlm parallel parallel-immediate path-as-is post301 post302 post303 progress-bar progress-meter \
    proxy-anyauth proxy-basic proxy-ca-native proxy-digest proxy-http2 proxy-insecure proxy-negotiate proxy-ntlm \
    proxytunnel raw remote-header-name remote-name remote-name-all remote-time remove-on-error retry-all-errors \
    retry-connrefused show-error show-headers silent skip-existing ssl ssl-auto-client-cert ssl-no-revoke \
    ssl-reqd ssl-revoke-best-effort sslv2 sslv3 styled-output suppress-connect-headers tcp-fastopen tcp-nodelay \
    tftp-no-options tls-earlydata tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 tr-encoding trace-ids trace-time use-ascii \
    verbose xattr";

/// The option of this name, without its dashes.
pub(super) fn long(name: &str) -> Option<Kind> {
    let listed = |list: &str| list.split_whitespace().any(|known| known == name);
    if let Some((_, kind)) = LONG.iter().find(|(known, _)| *known == name) {
        return Some(*kind);
    }
    match name {
        "get" => Some(Get),
        "head" => Some(Head),
        "next" => Some(Refused(NEXT)),
        _ if listed(LONG_PASSED) => Some(Passed),
        _ if listed(LONG_FLAGS) => Some(Flag),
        _ => None,
    }
}

/// The option of one letter.
pub(super) fn short(letter: char) -> Option<Kind> {
    Some(match letter {
        'X' => Method,
        'H' => Header,
        'd' => Data,
        'G' => Get,
        'I' => Head,
        'F' => Refused(FORM),
        'K' => Refused(CONFIG),
        'T' => Refused(UPLOAD),
        ':' => Refused(NEXT),
        'u' => LeftOut(USER),
        'x' => LeftOut(PROXY),
        _ if "AbcCDeEhmoPQrtUwyYz".contains(letter) => Passed,
        _ if "#0123469aBfgijJklLMnNOpqRsSvZ".contains(letter) => Flag,
        _ => return None,
    })
}

/// Whether a value follows.
pub(super) fn takes_value(kind: Kind) -> bool {
    !matches!(kind, Flag | Get | Head | Refused(NEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_long_option_stands_in_two_lists() {
        let special = LONG.iter().map(|(name, _)| *name);
        let mut all: Vec<&str> = special
            .chain(LONG_PASSED.split_whitespace())
            .chain(LONG_FLAGS.split_whitespace())
            .chain(["get", "head", "next"])
            .collect();
        all.sort_unstable();
        for pair in all.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
        assert!(all.iter().all(|name| long(name).is_some()));
    }

    #[test]
    fn short_options_are_what_their_long_forms_are() {
        for (letter, name) in [
            ('X', "request"),
            ('H', "header"),
            ('d', "data"),
            ('G', "get"),
            ('u', "user"),
            ('A', "user-agent"),
            ('b', "cookie"),
            ('m', "max-time"),
            ('o', "output"),
            ('L', "location"),
            ('s', "silent"),
            ('k', "insecure"),
            ('F', "form"),
            ('K', "config"),
        ] {
            assert_eq!(short(letter), long(name), "{letter}");
        }
        assert_eq!(long("no-such-option"), None);
        assert_eq!(short('é'), None);
    }
}
