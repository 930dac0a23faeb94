//! Copies on a disk.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use ledger_core::audit::note::NOTE_BYTES_MAX;

use super::{Copy, GROUPS, Put, as_note, is_group, size_of};

/// The largest one below a tenant's folder; none where the folder is not there.
pub(super) fn newest(dir: &Path) -> Result<Option<Copy>> {
    if !dir.exists() {
        return Ok(None);
    }
    descend(dir, &mut Vec::new())
}

fn descend(dir: &Path, groups: &mut Vec<String>) -> Result<Option<Copy>> {
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("opening {}", dir.display()))? {
        names.extend(entry?.file_name().to_str().filter(|name| is_group(name)).map(str::to_owned));
    }
    names.sort_unstable();
    for name in names.into_iter().rev() {
        let path = dir.join(&name);
        groups.push(name);
        if groups.len() == GROUPS {
            let note = read(&path)?;
            return Ok(size_of(groups).map(|size| Copy { size, note, name: path.display().to_string() }));
        }
        // A folder may be empty: made, and then its first copy was not written.
        if let Some(copy) = descend(&path, groups)? {
            return Ok(Some(copy));
        }
        groups.pop();
    }
    Ok(None)
}

fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(NOTE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.take(limit).read_to_end(&mut bytes)?;
    as_note(bytes).with_context(|| format!("reading {}", path.display()))
}

/// Writes a copy and answers its text; what is there already stays and is answered.
pub(super) fn put(path: &Path, note: &str) -> Result<(Put, String)> {
    if path.exists() {
        return Ok((Put::There, read(path)?));
    }
    let dir = path.parent().context("a copy has a folder")?;
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    // A link takes the name only if it is free, and the file behind it is whole by then.
    let beside = dir.join(format!(".{}-{:?}", std::process::id(), std::thread::current().id()));
    let written = write(&beside, note).and_then(|()| fs::hard_link(&beside, path));
    let _ = fs::remove_file(&beside);
    match written {
        Ok(()) => {
            File::open(dir)?.sync_all()?;
            Ok((Put::Written, note.to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok((Put::There, read(path)?)),
        Err(error) => Err(error).with_context(|| format!("writing {}", path.display())),
    }
}

fn write(path: &Path, note: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::{Place, name_of};

    #[test]
    fn the_newest_is_found_and_nothing_is_overwritten() {
        let root = std::env::temp_dir().join(format!("ledgerd-witness-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let place = Place::parse(root.to_str().unwrap()).unwrap();
        assert!(place.must_be_there().is_err(), "a place that is not there is no place without checkpoints");
        fs::create_dir_all(&root).unwrap();
        assert!(place.must_be_there().is_ok());
        assert_eq!(newest(&root.join("acme")).unwrap(), None);
        for size in [7, 1_234_567, 999, 1_000] {
            let path = root.join("acme").join(name_of(size).unwrap());
            assert_eq!(put(&path, &format!("note {size}\n")).unwrap().0, Put::Written);
            assert_eq!(put(&path, "another\n").unwrap(), (Put::There, format!("note {size}\n")));
        }
        fs::create_dir_all(root.join("acme/000/000/009/000")).unwrap();
        fs::write(root.join("acme/readme"), "not a copy").unwrap();
        let found = newest(&root.join("acme")).unwrap().unwrap();
        assert_eq!((found.size, found.note.as_str()), (1_234_567, "note 1234567\n"));
        assert_eq!(newest(&root.join("other")).unwrap(), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
