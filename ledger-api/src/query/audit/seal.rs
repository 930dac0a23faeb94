//! Balances of closed periods, proven: balance ∈ seal, seal ∈ log, log ∈ checkpoint.
//!
//! **Shape**: month → the event that closed it, and its seal → every balance at that month's end as known then, of the
//! views or else of a fold of the log → the seal's tree → one leaf and its path.
//! **Correctness**: the tree must have the root that the event states. Balances from the views that do not give it are not
//! shown; the log is folded then, up to a named number of events.

use axum::extract::State;
use axum::response::Response;
use ledger_core::audit::merkle::{Hash, leaf_hash};
use ledger_core::audit::proof::{inclusion, verify_inclusion};
use ledger_core::audit::tree::{Nodes, Span};
use ledger_core::domain::event::Event;
use ledger_core::domain::id::{AccountCode, CurrencyCode, Position, TenantId};
use ledger_core::domain::period::Month;
use ledger_core::domain::period::event::{PeriodClosed, Seal};
use ledger_core::domain::period::seal::{self, Leaf};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::state::Ledger;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::store::read;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};

use super::{base64, damaged, hexes};
use crate::limit::{SEAL_REPLAY_EVENTS_MAX, SEAL_REPLAY_PAGE, SEAL_REPLAYS_AT_ONCE_MAX};
use crate::openapi::{ReadHeaders, StatefulAnswer};
use crate::path::Asked as AskedQuery;
use crate::problem::{Fault, Problem};
use crate::query::balance::{Asked, Balance, Bound, own, past};
use crate::query::cursor::hex;
use crate::query::{Exact, Reading, Version, corrupt, period};
use crate::state::Api;

/// See [`SEAL_REPLAYS_AT_ONCE_MAX`].
static REPLAYS: Semaphore = Semaphore::const_new(SEAL_REPLAYS_AT_ONCE_MAX);

/// Which balance of which period.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SealQuery {
    /// The month.
    #[param(value_type = Month, example = "2026-01")]
    period: Month,
    /// The account.
    #[param(value_type = String, example = "1400")]
    account: AccountCode,
    /// What it holds in this foreign currency; its totals in the base currency if absent.
    #[param(value_type = Option<String>, nullable = false)]
    currency: Option<CurrencyCode>,
}

/// That an account had a balance at the end of a closed period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SealProof)]
pub(crate) struct SealProofBody {
    /// The month asked for.
    period: Month,
    /// The month whose closing closed it: the balances are those at its end.
    sealed_period: Month,
    /// The event that states the seal. Its own inclusion proof leads on to a checkpoint.
    closed_at_position: i64,
    /// The last event whose postings are counted.
    seal_position: i64,
    /// Root of the tree over the balances, in hexadecimal, as that event states it.
    balances_root: String,
    /// The account.
    account: String,
    /// The foreign currency; absent for totals in the base currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    currency: Option<String>,
    /// Sum of the debits; of a foreign currency the net balance, if it is a debit.
    debits: Exact,
    /// Sum of the credits; of a foreign currency the net balance, if it is a credit.
    credits: Exact,
    /// Its value in the base currency: debits less credits.
    base: Exact,
    /// What is hashed, in base64: CBOR of account, currency, debits, credits, base in units.
    leaf: String,
    /// SHA-256 of a zero byte and the leaf, in hexadecimal.
    leaf_hash: String,
    /// Number of the leaf, from 0.
    index: u64,
    /// Leaves of the tree.
    size: u64,
    /// The other sides on the way to the root, nearest first, in hexadecimal (RFC 6962, section 2.1.1).
    path: Vec<String>,
}

/// One leaf, owned.
struct Row {
    account: String,
    currency: String,
    /// Decimals of the currency.
    scale: u8,
    debits: i128,
    credits: i128,
    base: i128,
}

impl Row {
    fn of(leaf: Leaf<'_>, scale: u8) -> Self {
        let Leaf { account, currency, debits, credits, base } = leaf;
        Self { account: account.to_owned(), currency: currency.to_owned(), scale, debits, credits, base }
    }

    fn encode(&self) -> Vec<u8> {
        let Self { account, currency, debits, credits, base, .. } = self;
        let mut bytes = Vec::new();
        Leaf { account, currency, debits: *debits, credits: *credits, base: *base }.encode(&mut bytes);
        bytes
    }
}

/// Proves a balance of a closed period
///
/// The leaf of an account in the tree of balances that the period's seal states, and its path. Hash a zero byte and `leaf`,
/// then with the `path` up to `balances_root`; find that root in the event at `closed_at_position`, prove that event with
/// `/v1/audit/proofs/inclusion`, and its root with a checkpoint. Where the views do not give the balances as they were, the
/// log is folded, which takes seconds; beyond 1,000,000 events that is left to `ledgerd replay`.
#[utoipa::path(get, path = "/v1/audit/proofs/seal", tag = "Audit", operation_id = "get_seal_proof",
    params(SealQuery, ReadHeaders), responses(StatefulAnswer<SealProofBody>))]
pub(crate) async fn get_seal_proof(
    State(api): State<Api>,
    reading: Reading,
    AskedQuery(query): AskedQuery<SealQuery>,
) -> Result<Response, Problem> {
    let api = reading.settle(&api).await?;
    let tenant = reading.tenant;
    let book = api.books.of(&api, tenant).await?;
    let (as_of, found) = period::sealed(&api, tenant, query.period).await?;
    let (month, before) = found.ok_or_else(|| Problem::unknown(Rejection::PeriodNotClosed { period: query.period }))?;
    let (closed_at_position, seal) = closing(&api, tenant, month, before).await?;
    let (rows, nodes) = balances(&api, tenant, (month, &seal), book.scale).await?;
    let currency = query.currency.as_ref().map_or("", |currency| book.stored(currency.as_str()));
    let wanted = |row: &Row| row.account == query.account.as_str() && row.currency == currency;
    let (at, row) = rows.iter().enumerate().find(|(_, row)| wanted(row)).ok_or_else(|| absent(&query))?;
    let (index, size) = (u64::try_from(at).unwrap_or(0), u64::try_from(rows.len()).unwrap_or(0));
    let leaf = row.encode();
    let path = inclusion(&nodes, index, size).unwrap_or_default();
    verify_inclusion(&leaf_hash(&leaf), index, size, &path, &seal.balances_root.0)
        .map_err(|error| damaged(tenant, &format!("the seal of {month} cannot be proven: {error}")))?;
    let body = SealProofBody {
        period: query.period,
        sealed_period: month,
        closed_at_position,
        seal_position: seal.position,
        balances_root: seal.balances_root.to_string(),
        account: row.account.clone(),
        currency: (!row.currency.is_empty()).then(|| row.currency.clone()),
        debits: Exact::new(row.debits, row.scale),
        credits: Exact::new(row.credits, row.scale),
        base: Exact::new(row.base, book.scale),
        leaf: base64(&leaf),
        leaf_hash: hex(&leaf_hash(&leaf)),
        index,
        size,
        path: hexes(&path),
    };
    reading.show(as_of, Version::Derived(closed_at_position), &body)
}

fn absent(query: &SealQuery) -> Problem {
    let what = match &query.currency {
        None => format!("nothing was posted to account {} by the end of the period", query.account),
        Some(currency) => format!("account {} held no {currency} when the period was closed", query.account),
    };
    Problem::new(Fault::NotFound, what)
}

/// The event that closed a month, and its seal: of the log, not of the views.
async fn closing(api: &Api, tenant: TenantId, month: Month, before: Position) -> Result<(Position, Seal), Problem> {
    let pool = api.pool.clone();
    let next = api.detached(async move { read::page(&pool, tenant, before, 1).await }).await?;
    let recorded = next.into_iter().next().map(|stored| stored.recorded);
    match recorded.as_ref().map(|r| (r.position, &r.fact.event)) {
        Some((position, Event::PeriodClosed(PeriodClosed { period, seal: Some(seal), .. }))) if *period == month => {
            Ok((position, *seal))
        }
        _another => Err(corrupt("view_definition.seal").into()),
    }
}

/// Every leaf of the seal, and the tree over them, which has the seal's root.
async fn balances(api: &Api, tenant: TenantId, (month, seal): (Month, &Seal), scale: u8) -> Result<(Vec<Row>, Nodes), Problem> {
    let shown = of_views(api, tenant, month, seal.position, scale).await?;
    if let Some(nodes) = tree(&shown, &seal.balances_root.0) {
        return Ok((shown, nodes));
    }
    let folded = of_log(api, tenant, month, seal.position, scale).await?;
    let nodes = tree(&folded, &seal.balances_root.0);
    let nodes = nodes.ok_or_else(|| damaged(tenant, &format!("the seal of {month} does not have the balances of the log")))?;
    Ok((folded, nodes))
}

fn tree(rows: &[Row], root: &Hash) -> Option<Nodes> {
    let nodes = Nodes::of_leaves(rows.iter().map(|row| leaf_hash(&row.encode())));
    let end = u64::try_from(rows.len()).ok()?;
    (nodes.root(Span { start: 0, end }) == Some(*root)).then_some(nodes)
}

/// From running totals: two index look-ups per account. A currency that was only pending when the period was closed has a
/// leaf too, which the views cannot tell; the root then differs.
async fn of_views(api: &Api, tenant: TenantId, month: Month, upto: Position, scale: u8) -> Result<Vec<Row>, Problem> {
    let last = Timestamp(month.end().0.saturating_sub(1));
    let at_end = past(api, Asked::all(tenant), Bound::at(last, upto)).await?;
    let ever = past(api, Asked::all(tenant), Bound::at(Timestamp(i64::MAX), upto)).await?;
    let mut rows = Vec::new();
    for account in &at_end.accounts {
        let sides = account.sides();
        if (sides.debits, sides.credits) == (0, 0) {
            continue;
        }
        rows.push(Row::of(Leaf::of_account(&account.code, sides.debits, sides.credits), scale));
        let held = ever.accounts.iter().find(|a| a.code == account.code).into_iter().flat_map(held);
        for currency in account.currencies.iter().filter(|c| !c.currency.is_empty()) {
            if held.clone().any(|name| name == currency.currency) {
                let (units, base) = (own(currency).balance(), i128::from(currency.debits) - i128::from(currency.credits));
                rows.push(Row::of(Leaf::of_book(&account.code, &currency.currency, units, base), currency.scale));
            }
        }
    }
    Ok(rows)
}

/// The foreign currencies an account holds or ever held anything in.
fn held(account: &Balance) -> impl Iterator<Item = &str> + Clone {
    let any = account.currencies.iter().filter(|c| !c.currency.is_empty());
    any.filter(|c| own(c).debits != 0 || own(c).credits != 0 || c.debits != c.credits).map(|c| c.currency.as_str())
}

/// From a fold of the log up to the seal.
async fn of_log(api: &Api, tenant: TenantId, month: Month, upto: Position, scale: u8) -> Result<Vec<Row>, Problem> {
    if upto > SEAL_REPLAY_EVENTS_MAX {
        let what = format!("the seal is of {upto} events; at most {SEAL_REPLAY_EVENTS_MAX} are folded for one answer");
        return Err(Problem::new(Fault::ResultTooLarge, what));
    }
    let Ok(_place) = REPLAYS.try_acquire() else {
        return Err(Problem::new(Fault::Busy, "another seal is being worked out; ask again"));
    };
    let pool = api.pool.clone();
    let ledger = api.detached(async move { fold(&pool, tenant, upto).await }).await?;
    let scales = |account: &str, currency: &str| {
        let code = CurrencyCode::parse(currency).ok()?;
        let account = ledger.accounts().iter().find(|a| a.definition.code.as_str() == account)?;
        Some(account.book(&code)?.scale)
    };
    let mut rows = Vec::new();
    seal::leaves(&ledger, month, |leaf| {
        let scale = if leaf.currency.is_empty() { scale } else { scales(leaf.account, leaf.currency).unwrap_or(0) };
        rows.push(Row::of(leaf, scale));
    });
    Ok(rows)
}

async fn fold(pool: &PgPool, tenant: TenantId, upto: Position) -> Result<Ledger, store::Error> {
    let mut ledger = Ledger::default();
    while ledger.position() < upto {
        let left = upto.saturating_sub(ledger.position());
        let page = read::page(pool, tenant, ledger.position(), left.min(SEAL_REPLAY_PAGE)).await?;
        if page.is_empty() {
            return Err(corrupt("event"));
        }
        for stored in page {
            ledger.evolve(&stored.recorded).map_err(|_| corrupt("event"))?;
            ledger.commit();
        }
    }
    Ok(ledger)
}
