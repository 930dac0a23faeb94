//! The audit that never ends: every few seconds a small step for the tenant looked at longest ago.
//!
//! **Shape**: a random run of 256 positions → its rows by themselves, the tree's node over it, what the growing views hold of
//! it → one item and one account of it: the view's row against its card, against its postings, Redis against the view → the
//! newest message of the feed. What is found goes to a table, to metrics, to health and to the log, loudly.
//! **Correctness**: 1. A step reads by key only and a bounded number of rows, so it costs the same on any log. 2. Cursors are
//! read before what they speak of: what is compared was there when the cursor was, and is never changed afterwards. 3. It
//! proves nothing of what it did not look at: that is what `verify` is for, and one that finds nothing clears what was found.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use ledger_core::audit::leaf;
use ledger_core::audit::merkle::Frontier;
use ledger_core::audit::replay::Finding;
use ledger_core::domain::codec;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store::read::{self, Raw, Stored};
use ledger_core::store::verification;
use ledger_core::view::trail::{RUN, run_of, run_start};
use ledger_core::view::{Cached, StockView, stock_cache_key};
use sqlx::Row;
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

use super::feed;
use crate::lease::Leases;
use crate::view::{Card, PostingRow, cards_between, postings_between};
use crate::{Error, Options};

/// Tenants of which one is chosen: those whose lease is here.
const TENANTS_LOOKED_AT: i64 = 256;
/// Postings of an account that are added up; one with more is left to `verify`.
const POSTINGS_MAX: i64 = 10_000;

/// Looks until stopped.
pub(crate) async fn run(options: Options, leases: Leases, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match step(&options, &leases).await {
            Ok(findings) => metrics::counter!("ledger_audit_findings_total").increment(findings),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a step of the audit failed"),
        }
        tokio::select! { () = tokio::time::sleep(options.sample_interval) => {} () = stop.cancelled() => {} }
    }
}

/// One step; how much it found.
async fn step(options: &Options, leases: &Leases) -> Result<u64, Error> {
    let pool = &options.pool;
    let tenants = verification::to_sample(pool, TENANTS_LOOKED_AT).await?;
    let Some(tenant) = tenants.into_iter().find(|tenant| leases.holds(*tenant)) else { return Ok(0) };
    let mut look = Look { options, tenant, findings: Vec::new() };
    let looked = match look.look().await {
        Err(error) if !error.is_transient() => {
            look.find(0, "views_can_be_read", error.to_string());
            Ok(())
        }
        looked => looked,
    };
    let Look { findings, .. } = look;
    for f in &findings {
        let (position, until) = (f.position, f.until.unwrap_or(f.position));
        tracing::error!(%tenant, position, until, invariant = f.invariant, what = %f.what, "the audit found what does not hold");
    }
    metrics::counter!("ledger_audit_samples_total").increment(1);
    // One that cannot be looked at now does not keep the others from their turn.
    verification::sampled(pool, tenant, &findings).await?;
    looked?;
    Ok(u64::try_from(findings.len()).unwrap_or(u64::MAX))
}

/// A number below another; chance is good enough here.
fn random(below: i64) -> i64 {
    let drawn = RandomState::new().build_hasher().finish();
    i64::try_from(drawn.checked_rem(below.unsigned_abs()).unwrap_or(0)).unwrap_or(0)
}

/// One of several.
fn any<T>(of: &[T]) -> Option<&T> {
    let at = random(i64::try_from(of.len()).ok()?);
    of.get(usize::try_from(at).ok()?)
}

struct Look<'a> {
    options: &'a Options,
    tenant: TenantId,
    findings: Vec<Finding>,
}

impl Look<'_> {
    fn pool(&self) -> &PgPool {
        &self.options.pool
    }

    fn find(&mut self, position: Position, invariant: &'static str, what: impl Into<String>) {
        self.findings.push(Finding::new(position, invariant, what));
    }

    async fn look(&mut self) -> Result<(), Error> {
        let row = sqlx::query(
            "SELECT h.position, coalesce((SELECT position FROM view_cursor WHERE tenant_id = $1), 0), \
             coalesce((SELECT position FROM trail_cursor WHERE tenant_id = $1), 0) FROM tenant_head h WHERE h.tenant_id = $1",
        )
        .bind(self.tenant.0)
        .fetch_one(self.pool())
        .await?;
        let (head, views, trail): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let run = random(run_of(head).saturating_add(1));
        let after = run_start(run);
        let last = after.saturating_add(RUN).min(head);
        let rows = read::raw_page(self.pool(), self.tenant, after, last.saturating_sub(after)).await?;
        let events = self.look_at_rows(&rows, after, last);
        let is_whole = last == after.saturating_add(RUN) && i64::try_from(rows.len()) == Ok(RUN);
        if is_whole && trail >= last {
            self.look_at_node(&rows, run).await?;
        }
        let seen = last.min(views);
        let (cards, postings) = self.look_at_views(&events, after, seen).await?;
        if let Some(card) = any(&cards) {
            self.look_at_stock(card).await?;
            self.look_at_cache(card).await?;
        }
        if let Some(posting) = any(&postings) {
            self.look_at_account(posting).await?;
        }
        self.look_at_feed().await
    }

    /// Every row by itself; those that can be read.
    fn look_at_rows(&mut self, rows: &[Raw], after: Position, last: Position) -> Vec<Stored> {
        let mut scratch = Vec::new();
        let mut events = Vec::with_capacity(rows.len());
        let mut next = after;
        for raw in rows {
            next = next.saturating_add(1);
            if raw.position != next {
                self.find(next, "positions_have_no_gaps", format!("position {} stands where {next} belongs", raw.position));
                return events;
            }
            if leaf::check(&raw.leaf_hash(&mut scratch)) != raw.leaf_check {
                self.find(next, "rows_are_as_written", "the row was changed after it was appended");
            }
            match raw.decode() {
                Ok(stored) => events.push(stored),
                Err(error) => self.find(next, "events_decode", error.to_string()),
            }
        }
        if next < last {
            self.find(
                next.saturating_add(1),
                "log_reaches_its_head",
                format!("the head stands at {last} or later, the row is missing"),
            );
        }
        events
    }

    async fn look_at_node(&mut self, rows: &[Raw], run: i64) -> Result<(), Error> {
        let stored: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT hash FROM view_tree_node WHERE tenant_id = $1 AND level = 1 AND index = $2")
                .bind(self.tenant.0)
                .bind(run)
                .fetch_optional(self.pool())
                .await?;
        let (mut tree, mut scratch) = (Frontier::default(), Vec::new());
        rows.iter().for_each(|raw| tree.push(raw.leaf_hash(&mut scratch)));
        if stored.as_deref() != Some(&tree.root()[..]) {
            let first = run_start(run).saturating_add(1);
            let what = format!("node {run} of level 1 is not the root of its {RUN} leaves");
            let finding = Finding::new(first, "trail_equals_replay", what);
            self.findings.push(Finding { until: Some(first.saturating_add(RUN - 1)), ..finding });
        }
        Ok(())
    }

    /// What the events themselves say of the rows they added; totals are for `verify`.
    async fn look_at_views(
        &mut self,
        events: &[Stored],
        after: Position,
        last: Position,
    ) -> Result<(Vec<Card>, Vec<PostingRow>), Error> {
        let span = (after.saturating_add(1), last);
        let cards = cards_between(self.pool(), self.tenant, span).await?;
        let postings = postings_between(self.pool(), self.tenant, span).await?;
        let events = events.iter().map(|stored| &stored.recorded).filter(|r| r.position <= last);
        let (mut moved, mut posted) = (BTreeMap::new(), BTreeMap::new());
        for r in events {
            let (at, times) = (r.position, (r.effective_at(), r.recorded_at, codec::type_number(&r.fact.event)));
            for (line, m) in (0_i32..).zip(r.fact.event.movements()) {
                let what = (m.sku.clone(), m.location.clone(), m.quantity, m.value, m.scale, m.status(), m.lot().cloned());
                moved.insert((at, line), (times, what));
            }
            for (line, (p, _)) in (0_i32..).zip(r.fact.event.postings()) {
                let (currency, units) = p.foreign().map_or_else(Default::default, |(c, units, _)| (c.clone(), units));
                let net = (i128::from(p.amount), i128::from(units));
                posted.insert((at, line), (times, (p.account.clone(), currency, net)));
            }
        }
        let of_card = |c: &Card| {
            let what = (c.sku.clone(), c.location.clone(), c.quantity, c.value, c.scale, c.status, c.lot.clone());
            ((c.position, c.line), ((c.effective_at, c.recorded_at, c.type_number), what))
        };
        let of_posting = |p: &PostingRow| {
            let [debit, credit, units_debit, units_credit] = p.sides.map(i128::from);
            let net = (debit - credit, units_debit - units_credit);
            ((p.position, p.line), ((p.effective_at, p.recorded_at, p.type_number), (p.account.clone(), p.currency.clone(), net)))
        };
        self.compare("view_stock_card", &moved, &cards.iter().map(of_card).collect());
        self.compare("view_posting", &posted, &postings.iter().map(of_posting).collect());
        Ok((cards, postings))
    }

    fn compare<V: PartialEq>(
        &mut self,
        view: &str,
        expected: &BTreeMap<(Position, i32), V>,
        stored: &BTreeMap<(Position, i32), V>,
    ) {
        let differing = expected.iter().filter(|(key, row)| stored.get(*key) != Some(row)).map(|(key, _)| *key);
        let surplus = stored.keys().filter(|key| !expected.contains_key(*key)).copied();
        let keys: Vec<(Position, i32)> = differing.chain(surplus).collect();
        for (position, line) in keys {
            self.find(position, "views_equal_replay", format!("{view} line {line} is not what the event says"));
        }
    }

    /// A level against the newest row of its card.
    async fn look_at_stock(&mut self, card: &Card) -> Result<(), Error> {
        let row = sqlx::query(
            "SELECT l.position, l.on_hand, l.value, c.on_hand_after, c.value_after FROM view_stock_level l CROSS JOIN LATERAL \
             (SELECT on_hand_after, value_after FROM view_stock_card WHERE tenant_id = $1 AND sku = $2 AND location = $3 \
             ORDER BY position DESC, line DESC LIMIT 1) c WHERE l.tenant_id = $1 AND l.sku = $2 AND l.location = $3",
        )
        .bind(self.tenant.0)
        .bind(card.sku.as_str())
        .bind(card.location.as_str())
        .fetch_optional(self.pool())
        .await?;
        let place = format!("{} at {}", card.sku, card.location);
        let Some(row) = row else {
            self.find(card.position, "views_equal_replay", format!("view_stock_level lacks {place}"));
            return Ok(());
        };
        let (position, on_hand, value): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let after: (i64, i64) = (row.try_get(3)?, row.try_get(4)?);
        if (on_hand, value) != after {
            let what = format!("view_stock_level has {on_hand} worth {value} of {place}, its card {} worth {}", after.0, after.1);
            self.find(position, "views_equal_replay", what);
        }
        Ok(())
    }

    /// An account's totals against its postings.
    async fn look_at_account(&mut self, posting: &PostingRow) -> Result<(), Error> {
        let row = sqlx::query(
            "SELECT b.position, b.debits::numeric = p.debits AND b.credits::numeric = p.credits, p.rows FROM view_account_balance b \
             CROSS JOIN LATERAL (SELECT count(*) AS rows, coalesce(sum(debit), 0) AS debits, coalesce(sum(credit), 0) AS credits \
             FROM (SELECT debit, credit FROM view_posting WHERE tenant_id = $1 AND account = $2 AND currency = $3 LIMIT $4) AS first) p \
             WHERE b.tenant_id = $1 AND b.account = $2 AND b.currency = $3",
        )
        .bind(self.tenant.0)
        .bind(posting.account.as_str())
        .bind(posting.currency.as_str())
        .bind(POSTINGS_MAX.saturating_add(1))
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else {
            let what = format!("view_account_balance lacks {} {}", posting.account, posting.currency);
            self.find(posting.position, "views_equal_replay", what);
            return Ok(());
        };
        let (position, is_equal, rows): (i64, bool, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if !is_equal && rows <= POSTINGS_MAX {
            let what = format!("view_account_balance of {} is not the sum of its {rows} postings", posting.account);
            self.find(position, "views_equal_replay", what);
        }
        Ok(())
    }

    /// A cached item against its levels, place by place, as far as both are of the same event.
    async fn look_at_cache(&mut self, card: &Card) -> Result<(), Error> {
        let Some(url) = &self.options.redis_url else { return Ok(()) };
        let key = stock_cache_key(self.tenant, &card.sku);
        let Some(value) = cached(url, &key).await else { return Ok(()) };
        let Ok(value) = serde_json::from_slice::<Cached<StockView>>(&value) else {
            self.find(card.position, "cache_equals_replay", format!("{key} holds what is no value of ours"));
            return Ok(());
        };
        let rows =
            sqlx::query("SELECT location, position, on_hand, value FROM view_stock_level WHERE tenant_id = $1 AND sku = $2")
                .bind(self.tenant.0)
                .bind(card.sku.as_str())
                .fetch_all(self.pool())
                .await?;
        for row in &rows {
            let (location, position): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
            let held: (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
            let same = value.body.locations.iter().find(|l| l.location.as_str() == location && l.position == position);
            if same.is_some_and(|l| (l.on_hand, l.value) != held) {
                self.find(position, "cache_equals_replay", format!("{key} differs from view_stock_level at {location}"));
            }
        }
        Ok(())
    }

    /// The newest message; a broker that is away is not the audit's to tell.
    async fn look_at_feed(&mut self) -> Result<(), Error> {
        let Some(url) = &self.options.nats_url else { return Ok(()) };
        let tenants = ledger_core::store::tenant::list(self.pool()).await?;
        let Some(tenant) = tenants.into_iter().find(|t| t.id == self.tenant) else { return Ok(()) };
        match feed::look_at_last(self.pool(), url, &tenant).await {
            Ok(findings) => self.findings.extend(findings),
            Err(Error::Broker(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A value, if the cache is there and has it.
async fn cached(url: &str, key: &str) -> Option<Vec<u8>> {
    let client = redis::Client::open(url).ok()?;
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    redis::cmd("GET").arg(key).query_async(&mut connection).await.ok()?
}
