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
use utoipa::ToSchema;

use super::page::Place;
use super::{PageQuery, Reading, Version, corrupt};
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
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
    /// Statement for one.
    const ONE: &'static str;
    fn key(&self) -> &str;
    fn version(&self) -> i64;
    fn take_columns(&mut self, row: &PgRow) -> Result<(), sqlx::Error>;
}

macro_rules! defined {
    ($body:ident by $key:ident, $list:literal, $one:literal $(, $column:ident at $at:literal)?) => {
        impl Defined for $body {
            const LIST: &'static str = include_str!($list);
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

defined!(ItemBody by sku, "items.sql", "item.sql");
defined!(LocationBody by code, "locations.sql", "location.sql");
defined!(AccountBody by code, "accounts.sql", "account.sql", holds_inventory at 4);

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

async fn read_one<T: Defined>(pool: PgPool, tenant: i64, key: String) -> Result<(Position, Option<T>), store::Error> {
    let row = sqlx::query(T::ONE).bind(tenant).bind(key).fetch_one(&pool).await?;
    Ok((row.try_get(0)?, defined(&row)?))
}

async fn list<T: Defined>(api: &Api, reading: &Reading, uri: &Uri, query: PageQuery) -> Result<Response, Problem> {
    let place = Place::new(reading, uri, "", query.limit)?;
    let after = place.after::<String>(query.cursor.as_deref())?.unwrap_or_default();
    let api = &reading.settle(api).await?;
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
#[utoipa::path(get, path = "/v1/items", tag = "Catalogue", params(PageQuery, ReadHeaders), responses(PageAnswer<ItemBody>))]
pub(crate) async fn list_items(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
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
#[utoipa::path(get, path = "/v1/locations", tag = "Catalogue", params(PageQuery, ReadHeaders),
    responses(PageAnswer<LocationBody>))]
pub(crate) async fn list_locations(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
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
#[utoipa::path(get, path = "/v1/accounts", tag = "Catalogue", params(PageQuery, ReadHeaders), responses(PageAnswer<AccountBody>))]
pub(crate) async fn list_accounts(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
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
    fn a_definition_from_before_has_no_new_fields() {
        let location = json!({"code": "L", "name": "", "kind": "storage", "retired": false});
        assert!(shown::<LocationBody>(&location).get("parent").is_none());
    }
}
