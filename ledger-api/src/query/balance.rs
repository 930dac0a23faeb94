//! Balances of accounts in units: now, as of any past, or of the postings with a dimension.
//!
//! **Correctness**: what several statements read together is bounded by one position that the views include, so later
//! facts change none of it; a view that fell back meanwhile (a rebuild) is noticed by the position it is at.

use ledger_core::domain::catalogue::command::AccountType;
use ledger_core::domain::id::{CurrencyCode, DimensionCode, Position, TenantId};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::view::CurrencyBalance;
use serde::Serialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use super::tenant::Book;
use super::{Exact, Reading, behind, corrupt};
use crate::limit::REPORT_ROWS_MAX;
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Debits and credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) debits: i128,
    pub(super) credits: i128,
}

impl Sides {
    pub(super) fn of(debits: i64, credits: i64) -> Self {
        Self { debits: debits.into(), credits: credits.into() }
    }

    /// Debits less credits.
    pub(super) const fn balance(self) -> i128 {
        self.debits.saturating_sub(self.credits)
    }

    /// The balance on an account's normal side.
    pub(super) const fn normal(self, is_debit: bool) -> i128 {
        if is_debit { self.balance() } else { self.balance().saturating_neg() }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self { debits: self.debits.saturating_add(other.debits), credits: self.credits.saturating_add(other.credits) }
    }

    pub(super) const fn less(self, other: Self) -> Self {
        Self { debits: self.debits.saturating_sub(other.debits), credits: self.credits.saturating_sub(other.credits) }
    }

    pub(super) fn shown(self, scale: u8) -> Sums {
        let exact = |units: i128| Exact::new(units, scale);
        Sums { debits: exact(self.debits), credits: exact(self.credits), balance: exact(self.balance()) }
    }
}

/// What was posted.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Sums {
    /// Sum of the debits.
    pub(super) debits: Exact,
    /// Sum of the credits.
    pub(super) credits: Exact,
    /// Debits less credits: above zero is a debit balance.
    pub(super) balance: Exact,
}

/// What was posted in one currency.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CurrencySums {
    /// The currency.
    pub(super) currency: String,
    #[serde(flatten)]
    pub(super) sums: Sums,
    /// Its balance in the base currency.
    pub(super) base_balance: Exact,
}

/// An account with what it holds in each currency.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) account_type: AccountType,
    pub(super) parent: Option<String>,
    pub(super) holds_inventory: bool,
    pub(super) stream_version: i64,
    pub(super) position: Position,
    pub(super) minimum: Option<String>,
    pub(super) maximum: Option<String>,
    /// By currency; the base currency, which has no name here, first.
    pub(super) currencies: Vec<CurrencyBalance>,
}

/// What a currency's balance is in itself.
pub(super) fn own(c: &CurrencyBalance) -> Sides {
    if c.currency.is_empty() { Sides::of(c.debits, c.credits) } else { Sides::of(c.currency_debits, c.currency_credits) }
}

/// A currency's sums in itself, with its name.
pub(super) fn currency_sums(c: &CurrencyBalance, book: &Book) -> CurrencySums {
    let scale = if c.currency.is_empty() { book.scale } else { c.scale };
    CurrencySums {
        currency: book.shown(&c.currency).to_owned(),
        sums: own(c).shown(scale),
        base_balance: Exact::new(Sides::of(c.debits, c.credits).balance(), book.scale),
    }
}

/// Adds a currency's figures to those of the same currency.
pub(super) fn add_currency(sums: &mut Vec<CurrencyBalance>, c: &CurrencyBalance) {
    let at = sums.partition_point(|s| s.currency < c.currency);
    match sums.get_mut(at).filter(|s| s.currency == c.currency) {
        None => sums.insert(at, c.clone()),
        Some(sum) => {
            let fields: [(&mut i64, i64); 8] = [
                (&mut sum.debits, c.debits),
                (&mut sum.credits, c.credits),
                (&mut sum.currency_debits, c.currency_debits),
                (&mut sum.currency_credits, c.currency_credits),
                (&mut sum.pending_debits, c.pending_debits),
                (&mut sum.pending_credits, c.pending_credits),
                (&mut sum.currency_pending_debits, c.currency_pending_debits),
                (&mut sum.currency_pending_credits, c.currency_pending_credits),
            ];
            for (field, more) in fields {
                *field = field.saturating_add(more);
            }
        }
    }
}

impl Balance {
    /// In the base currency, whatever it was posted in.
    pub(super) fn sides(&self) -> Sides {
        self.currencies.iter().fold(Sides::default(), |sum, c| sum.plus(Sides::of(c.debits, c.credits)))
    }

    /// The currencies beside the base currency, in themselves.
    pub(super) fn foreign(&self, book: &Book) -> Vec<CurrencySums> {
        self.currencies.iter().filter(|c| !c.currency.is_empty()).map(|c| currency_sums(c, book)).collect()
    }
}

/// Accounts by code, and the position the views were at.
#[derive(Debug, Default)]
pub(super) struct Balances {
    pub(super) as_of: Position,
    pub(super) accounts: Vec<Balance>,
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    code: Option<String>,
    stream_version: Option<i64>,
    holds_inventory: Option<bool>,
    name: Option<String>,
    account_type: Option<String>,
    parent: Option<String>,
    minimum: Option<String>,
    maximum: Option<String>,
    position: Option<i64>,
    #[sqlx(flatten)]
    figures: Figures,
}

/// The columns of one currency; none of them where nothing was ever posted.
#[derive(sqlx::FromRow)]
struct Figures {
    currency: Option<String>,
    scale: Option<i16>,
    debits: Option<i64>,
    credits: Option<i64>,
    currency_debits: Option<i64>,
    currency_credits: Option<i64>,
    pending_debits: Option<i64>,
    pending_credits: Option<i64>,
    currency_pending_debits: Option<i64>,
    currency_pending_credits: Option<i64>,
}

impl Figures {
    fn balance(self) -> Result<Option<CurrencyBalance>, store::Error> {
        let Some(currency) = self.currency else { return Ok(None) };
        let wrong = || corrupt("view_account_balance");
        Ok(Some(CurrencyBalance {
            currency,
            scale: self.scale.and_then(|s| u8::try_from(s).ok()).ok_or_else(wrong)?,
            debits: self.debits.ok_or_else(wrong)?,
            credits: self.credits.ok_or_else(wrong)?,
            currency_debits: self.currency_debits.ok_or_else(wrong)?,
            currency_credits: self.currency_credits.ok_or_else(wrong)?,
            pending_debits: self.pending_debits.ok_or_else(wrong)?,
            pending_credits: self.pending_credits.ok_or_else(wrong)?,
            currency_pending_debits: self.currency_pending_debits.ok_or_else(wrong)?,
            currency_pending_credits: self.currency_pending_credits.ok_or_else(wrong)?,
        }))
    }
}

/// The type of an account from the word in its definition.
pub(super) fn account_type(word: &str) -> Result<AccountType, store::Error> {
    let all = [AccountType::Asset, AccountType::Liability, AccountType::Equity, AccountType::Revenue, AccountType::Expense];
    all.into_iter().find(|t| type_word(*t) == word).ok_or_else(|| corrupt("view_account.definition.account_type"))
}

/// The word for a type of account.
pub(super) const fn type_word(account_type: AccountType) -> &'static str {
    match account_type {
        AccountType::Asset => "asset",
        AccountType::Liability => "liability",
        AccountType::Equity => "equity",
        AccountType::Revenue => "revenue",
        AccountType::Expense => "expense",
    }
}

/// Rows of the same account stand together.
fn gather(rows: Vec<Row>) -> Result<Balances, store::Error> {
    let mut found = Balances { as_of: rows.first().map_or(0, |r| r.as_of), accounts: Vec::new() };
    for row in rows {
        let Some(code) = row.code else { continue };
        if found.accounts.last().is_none_or(|last: &Balance| last.code != code) {
            let wrong = || corrupt("view_account");
            found.accounts.push(Balance {
                code,
                name: row.name.unwrap_or_default(),
                account_type: account_type(&row.account_type.ok_or_else(wrong)?)?,
                parent: row.parent,
                holds_inventory: row.holds_inventory.ok_or_else(wrong)?,
                stream_version: row.stream_version.ok_or_else(wrong)?,
                position: 0,
                minimum: row.minimum,
                maximum: row.maximum,
                currencies: Vec::new(),
            });
        }
        let Some(last) = found.accounts.last_mut() else { continue };
        last.position = last.position.max(row.position.unwrap_or(0));
        last.currencies.extend(row.figures.balance()?);
    }
    Ok(found)
}

/// Rows that statements are asked for: one more than an answer may have.
pub(super) fn rows_max() -> i64 {
    i64::try_from(REPORT_ROWS_MAX).unwrap_or(i64::MAX).saturating_add(1)
}

/// Refuses what has more rows than an answer may have.
///
/// # Errors
/// `result_too_large`.
pub(super) fn must_fit(rows: usize, what: &str) -> Result<(), Problem> {
    if rows > REPORT_ROWS_MAX {
        return Err(Problem::new(Fault::ResultTooLarge, format!("more than {REPORT_ROWS_MAX} {what}")));
    }
    Ok(())
}

async fn collect<F>(api: &Api, read: F) -> Result<Balances, Problem>
where
    F: Future<Output = Result<Vec<Row>, store::Error>> + Send + 'static,
{
    let rows = api.detached(read).await?;
    must_fit(rows.len(), "accounts and currencies")?;
    Ok(gather(rows)?)
}

/// Balances of some accounts, or of all of them, with everything recorded. Accounts that are not there are left out.
pub(super) async fn now(api: &Api, tenant: TenantId, accounts: Option<Vec<String>>) -> Result<Balances, Problem> {
    let (pool, now) = (api.pool.clone(), api.pipeline.now());
    collect(api, async move {
        let query = sqlx::query_as(include_str!("balances.sql")).bind(tenant.0).bind(accounts).bind(now.0);
        Ok(query.bind(rows_max()).fetch_all(&pool).await?)
    })
    .await
}

/// Up to where postings are counted: in the order of effective times, and in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) time: (i64, i64, i32),
    pub(super) position: (i64, i32),
}

impl Bound {
    /// Up to an effective time, as known after an event.
    pub(super) const fn at(time: Timestamp, upto: Position) -> Self {
        Self { time: (time.0, i64::MAX, i32::MAX), position: (upto, i32::MAX) }
    }
}

/// What is counted.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) tenant: TenantId,
    /// These accounts; all of them if absent.
    pub(super) accounts: Option<Vec<String>>,
    /// This currency as the views name it; each if absent.
    pub(super) currency: Option<String>,
    /// The closing of fiscal years too.
    pub(super) with_closing: bool,
}

impl Asked {
    pub(super) const fn all(tenant: TenantId) -> Self {
        Self { tenant, accounts: None, currency: None, with_closing: true }
    }

    pub(super) const fn some(tenant: TenantId, accounts: Vec<String>) -> Self {
        Self { tenant, accounts: Some(accounts), currency: None, with_closing: true }
    }
}

/// Balances as of a bound.
pub(super) async fn past(api: &Api, asked: Asked, bound: Bound) -> Result<Balances, Problem> {
    let pool = api.pool.clone();
    let Bound { time, position } = bound;
    let found = collect(api, async move {
        let query = sqlx::query_as(include_str!("balances_as_of.sql")).bind(asked.tenant.0).bind(asked.accounts);
        let query = query.bind(asked.currency).bind(time.0).bind(time.1).bind(time.2).bind(position.0).bind(position.1);
        Ok(query.bind(asked.with_closing).bind(rows_max()).fetch_all(&pool).await?)
    })
    .await?;
    Ok(found)
}

/// One value of one dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dimension {
    pub(super) code: DimensionCode,
    pub(super) value: String,
}

impl Dimension {
    /// From `code:value`; the code ends at the first colon.
    ///
    /// # Errors
    /// `parameter_invalid`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let invalid = || Problem::new(Fault::ParameterInvalid, "dimension: must be a code and a value, such as cost_centre:100");
        let (code, value) = text.split_once(':').filter(|(_, value)| !value.is_empty()).ok_or_else(invalid)?;
        Ok(Self { code: DimensionCode::parse(code).map_err(|_| invalid())?, value: value.to_owned() })
    }
}

/// What was posted with a dimension, later than one effective time and up to another, as known after an event. Reads as
/// many postings as that span has.
pub(super) async fn with_dimension(
    api: &Api,
    asked: Asked,
    dimension: &Dimension,
    (after, until): (Timestamp, Timestamp),
    upto: Position,
) -> Result<Balances, Problem> {
    let (pool, tenant, code) = (api.pool.clone(), asked.tenant.0, dimension.code.to_string());
    let is_known = api.detached(async move {
        let query = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM view_definition WHERE tenant_id = $1 AND kind = 'dimension' AND code = $2)",
        );
        Ok(query.bind(tenant).bind(code).fetch_one(&pool).await?)
    });
    if !is_known.await? {
        return Err(Problem::unknown(Rejection::UnknownDimension { dimension: dimension.code.clone() }));
    }
    let pool = api.pool.clone();
    let wanted = serde_json::json!({ dimension.code.as_str(): dimension.value }).to_string();
    collect(api, async move {
        let query = sqlx::query_as(include_str!("balances_by_dimension.sql")).bind(tenant).bind(asked.accounts);
        let query = query.bind(after.0).bind(until.0).bind(upto).bind(wanted).bind(asked.with_closing);
        Ok(query.bind(rows_max()).fetch_all(&pool).await?)
    })
    .await
}

/// As known when: what `as_of_position` and `recorded_before` say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) as_of_position: Option<Position>,
    pub(super) recorded_before: Option<Timestamp>,
}

impl Known {
    /// Whether less than everything recorded is asked for.
    pub(super) const fn is_past(self) -> bool {
        self.as_of_position.is_some() || self.recorded_before.is_some()
    }

    /// The last position that is counted, if everything recorded is not.
    ///
    /// # Errors
    /// `parameter_invalid` for both of them.
    pub(super) async fn upto(self, api: &Api, tenant: TenantId) -> Result<Option<Position>, Problem> {
        match (self.as_of_position, self.recorded_before) {
            (Some(_), Some(_)) => {
                let both = "as_of_position and recorded_before say the same: one of them";
                Err(Problem::new(Fault::ParameterInvalid, both))
            }
            (Some(position), None) => Ok(Some(position)),
            (None, Some(before)) => position_before(api, tenant, before).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The last position that is counted, which the views include: what several statements are bounded by; and where to
    /// read them.
    ///
    /// # Errors
    /// As for [`Known::upto`], and those of [`Reading::settle`].
    pub(super) async fn fixed(self, api: &Api, reading: &Reading) -> Result<(Api, Fixed), Problem> {
        let api = reading.settle(api).await?;
        let upto = self.upto(&api, reading.tenant).await?;
        let as_of = api.detached(view_position(api.pool.clone(), reading.tenant)).await?;
        Ok((api, Fixed { as_of, upto: upto.map_or(as_of, |upto| upto.min(as_of)) }))
    }
}

/// The last position recorded before an instant.
pub(super) async fn position_before(api: &Api, tenant: TenantId, before: Timestamp) -> Result<Position, Problem> {
    let pool = api.pool.clone();
    api.detached(async move { store::read::position_before(&pool, tenant, before).await }).await
}

async fn view_position(pool: PgPool, tenant: TenantId) -> Result<Position, store::Error> {
    let query = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1");
    Ok(query.bind(tenant.0).fetch_one(&pool).await?)
}

/// What an answer made of several statements shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    /// Where the views were.
    pub(super) as_of: Position,
    /// The last event that is counted in.
    pub(super) upto: Position,
}

impl Fixed {
    /// Refuses what was read from views that do not include the position any more.
    ///
    /// # Errors
    /// `behind`.
    pub(super) fn check(self, as_of: Position) -> Result<(), Problem> {
        if as_of < self.upto { Err(behind(as_of)) } else { Ok(()) }
    }

    /// Balances up to an effective time.
    pub(super) async fn at(self, api: &Api, asked: Asked, time: Timestamp) -> Result<Balances, Problem> {
        let found = past(api, asked, Bound::at(time, self.upto)).await?;
        self.check(found.as_of)?;
        Ok(found)
    }
}

/// A currency's name as the views have it.
pub(super) fn stored_currency(book: &Book, currency: Option<&CurrencyCode>) -> Option<String> {
    currency.map(|c| book.stored(c.as_str()).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dimension_is_a_code_and_a_value() {
        let dimension = Dimension::parse("cost_centre:1:2").unwrap();
        assert_eq!((dimension.code.as_str(), dimension.value.as_str()), ("cost_centre", "1:2"));
        for bad in ["", "cost_centre", ":100", "cost_centre:", " a:1"] {
            assert_eq!(Dimension::parse(bad).unwrap_err().code(), "parameter_invalid", "{bad}");
        }
    }

    #[test]
    fn currencies_are_summed_by_name() {
        let c = |currency: &str, debits, currency_debits| CurrencyBalance {
            currency: currency.into(),
            scale: 2,
            debits,
            currency_debits,
            ..CurrencyBalance::default()
        };
        let mut sums = Vec::new();
        for more in [c("USD", 5, 7), c("", 1, 0), c("GBP", 2, 3), c("USD", 10, 20)] {
            add_currency(&mut sums, &more);
        }
        assert_eq!(sums, [c("", 1, 0), c("GBP", 2, 3), c("USD", 15, 27)]);
    }

    #[test]
    fn rows_of_one_account_stand_together() {
        let row = |code: Option<&str>, currency: Option<&str>, debits: i64| Row {
            as_of: 9,
            code: code.map(Into::into),
            stream_version: Some(1),
            holds_inventory: Some(false),
            name: None,
            account_type: Some("revenue".into()),
            parent: None,
            minimum: None,
            maximum: None,
            position: Some(debits),
            figures: Figures {
                currency: currency.map(Into::into),
                scale: Some(0),
                debits: Some(debits),
                credits: Some(1),
                currency_debits: Some(0),
                currency_credits: Some(0),
                pending_debits: Some(0),
                pending_credits: Some(0),
                currency_pending_debits: Some(0),
                currency_pending_credits: Some(0),
            },
        };
        let found = gather(vec![row(Some("1"), Some(""), 4), row(Some("1"), Some("JPY"), 5), row(Some("2"), None, 0)]).unwrap();
        assert_eq!(found.accounts.iter().map(|a| a.currencies.len()).collect::<Vec<_>>(), [2, 0]);
        let first = &found.accounts[0];
        assert_eq!((first.sides(), first.position, first.account_type), (Sides::of(9, 2), 5, AccountType::Revenue));
        assert_eq!(first.sides().normal(first.account_type.is_debit_normal()), -7);
        assert!(gather(vec![row(None, None, 0)]).unwrap().accounts.is_empty());
    }
}
