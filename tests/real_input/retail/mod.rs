//! Seven months of a web shop (UCI *Online Retail*): every invoice is one transaction that issues the goods and posts
//! the sale, together or not at all.
//!
//! **Shape**: [`input`] (files → invoices and receipts in one history) → [`plan`] (history → requests) and
//! [`expected`] (files or [`crate::model`] → figures) → [`verify`] (ledger → figures, compared).
//! **Correctness**: the history's order is time, receipts first, then the file's order; an invoice stands at the time
//! of its first line. Within an item the ledger sees exactly this order, so its costs must be those expected.

mod expected;
mod input;
mod plan;
mod verify;

use anyhow::Result;

use crate::check::Report;
use crate::client::Client;
use crate::dispatch;
use crate::ledger::Ledger;
use crate::options::{Options, RetailOptions};
use crate::resume::{self, Resume};
use expected::Figures;
use input::Input;

/// Account that a receivable of a customer stands on.
fn receivable_account(customer: &str) -> String {
    format!("AR-{customer}")
}

/// Account that revenue of a country and a month stands on.
fn revenue_account(country: &str, month: &str) -> String {
    format!("REV-{country}-{month}")
}

/// Plays the shop and compares.
pub(crate) async fn run(options: &Options, retail: &RetailOptions, key: &str) -> Result<Report> {
    let input = Input::read(&options.data_dir, retail.limit_invoices)?;
    let modelled = Figures::modelled(&input, retail.method)?;
    let run = resume::run_name(options)?;
    let setup = plan::setup(&input, retail.method, &run)?;
    let requests = plan::requests(&input, &run)?;
    let name = format!("retail {} of {} requests", retail.method.as_str(), requests.len());
    eprintln!("{name}: run {run}, seed {}, {} invoices, {} receipts", options.seed, input.invoices.len(), input.receipts.len());

    let mut resume = Resume::open(options, name.clone(), &run)?;
    let client = Client::new(options, key)?;
    let defined = dispatch::run("setup", &setup, &client, options, &mut Resume::nothing()).await?;
    let mut sent = dispatch::run("retail", &requests, &client, options, &mut resume).await?;
    sent.position = sent.position.max(defined.position);

    let mut report = Report::new(name);
    let expected = match retail.limit_invoices {
        Some(_) => modelled,
        None => {
            let published = Figures::published(&options.data_dir, retail.method)?;
            published.compare_with("model: ", &modelled, &mut report);
            published
        }
    };
    let ledger = Ledger::at(&client, sent.position, usize::from(options.clients));
    let found = verify::read(ledger, &input).await?;
    expected.compare_with("", &found, &mut report);
    verify::balanced(ledger, &expected, &found, &mut report).await?;
    report.sent(sent, &client.counters);
    Ok(report)
}
