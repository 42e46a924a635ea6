//! When a token ends, as it says itself: the `exp` of a JSON Web Token. Nothing is verified, since only the vendor could;
//! what cannot be read says nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;

use super::wire;
use crate::sched::time::Timestamp;
use crate::secret::Secret;

/// When the token ends; `None` when it is none of this kind, names no end, or one that is no time.
pub fn end(token: &Secret) -> Option<Timestamp> {
    let mut parts = token.expose().split('.');
    let (_head, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?);
    let claims = wire::json(std::str::from_utf8(&claims).ok()?)?;
    // Whole seconds as a rule, and a fraction is allowed (RFC 7519, section 2).
    let seconds = claims.get("exp")?.as_number()?;
    let whole = seconds.as_i64().or_else(|| {
        let seconds = seconds.as_f64()?.floor();
        let fits = (0.0..1e12).contains(&seconds);
        // Whole and within bounds by now.
        #[expect(clippy::cast_possible_truncation)]
        fits.then_some(seconds as i64)
    })?;
    Timestamp::from_second(whole).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn token(claims: &[u8]) -> Secret {
        let claims = URL_SAFE_NO_PAD.encode(claims);
        Secret::new(format!("eyJhbGciOiJSUzI1NiJ9.{claims}.c2lnbmF0dXJl")).unwrap()
    }

    fn end_of(claims: &str) -> Option<String> {
        end(&token(claims.as_bytes())).map(|end| end.to_string())
    }

    #[test]
    fn the_end_of_a_token_is_read_in_every_form() {
        let expected = Some("2026-02-03T01:15:00Z".to_owned());
        for claims in [
            r#"{"exp": 1770081300}"#,
            r#"{"exp": 1770081300.9}"#,
            r#"{"exp": 1.7700813e9}"#,
            r#"{"iss": "https://auth.carto.com/", "aud": ["a"], "exp":1770081300, "sub": "é"}"#,
        ] {
            assert_eq!(end_of(claims), expected, "{claims}");
        }
        let padded = token(br#"{"exp": 1770081300}"#);
        let [head, claims, tail] = padded.expose().split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts");
        };
        let padded = Secret::new(format!("{head}.{claims}==.{tail}")).unwrap();
        assert_eq!(end(&padded).map(|end| end.to_string()), expected);
    }

    #[test]
    fn hostile_tokens_say_nothing_and_take_no_time() {
        let deep = "[".repeat(20_000);
        for claims in [
            "",
            "null",
            "[]",
            r#""exp""#,
            "{}",
            r#"{"exp": null}"#,
            r#"{"exp": "1770081300"}"#,
            r#"{"exp": {"exp": 1}}"#,
            r#"{"exp": 1e400}"#,
            r#"{"exp": -1e400}"#,
            r#"{"exp": 9223372036854775807}"#,
            r#"{"exp": -9223372036854775808}"#,
            r#"{"exp": 99999999999999999999999999}"#,
            r#"{"exp": 1770081300"#,
            r#"{"exp": 1770081300} {"exp": 1}"#,
            &format!(r#"{{"a": {deep}, "exp": 1770081300}}"#),
        ] {
            assert_eq!(end_of(claims), None, "{}", &claims[..claims.len().min(60)]);
        }
        assert_eq!(end(&token(b"{\"exp\": 1770081300, \"a\": \"\xff\"}")), None);
        for text in [
            "opaque",
            "..",
            ".",
            "...",
            "a.b",
            "a.!!!.c",
            "a.e30.c.d",
            "a.e30",
            &"a.".repeat(30_000),
            &format!("a.{}.c", "A".repeat(60_000)),
        ] {
            assert_eq!(end(&Secret::new(text.to_owned()).unwrap()), None);
        }
    }
}
