//! What was acknowledged, kept in a file so that a later run goes on from there.
//!
//! **Correctness**: the file may lag behind what was sent: keys are the same in every run with the same file, so what
//! was sent and not noted is simply answered again from the ledger's memory.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::options::Options;

/// The file is written this often at most.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// The file's content.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Noted {
    /// Books, mode and number of requests: another plan must not go on from here.
    plan: String,
    /// First part of every key.
    run: String,
    /// Every request below is acknowledged, and these beyond.
    below: usize,
    beyond: BTreeSet<usize>,
    /// The highest position answered.
    position: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Resume {
    path: Option<PathBuf>,
    noted: Noted,
    saved: Instant,
}

/// The first part of every key: the one noted, else the one asked for, else a fresh one.
pub(crate) fn run_name(options: &Options) -> Result<String> {
    let noted = options.state.as_ref().filter(|path| path.exists()).map(load).transpose()?;
    let asked = noted.map(|n| n.run).or_else(|| options.run.clone());
    Ok(asked.unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string()))
}

fn load(path: &PathBuf) -> Result<Noted> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))
}

impl Resume {
    /// Goes on from the state file, or begins one.
    pub(crate) fn open(options: &Options, plan: String, run: &str) -> Result<Self> {
        let path = options.state.clone();
        let begun = Noted { plan, run: run.to_owned(), below: 0, beyond: BTreeSet::new(), position: 0 };
        let noted = match path.as_ref().filter(|path| path.exists()).map(load).transpose()? {
            Some(noted) => {
                ensure!(noted.plan == begun.plan, "the state file is of {}, not of {}", noted.plan, begun.plan);
                noted
            }
            None => begun,
        };
        Ok(Self { path, noted, saved: Instant::now() })
    }

    /// For requests that are sent again in every run.
    pub(crate) fn nothing() -> Self {
        let noted = Noted { plan: String::new(), run: String::new(), below: 0, beyond: BTreeSet::new(), position: 0 };
        Self { path: None, noted, saved: Instant::now() }
    }

    pub(crate) fn has(&self, number: usize) -> bool {
        number < self.noted.below || self.noted.beyond.contains(&number)
    }

    pub(crate) const fn position(&self) -> u64 {
        self.noted.position
    }

    /// Notes an answer; writes the file now and then.
    pub(crate) fn acknowledge(&mut self, number: usize, position: u64) -> Result<()> {
        self.noted.beyond.insert(number);
        while self.noted.beyond.remove(&self.noted.below) {
            self.noted.below += 1;
        }
        self.noted.position = self.noted.position.max(position);
        if self.saved.elapsed() < SAVE_INTERVAL { Ok(()) } else { self.save() }
    }

    /// Writes the file whole: a torn one would lose the run's name.
    pub(crate) fn save(&mut self) -> Result<()> {
        self.saved = Instant::now();
        let Some(path) = &self.path else { return Ok(()) };
        let beside = path.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(&self.noted)?)
            .and_then(|()| std::fs::rename(&beside, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}
