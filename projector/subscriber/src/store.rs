//! Where the effect of events is kept, together with the position it includes.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Event;

/// Keeps an effect and the position of the last event in it.
///
/// **The one duty**: [`Store::apply`] keeps both in one step, so that after any crash the effect includes exactly the events
/// up to the position. In Postgres that is one transaction with the rows and `UPDATE … SET position = $1 WHERE position =
/// $2`; the guard also holds off a second subscriber under the same name.
pub trait Store: Send {
    /// Why it failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The position of the last event in the effect; 0 before the first.
    fn position(&mut self) -> impl Future<Output = Result<i64, Self::Error>> + Send;

    /// Takes in the next events: the first one's position follows the stored one, and each the one before it.
    fn apply(&mut self, events: &[Event]) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Why a [`FileStore`] failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read or written.
    #[error("{path}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file is not what a store of this kind writes.
    #[error("{path} cannot be read as a store")]
    Content {
        /// Which.
        path: String,
        /// Why.
        #[source]
        error: serde_json::Error,
    },
}

/// A state in memory, folded from events and kept in a JSON file `{"position": …, "state": …}`.
///
/// **Correctness**: the file is written aside, synced, and put in place of the old one by renaming, then the folder is
/// synced: it holds either the old position with the old state or the new one with the new. Each write is the whole state:
/// for a large one use a database.
#[derive(Debug)]
pub struct FileStore<S, F> {
    path: PathBuf,
    kept: Kept<S>,
    fold: F,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept<S> {
    position: i64,
    state: S,
}

impl<S, F> FileStore<S, F>
where
    S: Serialize + DeserializeOwned + Send + Sync,
    F: FnMut(&mut S, &Event) + Send,
{
    /// Opens the file, or begins with `initial` where there is none.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(path: impl Into<PathBuf>, initial: S, fold: F) -> Result<Self, FileError> {
        let path = path.into();
        let kept = match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| FileError::Content { path: path.display().to_string(), error })?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Kept { position: 0, state: initial },
            Err(error) => return Err(FileError::Io { path: path.display().to_string(), error }),
        };
        Ok(Self { path, kept, fold })
    }

    /// The state as of the last event.
    pub const fn state(&self) -> &S {
        &self.kept.state
    }

    fn write(&self) -> Result<(), FileError> {
        let name = || self.path.display().to_string();
        let bytes = serde_json::to_vec(&self.kept).map_err(|error| FileError::Content { path: name(), error })?;
        let write = || -> std::io::Result<()> {
            let aside = self.path.with_extension("new");
            let mut file = File::create(&aside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&aside, &self.path)?;
            let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| FileError::Io { path: name(), error })
    }
}

impl<S, F> Store for FileStore<S, F>
where
    S: Serialize + DeserializeOwned + Send + Sync,
    F: FnMut(&mut S, &Event) + Send,
{
    type Error = FileError;

    async fn position(&mut self) -> Result<i64, FileError> {
        Ok(self.kept.position)
    }

    async fn apply(&mut self, events: &[Event]) -> Result<(), FileError> {
        for event in events {
            (self.fold)(&mut self.kept.state, event);
            self.kept.position = event.position;
        }
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(position: i64) -> Event {
        let text = serde_json::json!({"position": position, "type": "t", "stream": "s", "version": 1, "recorded_at": "", "effective_at": "", "data": {}});
        serde_json::from_value(text).unwrap()
    }

    #[tokio::test]
    async fn a_file_goes_on_where_it_was_and_a_broken_one_is_refused() {
        let path = std::env::temp_dir().join(format!("ledger-subscriber-store-{}.json", std::process::id()));
        let fold = |sum: &mut i64, event: &Event| *sum += event.position;
        let mut store = FileStore::open(&path, 0, fold).unwrap();
        assert_eq!(store.position().await.unwrap(), 0);
        store.apply(&[event(1), event(2)]).await.unwrap();
        store.apply(&[event(3)]).await.unwrap();
        let mut again = FileStore::open(&path, 0, fold).unwrap();
        assert_eq!((again.position().await.unwrap(), *again.state()), (3, 6));
        fs::write(&path, b"{").unwrap();
        assert!(matches!(FileStore::open(&path, 0, fold), Err(FileError::Content { .. })));
        fs::remove_file(&path).unwrap();
    }
}
