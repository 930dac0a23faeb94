//! `ledgerd rebuild`: views folded anew, while everything goes on.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use ledger_core::view::version::VIEWS;
use projector::rebuild::{self, Options, Progress, Report};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::connect::Urls;
use super::output;
use crate::node;

/// Shown under the help.
pub(crate) const EXAMPLES: &str = "Examples:
  ledgerd rebuild all
  ledgerd rebuild stock_level --compare    what was wrong is told, exit code 3, and mended

All tenants are rebuilt at once, and all rows are folded, whichever views are named: those named get new tables. A wrong
row may have led to others in other views: where in doubt, all.
Commands, reads and projectors go on meanwhile. Stopped or killed, it goes on where it was when it is run again.
DATABASE_URL must be that of the tables' owner, and lead to the server without a pooler in between.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `all`, or names of views: stock_level, posting …
    #[arg(required = true, value_name = "VIEW")]
    views: Vec<String>,
    /// Compare old and new rows, byte for byte, before the new ones come into use.
    #[arg(long)]
    compare: bool,
    /// Begin from nothing, even if an earlier run was interrupted.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    urls: Urls,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let views = named(&args.views)?;
    let urls = args.urls.resolve()?;
    let options = Options { views, compare: args.compare, fresh: args.fresh, ..Options::all(urls.database()?.to_owned()) };
    let stop = CancellationToken::new();
    let told = stop.clone();
    let signal = tokio::spawn(async move {
        if node::told_to_stop().await.is_ok() {
            told.cancel();
        }
    });
    let (progress, seen) = watch::channel(Progress::default());
    let bar = tokio::spawn(show(seen));
    let done = rebuild::run(&options, progress, &stop).await;
    signal.abort();
    bar.await??;
    let report = done.context("the views are as they were")?;
    if let Some(url) = urls.redis_url.as_deref().filter(|_| !report.stopped) {
        // Answers made of the old rows; they would end by themselves within a minute.
        if let Err(error) = projector::sink::redis::empty(url).await {
            tracing::warn!(%error, "the cache is not emptied");
        }
    }
    if json {
        output::print_json(&report)?;
    } else {
        output::print(&shown(&report))?;
    }
    Ok(if report.stopped {
        ExitCode::FAILURE
    } else if report.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::WANTING)
    })
}

/// Names as the tables have them; the prefix may be left out.
fn named(words: &[String]) -> Result<Vec<&'static str>> {
    if words.iter().any(|w| w == "all") {
        return Ok(VIEWS.iter().map(|(view, _)| *view).collect());
    }
    let mut views = Vec::new();
    for word in words {
        let short = word.trim_start_matches("view_");
        let Some((view, _)) = VIEWS.iter().find(|(view, _)| view.trim_start_matches("view_") == short) else {
            let known: Vec<&str> = VIEWS.iter().map(|(view, _)| view.trim_start_matches("view_")).collect();
            bail!("there is no view {word}; there are {}, and all", known.join(", "));
        };
        if !views.contains(view) {
            views.push(*view);
        }
    }
    Ok(views)
}

/// A bar on a terminal, until the rebuild has ended.
async fn show(mut seen: watch::Receiver<Progress>) -> Result<()> {
    if !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left")?;
    let bar = ProgressBar::new(0).with_style(style);
    while seen.changed().await.is_ok() {
        let p = *seen.borrow_and_update();
        bar.set_length(p.total.max(p.done).unsigned_abs());
        bar.set_position(p.done.unsigned_abs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    Ok(())
}

fn shown(r: &Report) -> String {
    let count = |n: i64| HumanCount(n.unsigned_abs());
    let rate = r.events.unsigned_abs().saturating_mul(1_000) / r.fold_millis.max(1);
    let mut text = format!("  folded        {} events in {} ms, {rate}/s", count(r.events), r.fold_millis);
    if r.resumed_at > 0 {
        text.push_str(&format!(", after {} of an earlier run", count(r.resumed_at)));
    }
    if r.stopped {
        text.push_str("\n  verdict       stopped; what is folded is kept, run it again to go on");
        return text;
    }
    for d in &r.differences {
        text.push_str(&format!(
            "\n  FOUND         {}: {} rows wrong, {} lacking, of tenants {:?}",
            d.view, d.wrong, d.lacking, d.tenants
        ));
        for (side, rows) in [("was", &d.wrong_rows), ("is", &d.lacking_rows)] {
            rows.iter().for_each(|row| text.push_str(&format!("\n                {side:<3} {row}")));
        }
    }
    text.push_str(&format!(
        "\n  swapped       {} views; views stood still {} ms, readers waited {} ms at most, {} retries",
        r.views.len(),
        r.views_held_millis,
        r.readers_held_millis,
        r.retries
    ));
    text.push_str(match (r.compared, r.differences.is_empty()) {
        (false, _) => "\n  verdict       rebuilt",
        (true, true) => "\n  verdict       rebuilt; the old rows were equal, byte for byte",
        (true, false) => "\n  verdict       rebuilt; the old rows were NOT what the log gives",
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_named_with_or_without_their_prefix_and_once() {
        let named = |words: &[&str]| super::named(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(named(&["stock_level", "view_item", "item"]).unwrap(), ["view_stock_level", "view_item"]);
        assert_eq!(named(&["item", "all"]).unwrap().len(), VIEWS.len());
        assert!(named(&["nothing"]).unwrap_err().to_string().contains("stock_card"));
    }
}
