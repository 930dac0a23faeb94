//! Open items by age: what customers owe, what suppliers are owed.
//!
//! **Correctness**: an item is what its postings sum to. What was paid without naming an item is taken off the oldest items
//! first, within one account, party and currency; what is left over stands as an unallocated amount. So what is shown of a
//! party sums to what was posted with it.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use ledger_core::domain::catalogue::command::AccountType;
use ledger_core::domain::id::AccountCode;
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::time::Timestamp;
use ledger_core::store;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::table::{Table, numbers, words};
use super::{Format, Report};
use crate::limit::{AGE_BUCKETS_MAX, AGE_DAYS_MAX};
use crate::openapi::{ReadHeaders, ReportAnswer};
use crate::path::Asked;
use crate::problem::{Fault, Problem};
use crate::query::balance::{self, Fixed, Known, must_fit, rows_max, type_word};
use crate::query::moment::{Until, day_number};
use crate::query::tenant::Book;
use crate::query::{Exact, Reading, corrupt};
use crate::state::Api;

/// Days overdue at which a bucket ends when the caller does not say.
const DAYS: [u32; 3] = [30, 60, 90];

/// Days overdue that fall together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// Its first day overdue; absent for what is not due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from_days: Option<u32>,
    /// Its last day overdue; absent for what is not due, and for the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    to_days: Option<u32>,
}

impl Bucket {
    fn title(&self) -> String {
        match (self.from_days, self.to_days) {
            (Some(from), Some(to)) => format!("{from}\u{2013}{to} days"),
            (Some(from), None) => format!("> {} days", from.saturating_sub(1)),
            (None, _) => "Not due".to_owned(),
        }
    }

    fn key(&self) -> String {
        match (self.from_days, self.to_days) {
            (Some(from), Some(to)) => format!("days_{from}_{to}"),
            (Some(from), None) => format!("days_over_{}", from.saturating_sub(1)),
            (None, _) => "not_due".to_owned(),
        }
    }
}

/// Buckets that end after these days: what is not due first, what is older than all of them last.
fn buckets(days: &[u32]) -> Vec<Bucket> {
    let begins = std::iter::once(1).chain(days.iter().map(|d| d.saturating_add(1)));
    let ends = days.iter().copied().map(Some).chain([None]);
    let overdue = begins.zip(ends).map(|(from, to)| Bucket { from_days: Some(from), to_days: to });
    std::iter::once(Bucket { from_days: None, to_days: None }).chain(overdue).collect()
}

/// The bucket for a number of days overdue.
fn bucket_of(days: &[u32], overdue: i64) -> usize {
    if overdue <= 0 { 0 } else { days.partition_point(|d| i64::from(*d) < overdue).saturating_add(1) }
}

/// Ends of buckets from `30,60,90`.
fn parse_days(text: &str) -> Option<Vec<u32>> {
    let days: Vec<u32> = text.split(',').map(|d| d.parse().ok().filter(|_| !d.starts_with('+'))).collect::<Option<_>>()?;
    let is_rising = days.is_sorted_by(|a, b| a < b);
    let fits = days.len() < AGE_BUCKETS_MAX && days.iter().all(|d| (1..=AGE_DAYS_MAX).contains(d));
    (is_rising && fits).then_some(days)
}

/// One open item.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct OpenItem {
    /// Its name, such as an invoice's number; absent for a charge without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    item: Option<String>,
    /// When it is due; the day of its first posting if none was said. Absent for what was paid and not allocated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    due_at: Option<Timestamp>,
    /// Days overdue, counted by the calendar (UTC); zero or less is not due.
    days_overdue: i64,
    /// Which of the buckets it is in.
    bucket: usize,
    /// What is open of it; below zero where more was paid.
    amount: Exact,
    /// True for what was paid beyond all items, or before any.
    unallocated: bool,
}

/// Open items of one party on one account in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartyItems {
    /// The customer or supplier.
    party: String,
    /// The account.
    account: String,
    /// The currency.
    currency: String,
    /// Oldest first.
    items: Vec<OpenItem>,
    /// Their sums by bucket.
    buckets: Vec<Exact>,
    /// Their sum.
    total: Exact,
}

/// Sums in one currency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgedTotal {
    /// The currency.
    currency: String,
    /// Sums by bucket.
    buckets: Vec<Exact>,
    /// Their sum.
    total: Exact,
}

/// Open items by age.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgedItems {
    /// The report includes every event up to here, and none after it.
    position: i64,
    /// Ages are counted to this instant.
    as_of: Timestamp,
    /// What is not due first.
    buckets: Vec<Bucket>,
    /// By account, party and currency.
    parties: Vec<PartyItems>,
    /// By currency, the base currency first.
    totals: Vec<AgedTotal>,
}

/// As of when, and how old.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgedQuery {
    /// Effective time: everything that had happened by then, as known now. The present instant if absent.
    #[param(nullable = false)]
    as_of: Option<Until>,
    /// Days overdue at which each bucket ends, rising; `30,60,90` if absent.
    #[param(max_length = 64, pattern = "^[0-9]{1,4}(,[0-9]{1,4}){0,10}$", nullable = false)]
    days: Option<String>,
    /// This account only.
    #[param(value_type = Option<String>, nullable = false)]
    account: Option<AccountCode>,
    /// Everything up to this event, as known then.
    #[param(minimum = 0, nullable = false)]
    as_of_position: Option<i64>,
    /// Everything recorded before this instant, as known then.
    #[param(value_type = Option<Timestamp>, nullable = false)]
    recorded_before: Option<Timestamp>,
    /// What `Accept` names, or JSON, if absent.
    #[param(inline, nullable = false)]
    format: Option<Format>,
}

#[derive(Clone, sqlx::FromRow)]
struct Row {
    as_of: i64,
    account: Option<String>,
    party: Option<String>,
    currency: Option<String>,
    scale: Option<i16>,
    item: Option<String>,
    due_at: Option<i64>,
    effective_at: Option<i64>,
    units: Option<i64>,
    is_credit: Option<bool>,
}

/// Something open, in units.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    item: Option<String>,
    due: Timestamp,
    units: i128,
}

/// Takes what was paid without naming an item off the items, oldest first; what is left over.
fn allocate(items: &mut [Open], mut paid: i128) -> i128 {
    for open in items.iter_mut().filter(|open| open.units > 0) {
        let part = open.units.min(paid);
        (open.units, paid) = (open.units.saturating_sub(part), paid.saturating_sub(part));
    }
    paid
}

/// Rows of one account, party and currency, oldest first.
struct Group {
    account: String,
    party: String,
    currency: String,
    scale: u8,
    open: Vec<Open>,
    paid: i128,
}

/// Rows stand together by group, oldest first.
fn groups(rows: Vec<Row>, book: &Book) -> Result<Vec<Group>, store::Error> {
    let wrong = || corrupt("view_posting");
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let (Some(account), Some(party), Some(currency)) = (row.account, row.party, row.currency) else { continue };
        let is_same = |g: &Group| g.account == account && g.party == party && g.currency == currency;
        if !groups.last().is_some_and(is_same) {
            let scale = match currency.is_empty() {
                true => book.scale,
                false => row.scale.and_then(|s| u8::try_from(s).ok()).ok_or_else(wrong)?,
            };
            groups.push(Group { account, party, currency, scale, open: Vec::new(), paid: 0 });
        }
        let Some(group) = groups.last_mut() else { continue };
        let units = i128::from(row.units.ok_or_else(wrong)?);
        if row.is_credit == Some(true) {
            group.paid = group.paid.saturating_add(units);
        } else {
            let due = row.due_at.or(row.effective_at).map(Timestamp).ok_or_else(wrong)?;
            group.open.push(Open { item: row.item, due, units });
        }
    }
    Ok(groups)
}

/// A group with its items by age; `None` where nothing is open.
fn party_items(mut group: Group, book: &Book, days: &[u32], as_of: Timestamp) -> Option<(PartyItems, Vec<i128>)> {
    let left = allocate(&mut group.open, group.paid);
    let exact = |units: i128| Exact::new(units, group.scale);
    let mut sums = vec![0_i128; days.len().saturating_add(2)];
    let mut items = Vec::new();
    let mut push = |item: Option<String>, due: Option<Timestamp>, units: i128| {
        let days_overdue = due.map_or(0, |due| day_number(as_of).saturating_sub(day_number(due)));
        let bucket = bucket_of(days, days_overdue);
        if let Some(sum) = sums.get_mut(bucket) {
            *sum = sum.saturating_add(units);
        }
        items.push(OpenItem { item, due_at: due, days_overdue, bucket, amount: exact(units), unallocated: due.is_none() });
    };
    for open in group.open.into_iter().filter(|open| open.units != 0) {
        push(open.item, Some(open.due), open.units);
    }
    if left != 0 {
        push(None, None, left.saturating_neg());
    }
    if items.is_empty() {
        return None;
    }
    let total = sums.iter().fold(0_i128, |sum, units| sum.saturating_add(*units));
    let (buckets, currency) = (sums.iter().map(|units| exact(*units)).collect(), book.shown(&group.currency).to_owned());
    let body = PartyItems { party: group.party, account: group.account, currency, items, buckets, total: exact(total) };
    Some((body, sums))
}

/// A currency as the views name it, its decimals, its units by bucket.
type CurrencyUnits = (String, u8, Vec<i128>);

fn aged(rows: Vec<Row>, book: &Book, fixed: Fixed, days: &[u32], as_of: Timestamp) -> Result<AgedItems, store::Error> {
    let (mut parties, mut totals) = (Vec::new(), Vec::<CurrencyUnits>::new());
    for group in groups(rows, book)? {
        let (currency, scale) = (group.currency.clone(), group.scale);
        let Some((body, units)) = party_items(group, book, days, as_of) else { continue };
        parties.push(body);
        let at = totals.partition_point(|(known, _, _)| *known < currency);
        match totals.get_mut(at).filter(|(known, _, _)| *known == currency) {
            Some((_, _, sums)) => sums.iter_mut().zip(units).for_each(|(sum, more)| *sum = sum.saturating_add(more)),
            None => totals.insert(at, (currency, scale, units)),
        }
    }
    let total = |(currency, scale, units): CurrencyUnits| AgedTotal {
        currency: book.shown(&currency).to_owned(),
        total: Exact::new(units.iter().fold(0_i128, |sum, n| sum.saturating_add(*n)), scale),
        buckets: units.into_iter().map(|n| Exact::new(n, scale)).collect(),
    };
    let totals = totals.into_iter().map(total).collect();
    Ok(AgedItems { position: fixed.upto, as_of, buckets: buckets(days), parties, totals })
}

impl AgedItems {
    fn table(&self, title: &'static str) -> Table {
        let mut columns = vec![
            words("party", "Party"),
            words("account", "Account"),
            words("item", "Item"),
            words("due", "Due"),
            words("currency", "Currency"),
        ];
        columns.extend(self.buckets.iter().map(|b| numbers(&b.key(), &b.title())));
        columns.push(numbers("total", "Total"));
        let mut table = Table::new(title, vec![format!("As of {}", Until(self.as_of))], columns);
        for party in &self.parties {
            for item in &party.items {
                let due = item.due_at.map_or(String::new(), |due| due.to_string().chars().take(10).collect());
                let name = item.item.clone().unwrap_or_else(|| if item.unallocated { "unallocated" } else { "" }.to_owned());
                let mut cells = vec![party.party.clone(), party.account.clone(), name, due, party.currency.clone()];
                let of_bucket = |at: usize| if at == item.bucket { item.amount.to_string() } else { String::new() };
                cells.extend((0..self.buckets.len()).map(of_bucket));
                cells.push(item.amount.to_string());
                table.line(1, cells);
            }
            let head = [format!("Total {}", party.party), party.account.clone(), String::new(), String::new()];
            table.total(1, sums(head, &party.currency, &party.buckets, party.total));
        }
        for total in &self.totals {
            let head = ["Total".to_owned(), String::new(), String::new(), String::new()];
            table.total(0, sums(head, &total.currency, &total.buckets, total.total));
        }
        table.note("What was paid without naming an item is taken off the oldest items first.");
        table.note("An item without a due date is due on the day of its first posting. Days are counted by the calendar (UTC).");
        table
    }
}

/// Cells of a row of sums.
fn sums(head: [String; 4], currency: &str, buckets: &[Exact], total: Exact) -> Vec<String> {
    let figures = buckets.iter().map(Exact::to_string).chain([total.to_string()]);
    head.into_iter().chain([currency.to_owned()]).chain(figures).collect()
}

/// The account must be there, and of the type the report is on.
async fn check_account(api: &Api, reading: &Reading, account: &AccountCode, account_type: AccountType) -> Result<(), Problem> {
    let found = balance::now(api, reading.tenant, Some(vec![account.to_string()])).await?;
    match found.accounts.first() {
        None => Err(Problem::unknown(Rejection::UnknownAccount { account: account.clone() })),
        Some(found) if found.account_type != account_type => {
            let detail = format!("account: is not of type {}", type_word(account_type));
            Err(Problem::new(Fault::ParameterInvalid, detail))
        }
        Some(_) => Ok(()),
    }
}

async fn show(
    (api, reading): (&Api, &Reading),
    query: AgedQuery,
    headers: &HeaderMap,
    account_type: AccountType,
    (name, title): (&'static str, &'static str),
) -> Result<Response, Problem> {
    let days = match query.days.as_deref() {
        None => DAYS.to_vec(),
        Some(text) => parse_days(text).ok_or_else(|| {
            let detail = format!("days: must be rising numbers from 1 to {AGE_DAYS_MAX}, fewer than {AGE_BUCKETS_MAX}");
            Problem::new(Fault::ParameterInvalid, detail)
        })?,
    };
    let known = Known { as_of_position: query.as_of_position, recorded_before: query.recorded_before };
    let (api, fixed) = known.fixed(api, reading).await?;
    let api = &api;
    if let Some(account) = &query.account {
        check_account(api, reading, account, account_type).await?;
    }
    let as_of = query.as_of.map_or_else(|| api.pipeline.now(), |until| until.0);
    let (pool, tenant, upto) = (api.pool.clone(), reading.tenant.0, fixed.upto);
    let account = query.account.map(|a| a.to_string());
    let read = async move {
        let statement = sqlx::query_as(include_str!("../aged.sql")).bind(tenant).bind(type_word(account_type)).bind(account);
        Ok(statement.bind(as_of.0).bind(upto).bind(rows_max()).fetch_all(&pool).await?)
    };
    let rows: Vec<Row> = api.detached(read).await?;
    must_fit(rows.len(), "open items; ask for one account")?;
    fixed.check(rows.first().map_or(0, |row| row.as_of))?;
    let report = Report::new((api, reading), name, Format::of(query.format, headers), fixed).await?;
    let body = aged(rows, &report.book, fixed, &days, as_of)?;
    report.answer(&body, || body.table(title))
}

/// Aged receivables
///
/// Open items of asset accounts that were posted with a party, by how long they are overdue. What was paid without naming an
/// item is taken off the oldest items first. Foreign items are shown in their own currency. Reads every posting that has a
/// party up to `as_of`.
#[utoipa::path(get, path = "/v1/reports/aged-receivables", tag = "Reports", operation_id = "get_aged_receivables",
    params(AgedQuery, ReadHeaders), responses(ReportAnswer<AgedItems>))]
pub(crate) async fn get_aged_receivables(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<AgedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = ("aged-receivables", "Aged receivables");
    show((&api, &reading), query, &headers, AccountType::Asset, name).await
}

/// Aged payables
///
/// Open items of liability accounts that were posted with a party, by how long they are overdue; otherwise as aged
/// receivables.
#[utoipa::path(get, path = "/v1/reports/aged-payables", tag = "Reports", operation_id = "get_aged_payables",
    params(AgedQuery, ReadHeaders), responses(ReportAnswer<AgedItems>))]
pub(crate) async fn get_aged_payables(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<AgedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = ("aged-payables", "Aged payables");
    show((&api, &reading), query, &headers, AccountType::Liability, name).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;
    const FIXED: Fixed = Fixed { as_of: 9, upto: 9 };

    #[test]
    fn a_bucket_ends_on_its_last_day() {
        let of = |overdue| bucket_of(&DAYS, overdue);
        assert_eq!(
            [of(-5), of(0), of(1), of(30), of(31), of(60), of(61), of(90), of(91), of(9_999)],
            [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
        );
        let titles: Vec<String> = buckets(&DAYS).iter().map(Bucket::title).collect();
        assert_eq!(titles, ["Not due", "1\u{2013}30 days", "31\u{2013}60 days", "61\u{2013}90 days", "> 90 days"]);
        let keys: Vec<String> = buckets(&[7]).iter().map(Bucket::key).collect();
        assert_eq!(keys, ["not_due", "days_1_7", "days_over_7"]);
        for at in 0..200 {
            let bucket = &buckets(&DAYS)[of(at)];
            let overdue = u32::try_from(at).unwrap();
            assert!(bucket.from_days.is_none_or(|from| from <= overdue) && bucket.to_days.is_none_or(|to| overdue <= to), "{at}");
        }
    }

    #[test]
    fn days_rise() {
        assert_eq!(parse_days("30,60,90"), Some(vec![30, 60, 90]));
        assert_eq!(parse_days("1"), Some(vec![1]));
        let many: Vec<String> = (1..=AGE_BUCKETS_MAX).map(|d| d.to_string()).collect();
        for bad in ["", "0", "30,30", "60,30", "a", "30,", "-1", "+1", "1.5", "99999999", &many.join(",")] {
            assert_eq!(parse_days(bad), None, "{bad}");
        }
    }

    #[test]
    fn payments_without_an_item_pay_the_oldest_first() {
        let open = |units: i128| Open { item: None, due: Timestamp(0), units };
        let applied = |paid| {
            let mut items = vec![open(100), open(-20), open(50), open(30)];
            let left = allocate(&mut items, paid);
            (items.iter().map(|o| o.units).collect::<Vec<_>>(), left)
        };
        assert_eq!(applied(0), (vec![100, -20, 50, 30], 0));
        assert_eq!(applied(100), (vec![0, -20, 50, 30], 0));
        assert_eq!(applied(120), (vec![0, -20, 30, 30], 0));
        assert_eq!(applied(200), (vec![0, -20, 0, 0], 20));
    }

    fn row(party: &str, currency: &str, item: Option<&str>, due: Option<i64>, units: i64, is_credit: bool) -> Row {
        Row {
            as_of: 9,
            account: Some("1100".into()),
            party: Some(party.into()),
            currency: Some(currency.into()),
            scale: Some(0),
            item: item.map(Into::into),
            due_at: due,
            effective_at: Some(0),
            units: Some(units),
            is_credit: Some(is_credit),
        }
    }

    #[test]
    fn a_partys_items_sum_to_what_was_posted_with_it() {
        let book = Book { currency: "EUR".into(), scale: 2, ..Book::default() };
        let as_of = Timestamp(100 * DAY + 5);
        let rows = vec![
            row("A", "", Some("INV1"), Some(5 * DAY), 10_000, false),
            row("A", "", None, None, 4_000, true),
            row("A", "", Some("INV2"), Some(100 * DAY + 99), 2_500, false),
            row("A", "JPY", Some("INV3"), Some(69 * DAY), 700, false),
            row("B", "", None, None, 1_500, true),
            row("C", "", Some("INV4"), Some(0), 10, false),
            row("C", "", None, None, 10, true),
        ];
        let report = aged(rows, &book, FIXED, &DAYS, as_of).unwrap();
        let shown: Vec<(String, String, Vec<String>)> = report
            .parties
            .iter()
            .map(|p| (p.party.clone(), p.total.to_string(), p.buckets.iter().map(Exact::to_string).collect()))
            .collect();
        let figures = |n: [&str; 5]| n.map(str::to_owned).to_vec();
        assert_eq!(
            shown,
            [
                ("A".to_owned(), "85.00".to_owned(), figures(["25.00", "0.00", "0.00", "0.00", "60.00"])),
                ("A".to_owned(), "700".to_owned(), figures(["0", "0", "700", "0", "0"])),
                ("B".to_owned(), "-15.00".to_owned(), figures(["-15.00", "0.00", "0.00", "0.00", "0.00"])),
            ]
        );
        assert!(report.parties[2].items[0].unallocated);
        let totals: Vec<(String, String)> = report.totals.iter().map(|t| (t.currency.clone(), t.total.to_string())).collect();
        assert_eq!(totals, [("EUR".to_owned(), "70.00".to_owned()), ("JPY".to_owned(), "700".to_owned())]);
        let table = report.table("Aged receivables");
        assert!(table.rows.iter().all(|row| row.cells.len() == table.columns.len()));
    }
}
