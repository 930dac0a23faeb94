//! Balances of accounts.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::{AccountCode, Position};
use ledger_core::domain::rejection::Rejection;
use ledger_core::store;
use ledger_core::view::{AccountView, account_cache_key};
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::{Exact, Reading, Version, corrupt};
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::Named;
use crate::problem::Problem;
use crate::state::Api;

/// What was posted to an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalanceBody {
    /// The account.
    #[schema(value_type = String)]
    code: AccountCode,
    /// Version of the account's own stream: what `If-Match` takes.
    stream_version: i64,
    /// Newest event that posted to it, or that defined it when none did.
    position: i64,
    /// Sum of the debits.
    debits: Exact,
    /// Sum of the credits.
    credits: Exact,
    /// Debits less credits: above zero is a debit balance.
    balance: Exact,
}

/// Units as the views write them.
pub(super) fn units(text: &str) -> Result<i128, store::Error> {
    text.parse().map_err(|_| corrupt("view_account_balance"))
}

impl TryFrom<AccountView> for BalanceBody {
    type Error = store::Error;

    fn try_from(view: AccountView) -> Result<Self, store::Error> {
        let (debits, credits, money) = (units(&view.debits)?, units(&view.credits)?, view.money);
        Ok(Self {
            code: view.code,
            stream_version: view.stream_version,
            position: view.position,
            debits: Exact::new(debits, money),
            credits: Exact::new(credits, money),
            balance: Exact::new(debits.saturating_sub(credits), money),
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    stream_version: Option<i64>,
    position: Option<i64>,
    money: i16,
    debits: String,
    credits: String,
}

async fn read(pool: PgPool, tenant: i64, code: AccountCode) -> Result<(Position, Option<AccountView>), store::Error> {
    let row: Row = sqlx::query_as(include_str!("account_balance.sql")).bind(tenant).bind(code.as_str()).fetch_one(&pool).await?;
    let (Some(stream_version), Some(position)) = (row.stream_version, row.position) else { return Ok((row.as_of, None)) };
    let money = u8::try_from(row.money).map_err(|_| corrupt("view_account_balance.money"))?;
    Ok((row.as_of, Some(AccountView { code, stream_version, position, money, debits: row.debits, credits: row.credits })))
}

/// Shows an account's balance
#[utoipa::path(get, path = "/v1/accounts/{code}/balance", tag = "Journal", operation_id = "get_account_balance",
    params(("code" = AccountCode, Path, description = "The account"), ReadHeaders), responses(ReadAnswer<BalanceBody>))]
pub(crate) async fn get_balance(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<AccountCode>,
) -> Result<Response, Problem> {
    let key = [account_cache_key(reading.tenant, &code)];
    let cached = api.cache.get::<AccountView>(&key, api.pipeline.now(), reading.position_min).await;
    let cached = cached.into_iter().flatten().find(|cached| cached.body.code == code);
    let cached = cached.and_then(|c| BalanceBody::try_from(c.body).ok().map(|body| (c.as_of, body)));
    if let Some((as_of, body)) = cached {
        return reading.show(as_of, Version::Derived(body.stream_version), &body);
    }
    reading.settle(&api).await?;
    let (as_of, view) = api.detached(read(api.pool.clone(), reading.tenant.0, code.clone())).await?;
    let body = BalanceBody::try_from(view.ok_or_else(|| Problem::unknown(Rejection::UnknownAccount { account: code }))?)?;
    reading.show(as_of, Version::Derived(body.stream_version), &body)
}
