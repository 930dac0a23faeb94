//! `ledgerd republish`: a tenant's events go out over NATS again.
//!
//! **Correctness**: it moves the feed's cursor back and nothing else; whoever runs the projector publishes. Subscribers drop
//! by position what they have. The broker drops by id what it was sent within its duplicate window, even if it was purged
//! meanwhile, which is why `--follow` counts what came to lie there and says so when it is too little.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::read;
use projector::feed;
use sqlx::postgres::PgPool;

use super::connect::{self, Urls};
use super::output;

/// Between two looks at the cursor.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Without any progress for this long nobody publishes.
const STALLED_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tenant's code.
    #[arg(long)]
    tenant: String,
    /// Events after this position; all of them if absent.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: Position,
    /// Wait until everything recorded by now is published, and count what the broker then has.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    urls: Urls,
}

/// What was asked, and what came of it.
#[derive(Debug, serde::Serialize)]
struct Report {
    tenant: String,
    after: Position,
    head: Position,
    /// Messages the broker has for the tenant; absent without `--follow` or without `NATS_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    complete: bool,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode> {
    let urls = args.urls.resolve()?;
    let pool = urls.pool().await?;
    let tenant = connect::tenant(&pool, &args.tenant).await?;
    let head = read::head(&pool, tenant).await?.map_or(0, |head| head.position);
    ensure!(args.after <= head, "the log of {} ends at {head}: there is nothing after {}", args.tenant, args.after);
    feed::republish(&pool, tenant, args.after).await?;
    let mut report = Report { tenant: args.tenant, after: args.after, head, messages: None, complete: head == args.after };
    if args.follow {
        follow(&pool, tenant, args.after, head).await?;
        report.messages = match urls.nats_url.as_deref() {
            Some(url) => Some(feed::messages(url, &report.tenant).await?),
            None => None,
        };
        let wanted = u64::try_from(head.saturating_sub(args.after)).unwrap_or(0);
        report.complete = report.messages.is_none_or(|there| there >= wanted);
    }
    if json {
        output::print_json(&report)?;
    } else {
        output::print(&sentence(&report, args.follow))?;
    }
    let is_wanting = args.follow && !report.complete;
    Ok(if is_wanting { ExitCode::from(super::WANTING) } else { ExitCode::SUCCESS })
}

fn sentence(report: &Report, followed: bool) -> String {
    let Report { tenant, after, head, messages, complete } = report;
    let there = messages.map_or_else(String::new, |n| format!("; the broker has {n} messages of {tenant}"));
    match (followed, complete) {
        (false, _) => {
            format!("events {} to {head} of {tenant} will be published again by the projector", after.saturating_add(1))
        }
        (true, true) => format!("published {tenant} to position {head}{there}"),
        (true, false) => format!(
            "{tenant} was sent to position {head}{there}: what was sent within the last two minutes it took for sent before. \
             Run this again when they have passed"
        ),
    }
}

/// Waits until the feed has come to `head`.
async fn follow(pool: &PgPool, tenant: TenantId, after: Position, head: Position) -> Result<()> {
    let bar = bar(head.saturating_sub(after))?;
    let (mut furthest, mut moved_at) = (after, Instant::now());
    while furthest < head {
        let (published, _) = feed::progress(pool, tenant).await?;
        if published > furthest {
            (furthest, moved_at) = (published, Instant::now());
            bar.set_position(furthest.saturating_sub(after).unsigned_abs());
        }
        ensure!(
            moved_at.elapsed() < STALLED_MAX,
            "nothing was published for {} s after position {furthest}: is a projector with NATS_URL running?",
            STALLED_MAX.as_secs()
        );
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    bar.finish_and_clear();
    Ok(())
}

fn bar(length: i64) -> Result<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events, {per_sec}, {eta} left")
        .context("the progress bar")?;
    Ok(ProgressBar::new(length.unsigned_abs()).with_style(style))
}
