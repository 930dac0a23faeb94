//! Checkpoints: a tree head as the text of a signed note (C2SP tlog-checkpoint, c2sp.org/tlog-checkpoint).
//!
//! **Shape**: origin, size, root → [`Checkpoint::text`] → a note; a note + known keys → [`Checkpoint::open`].
//! **Correctness**: the origin names the log, so a checkpoint of one tenant never passes for another's although one key
//! signs them all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::merkle::Hash;
use super::note::{self, KeyId, NoteError, Verifier};
use super::tree::SIZE_MAX;

/// A log's tree at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: `<key name>/<tenant code>`.
    pub origin: String,
    /// Events in it: the newest position.
    pub size: u64,
    /// The tree's root (RFC 6962).
    pub root: Hash,
}

/// Why a text is not the checkpoint that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note does not hold.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text is no checkpoint.
    #[error("is not a checkpoint: {0}")]
    Malformed(&'static str),
    /// It is another log's.
    #[error("is a checkpoint of {found}, not of {expected}")]
    Origin {
        /// The log it is of.
        found: String,
        /// The log it should be of.
        expected: String,
    },
}

/// The origin of a tenant's log.
#[must_use]
pub fn origin(key_name: &str, tenant: &str) -> String {
    format!("{key_name}/{tenant}")
}

impl Checkpoint {
    /// The three lines that are signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads a checkpoint's text. Extension lines are allowed and mean nothing here.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let bad = CheckpointError::Malformed;
        let lines = text.strip_suffix('\n').ok_or(bad("its last line does not end"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(bad("it has fewer than three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(bad("it has an empty line"));
        }
        let is_decimal = size.bytes().all(|b| b.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let size = size.parse().ok().filter(|size| is_decimal && *size <= SIZE_MAX).ok_or(bad("its size is no number"))?;
        let root = BASE64.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(bad("its root is not 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Opens a note with the keys that are known, and reads the checkpoint of this origin in it. Answers also who signed.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(note: &str, known: &[Verifier], origin: &str) -> Result<(Self, Vec<KeyId>), CheckpointError> {
        let opened = note::open(note, known)?;
        let checkpoint = Self::parse(opened.text)?;
        if checkpoint.origin != origin {
            return Err(CheckpointError::Origin { found: checkpoint.origin, expected: origin.to_owned() });
        }
        Ok((checkpoint, opened.signed_by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::merkle::hex;
    use crate::audit::note::Signer;

    /// The example of the specification.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_specifications_example_is_read_and_written() {
        let checkpoint = Checkpoint::parse(EXAMPLE).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(hex(&checkpoint.root), "0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62");
        assert_eq!(checkpoint.text(), EXAMPLE);
        let extended = format!("{EXAMPLE}an extension\n");
        assert_eq!(Checkpoint::parse(&extended).unwrap(), checkpoint);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for bad in [
            String::new(),
            "a\n1\n".to_owned(),
            format!("a\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("a\n01\n{root}\n"),
            format!("a\n+1\n{root}\n"),
            format!("a\n-1\n{root}\n"),
            format!("a\n\n{root}\n"),
            format!("a\n9223372036854775808\n{root}\n"),
            format!("a\n1\n{}\n", &root[4..]),
            format!("a\n1\n{root}\n\n"),
            format!("a\r\n1\r\n{root}\r\n"),
        ] {
            assert!(matches!(Checkpoint::parse(&bad), Err(CheckpointError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn another_tenants_checkpoint_does_not_pass() {
        let signer = Signer::from_seed("ledgerd", &[7; 32]).unwrap();
        let known = [signer.verifier().clone()];
        let checkpoint = Checkpoint { origin: origin("ledgerd", "acme"), size: 3, root: [9; 32] };
        let note = note::sign(&checkpoint.text(), [&signer]).unwrap();
        assert_eq!(Checkpoint::open(&note, &known, "ledgerd/acme").unwrap(), (checkpoint, vec![known[0].id().clone()]));
        assert!(matches!(Checkpoint::open(&note, &known, "ledgerd/other"), Err(CheckpointError::Origin { .. })));
        assert!(matches!(Checkpoint::open(&note, &[], "ledgerd/acme"), Err(CheckpointError::Note(NoteError::Unverified))));
    }
}
