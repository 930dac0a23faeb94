//! The general ledger: per account what it had, every posting with the balance after it, and what it has.
//!
//! **Correctness**: as for a statement, the cursor carries the position that all pages count up to. An account that goes on
//! on the next page is opened there with the balance of the place where it was left.

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use ledger_core::domain::catalogue::command::AccountType;
use ledger_core::domain::id::{AccountCode, Position, TenantId};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::table::{Table, numbers, words};
use super::{Format, Report, must_be_in_order};
use crate::limit::{LEDGER_ACCOUNTS_AT_ONCE, LEDGER_PAGE_ACCOUNTS_MAX, REPORT_ROWS_MAX};
use crate::openapi::{PagedReportAnswer, ReadHeaders};
use crate::path::Asked;
use crate::problem::{Fault, Problem};
use crate::query::Reading;
use crate::query::balance::{self, Asked as Wanted, Balance, Bound, Fixed, Known, type_word};
use crate::query::moment::{Since, Until};
use crate::query::page::Place;
use crate::query::period::year_start;
use crate::query::statement::{Behind, PostingLine, Running, Span, Standing, before, read_effective};
use crate::query::tenant::Book;
use crate::state::Api;

/// An account's postings in the span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerAccount {
    /// The account.
    account: String,
    /// Display name.
    name: String,
    /// Asset, liability, equity, revenue or expense.
    account_type: AccountType,
    /// Its first postings are on the page before.
    continued: bool,
    /// Before the first posting shown.
    opening: Standing,
    /// By effective time.
    postings: Vec<PostingLine>,
    /// After the last posting shown.
    closing: Standing,
    /// Its last postings are on the next page.
    continues: bool,
}

/// A page of the general ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GeneralLedger {
    /// Every page includes every event up to here, and none after it.
    position: i64,
    /// First instant of the span.
    from: Timestamp,
    /// Last instant of the span.
    to: Timestamp,
    /// The base currency.
    currency: String,
    /// By code; without those that had nothing and got nothing.
    data: Vec<LedgerAccount>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

/// Which span, and of which account.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerQuery {
    /// From then on; the beginning of the fiscal year of `to` if absent.
    #[param(nullable = false)]
    from: Option<Since>,
    /// Until then; the present instant if absent.
    #[param(nullable = false)]
    to: Option<Until>,
    /// This account only.
    #[param(value_type = Option<String>, nullable = false)]
    account: Option<AccountCode>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// What `Accept` names, or JSON, if absent.
    #[param(inline, nullable = false)]
    format: Option<Format>,
    /// JSON only: postings of a page, 1 to 1,000; 100 if absent. A page has at most 100 accounts.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// JSON only: from `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// Where a page begins: in which account, behind what (`None`: at its first posting), in which span, and up to which
/// position all pages count.
type Cursor = (String, Option<Behind>, (i64, i64), Position);

/// How much an answer may hold.
#[derive(Clone, Copy, Debug)]
struct Room {
    postings: usize,
    accounts: usize,
}

/// What is read, and what of it was found.
struct Work<'a> {
    api: &'a Api,
    tenant: TenantId,
    book: &'a Book,
    fixed: Fixed,
    from: Since,
    to: Timestamp,
    room: Room,
    found: Vec<LedgerAccount>,
}

/// Where a page ends before the ledger does.
type Next = (String, Option<Behind>);

async fn codes(pool: PgPool, tenant: TenantId, from: String, only: Option<AccountCode>) -> Result<Vec<String>, store::Error> {
    let query = sqlx::query_scalar(include_str!("../account_codes.sql")).bind(tenant.0).bind(from);
    let query = query.bind(LEDGER_ACCOUNTS_AT_ONCE).bind(only.as_ref().map(AccountCode::as_str));
    Ok(query.fetch_all(&pool).await?)
}

/// Whether anything was posted between two states of an account, in any currency.
fn has_moved(opening: &Balance, closing: &Balance) -> bool {
    opening.currencies != closing.currencies
}

/// Whether it holds anything in any currency.
fn holds_any(balance: &Balance) -> bool {
    balance.currencies.iter().any(|c| c.debits != c.credits || c.currency_debits != c.currency_credits)
}

impl Work<'_> {
    /// Reads account by account until there is no more room. Each turn goes on behind the accounts of the turn before.
    async fn run(&mut self, start: Next, only: Option<AccountCode>) -> Result<Option<Next>, Problem> {
        let (mut from, mut behind) = start;
        loop {
            let read = codes(self.api.pool.clone(), self.tenant, from.clone(), only.clone());
            let codes = self.api.detached(read).await?;
            let Some(last) = codes.last().cloned() else { return Ok(None) };
            let is_end = codes.len() < usize::try_from(LEDGER_ACCOUNTS_AT_ONCE).unwrap_or(usize::MAX);
            let next = self.accounts(codes, behind.take().map(|behind| (from, behind))).await?;
            if next.is_some() || is_end {
                return Ok(next);
            }
            // No code has a control character: this is behind the last one and not behind the next.
            from = format!("{last}\u{1}");
        }
    }

    async fn accounts(&mut self, codes: Vec<String>, left: Option<(String, Behind)>) -> Result<Option<Next>, Problem> {
        let wanted = || Wanted::some(self.tenant, codes.clone());
        let closing = self.fixed.at(self.api, wanted(), self.to).await?.accounts;
        let opening = self.fixed.at(self.api, wanted(), self.from.before()).await?.accounts;
        for (mut opening, closing) in opening.into_iter().zip(closing) {
            let behind = left.as_ref().filter(|(code, _)| *code == opening.code).map(|(_, behind)| *behind);
            if let Some(behind) = behind {
                let bound = Bound { time: behind, position: (self.fixed.upto, i32::MAX) };
                let found = balance::past(self.api, Wanted::some(self.tenant, vec![opening.code.clone()]), bound).await?;
                self.fixed.check(found.as_of)?;
                opening = found.accounts.into_iter().next().unwrap_or(opening);
            }
            let has_moved = has_moved(&opening, &closing);
            if !has_moved && !holds_any(&opening) {
                continue;
            }
            if self.found.len() >= self.room.accounts {
                return Ok(Some((opening.code, behind)));
            }
            let next = self.account(opening, has_moved, behind).await?;
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    async fn account(&mut self, opening: Balance, has_moved: bool, behind: Option<Behind>) -> Result<Option<Next>, Problem> {
        let room = self.room.postings;
        let span = Span {
            tenant: self.tenant,
            account: opening.code.clone(),
            currency: None,
            after: behind.unwrap_or_else(|| before(Some(self.from))),
            until: self.to,
            upto: self.fixed.upto,
            rows: i64::try_from(room).unwrap_or(i64::MAX).saturating_add(1),
        };
        let rows = match has_moved {
            true => self.api.detached(read_effective(self.api.pool.clone(), span)).await?,
            false => Vec::new(),
        };
        let continues = rows.len() > room;
        if continues && room == 0 {
            return Ok(Some((opening.code, behind)));
        }
        let mut running = Running::new(self.book, &opening.currencies);
        let standing = running.standing();
        let lines = rows.into_iter().take(room).filter_map(|row| running.line(row).transpose());
        let postings: Vec<PostingLine> = lines.collect::<Result<_, _>>()?;
        self.room.postings = room.saturating_sub(postings.len());
        let last = postings.last().map(|p| (p.effective_at.0, p.position, p.line));
        let code = opening.code.clone();
        self.found.push(LedgerAccount {
            account: opening.code,
            name: opening.name,
            account_type: opening.account_type,
            continued: behind.is_some(),
            opening: standing,
            postings,
            closing: running.standing(),
            continues,
        });
        Ok(continues.then_some((code, last)))
    }
}

impl GeneralLedger {
    fn table(&self) -> Table {
        let columns = vec![
            words("account", "Account"),
            words("effective_at", "Effective"),
            words("position", "Position"),
            words("document", "Document"),
            words("text", "Text"),
            words("party", "Party"),
            numbers("debit", "Debit"),
            numbers("credit", "Credit"),
            numbers("balance", "Balance"),
            words("currency", "Currency"),
            numbers("currency_amount", "In currency"),
        ];
        let span = format!("{} to {}", Since(self.from), Until(self.to));
        let mut table = Table::new("General ledger", vec![span], columns);
        for account in &self.data {
            table.group(0, &format!("{} {} ({})", account.account, account.name, type_word(account.account_type)));
            let edge = |text: &str, standing: &Standing| {
                let mut cells: [String; 11] = Default::default();
                (cells[0], cells[4], cells[8]) = (account.account.clone(), text.to_owned(), standing.balance().to_string());
                cells
            };
            table.part(1, edge("Opening balance", &account.opening));
            for posting in &account.postings {
                table.line(1, posting.cells(&account.account));
            }
            table.total(1, edge("Closing balance", &account.closing));
        }
        table
    }
}

/// General ledger
///
/// Per account the opening balance, every posting of the span with the balance after it, and the closing balance. JSON comes
/// in pages that all count the same events; CSV and the page to print are whole, up to 50,000 postings.
#[utoipa::path(get, path = "/v1/reports/general-ledger", tag = "Reports", operation_id = "get_general_ledger",
    params(LedgerQuery, ReadHeaders), responses(PagedReportAnswer<GeneralLedger>))]
pub(crate) async fn get_general_ledger(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<LedgerQuery>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let format = Format::of(query.format, &headers);
    if format != Format::Json && (query.limit.is_some() || query.cursor.is_some()) {
        return Err(Problem::new(Fault::ParameterInvalid, "limit and cursor: of JSON only; the other formats are whole"));
    }
    let scope = format!("{:?}/{:?}/{:?}/{:?}", query.from, query.to, query.account, query.as_of_position);
    let place = Place::new(&reading, &uri, &scope, query.limit)?;
    let cursor = place.after::<Cursor>(query.cursor.as_deref())?;
    let known = Known { as_of_position: query.as_of_position, recorded_before: None };
    let (api, fixed) = known.fixed(&api, &reading).await?;
    let (fixed, from, to, start) = begin(&api, &reading, &query, fixed, cursor).await?;
    let report = Report::new((&api, &reading), "general-ledger", format, fixed).await?;
    let room = match format {
        Format::Json => Room { postings: place.rows(), accounts: LEDGER_PAGE_ACCOUNTS_MAX },
        Format::Csv | Format::Html => Room { postings: REPORT_ROWS_MAX, accounts: REPORT_ROWS_MAX },
    };
    let (tenant, book) = (reading.tenant, &*report.book);
    let mut work = Work { api: &api, tenant, book, fixed, from, to: to.0, room, found: Vec::new() };
    let next = work.run(start, query.account.clone()).await?;
    if next.is_some() && format != Format::Json {
        let detail = format!("more than {REPORT_ROWS_MAX} postings; ask for a shorter span, or for one account");
        return Err(Problem::new(Fault::ResultTooLarge, detail));
    }
    if let Some(account) = query.account.filter(|_| work.found.is_empty()) {
        must_be_known(&api, tenant, account).await?;
    }
    let next_cursor = next.and_then(|(code, behind)| place.cursor(&(code, behind, (from.0.0, to.0.0), fixed.upto)));
    let link = next_cursor.as_deref().and_then(|cursor| place.link(cursor));
    let (currency, data) = (report.book.currency.clone(), work.found);
    let body = GeneralLedger { position: fixed.upto, from: from.0, to: to.0, currency, data, next_cursor };
    let mut response = report.answer(&body, || body.table())?;
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// The span, the position it is counted up to, and where the page begins: as the cursor says, if there is one.
async fn begin(
    api: &Api,
    reading: &Reading,
    query: &LedgerQuery,
    fixed: Fixed,
    cursor: Option<Cursor>,
) -> Result<(Fixed, Since, Until, Next), Problem> {
    if let Some((code, behind, (from, to), upto)) = cursor {
        let fixed = Fixed { as_of: fixed.as_of, upto };
        fixed.check(fixed.as_of)?;
        return Ok((fixed, Since(Timestamp(from)), Until(Timestamp(to)), (code, behind)));
    }
    let to = query.to.unwrap_or_else(|| Until(api.pipeline.now()));
    let from = match query.from {
        Some(from) => from,
        None => Since(year_start(api, reading.tenant, to.0).await?),
    };
    must_be_in_order(from, to)?;
    let first = query.account.as_ref().map_or(String::new(), ToString::to_string);
    Ok((fixed, from, to, (first, None)))
}

async fn must_be_known(api: &Api, tenant: TenantId, account: AccountCode) -> Result<(), Problem> {
    let known = api.detached(codes(api.pool.clone(), tenant, account.to_string(), Some(account.clone()))).await?;
    if known.is_empty() { Err(Problem::unknown(Rejection::UnknownAccount { account })) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use ledger_core::view::CurrencyBalance;

    use super::*;

    fn account(debits: i64, credits: i64, currency_debits: i64) -> Balance {
        Balance {
            code: "1000".into(),
            name: "Bank".into(),
            account_type: AccountType::Asset,
            parent: None,
            holds_inventory: false,
            stream_version: 1,
            position: 1,
            minimum: None,
            maximum: None,
            currencies: vec![CurrencyBalance { debits, credits, currency_debits, ..CurrencyBalance::default() }],
        }
    }

    #[test]
    fn an_account_is_shown_that_has_something_or_got_something() {
        assert!(!holds_any(&account(5, 5, 0)) && holds_any(&account(5, 4, 0)) && holds_any(&account(5, 5, 1)));
        assert!(has_moved(&account(5, 5, 0), &account(6, 6, 0)));
        assert!(!has_moved(&account(5, 5, 0), &account(5, 5, 0)));
    }

    #[test]
    fn every_row_of_the_table_names_its_account() {
        let book = Book { currency: "EUR".into(), scale: 2, ..Book::default() };
        let standing = Running::new(&book, &account(500, 100, 0).currencies).standing();
        let body = GeneralLedger {
            position: 9,
            from: Timestamp(0),
            to: Timestamp(1),
            currency: "EUR".into(),
            data: vec![LedgerAccount {
                account: "1000".into(),
                name: "Bank".into(),
                account_type: AccountType::Asset,
                continued: false,
                opening: standing.clone(),
                postings: Vec::new(),
                closing: standing,
                continues: false,
            }],
            next_cursor: None,
        };
        let rows: Vec<String> = body.table().rows.iter().map(|row| row.cells.join("|")).collect();
        assert_eq!(rows, ["1000 Bank (asset)", "1000||||Opening balance||||4.00||", "1000||||Closing balance||||4.00||"]);
    }
}
