//! A year of a plant's store: 20 items, 100,075 movements with quantities to four decimals, in batches of consecutive
//! movements of an item.
//!
//! **Shape**: [`input`] (files → opening and movements per item) → [`plan`] (items → requests) and [`expected`] (files
//! or [`crate::model`] → figures) → ledger reads, compared here.
//! **Correctness**: three modes, one tenant each. *Stated*: every issue carries the cost that the file says, and every
//! item's quantity and value must close as the plant's own books did, to the last digit. *Moving average* and *FIFO*:
//! the ledger costs the issues itself; of the 18 items that never go below zero, cost of goods and value at the end
//! must be the published ones.
//!
//! **Where the plant's books and the ledger differ, and how they are made to tie.** The plant let value stand on an
//! item of which nothing was left (and took value changes at such moments). The ledger holds that quantity 0 ⇒ value 0:
//! what is left over when a stated cost takes the last unit is posted to the settlement account (5200) in the same
//! event, and a revaluation without stock is refused. So the program keeps count of what each item is owed: when the
//! next receipt of the item has brought stock, it sends a revaluation of that amount with the settlement account as
//! counter account and a reference that says why. The settlement account is back at zero then, and the item carries
//! the value it has in the plant's books. Value changes that fall on no stock wait in the same way, against the
//! account of revaluations.

mod daily;
mod expected;
mod input;
mod plan;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rust_decimal::Decimal;

use crate::check::Report;
use crate::client::Client;
use crate::dispatch;
use crate::ledger::Ledger;
use crate::options::{Mode, Options, PlantOptions};
use crate::resume::{self, Resume};
use expected::Figures;
use input::Input;
use plan::Plan;

/// Account that takes the cost of an item's issues, so that it can be read item by item.
fn cost_account(item: &str) -> String {
    format!("COGS-{item}")
}

/// Plays the store and compares.
pub(crate) async fn run(options: &Options, plant: &PlantOptions, key: &str) -> Result<Report> {
    let input = Input::read(&options.data_dir, plant.mode, plant.limit_movements)?;
    let run = resume::run_name(options)?;
    let plan = Plan::of(&input, plant, &run)?;
    let modelled = Figures::modelled(&input, plant.mode)?;
    let name = format!("plant {} of {} requests", plant.mode.as_str(), plan.requests.len());
    eprintln!("{name}: run {run}, seed {}, {} items", options.seed, input.items.len());

    let mut resume = Resume::open(options, name.clone(), &run)?;
    let client = Client::new(options, key)?;
    let defined = dispatch::run("setup", &plan.setup, &client, options, &mut Resume::nothing()).await?;
    let mut sent = dispatch::run("plant", &plan.requests, &client, options, &mut resume).await?;
    sent.position = sent.position.max(defined.position);

    let mut report = Report::new(name);
    let expected = match plant.limit_movements {
        Some(_) => modelled,
        None => {
            let published = Figures::published(&options.data_dir, &input, plant.mode)?;
            published.compare_with("model: ", &modelled, &mut report);
            published
        }
    };
    let ledger = Ledger::at(&client, sent.position, usize::from(options.clients));
    let found = read(ledger, &input, &plan).await?;
    expected.compare_with("", &found, &mut report);

    let owed_value: Decimal = plan.owed.values().map(|owed| owed.settlement + owed.revaluation).sum();
    report.figure("inventory account", expected.stock_value() - owed_value, ledger.balance("1300").await?);
    let settlement: Decimal = plan.owed.values().map(|owed| owed.settlement).sum();
    report.figure("settlement account", settlement, ledger.balance("5200").await?);
    report.figure("trial balance", Decimal::ZERO, ledger.trial_balance().await?);
    report.figure("stock value less inventory accounts", Decimal::ZERO, ledger.reconciliation().await?);
    if plant.mode == Mode::Stated && plant.limit_movements.is_none() {
        daily::compare(&options.data_dir, &plan, ledger, &mut report).await?;
    }
    if plant.mode == Mode::Stated {
        report.total("residues given back after a receipt", plan.residues_returned);
        report.total("value changes that waited for stock", plan.changes_delayed);
    }
    report.sent(sent, &client.counters);
    Ok(report)
}

/// The ledger's figures, with what an item is still owed: only a slice can end while nothing is on hand.
async fn read(ledger: Ledger<'_>, input: &Input, plan: &Plan) -> Result<Figures> {
    let codes = || input.items.iter().map(|item| item.code.as_str());
    let mut stock = ledger.stock(codes()).await?;
    for (code, owed) in &plan.owed {
        stock.get_mut(code).context("an item was not read")?.value += owed.settlement + owed.revaluation;
    }
    let balances = ledger.balances(codes().map(cost_account)).await?;
    let cost = codes().map(|code| {
        let cost = balances.get(&cost_account(code)).context("a cost account was not read")?;
        Ok((code.to_owned(), *cost))
    });
    Ok(Figures { stock, cost: cost.collect::<Result<BTreeMap<_, _>>>()? })
}
