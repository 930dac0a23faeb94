//! Plays real books, which nobody here wrote, into a running ledger through its public HTTP API, and compares what the
//! ledger then says with figures computed elsewhere. `README.md` of the data describes the files and the figures.
//!
//! ```text
//! cargo run --release --example real_input -- retail --url http://127.0.0.1:8080 --key lk_… --method fifo
//! cargo run --release --example real_input -- plant --url http://127.0.0.1:8080 --key lk_… --mode stated
//! ```
//!
//! **Shape**: files → [`retail`] or [`plant`] plan (requests with deterministic keys) → [`dispatch`] (many clients,
//! each item's history in order) → [`client`] (bounded retries, and repeats on purpose) → ledger; then [`ledger`]
//! reads → [`check`] against the expected figures. Exit status 1 when a figure differs.
//! **Correctness**: nothing of the ledger's own code is used: commands are JSON, numbers are decimals, and what a slice
//! must give comes from [`model`]. Every tenth of a cent counts: figures are compared exactly.

mod answer;
mod check;
mod client;
mod data;
mod dispatch;
mod ledger;
mod model;
mod options;
mod plant;
mod request;
mod resume;
mod retail;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use check::Report;
use options::{Options, Play};

#[tokio::main]
async fn main() -> Result<ExitCode> {
    // The HTTP client asks for one even where nothing is encrypted.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let options = Options::parse();
    let mut reports: Vec<Report> = Vec::new();
    match &options.play {
        Play::Retail(retail) => reports.push(retail::run(&options, retail, &options.key).await?),
        Play::Plant(plant) => reports.push(plant::run(&options, plant, &options.key).await?),
        Play::All { retail, plant, plant_key } => {
            reports.push(retail::run(&options, retail, &options.key).await?);
            reports.push(plant::run(&options, plant, plant_key).await?);
        }
    }
    check::show(&reports, options.json)?;
    let ties = reports.iter().all(Report::ties);
    Ok(if ties { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
