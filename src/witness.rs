//! Where copies of checkpoints are kept, out of the reach of whoever owns the database: a directory or an object store.
//!
//! **Shape**: `<place>/<tenant>/000/000/000/001/234` is the note of the checkpoint of 1,234 events, so that names sort by
//! size, no folder has more than 1,000 entries, and the newest one is found by five looks.
//! **Correctness**: 1. A copy is written whole or not at all, once, and never overwritten: another text for the same size is
//! an error, not a replacement. 2. What is read back is a claim until a known key has opened it.

mod directory;
mod s3;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use ledger_core::audit::note::{self, NOTE_BYTES_MAX};

/// Digits of a size in a name.
const DIGITS: usize = 15;
/// Digits of one folder.
const GROUP: usize = 3;
/// Folders, and the name at the end.
const GROUPS: usize = DIGITS / GROUP;

/// A place for copies.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// On a disk.
    Directory(PathBuf),
    /// In an object store that speaks S3.
    Bucket(Box<s3::Bucket>),
}

/// A copy that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// Size in its name.
    pub(crate) size: u64,
    /// Its text.
    pub(crate) note: String,
    /// Where it is, to tell people.
    pub(crate) name: String,
}

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It was not there before.
    Written,
    /// It is there already.
    There,
}

impl Place {
    /// Reads a place from its text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text.strip_prefix("s3://") {
            Some(rest) => Ok(Self::Bucket(Box::new(s3::Bucket::parse(rest)?))),
            None if text.is_empty() || text.contains("://") => {
                bail!("{text:?} is no place for checkpoints: a directory, or s3://bucket/prefix")
            }
            None => Ok(Self::Directory(PathBuf::from(text))),
        }
    }

    /// A folder that is not mounted must not pass for one without checkpoints.
    pub(crate) fn must_be_there(&self) -> Result<()> {
        match self {
            Self::Directory(root) => {
                std::fs::read_dir(root).with_context(|| format!("opening the witness's folder {}", root.display()))?;
            }
            // It answers, or does not, when it is asked.
            Self::Bucket(_) => {}
        }
        Ok(())
    }

    /// The copy of a tenant's largest checkpoint.
    pub(crate) async fn newest(&self, tenant: &str) -> Result<Option<Copy>> {
        let found = match self {
            Self::Directory(root) => {
                let dir = root.join(tenant);
                tokio::task::spawn_blocking(move || directory::newest(&dir)).await?
            }
            Self::Bucket(bucket) => bucket.newest(tenant).await,
        };
        found.with_context(|| format!("looking for the newest checkpoint of {tenant} in {}", self.shown()))
    }

    /// Copies a checkpoint's note, unless it is there.
    pub(crate) async fn put(&self, tenant: &str, size: u64, note: &str) -> Result<Put> {
        let put = self.try_put(tenant, size, note).await;
        let put = put.with_context(|| format!("copying the checkpoint of {size} events of {tenant} to {}", self.shown()))?;
        if put.0 == Put::There {
            // Other keys may have signed the same text; another text for one size must never be.
            let same = note::text(&put.1).is_ok_and(|there| note::text(note).is_ok_and(|ours| ours == there));
            ensure!(same, "{} holds another checkpoint of {size} events of {tenant} than was signed here", self.shown());
        }
        Ok(put.0)
    }

    async fn try_put(&self, tenant: &str, size: u64, note: &str) -> Result<(Put, String)> {
        let name = name_of(size)?;
        match self {
            Self::Directory(root) => {
                let (path, note) = (root.join(tenant).join(name), note.to_owned());
                tokio::task::spawn_blocking(move || directory::put(&path, &note)).await?
            }
            Self::Bucket(bucket) => bucket.put(&format!("{tenant}/{name}"), note).await,
        }
    }

    /// As people name it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Directory(root) => root.display().to_string(),
            Self::Bucket(bucket) => bucket.shown(),
        }
    }
}

/// `000/000/000/001/234`.
fn name_of(size: u64) -> Result<String> {
    let digits = format!("{size:0DIGITS$}");
    ensure!(digits.len() == DIGITS, "{size} events are more than a name has digits for");
    let groups: Vec<&str> = (0..GROUPS).filter_map(|at| digits.get(at * GROUP..(at + 1) * GROUP)).collect();
    Ok(groups.join("/"))
}

/// A group of a name: three digits.
fn is_group(text: &str) -> bool {
    text.len() == GROUP && text.bytes().all(|b| b.is_ascii_digit())
}

/// The size that the groups of a name stand for.
fn size_of(groups: &[String]) -> Option<u64> {
    (groups.len() == GROUPS).then(|| groups.concat().parse().ok())?
}

/// A note's text, which has a limit.
fn as_note(bytes: Vec<u8>) -> Result<String> {
    ensure!(bytes.len() <= NOTE_BYTES_MAX, "it has more than {NOTE_BYTES_MAX} bytes");
    String::from_utf8(bytes).context("it is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_size() {
        assert_eq!(name_of(1_234).unwrap(), "000/000/000/001/234");
        assert_eq!(name_of(999_999_999_999_999).unwrap(), "999/999/999/999/999");
        assert!(name_of(1_000_000_000_000_000).is_err());
        let sizes = [0, 1, 9, 10, 99, 100, 999, 1_000, 99_999, 100_000, 123_456_789_012];
        let names: Vec<String> = sizes.iter().map(|size| name_of(*size).unwrap()).collect();
        assert!(names.is_sorted());
        for (size, name) in sizes.iter().zip(&names) {
            assert_eq!(size_of(&name.split('/').map(str::to_owned).collect::<Vec<_>>()), Some(*size));
        }
    }

    #[test]
    fn places_are_read_from_their_text() {
        assert!(matches!(Place::parse("/var/lib/witness").unwrap(), Place::Directory(_)));
        for bad in ["", "ftp://a", "s3://", "s3:///prefix"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}
