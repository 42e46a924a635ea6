//! Names that are made of other names: the same at each sending, in the form that a channel wants.

use uuid::Uuid;

/// Ours alone; chosen once, at random.
const NIGHTCALL: Uuid = Uuid::from_u128(0x6f1b_7a52_90c4_4d0e_9a37_1c5d_e2f8_4b16);

/// A UUID of a name: always the same for the same name.
pub(super) fn of(name: &str) -> Uuid {
    Uuid::new_v5(&NIGHTCALL, name.as_bytes())
}

/// The name as a header can carry it: anything but visible ASCII as `%C3%BC`. Different names stay different.
pub(super) fn for_header(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => safe.push(char::from(byte)),
            _ => safe.push_str(&format!("%{byte:02X}")),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_uuid_for_ever() {
        let uuid = of("store-clusters/hyper@2026-03-01T02:15:00Z").to_string();
        assert_eq!(
            uuid,
            of("store-clusters/hyper@2026-03-01T02:15:00Z").to_string()
        );
        assert_ne!(
            uuid,
            of("store-clusters/hyper@2026-03-02T02:15:00Z").to_string()
        );
        assert_eq!(of("").get_version_num(), 5);
    }

    #[test]
    fn names_stand_in_headers() {
        assert_eq!(for_header("incident:dw:2026+1"), "incident:dw:2026+1");
        assert_eq!(for_header("a b%\r\nü"), "a%20b%25%0D%0A%C3%BC");
    }
}
