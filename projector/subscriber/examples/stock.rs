//! Counts the stock of every item, in a file that survives any crash.
//!
//! ```text
//! NATS_URL=nats://… LEDGER_URL=http://… LEDGER_KEY=lk_… cargo run --example stock -- acme stock.json
//! ```
//!
//! With a position as third argument it ends there; otherwise it follows until Ctrl-C. Prints what happened and the counts
//! as one line of JSON.

#![allow(clippy::print_stdout, reason = "a program")]

use std::collections::BTreeMap;
use std::io::Error;

use ledger_subscriber::{Event, FileStore, Options, Store, Subscriber};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Quantity on hand by item.
type Stock = BTreeMap<String, Decimal>;

/// Every movement in an event: it is one itself, has one going out and one coming in, or has a list.
fn movements(data: &Value) -> impl Iterator<Item = &Value> {
    let listed = data["movements"].as_array().into_iter().flatten();
    [data, &data["outgoing"], &data["incoming"]]
        .into_iter()
        .filter(|one| one["sku"].is_string() && one["value"].is_string())
        .chain(listed)
}

fn count(stock: &mut Stock, event: &Event) {
    for movement in movements(&event.data) {
        let (Some(sku), Some(quantity)) = (movement["sku"].as_str(), movement["quantity"].as_str()) else { continue };
        let Ok(quantity) = quantity.parse::<Decimal>() else { continue };
        *stock.entry(sku.to_owned()).or_default() += quantity;
    }
}

/// Ends the program at a position.
struct Until<S> {
    store: S,
    end: Option<i64>,
    stop: CancellationToken,
}

impl<S: Store> Store for Until<S> {
    type Error = S::Error;

    async fn position(&mut self) -> Result<i64, S::Error> {
        let position = self.store.position().await?;
        if self.end.is_some_and(|end| position >= end) {
            self.stop.cancel();
        }
        Ok(position)
    }

    async fn apply(&mut self, events: &[Event]) -> Result<(), S::Error> {
        self.store.apply(events).await?;
        self.position().await.map(|_| ())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [tenant, file, end @ ..] = args.as_slice() else {
        return Err(Error::other("usage: stock TENANT FILE [POSITION]").into());
    };
    let end = end.first().map(|text| text.parse()).transpose()?;
    let named = |name: &str| std::env::var(name).map_err(|_| Error::other(format!("{name} is not set")));
    let options = Options::new(&named("NATS_URL")?, &named("LEDGER_URL")?, &named("LEDGER_KEY")?, tenant, "stock-rust");
    let stop = CancellationToken::new();
    let store = Until { store: FileStore::open(file, Stock::new(), count)?, end, stop: stop.clone() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (counts, mut store) = runtime.block_on(async {
        let following = tokio::spawn(Subscriber::new(options, store).run(stop.clone()));
        let interrupted = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.cancel();
            }
        });
        let done = following.await;
        interrupted.abort();
        done
    })??;
    let position = runtime.block_on(store.position())?;
    let report = serde_json::json!({
        "position": position, "stock": store.store.state(), "from_feed": counts.from_feed, "from_log": counts.from_log,
        "duplicates": counts.duplicates, "gaps": counts.gaps, "failures": counts.failures,
    });
    println!("{report}");
    Ok(())
}
