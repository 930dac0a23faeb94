//! `ledgerd down`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::output;
use crate::supervisor::{self, Down};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Data directory of `ledgerd up`.
    #[arg(long, env = "LEDGERD_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let said = match supervisor::down(args.data_dir.as_deref(), |line| eprintln!("{line}"))? {
        Down::Stopped { pid } => format!("stopped ledgerd (process {pid}) and its servers"),
        Down::Strays(names) => {
            format!("stopped what was left: {}", names.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", "))
        }
        Down::NothingRan => "nothing was running".to_owned(),
    };
    output::print(&said)?;
    Ok(ExitCode::SUCCESS)
}
