//! What a leaf of the tree is made of: every column of the event's row, so that no stored bit is outside the proof.

use super::merkle::{Hash, leaf_hash};

/// An event's row, as bytes and numbers.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the columns of the table event")]
pub struct Row<'a> {
    pub tenant: i64,
    pub position: i64,
    pub stream: i64,
    pub stream_version: i64,
    pub recorded_at: i64,
    pub effective_at: Option<i64>,
    pub type_number: i16,
    pub schema_version: i16,
    pub payload: &'a [u8],
    pub command_id: Option<&'a [u8; 16]>,
    pub fingerprint: Option<&'a [u8; 16]>,
    pub stream_key: Option<&'a [u8; 16]>,
    pub meta: Option<&'a [u8]>,
}

/// The part of a leaf hash that is stored beside the event: its first four bytes.
#[must_use]
pub const fn check(hash: &Hash) -> i32 {
    let [a, b, c, d, ..] = *hash;
    i32::from_be_bytes([a, b, c, d])
}

impl Row<'_> {
    /// Leaf hash: fixed-width big-endian numbers, then each optional or variable part behind its length (absent =
    /// all ones), so that no two rows share their bytes. Afterwards
    /// `scratch` holds what was hashed: the leaf's own bytes, which an auditor hashes again.
    #[must_use]
    pub fn hash(&self, scratch: &mut Vec<u8>) -> Hash {
        scratch.clear();
        for number in [self.tenant, self.position, self.stream, self.stream_version, self.recorded_at] {
            scratch.extend_from_slice(&number.to_be_bytes());
        }
        scratch.extend_from_slice(&self.type_number.to_be_bytes());
        scratch.extend_from_slice(&self.schema_version.to_be_bytes());
        let effective_at = self.effective_at.map(i64::to_be_bytes);
        let parts: [Option<&[u8]>; 6] = [
            effective_at.as_ref().map(<[u8; 8]>::as_slice),
            Some(self.payload),
            self.command_id.map(<[u8; 16]>::as_slice),
            self.fingerprint.map(<[u8; 16]>::as_slice),
            self.stream_key.map(<[u8; 16]>::as_slice),
            self.meta,
        ];
        for part in parts {
            let length = part.map_or(u32::MAX, |p| u32::try_from(p.len()).unwrap_or(u32::MAX.wrapping_sub(1)));
            scratch.extend_from_slice(&length.to_be_bytes());
            scratch.extend_from_slice(part.unwrap_or_default());
        }
        leaf_hash(scratch)
    }
}
