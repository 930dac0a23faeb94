//! What groups accounts and postings, as defined: account sets, dimensions, tax codes, posting rules.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::account::command::TaxDirection;
use ledger_core::domain::catalogue::command::MovementKind;
use ledger_core::domain::id::{AccountSetCode, DimensionCode, Position, PostingClass, TaxCode};
use ledger_core::domain::rejection::Rejection;
use ledger_core::store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::ToSchema;

use super::page::Place;
use super::{Exact, PageQuery, Reading, Version, corrupt};
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// A definition with the columns beside it.
pub(super) trait Defined: DeserializeOwned + Serialize + Send + 'static {
    /// The word in the table.
    const KIND: &'static str;
    fn set_columns(&mut self, stream_version: i64, position: Position);
    fn stream_version(&self) -> i64;
    /// Its code in the table.
    fn key(&self) -> String;
}

macro_rules! definitions {
    ($($(#[$doc:meta])* $kind:literal $name:ident by $key:expr => { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Deserialize, Serialize, ToSchema)]
            pub(crate) struct $name {
                $($(#[$fdoc])* $field: $type,)*
                /// Version of its stream: what `If-Match` takes.
                #[serde(default)]
                stream_version: i64,
                /// The event that made it so.
                #[serde(default)]
                position: i64,
            }

            impl Defined for $name {
                const KIND: &'static str = $kind;

                fn set_columns(&mut self, stream_version: i64, position: Position) {
                    (self.stream_version, self.position) = (stream_version, position);
                }

                fn stream_version(&self) -> i64 {
                    self.stream_version
                }

                fn key(&self) -> String {
                    let key: fn(&Self) -> String = $key;
                    key(self)
                }
            }
        )*
    };
}

definitions! {
    /// A set of accounts as defined.
    "account_set" AccountSetBody by |d| d.code.clone() => {
        /// The set.
        code: String,
        /// Display name.
        name: String,
        /// Accounts in it.
        accounts: Vec<String>,
        /// Sets whose accounts are in it.
        sets: Vec<String>,
        /// Out of use.
        retired: bool,
    }

    /// A dimension as defined.
    "dimension" DimensionBody by |d| d.code.clone() => {
        /// The dimension.
        code: String,
        /// Display name.
        name: String,
        /// The only values it may have; any if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        values: Option<Vec<String>>,
        /// Out of use.
        retired: bool,
    }

    /// A tax code as defined.
    "tax_code" TaxCodeBody by |d| d.code.clone() => {
        /// The code.
        code: String,
        /// Display name.
        name: String,
        /// Per cent.
        #[schema(value_type = Exact)]
        rate: String,
        /// Whether the tax is owed or recoverable.
        direction: TaxDirection,
        /// Where the tax is posted.
        account: String,
        /// Out of use.
        retired: bool,
    }

    /// A posting rule as defined.
    "posting_rule" PostingRuleBody by |d| rule_key(d.movement, &d.class) => {
        /// The movement.
        movement: MovementKind,
        /// The class of items.
        class: String,
        /// Where such a movement posts.
        account: String,
    }
}

/// A posting rule's code in the table.
fn rule_key(movement: MovementKind, class: &str) -> String {
    format!("{}/{class}", movement.as_str())
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    stream_version: Option<i64>,
    position: Option<i64>,
    body: Option<String>,
}

impl Row {
    fn body<T: Defined>(self) -> Result<Option<T>, store::Error> {
        let Some(body) = self.body else { return Ok(None) };
        let wrong = || corrupt("view_definition");
        let mut body: T = serde_json::from_str(&body).map_err(|_| wrong())?;
        body.set_columns(self.stream_version.ok_or_else(wrong)?, self.position.ok_or_else(wrong)?);
        Ok(Some(body))
    }
}

async fn read_page(pool: PgPool, tenant: i64, kind: &'static str, after: String, rows: i64) -> Result<Vec<Row>, store::Error> {
    let query = sqlx::query_as(include_str!("definitions.sql")).bind(tenant).bind(kind).bind(after).bind(rows);
    Ok(query.fetch_all(&pool).await?)
}

async fn read_one(pool: PgPool, tenant: i64, kind: &'static str, code: String) -> Result<Row, store::Error> {
    Ok(sqlx::query_as(include_str!("definition.sql")).bind(tenant).bind(kind).bind(code).fetch_one(&pool).await?)
}

/// One definition and the position of the views.
pub(super) async fn find<T: Defined>(api: &Api, reading: &Reading, code: &str) -> Result<(Position, Option<T>), Problem> {
    let api = &reading.settle(api).await?;
    let row = api.detached(read_one(api.pool.clone(), reading.tenant.0, T::KIND, code.to_owned())).await?;
    Ok((row.as_of, row.body()?))
}

async fn one<T: Defined>(api: &Api, reading: &Reading, code: &str, unknown: Problem) -> Result<Response, Problem> {
    let (as_of, body) = find::<T>(api, reading, code).await?;
    let body = body.ok_or(unknown)?;
    reading.show(as_of, Version::Stream(body.stream_version()), &body)
}

async fn list<T: Defined>(api: &Api, reading: &Reading, uri: &Uri, query: PageQuery) -> Result<Response, Problem> {
    let place = Place::new(reading, uri, "", query.limit)?;
    let after = place.after::<String>(query.cursor.as_deref())?.unwrap_or_default();
    let api = &reading.settle(api).await?;
    let rows = api.detached(read_page(api.pool.clone(), reading.tenant.0, T::KIND, after, place.rows_to_read())).await?;
    let as_of = rows.first().map_or(0, |row| row.as_of);
    let bodies = rows.into_iter().filter_map(|row| row.body::<T>().transpose()).collect::<Result<Vec<_>, _>>()?;
    place.show(reading, as_of, bodies, Defined::key)
}

/// A set that is not there.
pub(super) fn unknown_set(account_set: &AccountSetCode) -> Problem {
    Problem::unknown(Rejection::UnknownAccountSet { account_set: account_set.clone() })
}

/// Lists account sets
///
/// By code, retired ones included.
#[utoipa::path(get, path = "/v1/account-sets", tag = "Catalogue", operation_id = "list_account_sets",
    params(PageQuery, ReadHeaders), responses(PageAnswer<AccountSetBody>))]
pub(crate) async fn list_account_sets(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    list::<AccountSetBody>(&api, &reading, &uri, query).await
}

/// Shows an account set
#[utoipa::path(get, path = "/v1/account-sets/{code}", tag = "Catalogue", operation_id = "get_account_set",
    params(("code" = AccountSetCode, Path, description = "The set"), ReadHeaders), responses(ReadAnswer<AccountSetBody>))]
pub(crate) async fn get_account_set(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<AccountSetCode>,
) -> Result<Response, Problem> {
    one::<AccountSetBody>(&api, &reading, code.as_str(), unknown_set(&code)).await
}

/// Lists dimensions
///
/// By code, retired ones included.
#[utoipa::path(get, path = "/v1/dimensions", tag = "Catalogue", operation_id = "list_dimensions",
    params(PageQuery, ReadHeaders), responses(PageAnswer<DimensionBody>))]
pub(crate) async fn list_dimensions(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    list::<DimensionBody>(&api, &reading, &uri, query).await
}

/// Shows a dimension
#[utoipa::path(get, path = "/v1/dimensions/{code}", tag = "Catalogue", operation_id = "get_dimension",
    params(("code" = DimensionCode, Path, description = "The dimension"), ReadHeaders), responses(ReadAnswer<DimensionBody>))]
pub(crate) async fn get_dimension(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<DimensionCode>,
) -> Result<Response, Problem> {
    let unknown = Problem::unknown(Rejection::UnknownDimension { dimension: code.clone() });
    one::<DimensionBody>(&api, &reading, code.as_str(), unknown).await
}

/// Lists tax codes
///
/// By code, retired ones included.
#[utoipa::path(get, path = "/v1/tax-codes", tag = "Catalogue", operation_id = "list_tax_codes",
    params(PageQuery, ReadHeaders), responses(PageAnswer<TaxCodeBody>))]
pub(crate) async fn list_tax_codes(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    list::<TaxCodeBody>(&api, &reading, &uri, query).await
}

/// Shows a tax code
#[utoipa::path(get, path = "/v1/tax-codes/{code}", tag = "Catalogue", operation_id = "get_tax_code",
    params(("code" = TaxCode, Path, description = "The tax code"), ReadHeaders), responses(ReadAnswer<TaxCodeBody>))]
pub(crate) async fn get_tax_code(
    State(api): State<Api>,
    reading: Reading,
    Named(code): Named<TaxCode>,
) -> Result<Response, Problem> {
    let unknown = Problem::unknown(Rejection::UnknownTaxCode { tax: code.clone() });
    one::<TaxCodeBody>(&api, &reading, code.as_str(), unknown).await
}

/// Lists posting rules
///
/// By movement and class.
#[utoipa::path(get, path = "/v1/posting-rules", tag = "Catalogue", operation_id = "list_posting_rules",
    params(PageQuery, ReadHeaders), responses(PageAnswer<PostingRuleBody>))]
pub(crate) async fn list_posting_rules(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<PageQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    list::<PostingRuleBody>(&api, &reading, &uri, query).await
}

/// Shows a posting rule
#[utoipa::path(get, path = "/v1/posting-rules/{movement}/{class}", tag = "Catalogue", operation_id = "get_posting_rule",
    params(("movement" = MovementKind, Path, description = "The movement"),
        ("class" = PostingClass, Path, description = "The class of items"), ReadHeaders),
    responses(ReadAnswer<PostingRuleBody>))]
pub(crate) async fn get_posting_rule(
    State(api): State<Api>,
    reading: Reading,
    Named((movement, class)): Named<(MovementKind, PostingClass)>,
) -> Result<Response, Problem> {
    let unknown = Problem::new(Fault::NotFound, "there is no rule for this movement and this class");
    one::<PostingRuleBody>(&api, &reading, &rule_key(movement, class.as_str()), unknown).await
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::account::event::{AccountSetDefined, DimensionDefined, TaxCodeDefined};
    use ledger_core::domain::amount::Number;
    use ledger_core::domain::catalogue::event::PostingRuleDefinition;
    use ledger_core::domain::id::{AccountCode, DimensionValue, Text};
    use serde_json::Value;

    use super::*;

    /// What a definition is stored as, and how it is shown.
    fn shown<T: Defined>(definition: &impl Serialize) -> (Value, Value) {
        let stored = serde_json::to_value(definition).unwrap();
        let row = Row { as_of: 9, stream_version: Some(3), position: Some(8), body: Some(stored.to_string()) };
        let mut shown = serde_json::to_value(row.body::<T>().unwrap().unwrap()).unwrap();
        let columns = shown.as_object_mut().unwrap();
        assert_eq!((columns.remove("stream_version"), columns.remove("position")), (Some(3.into()), Some(8.into())));
        (stored, shown)
    }

    #[test]
    fn a_definition_is_shown_as_it_is_stored() {
        let account = || AccountCode::parse("1000").unwrap();
        let name = || Text::parse("Name").unwrap();
        let set = AccountSetDefined {
            code: AccountSetCode::parse("CASH").unwrap(),
            name: name(),
            accounts: vec![account()],
            sets: vec![AccountSetCode::parse("TILLS").unwrap()],
            retired: false,
        };
        let values = Some(vec![DimensionValue::parse("100").unwrap()]);
        let dimension = DimensionDefined { code: DimensionCode::parse("cc").unwrap(), name: name(), values, retired: true };
        let tax = TaxCodeDefined {
            code: TaxCode::parse("VAT25").unwrap(),
            name: name(),
            rate: Number::parse("25").unwrap(),
            direction: TaxDirection::Input,
            account: account(),
            retired: false,
        };
        let class = PostingClass::parse("default").unwrap();
        let rule = PostingRuleDefinition { movement: MovementKind::Issue, class, account: account() };
        for (stored, shown) in [
            shown::<AccountSetBody>(&set),
            shown::<DimensionBody>(&dimension),
            shown::<TaxCodeBody>(&tax),
            shown::<PostingRuleBody>(&rule),
        ] {
            assert_eq!(stored, shown);
        }
    }
}
