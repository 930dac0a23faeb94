//! Items, locations and accounts as defined.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::catalogue::command::{
    AccountType, Component, CostPool, LimitOn, LocationKind, NegativeStock, Tracking, ValuationMethod,
};
use ledger_core::domain::id::{AccountCode, LocationCode, Position, Sku};
use ledger_core::domain::rejection::Rejection;
use ledger_core::domain::unit::UnitOfMeasure;
use ledger_core::store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use utoipa::{IntoParams, ToSchema};

use super::page::Place;
use super::{Reading, Version, corrupt};
use crate::limit::{DEFINITIONS_SCANNED_MAX, SEARCH_WORDS_MAX};
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// An item as defined.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ItemBody {
    /// The item.
    sku: String,
    /// Display name.
    name: String,
    /// Base unit.
    unit: String,
    /// Decimals of a quantity.
    scale: u8,
    /// How issues are costed.
    method: ValuationMethod,
    /// Chooses the posting rules.
    posting_class: String,
    /// Whether on hand may go below zero.
    negative_stock: NegativeStock,
    /// Out of use.
    retired: bool,
    /// What tells one unit from another; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tracking: Option<Tracking>,
    /// Which stock shares one cost; a warehouse's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pool: Option<CostPool>,
    /// Cost of one base unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<super::Exact>)]
    standard_cost: Option<String>,
    /// Alternate units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    units: Option<Vec<UnitOfMeasure>>,
    /// What one is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    components: Option<Vec<Component>>,
    /// Version of its stream: what `If-Match` takes.
    #[serde(default)]
    stream_version: i64,
    /// The event that made it so.
    #[serde(default)]
    position: i64,
}

/// A location as defined.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct LocationBody {
    /// The location.
    code: String,
    /// Display name.
    name: String,
    /// What it is.
    kind: LocationKind,
    /// Out of use.
    retired: bool,
    /// The location this one is inside of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parent: Option<String>,
    /// Metres east on the tenant's plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    x: Option<i32>,
    /// Metres north on the tenant's plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    y: Option<i32>,
    /// Version of its stream: what `If-Match` takes.
    #[serde(default)]
    stream_version: i64,
    /// The event that made it so.
    #[serde(default)]
    position: i64,
}

/// An account as defined.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct AccountBody {
    /// The account.
    code: String,
    /// Display name.
    name: String,
    /// Decides the normal side.
    account_type: AccountType,
    /// The account this one is summed into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parent: Option<String>,
    /// Closed to new postings.
    retired: bool,
    /// Takes postings from stock facts only.
    #[serde(default)]
    holds_inventory: bool,
    /// The only currency it takes; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    currency: Option<String>,
    /// Lowest balance on the normal side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<super::Exact>)]
    minimum: Option<String>,
    /// Highest balance on the normal side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<super::Exact>)]
    maximum: Option<String>,
    /// What the limits hold for; posted and pending if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limit_on: Option<LimitOn>,
    /// Whether its foreign balances are restated at a period's end; assets and liabilities are, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    monetary: Option<bool>,
    /// Dimensions that a posting by hand must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    required_dimensions: Option<Vec<String>>,
    /// Version of its stream: what `If-Match` takes.
    #[serde(default)]
    stream_version: i64,
    /// The event that made it so.
    #[serde(default)]
    position: i64,
}

/// A definition with the columns beside it.
trait Defined: DeserializeOwned + Serialize + Send + 'static {
    /// Statement for a page.
    const LIST: &'static str;
    /// Statement for a page of those that have some words.
    const FOUND: &'static str;
    /// Statement for one.
    const ONE: &'static str;
    fn key(&self) -> &str;
    fn version(&self) -> i64;
    fn take_columns(&mut self, row: &PgRow) -> Result<(), sqlx::Error>;
}

macro_rules! defined {
    ($body:ident by $key:ident, $list:literal, $found:literal, $one:literal $(, $column:ident at $at:literal)?) => {
        impl Defined for $body {
            const LIST: &'static str = include_str!($list);
            const FOUND: &'static str = include_str!($found);
            const ONE: &'static str = include_str!($one);

            fn key(&self) -> &str {
                &self.$key
            }

            fn version(&self) -> i64 {
                self.stream_version
            }

            fn take_columns(&mut self, row: &PgRow) -> Result<(), sqlx::Error> {
                (self.stream_version, self.position) = (row.try_get(1)?, row.try_get(2)?);
                $(self.$column = row.try_get($at)?;)?
                Ok(())
            }
        }
    };
}

defined!(ItemBody by sku, "items.sql", "items_found.sql", "item.sql");
defined!(LocationBody by code, "locations.sql", "locations_found.sql", "location.sql");
defined!(AccountBody by code, "accounts.sql", "accounts_found.sql", "account.sql", holds_inventory at 4);

/// The definition in a row; `None` in the one row of an empty list.
fn defined<T: Defined>(row: &PgRow) -> Result<Option<T>, store::Error> {
    let Some(definition) = row.try_get::<Option<&str>, _>(3)? else { return Ok(None) };
    let mut body: T = serde_json::from_str(definition).map_err(|_| corrupt("definition"))?;
    body.take_columns(row)?;
    Ok(Some(body))
}

fn as_of(rows: &[PgRow]) -> Result<Position, store::Error> {
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

async fn read_page<T: Defined>(pool: PgPool, tenant: i64, after: String, rows: i64) -> Result<(Position, Vec<T>), store::Error> {
    let rows = sqlx::query(T::LIST).bind(tenant).bind(after).bind(rows).fetch_all(&pool).await?;
    let bodies = rows.iter().filter_map(|row| defined(row).transpose()).collect::<Result<_, _>>()?;
    Ok((as_of(&rows)?, bodies))
}

/// Definitions that have some words, and the last one looked at if there may be more behind it.
async fn read_found<T: Defined>(
    pool: PgPool,
    tenant: i64,
    after: String,
    rows: i64,
    patterns: Vec<String>,
) -> Result<(Position, Vec<T>, Option<String>), store::Error> {
    let query = sqlx::query(T::FOUND).bind(tenant).bind(after).bind(rows).bind(patterns).bind(DEFINITIONS_SCANNED_MAX);
    let rows = query.fetch_all(&pool).await?;
    let bodies = rows.iter().filter_map(|row| defined(row).transpose()).collect::<Result<_, _>>()?;
    let looked_to = rows.first().map(|row| row.try_get("looked_to")).transpose()?.flatten();
    Ok((as_of(&rows)?, bodies, looked_to))
}

async fn read_one<T: Defined>(pool: PgPool, tenant: i64, key: String) -> Result<(Position, Option<T>), store::Error> {
    let row = sqlx::query(T::ONE).bind(tenant).bind(key).fetch_one(&pool).await?;
    Ok((row.try_get(0)?, defined(&row)?))
}

/// Which definitions.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CatalogueQuery {
    /// Only those with all of these words, or parts of words, in their code or name; upper and lower case are the same. At
    /// most 10,000 are looked at per call: a page may have few rows, or none, and still a successor.
    #[param(max_length = 256, nullable = false)]
    search: Option<String>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// Patterns of LIKE, one for each word, in lower case.
///
/// # Errors
/// `parameter_invalid` for more than [`SEARCH_WORDS_MAX`].
fn patterns(search: &str) -> Result<Vec<String>, Problem> {
    let escaped = |word: &str| -> String {
        let pieces = word.chars().map(|c| if matches!(c, '%' | '_' | '\\') { format!("\\{c}") } else { c.to_string() });
        format!("%{}%", pieces.collect::<String>())
    };
    let patterns: Vec<String> = search.to_lowercase().split_whitespace().map(escaped).collect();
    if patterns.len() > SEARCH_WORDS_MAX {
        return Err(Problem::new(Fault::ParameterInvalid, format!("search takes at most {SEARCH_WORDS_MAX} words")));
    }
    Ok(patterns)
}

async fn list<T: Defined>(api: &Api, reading: &Reading, uri: &Uri, query: CatalogueQuery) -> Result<Response, Problem> {
    let patterns = patterns(query.search.as_deref().unwrap_or(""))?;
    let place = Place::new(reading, uri, &patterns.join(" "), query.limit)?;
    let after = place.after::<String>(query.cursor.as_deref())?.unwrap_or_default();
    let api = &reading.settle(api).await?;
    if !patterns.is_empty() {
        let read = read_found::<T>(api.pool.clone(), reading.tenant.0, after, place.rows_to_read(), patterns);
        let (as_of, mut bodies, looked_to) = api.detached(read).await?;
        let next = place.cut(&mut bodies, |body| body.key().to_owned()).or_else(|| place.cursor(&looked_to?));
        return place.show_page(reading, as_of, bodies, next);
    }
    let (as_of, bodies) = api.detached(read_page::<T>(api.pool.clone(), reading.tenant.0, after, place.rows_to_read())).await?;
    place.show(reading, as_of, bodies, |body| body.key().to_owned())
}

async fn one<T: Defined>(api: &Api, reading: &Reading, key: &str, unknown: Rejection) -> Result<Response, Problem> {
    let api = &reading.settle(api).await?;
    let (as_of, body) = api.detached(read_one::<T>(api.pool.clone(), reading.tenant.0, key.to_owned())).await?;
    let body = body.ok_or_else(|| Problem::unknown(unknown))?;
    reading.show(as_of, Version::Stream(body.version()), &body)
}

/// Lists items
///
/// By SKU, retired ones included.
#[utoipa::path(get, path = "/v1/items", tag = "Catalogue", params(CatalogueQuery, ReadHeaders), responses(PageAnswer<ItemBody>))]
pub(crate) async fn list_items(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<CatalogueQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    list::<ItemBody>(&api, &reading, &uri, query).await
}

/// Shows an item
#[utoipa::path(get, path = "/v1/items/{sku}", tag = "Catalogue", params(("sku" = Sku, Path, description = "The item"), ReadHeaders),
    responses(ReadAnswer<ItemBody>))]
pub(crate) async fn get_item(State(api): State<Api>, reading: Reading, Named(sku): Named<Sku>) -> Result<Response, Problem> {
    one::<ItemBody>(&api, &reading, sku.as_str(), Rejection::UnknownItem { sku: sku.clone() }).await
}

/// Lists locations
///
/// By code, retired ones included.
#[utoipa::path(get, path = "/v1/locations", tag = "Catalogue", params(CatalogueQuery, ReadHeaders),
    responses(PageAnswer<LocationBody>))]
pub(crate) async fn list_locations(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<CatalogueQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    list::<LocationBody>(&api, &reading, &uri, query).await
}

/// Shows a location
#[utoipa::path(get, path = "/v1/locations/{code}", tag = "Catalogue",
    params(("code" = LocationCode, Path, description = "The location"), ReadHeaders), responses(ReadAnswer<LocationBody>))]
pub(crate) async fn get_location(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<LocationCode>,
) -> Result<Response, Problem> {
    one::<LocationBody>(&api, &reading, code.as_str(), Rejection::UnknownLocation { location: code.clone() }).await
}

/// Lists accounts
///
/// The chart of accounts by code, closed ones included.
#[utoipa::path(get, path = "/v1/accounts", tag = "Catalogue", params(CatalogueQuery, ReadHeaders), responses(PageAnswer<AccountBody>))]
pub(crate) async fn list_accounts(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<CatalogueQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    list::<AccountBody>(&api, &reading, &uri, query).await
}

/// Shows an account
#[utoipa::path(get, path = "/v1/accounts/{code}", tag = "Catalogue",
    params(("code" = AccountCode, Path, description = "The account"), ReadHeaders), responses(ReadAnswer<AccountBody>))]
pub(crate) async fn get_account(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<AccountCode>,
) -> Result<Response, Problem> {
    one::<AccountBody>(&api, &reading, code.as_str(), Rejection::UnknownAccount { account: code.clone() }).await
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown<T: Defined>(definition: &Value) -> Value {
        let body: T = serde_json::from_value(definition.clone()).unwrap();
        serde_json::to_value(body).unwrap()
    }

    #[test]
    fn a_definition_is_shown_whole() {
        let mut item = json!({
            "sku": "K", "name": "Kit", "unit": "each", "scale": 0, "method": "standard", "posting_class": "default",
            "negative_stock": "forbid", "retired": false, "tracking": "lot", "pool": "tenant", "standard_cost": "1.2345",
            "units": [{"code": "box", "numerator": 12, "denominator": 1}], "components": [{"sku": "A", "quantity": "0.5"}],
        });
        let mut location =
            json!({"code": "B1", "name": "Bin", "kind": "storage", "retired": false, "parent": "Z1", "x": -3, "y": 4});
        let mut account = json!({
            "code": "1000", "name": "Bank", "account_type": "asset", "parent": "1", "retired": false, "holds_inventory": true,
            "currency": "USD", "minimum": "0", "maximum": "10.5", "limit_on": "posted", "monetary": false,
            "required_dimensions": ["cost_centre"],
        });
        let columns = json!({"stream_version": 0, "position": 0});
        let with_columns = |definition: &mut Value| {
            definition.as_object_mut().unwrap().extend(columns.as_object().unwrap().clone());
        };
        let shown = (shown::<ItemBody>(&item), shown::<LocationBody>(&location), shown::<AccountBody>(&account));
        [&mut item, &mut location, &mut account].into_iter().for_each(with_columns);
        assert_eq!(shown, (item, location, account));
    }

    #[test]
    fn words_are_looked_for_as_they_are() {
        assert_eq!(patterns("  Grün 5%_x\\ ").unwrap(), ["%grün%", "%5\\%\\_x\\\\%"]);
        assert!(patterns("").unwrap().is_empty());
        assert_eq!(patterns(&"a ".repeat(9)).unwrap_err().code(), "parameter_invalid");
    }

    #[test]
    fn a_definition_from_before_has_no_new_fields() {
        let location = json!({"code": "L", "name": "", "kind": "storage", "retired": false});
        assert!(shown::<LocationBody>(&location).get("parent").is_none());
    }
}
