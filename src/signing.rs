//! The file of private keys: read, watched, made and rotated.
//!
//! **Shape**: file → [`load`] → [`Keys`]; [`watch()`] looks at it every few seconds, so that a rotation needs no restart.
//! **Correctness**: 1. The file is its owner's alone (0600); one that others can read is refused, as sshd does. 2. It is
//! replaced whole, by a rename of a synced file: a crash leaves the old keys or the new ones. 3. A change that cannot be
//! read is told, and the keys that were in use stay in use.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ledger_core::audit::keys::{FILE_BYTES_MAX, Keys};
use ledger_core::audit::note::Signer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cli::Urls;
use crate::supervisor;

/// The keys' name where nobody says otherwise.
pub(crate) const ORIGIN: &str = "ledgerd";
/// The file that `ledgerd up` makes in its data directory.
const FILE: &str = "signing.keys";
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What signs checkpoints, and where copies of them go.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Signing {
    /// File of private keys that sign checkpoints, newest last; `ledgerd checkpoint key new` makes one.
    #[arg(long, global = true, env = "LEDGERD_SIGNING_KEYS")]
    pub(crate) signing_keys: Option<PathBuf>,
    /// Name of the keys: what the origins of checkpoints begin with; `ledgerd` if absent.
    #[arg(long, global = true, env = "LEDGERD_ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Where copies of checkpoints are kept: a directory, or `s3://bucket/prefix`.
    #[arg(long, global = true, env = "LEDGERD_WITNESS")]
    pub(crate) witness: Option<String>,
}

impl Signing {
    /// The file that is named; without one, that of `ledgerd up` where its database is meant.
    pub(crate) fn file(&self, urls: &Urls) -> Result<Option<PathBuf>> {
        match (&self.signing_keys, &urls.database_url) {
            (Some(file), _) => Ok(Some(file.clone())),
            (None, Some(_elsewhere)) => Ok(None),
            (None, None) => {
                let file = data_file(urls.data_dir.as_deref())?;
                Ok(file.exists().then_some(file))
            }
        }
    }

    /// Reads the keys of a file, which must have the name that was given.
    pub(crate) fn load(&self, file: &Path) -> Result<Keys> {
        let keys = load(file)?;
        if let Some(origin) = self.origin.as_deref().filter(|origin| *origin != keys.name()) {
            bail!("the keys in {} are called {}, LEDGERD_ORIGIN says {origin}", file.display(), keys.name());
        }
        Ok(keys)
    }

    /// What new keys are called.
    pub(crate) fn name(&self) -> &str {
        self.origin.as_deref().unwrap_or(ORIGIN)
    }
}

/// Where `ledgerd up` keeps its keys.
pub(crate) fn data_file(data_dir: Option<&Path>) -> Result<PathBuf> {
    Ok(supervisor::data_dir(data_dir)?.join(FILE))
}

/// Reads a file of keys.
pub(crate) fn load(path: &Path) -> Result<Keys> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("opening the signing keys in {shown}"))?;
    let metadata = file.metadata()?;
    let mode = metadata.permissions().mode() & 0o777;
    ensure!(mode & 0o077 == 0, "others can read the private keys in {shown} (mode {mode:03o}): chmod 600 {shown}");
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("reading {shown}"))?;
    Keys::parse(&text).with_context(|| format!("the signing keys in {shown}"))
}

/// Makes a first key in a file that must not be there yet.
pub(crate) fn create(path: &Path, name: &str) -> Result<Keys> {
    let keys = Keys::first(draw(name)?);
    let options = || fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = options().with_context(|| format!("making {}", path.display()))?;
    file.write_all(keys.to_text().as_bytes())?;
    file.sync_all()?;
    sync_dir(path)?;
    Ok(keys)
}

/// Adds a key, which signs first from now on, and replaces the file.
pub(crate) fn rotate(path: &Path) -> Result<Keys> {
    let mut keys = load(path)?;
    let next = draw(keys.name())?;
    keys.rotate(next)?;
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let options = || fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let mut file = options().with_context(|| format!("making {}", beside.display()))?;
    let written = file.write_all(keys.to_text().as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        let _ = fs::remove_file(&beside);
        return Err(error).with_context(|| format!("replacing {}", path.display()));
    }
    sync_dir(path)?;
    Ok(keys)
}

fn draw(name: &str) -> Result<Signer> {
    let mut seed = [0; 32];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut seed)).context("drawing a random key")?;
    Signer::from_seed(name, &seed).context("the keys' name")
}

fn sync_dir(path: &Path) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(dir)?.sync_all()?)
}

/// Keys that follow their file until the token is cancelled; none for good without a file.
pub(crate) fn watch(
    signing: Signing,
    file: Option<PathBuf>,
    stop: CancellationToken,
) -> Result<watch::Receiver<Option<Arc<Keys>>>> {
    let Some(file) = file else { return Ok(watch::channel(None).1) };
    let mut seen = stamp(&file);
    let (sender, receiver) = watch::channel(Some(Arc::new(signing.load(&file)?)));
    tokio::spawn(async move {
        while !stop.is_cancelled() && !sender.is_closed() {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
            let now = stamp(&file);
            if now == seen {
                continue;
            }
            seen = now;
            match signing.load(&file) {
                Ok(keys) => {
                    tracing::info!(file = %file.display(), "the signing keys were read again");
                    sender.send_replace(Some(Arc::new(keys)));
                }
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "the signing keys changed and cannot be read: the old ones stay in use"
                    );
                }
            }
        }
    });
    Ok(receiver)
}

/// What changes when a file does.
fn stamp(path: &Path) -> Option<(u64, i64, i64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("ledgerd-signing-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_file_is_its_owners_alone_and_never_overwritten() {
        let dir = dir("owner");
        let file = dir.join("keys");
        let made = create(&file, "ledgerd").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create(&file, "ledgerd").is_err(), "keys are not overwritten");
        let key = |keys: &Keys| keys.verifiers().next().unwrap().to_string();
        assert_eq!(key(&load(&file).unwrap()), key(&made));

        let rotated = rotate(&file).unwrap();
        assert_eq!(rotated.verifiers().count(), 2);
        assert_ne!(key(&rotated), key(&made));
        assert_eq!(key(&load(&file).unwrap()), key(&rotated));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left beside it");

        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let error = format!("{:#}", load(&file).unwrap_err());
        assert!(error.contains("chmod 600"), "{error}");
        assert!(!error.contains("PRIVATE"), "{error}");
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn keys_of_another_name_are_refused() {
        let dir = dir("name");
        let file = dir.join("keys");
        create(&file, "ledgerd").unwrap();
        let signing = |origin: &str| Signing { signing_keys: None, origin: Some(origin.into()), witness: None };
        assert!(signing("ledgerd").load(&file).is_ok());
        assert!(signing("example.com/ledger").load(&file).is_err());
        fs::remove_dir_all(&dir).unwrap();
    }
}
