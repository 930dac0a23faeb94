//! Balances of one account: posted, pending and available, now; posted, as of any past.

use axum::extract::State;
use axum::response::Response;
use ledger_core::domain::id::{AccountCode, CurrencyCode};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::view::{AccountView, CurrencyBalance, account_cache_key};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::balance::{self, Asked as Wanted, Balance, Known, Sides};
use super::moment::Until;
use super::tenant::Book;
use super::{Exact, Reading, Version};
use crate::openapi::{ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// The side on which an account grows.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// Assets and expenses.
    Debit,
    /// Liabilities, equity and revenue.
    Credit,
}

/// Posted and pending.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Amounts {
    /// Sum of the debits.
    debits: Exact,
    /// Sum of the credits.
    credits: Exact,
    /// Debits less credits: above zero is a debit balance.
    balance: Exact,
    /// The balance on the account's normal side.
    normal_balance: Exact,
    /// Debits of pending entries that have not lapsed; absent in the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pending_debits: Option<Exact>,
    /// Credits of pending entries that have not lapsed; absent in the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pending_credits: Option<Exact>,
    /// The balance on the normal side, less what is pending against it; absent in the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    available: Option<Exact>,
}

impl Amounts {
    fn new(posted: Sides, pending: Option<Sides>, is_debit: bool, scale: u8) -> Self {
        let exact = |units: i128| Exact::new(units, scale);
        let normal = posted.normal(is_debit);
        let against = |p: Sides| if is_debit { p.credits } else { p.debits };
        Self {
            debits: exact(posted.debits),
            credits: exact(posted.credits),
            balance: exact(posted.balance()),
            normal_balance: exact(normal),
            pending_debits: pending.map(|p| exact(p.debits)),
            pending_credits: pending.map(|p| exact(p.credits)),
            available: pending.map(|p| exact(normal.saturating_sub(against(p)))),
        }
    }
}

/// What an account holds in one currency.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CurrencyBody {
    /// The currency.
    currency: String,
    #[serde(flatten)]
    amounts: Amounts,
    /// The balance in the base currency; those of all currencies sum to the account's.
    base_balance: Exact,
}

/// What was posted to an account, in the base currency and in each currency by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalanceBody {
    /// The account.
    code: String,
    /// Version of the account's own stream: what `If-Match` takes.
    stream_version: i64,
    /// Newest event that is counted in, or that defined it when none is.
    position: i64,
    /// The effective time asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>, nullable = false)]
    as_of: Option<Timestamp>,
    /// In the past: the last event that could be counted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    as_of_position: Option<i64>,
    /// Where it grows.
    normal_side: Side,
    #[serde(flatten)]
    amounts: Amounts,
    /// Lowest balance it may have on the normal side.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Exact>)]
    minimum: Option<String>,
    /// Highest balance it may have on the normal side.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Exact>)]
    maximum: Option<String>,
    /// The base currency first, if anything was posted in it.
    currencies: Vec<CurrencyBody>,
}

/// As of when, and in what.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BalanceQuery {
    /// Effective time: everything that had happened by then, as known now.
    #[param(nullable = false)]
    as_of: Option<Until>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// Everything recorded before this instant, as known then.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    recorded_before: Option<Timestamp>,
    /// Show this currency only among `currencies`.
    #[param(value_type = Option<String>, nullable = false)]
    currency: Option<CurrencyCode>,
}

impl BalanceQuery {
    const fn known(&self) -> Known {
        Known { as_of_position: self.as_of_position, recorded_before: self.recorded_before }
    }
}

fn currency_body(c: &CurrencyBalance, book: &Book, is_debit: bool, is_now: bool) -> CurrencyBody {
    let is_base = c.currency.is_empty();
    let pending = match is_base {
        true => Sides::of(c.pending_debits, c.pending_credits),
        false => Sides::of(c.currency_pending_debits, c.currency_pending_credits),
    };
    let scale = if is_base { book.scale } else { c.scale };
    CurrencyBody {
        currency: book.shown(&c.currency).to_owned(),
        amounts: Amounts::new(balance::own(c), is_now.then_some(pending), is_debit, scale),
        base_balance: Exact::new(Sides::of(c.debits, c.credits).balance(), book.scale),
    }
}

/// Makes the answer; `past` is what of the past was asked for, and up to which event.
fn body(view: AccountView, book: &Book, currency: Option<&str>, past: Option<(Option<Timestamp>, i64)>) -> BalanceBody {
    let (is_debit, is_now) = (view.normal_debit, past.is_none());
    let sum = |f: fn(&CurrencyBalance) -> Sides| view.balances.iter().fold(Sides::default(), |sum, c| sum.plus(f(c)));
    let posted = sum(|c| Sides::of(c.debits, c.credits));
    let pending = sum(|c| Sides::of(c.pending_debits, c.pending_credits));
    let shown = view.balances.iter().filter(|c| currency.is_none_or(|wanted| wanted == c.currency));
    BalanceBody {
        code: view.code.to_string(),
        stream_version: view.stream_version,
        position: view.position,
        as_of: past.and_then(|(as_of, _)| as_of),
        as_of_position: past.map(|(_, upto)| upto),
        normal_side: if is_debit { Side::Debit } else { Side::Credit },
        amounts: Amounts::new(posted, is_now.then_some(pending), is_debit, book.scale),
        currencies: shown.map(|c| currency_body(c, book, is_debit, is_now)).collect(),
        minimum: view.minimum,
        maximum: view.maximum,
    }
}

/// A balance as the cache would have it.
fn view(code: AccountCode, found: Balance, book: &Book) -> AccountView {
    AccountView {
        code,
        stream_version: found.stream_version,
        position: found.position,
        money: book.scale,
        normal_debit: found.account_type.is_debit_normal(),
        minimum: found.minimum,
        maximum: found.maximum,
        balances: found.currencies,
    }
}

fn unknown(account: AccountCode) -> Problem {
    Problem::unknown(Rejection::UnknownAccount { account })
}

/// Shows an account's balance
///
/// What is posted, pending and available, in the base currency and in each currency. With `as_of`, `as_of_position` or
/// `recorded_before`, what was posted then; the cost does not depend on how much was posted since.
#[utoipa::path(get, path = "/v1/accounts/{code}/balance", tag = "Journal", operation_id = "get_account_balance",
    params(("code" = AccountCode, Path, description = "The account"), BalanceQuery, ReadHeaders),
    responses(ReadAnswer<BalanceBody>))]
pub(crate) async fn get_balance(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<AccountCode>,
    Asked(query): Asked<BalanceQuery>,
) -> Result<Response, Problem> {
    let book = api.books.of(&api, reading.tenant).await?;
    let currency = balance::stored_currency(&book, query.currency.as_ref());
    if query.as_of.is_some() || query.known().is_past() {
        return show_past(&api, &reading, code, &query, &book).await;
    }
    let key = [account_cache_key(reading.tenant, &code)];
    let cached = api.cache.get::<AccountView>(&key, api.pipeline.now(), reading.position_min).await;
    if let Some(cached) = cached.into_iter().flatten().find(|cached| cached.body.code == code) {
        let body = body(cached.body, &book, currency.as_deref(), None);
        return reading.show(cached.as_of, Version::Derived(body.stream_version), &body);
    }
    let api = reading.settle(&api).await?;
    let found = balance::now(&api, reading.tenant, Some(vec![code.to_string()])).await?;
    let account = found.accounts.into_iter().next().ok_or_else(|| unknown(code.clone()))?;
    let body = body(view(code, account, &book), &book, currency.as_deref(), None);
    reading.show(found.as_of, Version::Derived(body.stream_version), &body)
}

async fn show_past(
    api: &Api,
    reading: &Reading,
    code: AccountCode,
    query: &BalanceQuery,
    book: &Book,
) -> Result<Response, Problem> {
    let (api, fixed) = &query.known().fixed(api, reading).await?;
    let as_of = query.as_of.map(|until| until.0);
    let wanted = Wanted::some(reading.tenant, vec![code.to_string()]);
    let found = fixed.at(api, wanted, as_of.unwrap_or(Timestamp(i64::MAX))).await?;
    let account = found.accounts.into_iter().next().ok_or_else(|| unknown(code.clone()))?;
    let currency = balance::stored_currency(book, query.currency.as_ref());
    let body = body(view(code, account, book), book, currency.as_deref(), Some((as_of, fixed.upto)));
    reading.show(fixed.as_of, Version::Derived(body.stream_version), &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        Book { currency: "EUR".into(), scale: 2, ..Book::default() }
    }

    fn account(normal_debit: bool) -> AccountView {
        let base = CurrencyBalance { debits: 10_000, credits: 2_500, pending_credits: 1_000, ..CurrencyBalance::default() };
        let yen = CurrencyBalance {
            currency: "JPY".into(),
            scale: 0,
            debits: 700,
            currency_debits: 1_000,
            pending_debits: 70,
            currency_pending_debits: 100,
            ..CurrencyBalance::default()
        };
        AccountView {
            code: "1000".parse().unwrap(),
            stream_version: 1,
            position: 7,
            money: 2,
            normal_debit,
            minimum: Some("0".into()),
            maximum: None,
            balances: vec![base, yen],
        }
    }

    fn shown(body: &BalanceBody) -> serde_json::Value {
        serde_json::to_value(body).unwrap()
    }

    #[test]
    fn what_is_pending_against_the_normal_side_is_not_available() {
        let debit = shown(&body(account(true), &book(), None, None));
        assert_eq!(
            (&debit["balance"], &debit["normal_balance"], &debit["available"]),
            (&"82.00".into(), &"82.00".into(), &"72.00".into())
        );
        let credit = shown(&body(account(false), &book(), None, None));
        assert_eq!((&credit["normal_balance"], &credit["available"]), (&"-82.00".into(), &"-82.70".into()));
        assert_eq!((&debit["normal_side"], &credit["normal_side"]), (&"debit".into(), &"credit".into()));
    }

    #[test]
    fn currencies_are_shown_in_themselves_and_their_base_values_sum_up() {
        let all = shown(&body(account(true), &book(), None, None));
        let figures = |c: &serde_json::Value| {
            (c["currency"].clone(), c["balance"].clone(), c["available"].clone(), c["base_balance"].clone())
        };
        assert_eq!(figures(&all["currencies"][0]), ("EUR".into(), "75.00".into(), "65.00".into(), "75.00".into()));
        assert_eq!(figures(&all["currencies"][1]), ("JPY".into(), "1000".into(), "1000".into(), "7.00".into()));
        let one = shown(&body(account(true), &book(), Some("JPY"), None));
        assert_eq!((one["currencies"].as_array().unwrap().len(), &one["balance"]), (1, &"82.00".into()));
    }

    #[test]
    fn the_past_has_nothing_pending() {
        let past = shown(&body(account(true), &book(), None, Some((Some(Timestamp(0)), 5))));
        assert_eq!((&past["as_of_position"], &past["as_of"]), (&5.into(), &"1970-01-01T00:00:00Z".into()));
        for absent in ["available", "pending_debits", "pending_credits"] {
            assert!(past.get(absent).is_none() && past["currencies"][0].get(absent).is_none(), "{absent}");
        }
    }
}
