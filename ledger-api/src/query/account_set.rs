//! Balances of account sets: every account of a set once, however many ways it is in it.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::{AccountSetCode, TenantId};
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::balance::{Asked as Wanted, Balance, CurrencySums, Known, Sides, Sums, add_currency, currency_sums};
use super::definition::unknown_set;
use super::moment::Until;
use super::tenant::Book;
use super::{Reading, Version};
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// One account of a set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SetMember {
    /// The account.
    account: String,
    /// Display name.
    name: String,
    #[serde(flatten)]
    sums: Sums,
}

/// What was posted to the accounts of a set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SetBalance {
    /// The set.
    code: String,
    /// Display name.
    name: String,
    /// The effective time asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>, nullable = false)]
    as_of: Option<Timestamp>,
    /// The last event that could be counted in.
    as_of_position: i64,
    #[serde(flatten)]
    sums: Sums,
    /// By currency, the base currency first if anything was posted in it.
    currencies: Vec<CurrencySums>,
    /// By code, each once.
    accounts: Vec<SetMember>,
}

/// As of when.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SetQuery {
    /// Effective time: everything that had happened by then, as known now.
    #[param(nullable = false)]
    as_of: Option<Until>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// Everything recorded before this instant, as known then.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    recorded_before: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    stream_version: Option<i64>,
    name: Option<String>,
    accounts: Option<Vec<String>>,
}

async fn members(pool: PgPool, tenant: TenantId, code: AccountSetCode) -> Result<Row, store::Error> {
    Ok(sqlx::query_as(include_str!("account_set.sql")).bind(tenant.0).bind(code.as_str()).fetch_one(&pool).await?)
}

/// Sums over accounts and by currency, and a line per account.
fn totals(accounts: Vec<Balance>, book: &Book) -> (Sums, Vec<CurrencySums>, Vec<SetMember>) {
    let (mut total, mut currencies, mut members) = (Sides::default(), Vec::new(), Vec::with_capacity(accounts.len()));
    for account in accounts {
        let sides = account.sides();
        total = total.plus(sides);
        account.currencies.iter().for_each(|c| add_currency(&mut currencies, c));
        members.push(SetMember { account: account.code, name: account.name, sums: sides.shown(book.scale) });
    }
    (total.shown(book.scale), currencies.iter().map(|c| currency_sums(c, book)).collect(), members)
}

/// Shows the balance of an account set
///
/// Every account counts once, however many of the sets in the set it is in. The set is as defined now, whenever its
/// balance is asked for.
#[utoipa::path(get, path = "/v1/account-sets/{code}/balance", tag = "Journal", operation_id = "get_account_set_balance",
    params(("code" = AccountSetCode, Path, description = "The set"), SetQuery, ReadHeaders), responses(ReadAnswer<SetBalance>))]
pub(crate) async fn get_set_balance(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<AccountSetCode>,
    Asked(query): Asked<SetQuery>,
) -> Result<Response, Problem> {
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let set = api.detached(members(api.pool.clone(), reading.tenant, code.clone())).await?;
    fixed.check(set.as_of)?;
    let (Some(version), Some(accounts)) = (set.stream_version, set.accounts) else { return Err(unknown_set(&code)) };
    let book = api.books.of(&api, reading.tenant).await?;
    let as_of = query.as_of.map(|until| until.0);
    let found = fixed.at(&api, Wanted::some(reading.tenant, accounts), as_of.unwrap_or(Timestamp(i64::MAX))).await?;
    let (sums, currencies, accounts) = totals(found.accounts, &book);
    let (code, name) = (code.to_string(), set.name.unwrap_or_default());
    let body = SetBalance { code, name, as_of, as_of_position: fixed.upto, sums, currencies, accounts };
    reading.show(fixed.as_of, Version::Derived(version), &body)
}
