//! Statements of an account: its postings with running balances, a page at a time.
//!
//! **Correctness**: the first page notes up to which position it counts and its cursor carries that on, so all pages
//! are of one state however long reading them takes. A page's opening balance is that of the place where it begins, by
//! look-ups; its running balances are sums from there.

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::Response;
use ledger_core::domain::id::{AccountCode, CurrencyCode, Position, TenantId};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use ledger_core::view::CurrencyBalance;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::balance::{self, Asked as Wanted, Balances, Bound, Fixed, Known, Sides};
use super::moment::{Since, Until};
use super::page::Place;
use super::tenant::Book;
use super::{Exact, Reading, Version, corrupt, event_type};
use crate::openapi::{LinkedAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// Which postings stand first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// What happened first in the world.
    #[default]
    Effective,
    /// What the log accepted first.
    Recorded,
}

/// Which postings.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatementQuery {
    /// From then on: effective times, with `order=recorded` recording times.
    #[param(nullable = false)]
    from: Option<Since>,
    /// Until then: effective times, with `order=recorded` recording times.
    #[param(nullable = false)]
    to: Option<Until>,
    /// Postings in this currency only.
    #[param(value_type = Option<String>, nullable = false)]
    currency: Option<CurrencyCode>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// By effective time if absent.
    #[param(inline, nullable = false)]
    order: Option<Order>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// A balance, and what it is made of.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Standing {
    /// Debits less credits, in the base currency.
    balance: Exact,
    /// Other currencies, each in itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    currencies: Vec<CurrencyStanding>,
}

impl Standing {
    /// Debits less credits, in the base currency.
    pub(super) const fn balance(&self) -> Exact {
        self.balance
    }
}

/// A balance in one currency.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CurrencyStanding {
    /// The currency.
    currency: String,
    /// Debits less credits.
    balance: Exact,
}

/// One posting.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PostingLine {
    /// The event's place in the log.
    pub(super) position: i64,
    /// The posting's place in its event.
    pub(super) line: i32,
    /// What happened.
    pub(super) r#type: &'static str,
    /// What it is about, such as `entry-7` or `item-ABC`.
    pub(super) stream: String,
    /// When it happened in the world.
    #[schema(value_type = Timestamp)]
    pub(super) effective_at: Timestamp,
    /// When the log accepted it.
    #[schema(value_type = Timestamp)]
    pub(super) recorded_at: Timestamp,
    /// In the base currency; zero on the other side.
    pub(super) debit: Exact,
    /// In the base currency; zero on the other side.
    pub(super) credit: Exact,
    /// Debits less credits after it, in the base currency.
    pub(super) balance: Exact,
    /// A currency other than the base currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) currency: Option<String>,
    /// In that currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    currency_debit: Option<Exact>,
    /// In that currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    currency_credit: Option<Exact>,
    /// Debits less credits after it, in that currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    currency_balance: Option<Exact>,
    /// The caller's document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) reference: Option<String>,
    /// What the entry is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) description: Option<String>,
    /// What the posting is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) memo: Option<String>,
    /// The customer or supplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    party: Option<String>,
    /// The open item it begins or settles.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    item: Option<String>,
    /// When the open item is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>, nullable = false)]
    due_at: Option<Timestamp>,
    /// The tax code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tax: Option<String>,
    /// Values of dimensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    dimensions: Option<serde_json::Value>,
}

impl PostingLine {
    /// Account, effective time, position, document, text, party, debit, credit, balance, currency, amount in it.
    pub(super) fn cells(&self, account: &str) -> [String; 11] {
        let text = self.memo.as_ref().or(self.description.as_ref()).cloned().unwrap_or_else(|| self.r#type.replace('_', " "));
        let exact = |n: Option<Exact>| n.filter(|n| !n.is_zero()).map(|n| n.to_string());
        let credit = exact(self.currency_credit).map(|n| format!("-{n}"));
        [
            account.to_owned(),
            self.effective_at.to_string(),
            self.position.to_string(),
            self.reference.clone().unwrap_or_else(|| self.stream.clone()),
            text,
            self.party.clone().unwrap_or_default(),
            exact(Some(self.debit)).unwrap_or_default(),
            exact(Some(self.credit)).unwrap_or_default(),
            self.balance.to_string(),
            self.currency.clone().unwrap_or_default(),
            exact(self.currency_debit).or(credit).unwrap_or_default(),
        ]
    }
}

/// A page of an account's statement.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Statement {
    /// The account.
    account: String,
    /// Every page of the statement counts events up to here.
    as_of_position: i64,
    /// What stands first.
    #[schema(inline)]
    order: Order,
    /// Before the page's first posting.
    opening: Standing,
    /// The postings, in order.
    data: Vec<PostingLine>,
    /// After the page's last posting.
    closing: Standing,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    as_of: i64,
    is_known: bool,
    position: Option<i64>,
    line: Option<i32>,
    r#type: Option<i16>,
    effective_at: Option<i64>,
    recorded_at: Option<i64>,
    currency: Option<String>,
    scale: Option<i16>,
    debit: Option<i64>,
    credit: Option<i64>,
    currency_debit: Option<i64>,
    currency_credit: Option<i64>,
    due_at: Option<i64>,
    stream: Option<String>,
    reference: Option<String>,
    description: Option<String>,
    party: Option<String>,
    item: Option<String>,
    tax: Option<String>,
    memo: Option<String>,
    dimensions: Option<String>,
}

/// Running balances by currency, in units.
#[derive(Clone, Debug)]
pub(super) struct Running<'a> {
    book: &'a Book,
    base: i128,
    /// Other currencies: name, decimals, balance.
    currencies: Vec<(String, u8, i128)>,
}

impl<'a> Running<'a> {
    pub(super) fn new(book: &'a Book, opening: &[CurrencyBalance]) -> Self {
        let base = opening.iter().fold(0, |sum: i128, c| sum.saturating_add(Sides::of(c.debits, c.credits).balance()));
        let foreign = opening.iter().filter(|c| !c.currency.is_empty());
        let currencies = foreign.map(|c| (c.currency.clone(), c.scale, balance::own(c).balance())).collect();
        Self { book, base, currencies }
    }

    pub(super) fn standing(&self) -> Standing {
        let currency = |(currency, scale, units): &(String, u8, i128)| CurrencyStanding {
            currency: currency.clone(),
            balance: Exact::new(*units, *scale),
        };
        Standing { balance: Exact::new(self.base, self.book.scale), currencies: self.currencies.iter().map(currency).collect() }
    }

    /// Adds a foreign amount; the balance after it.
    fn add(&mut self, currency: &str, scale: u8, units: i128) -> i128 {
        match self.currencies.iter_mut().find(|(known, _, _)| known == currency) {
            Some((_, _, balance)) => {
                *balance = balance.saturating_add(units);
                *balance
            }
            None => {
                self.currencies.push((currency.to_owned(), scale, units));
                units
            }
        }
    }

    /// The posting in a row, with the balances after it; `None` in the one row of an empty statement.
    pub(super) fn line(&mut self, row: Row) -> Result<Option<PostingLine>, store::Error> {
        let Some(position) = row.position else { return Ok(None) };
        let wrong = || corrupt("view_posting");
        let posted = Sides::of(row.debit.ok_or_else(wrong)?, row.credit.ok_or_else(wrong)?);
        self.base = self.base.saturating_add(posted.balance());
        let money = self.book.scale;
        let currency = row.currency.filter(|c| !c.is_empty());
        let foreign = match &currency {
            None => None,
            Some(currency) => {
                let sides = Sides::of(row.currency_debit.ok_or_else(wrong)?, row.currency_credit.ok_or_else(wrong)?);
                let scale = row.scale.and_then(|s| u8::try_from(s).ok()).ok_or_else(wrong)?;
                Some((sides, scale, self.add(currency, scale, sides.balance())))
            }
        };
        Ok(Some(PostingLine {
            position,
            line: row.line.ok_or_else(wrong)?,
            r#type: row.r#type.and_then(event_type::name).ok_or_else(wrong)?,
            stream: row.stream.ok_or_else(wrong)?,
            effective_at: row.effective_at.map(Timestamp).ok_or_else(wrong)?,
            recorded_at: row.recorded_at.map(Timestamp).ok_or_else(wrong)?,
            debit: Exact::new(posted.debits, money),
            credit: Exact::new(posted.credits, money),
            balance: Exact::new(self.base, money),
            currency_debit: foreign.map(|(sides, scale, _)| Exact::new(sides.debits, scale)),
            currency_credit: foreign.map(|(sides, scale, _)| Exact::new(sides.credits, scale)),
            currency_balance: foreign.map(|(_, scale, balance)| Exact::new(balance, scale)),
            currency,
            reference: row.reference,
            description: row.description,
            memo: row.memo,
            party: row.party,
            item: row.item,
            due_at: row.due_at.map(Timestamp),
            tax: row.tax,
            dimensions: row.dimensions.map(|text| serde_json::from_str(&text).map_err(|_| wrong())).transpose()?,
        }))
    }
}

/// A place between two postings: behind (effective time, position, line).
pub(super) type Behind = (i64, i64, i32);

/// Before everything that happened from an instant on.
pub(super) const fn before(from: Option<Since>) -> Behind {
    match from {
        Some(since) => (since.before().0, i64::MAX, i32::MAX),
        None => (i64::MIN, i64::MIN, i32::MIN),
    }
}

/// Which part of an account's postings, by effective time.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) tenant: TenantId,
    pub(super) account: String,
    /// As the views name it; each if absent.
    pub(super) currency: Option<String>,
    pub(super) after: Behind,
    pub(super) until: Timestamp,
    pub(super) upto: Position,
    pub(super) rows: i64,
}

pub(super) async fn read_effective(pool: PgPool, span: Span) -> Result<Vec<Row>, store::Error> {
    let query = sqlx::query_as(include_str!("statement_effective.sql")).bind(span.tenant.0).bind(span.account);
    let query = query.bind(span.currency).bind(span.after.0).bind(span.after.1).bind(span.after.2);
    Ok(query.bind(span.until.0).bind(span.upto).bind(span.rows).fetch_all(&pool).await?)
}

async fn read_recorded(pool: PgPool, span: Span) -> Result<Vec<Row>, store::Error> {
    let query = sqlx::query_as(include_str!("statement_recorded.sql")).bind(span.tenant.0).bind(span.account);
    let query = query.bind(span.currency).bind(span.after.1).bind(span.after.2).bind(span.upto);
    Ok(query.bind(span.rows).fetch_all(&pool).await?)
}

/// Where a page begins: behind what, and up to which position all pages count.
type Cursor = (Behind, Position);

/// The first page's place, and the last position that is counted.
async fn first_page(api: &Api, reading: &Reading, query: &StatementQuery, fixed: Fixed) -> Result<Cursor, Problem> {
    if query.order.unwrap_or_default() == Order::Effective {
        return Ok((before(query.from), fixed.upto));
    }
    let begins = match query.from {
        Some(since) => balance::position_before(api, reading.tenant, since.0).await?,
        None => 0,
    };
    let ends = match query.to {
        Some(until) => balance::position_before(api, reading.tenant, Timestamp(until.0.0.saturating_add(1))).await?,
        None => i64::MAX,
    };
    Ok(((i64::MAX, begins, i32::MAX), fixed.upto.min(ends)))
}

/// What the account held at a place.
async fn opening(api: &Api, span: &Span, order: Order) -> Result<Balances, Problem> {
    let bound = match order {
        Order::Effective => Bound { time: span.after, position: (span.upto, i32::MAX) },
        Order::Recorded => Bound { time: (i64::MAX, i64::MAX, i32::MAX), position: (span.after.1, span.after.2) },
    };
    let wanted = Wanted { currency: span.currency.clone(), ..Wanted::some(span.tenant, vec![span.account.clone()]) };
    balance::past(api, wanted, bound).await
}

/// Shows an account's statement
///
/// Postings with running balances, by effective time or in the order of the log. All pages count the same events: those up
/// to the position of the first page. The cost of a page does not depend on how much was ever posted.
#[utoipa::path(get, path = "/v1/accounts/{code}/statement", tag = "Journal", operation_id = "get_account_statement",
    params(("code" = AccountCode, Path, description = "The account"), StatementQuery, ReadHeaders),
    responses(LinkedAnswer<Statement>))]
pub(crate) async fn get_statement(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<AccountCode>,
    Asked(query): Asked<StatementQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let order = query.order.unwrap_or_default();
    let scope = format!("{:?}/{:?}/{:?}/{:?}/{order:?}", query.from, query.to, query.currency, query.as_of_position);
    let place = Place::new(&reading, &uri, &scope, query.limit)?;
    let cursor = place.after::<Cursor>(query.cursor.as_deref())?;
    let known = Known { as_of_position: query.as_of_position, recorded_before: None };
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let (after, upto) = match cursor {
        Some(cursor) => cursor,
        None => first_page(&api, &reading, &query, fixed).await?,
    };
    let fixed = Fixed { as_of: fixed.as_of, upto };
    fixed.check(fixed.as_of)?;
    let book = api.books.of(&api, reading.tenant).await?;
    let span = Span {
        tenant: reading.tenant,
        account: code.to_string(),
        currency: balance::stored_currency(&book, query.currency.as_ref()),
        after,
        until: query.to.map_or(Timestamp(i64::MAX), |until| until.0),
        upto,
        rows: place.rows_to_read(),
    };
    let opening = opening(&api, &span, order).await?;
    let rows = match order {
        Order::Effective => api.detached(read_effective(api.pool.clone(), span)).await?,
        Order::Recorded => api.detached(read_recorded(api.pool.clone(), span)).await?,
    };
    if !rows.first().is_some_and(|row| row.is_known) {
        return Err(Problem::unknown(Rejection::UnknownAccount { account: code }));
    }
    fixed.check(opening.as_of.min(rows.first().map_or(0, |row| row.as_of)))?;
    show(&reading, &place, (fixed, order), (code, &book), (opening, rows))
}

fn show(
    reading: &Reading,
    place: &Place<'_>,
    (fixed, order): (Fixed, Order),
    (code, book): (AccountCode, &Book),
    (opening, mut rows): (Balances, Vec<Row>),
) -> Result<Response, Problem> {
    let held = opening.accounts.into_iter().next().map(|account| account.currencies).unwrap_or_default();
    let mut running = Running::new(book, &held);
    let opening = running.standing();
    let key = |row: &Row| -> Cursor {
        let at = (row.effective_at.unwrap_or(0), row.position.unwrap_or(0), row.line.unwrap_or(0));
        (at, fixed.upto)
    };
    let next_cursor = place.cut(&mut rows, key);
    let data = rows.into_iter().filter_map(|row| running.line(row).transpose()).collect::<Result<Vec<_>, _>>()?;
    let link = next_cursor.as_deref().and_then(|cursor| place.link(cursor));
    let account = code.to_string();
    let body = Statement { account, as_of_position: fixed.upto, order, opening, data, closing: running.standing(), next_cursor };
    let mut response = reading.show(fixed.as_of, Version::Body, &body)?;
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(debit: i64, credit: i64, foreign: Option<(&str, i64)>) -> Row {
        Row {
            as_of: 9,
            is_known: true,
            position: Some(3),
            line: Some(0),
            r#type: Some(60),
            effective_at: Some(1),
            recorded_at: Some(2),
            currency: Some(foreign.map_or("", |(c, _)| c).into()),
            scale: Some(0),
            debit: Some(debit),
            credit: Some(credit),
            currency_debit: Some(foreign.map_or(0, |(_, units)| units.max(0))),
            currency_credit: Some(foreign.map_or(0, |(_, units)| units.min(0).saturating_neg())),
            due_at: None,
            stream: Some("entry-1".into()),
            reference: None,
            description: None,
            party: None,
            item: None,
            tax: None,
            memo: None,
            dimensions: Some(r#"{"cost_centre":"100"}"#.into()),
        }
    }

    #[test]
    fn balances_run_in_the_base_currency_and_in_each_other() {
        let book = Book { currency: "EUR".into(), scale: 2, ..Book::default() };
        let opening = [
            CurrencyBalance { debits: 500, ..CurrencyBalance::default() },
            CurrencyBalance { currency: "JPY".into(), debits: 70, currency_debits: 100, ..CurrencyBalance::default() },
        ];
        let mut running = Running::new(&book, &opening);
        assert_eq!(running.standing().balance.to_string(), "5.70");
        let first = running.line(row(0, 120, None)).unwrap().unwrap();
        assert_eq!((first.balance.to_string(), first.currency_balance), ("4.50".into(), None));
        let second = running.line(row(0, 35, Some(("JPY", -50)))).unwrap().unwrap();
        assert_eq!((second.balance.to_string(), second.currency_balance), ("4.15".into(), Some(Exact::new(50, 0))));
        let third = running.line(row(10, 0, Some(("CLP", 9)))).unwrap().unwrap();
        assert_eq!((third.balance.to_string(), third.currency_balance), ("4.25".into(), Some(Exact::new(9, 0))));
        assert_eq!(third.dimensions.unwrap()["cost_centre"], "100");
        assert_eq!(running.standing().currencies.len(), 2);
    }
}
