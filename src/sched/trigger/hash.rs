//! A small hash that never changes: `H` and jitter must give the same times after every upgrade, so nothing of the
//! standard library or of another crate may decide them. FNV-1a, finished by the mixer of splitmix64.

/// The hash of the bytes of all parts in turn, each closed by a zero byte so that parts cannot run together.
pub(super) fn stable(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    };
    for part in parts {
        part.iter().copied().for_each(&mut eat);
        eat(0);
    }
    mix(hash)
}

/// FNV's high bits are poor for short texts; this spreads every bit over all.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `bound`, in proportion to the hash; 0 when the bound is 0.
pub(super) fn below(hash: u64, bound: u64) -> u64 {
    let scaled = (u128::from(hash) * u128::from(bound)) >> 64;
    u64::try_from(scaled).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(stable(&[]), 17665956581633026203);
        assert_eq!(stable(&[b"store-clusters", b"minute"]), 8577487493674153317);
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(stable(&[b"ab", b"c"]), stable(&[b"a", b"bc"]));
    }

    #[test]
    fn numbers_stay_below_their_bound_and_are_spread() {
        let mut seen = [0_u32; 60];
        for n in 0..6000_u32 {
            seen[below(stable(&[&n.to_le_bytes()]), 60) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (60..140).contains(&count)),
            "{seen:?}"
        );
        assert_eq!(below(u64::MAX, 0), 0);
        assert_eq!(below(u64::MAX, 1), 0);
    }
}
