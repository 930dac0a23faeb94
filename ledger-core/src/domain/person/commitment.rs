//! What a fact about a person says of the data: SHA-256 over who and what, with a salt nobody else has.
//!
//! **Shape**: SHA-256 of the deterministic CBOR (RFC 8949, 4.2.1) of `["ledgerd-person-1", tenant, id, salt, data]`:
//! tenant a number, salt 32 bytes, data a map of texts. Any CBOR library can write that and check a commitment.
//! **Correctness**: the first member keeps it apart from every other hash there is here; the array's lengths keep its
//! members apart; the tenant and the id keep a commitment from being shown for somebody else. The salt has 256 random
//! bits: without it no guess of the data can be tried, however few data are likely.

use std::convert::Infallible;

use minicbor::Encoder;
use sha2::Digest as _;

use crate::domain::command::Metadata;
use crate::domain::id::{PersonId, TenantId};
use crate::domain::limit::PERSON_PAIRS_MAX;
use crate::domain::period::event::Digest;

/// The first member of what is hashed.
const TAG: &str = "ledgerd-person-1";

/// Random, drawn once per recording, and removed with the data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// A value that cannot be written; memory takes all of them.
pub type Unwritable = minicbor::encode::Error<Infallible>;

/// The deterministic CBOR of a person's data: what is stored and what is hashed.
///
/// # Errors
/// None that any data causes.
pub fn canonical(data: &Metadata) -> Result<Vec<u8>, Unwritable> {
    let mut pairs: Vec<_> = data.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    // In the order of the encoded keys: the length comes first in them.
    pairs.sort_unstable_by_key(|(key, _)| (key.len(), *key));
    let mut out = Encoder::new(Vec::with_capacity(256));
    out.map(u64::try_from(pairs.len()).unwrap_or(u64::MAX))?;
    for (key, value) in pairs {
        out.str(key)?.str(value)?;
    }
    Ok(out.into_writer())
}

/// Data as [`canonical`] wrote it; `None` for any other bytes.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Metadata> {
    let mut input = minicbor::Decoder::new(bytes);
    let data: Metadata = input.decode().ok()?;
    let is_whole = input.position() == bytes.len() && data.len() <= PERSON_PAIRS_MAX;
    (is_whole && canonical(&data).ok()? == bytes).then_some(data)
}

/// The commitment to data in its canonical form.
///
/// # Errors
/// As [`canonical`].
pub fn commitment(tenant: TenantId, person: &PersonId, salt: &Salt, data: &[u8]) -> Result<Digest, Unwritable> {
    let mut head = Encoder::new(Vec::with_capacity(128));
    head.array(5)?.str(TAG)?.i64(tenant.0)?.str(person.as_str())?.bytes(&salt.0)?;
    let hash = sha2::Sha256::new().chain_update(head.into_writer()).chain_update(data);
    Ok(Digest(hash.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Text;

    fn data(pairs: &[(&str, &str)]) -> Metadata {
        pairs.iter().map(|(k, v)| (Text::parse(k).unwrap(), Text::parse(v).unwrap())).collect()
    }

    #[test]
    fn it_is_the_hash_of_one_plain_cbor_array() {
        // By hand: an array of 5; a text of 16; 7; a text of 2; 32 bytes; a map of 2, the shorter key first.
        let mut bytes = vec![0x85, 0x70];
        bytes.extend(b"ledgerd-person-1");
        bytes.extend([0x07, 0x62, b'p', b'1', 0x58, 0x20]);
        bytes.extend([9; 32]);
        let map = [0xa2, 0x61, b'z', 0x61, b'1', 0x62, b'a', b'b', 0x60];
        bytes.extend(map);
        let canonical = canonical(&data(&[("ab", ""), ("z", "1")])).unwrap();
        assert_eq!(canonical, map);
        let id = PersonId::parse("p1").unwrap();
        let made = commitment(TenantId(7), &id, &Salt([9; 32]), &canonical).unwrap();
        assert_eq!(made.0, <[u8; 32]>::from(sha2::Sha256::digest(&bytes)));
    }

    #[test]
    fn everything_in_it_counts() {
        let of = |tenant, person, salt: u8, pairs: &[(&str, &str)]| {
            let bytes = canonical(&data(pairs)).unwrap();
            commitment(TenantId(tenant), &PersonId::parse(person).unwrap(), &Salt([salt; 32]), &bytes).unwrap().0
        };
        let one = of(1, "p", 1, &[("name", "Ada")]);
        assert_eq!(one, of(1, "p", 1, &[("name", "Ada")]));
        for other in [
            of(2, "p", 1, &[("name", "Ada")]),
            of(1, "q", 1, &[("name", "Ada")]),
            of(1, "p", 2, &[("name", "Ada")]),
            of(1, "p", 1, &[("name", "Eve")]),
            of(1, "p", 1, &[("nameA", "da")]),
            of(1, "p", 1, &[]),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn only_canonical_bytes_are_read() {
        let whole = data(&[("ab", "x"), ("z", "y")]);
        let bytes = canonical(&whole).unwrap();
        assert_eq!(read(&bytes), Some(whole));
        assert_eq!(read(&[&bytes[..], &[0]].concat()), None, "a byte too many");
        assert_eq!(read(&bytes[..bytes.len() - 1]), None, "a byte too few");
        assert_eq!(read(&[0xa2, 0x62, b'a', b'b', 0x60, 0x61, b'z', 0x60]), None, "in another order");
        assert_eq!(read(&[0xa2, 0x61, b'z', 0x60, 0x61, b'z', 0x60]), None, "one key twice");
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_salt_is_not_shown() {
        assert_eq!(format!("{:?}", Salt([0xab; 32])), "Salt(…)");
    }
}
