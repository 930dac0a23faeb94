//! Transfers, counts and expected receipts.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use ledger_core::domain::id::{CountId, ExpectationId, Sku, TransferId};
use ledger_core::domain::rejection::Rejection;
use ledger_core::store;
use ledger_core::view::document::{CountView, ExpectationView, Kind, TransferView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::{IntoParams, ToSchema};

use super::page::Place;
use super::{Reading, Version, corrupt};
use crate::openapi::{PageAnswer, ReadAnswer, ReadHeaders};
use crate::path::{Asked, Named};
use crate::problem::Problem;
use crate::state::Api;

/// Where a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Something is still to come.
    Open,
    /// Done.
    Closed,
    /// Ended without being done.
    Cancelled,
}

impl Standing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Which documents.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DocumentQuery {
    /// Only those that stand here.
    #[param(inline, nullable = false)]
    status: Option<Standing>,
    /// Expected receipts of this item.
    #[param(value_type = Option<String>, nullable = false)]
    item: Option<Sku>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// What is known of every document, whatever it says.
struct Head {
    id: String,
    status: Standing,
    stream_version: i64,
    position: i64,
}

/// A document as reads answer it.
trait Body: Serialize {
    /// What it says.
    type View: DeserializeOwned;
    fn new(head: Head, view: Self::View) -> Self;
    fn id(&self) -> &str;
    fn stream_version(&self) -> i64;
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident shows $view:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Serialize, ToSchema)]
            pub(crate) struct $name {
                /// Its id.
                id: String,
                /// Where it stands.
                status: Standing,
                /// Version of its stream: what `If-Match` takes.
                stream_version: i64,
                /// The newest event that touched it.
                position: i64,
                #[serde(flatten)]
                view: $view,
            }

            impl Body for $name {
                type View = $view;

                fn new(head: Head, view: $view) -> Self {
                    let Head { id, status, stream_version, position } = head;
                    Self { id, status, stream_version, position, view }
                }

                fn id(&self) -> &str {
                    &self.id
                }

                fn stream_version(&self) -> i64 {
                    self.stream_version
                }
            }
        )*
    };
}

bodies! {
    /// A transfer in two steps.
    TransferBody shows TransferView;
    /// A stock count.
    CountBody shows CountView;
    /// An expected receipt.
    ExpectationBody shows ExpectationView;
}

#[derive(sqlx::FromRow)]
struct Row {
    as_of: i64,
    document_id: Option<String>,
    stream_version: Option<i64>,
    position: Option<i64>,
    status: Option<String>,
    body: Option<String>,
}

impl Row {
    fn body<B: Body>(self) -> Result<Option<B>, store::Error> {
        let Some(id) = self.document_id else { return Ok(None) };
        let wrong = || corrupt("view_document");
        let word = self.status.ok_or_else(wrong)?;
        let all = [Standing::Open, Standing::Closed, Standing::Cancelled];
        let head = Head {
            id,
            status: all.into_iter().find(|s| s.as_str() == word).ok_or_else(wrong)?,
            stream_version: self.stream_version.ok_or_else(wrong)?,
            position: self.position.ok_or_else(wrong)?,
        };
        let view = self.body.and_then(|body| serde_json::from_str(&body).ok()).ok_or_else(wrong)?;
        Ok(Some(B::new(head, view)))
    }
}

async fn read(
    pool: PgPool,
    tenant: i64,
    (kind, after): (Kind, String),
    (status, item): (Option<Standing>, Option<Sku>),
    rows: i64,
) -> Result<Vec<Row>, store::Error> {
    let query = sqlx::query_as(include_str!("documents.sql")).bind(tenant).bind(kind.as_str()).bind(after).bind(rows);
    let query = query.bind(status.map(Standing::as_str)).bind(item.map(|sku| sku.as_str().to_owned()));
    Ok(query.fetch_all(&pool).await?)
}

async fn read_one(pool: PgPool, tenant: i64, kind: Kind, id: String) -> Result<Row, store::Error> {
    let row = sqlx::query_as(
        "SELECT (SELECT coalesce(max(position), 0) FROM view_cursor WHERE tenant_id = $1) AS as_of, d.document_id, d.stream_version, \
         d.position, d.status, d.body::text AS body FROM (VALUES (1)) AS one (n) \
         LEFT JOIN view_document d ON d.tenant_id = $1 AND d.kind = $2 AND d.document_id = $3",
    )
    .bind(tenant)
    .bind(kind.as_str())
    .bind(id)
    .fetch_one(&pool)
    .await?;
    Ok(row)
}

async fn show_one<B: Body>(
    api: &Api,
    reading: &Reading,
    (kind, id): (Kind, &str),
    unknown: Rejection,
) -> Result<Response, Problem> {
    let api = &reading.settle(api).await?;
    let row = api.detached(read_one(api.pool.clone(), reading.tenant.0, kind, id.to_owned())).await?;
    let as_of = row.as_of;
    let body: B = row.body()?.ok_or_else(|| Problem::unknown(unknown))?;
    // Receipts against an expectation change it without an event of its stream.
    reading.show(as_of, Version::Derived(body.stream_version()), &body)
}

async fn show_list<B: Body>(
    api: &Api,
    reading: &Reading,
    kind: Kind,
    query: DocumentQuery,
    uri: &Uri,
) -> Result<Response, Problem> {
    let status = query.status.map_or("", Standing::as_str);
    let scope = format!("{status}:{}", query.item.as_ref().map_or("", Sku::as_str));
    let place = Place::new(reading, uri, &scope, query.limit)?;
    let after: String = place.after(query.cursor.as_deref())?.unwrap_or_default();
    let api = &reading.settle(api).await?;
    let filters = (query.status, query.item);
    let rows = api.detached(read(api.pool.clone(), reading.tenant.0, (kind, after), filters, place.rows_to_read())).await?;
    let as_of = rows.first().map_or(0, |r| r.as_of);
    let found = rows.into_iter().filter_map(|row| row.body::<B>().transpose()).collect::<Result<Vec<_>, _>>()?;
    place.show(reading, as_of, found, |d| d.id().to_owned())
}

/// Shows a transfer
///
/// What was sent, what arrived, and what is still under way.
#[utoipa::path(get, path = "/v1/transfers/{id}", tag = "Stock", operation_id = "get_transfer",
    params(("id" = TransferId, Path, description = "The transfer"), ReadHeaders), responses(ReadAnswer<TransferBody>))]
pub(crate) async fn get_transfer(
    State(api): State<Api>,
    reading: Reading,
    Named(id): Named<TransferId>,
) -> Result<Response, Problem> {
    let unknown = Rejection::UnknownTransfer { transfer: id.clone() };
    show_one::<TransferBody>(&api, &reading, (Kind::Transfer, id.as_str()), unknown).await
}

/// Lists transfers
///
/// In two steps, by id.
#[utoipa::path(get, path = "/v1/transfers", tag = "Stock", operation_id = "list_transfers",
    params(DocumentQuery, ReadHeaders), responses(PageAnswer<TransferBody>))]
pub(crate) async fn list_transfers(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<DocumentQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    show_list::<TransferBody>(&api, &reading, Kind::Transfer, query, &uri).await
}

/// Shows a stock count
///
/// What was found, beside what was expected at the moment counted.
#[utoipa::path(get, path = "/v1/counts/{id}", tag = "Stock", operation_id = "get_count",
    params(("id" = CountId, Path, description = "The count"), ReadHeaders), responses(ReadAnswer<CountBody>))]
pub(crate) async fn get_count(State(api): State<Api>, reading: Reading, Named(id): Named<CountId>) -> Result<Response, Problem> {
    let unknown = Rejection::UnknownCount { count: id.clone() };
    show_one::<CountBody>(&api, &reading, (Kind::Count, id.as_str()), unknown).await
}

/// Lists stock counts
///
/// By id.
#[utoipa::path(get, path = "/v1/counts", tag = "Stock", operation_id = "list_counts",
    params(DocumentQuery, ReadHeaders), responses(PageAnswer<CountBody>))]
pub(crate) async fn list_counts(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<DocumentQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    show_list::<CountBody>(&api, &reading, Kind::Count, query, &uri).await
}

/// Shows an expected receipt
///
/// What was expected, and what is still to come.
#[utoipa::path(get, path = "/v1/expectations/{id}", tag = "Stock", operation_id = "get_expectation",
    params(("id" = ExpectationId, Path, description = "The expected receipt"), ReadHeaders),
    responses(ReadAnswer<ExpectationBody>))]
pub(crate) async fn get_expectation(
    State(api): State<Api>,
    reading: Reading,
    Named(id): Named<ExpectationId>,
) -> Result<Response, Problem> {
    let unknown = Rejection::UnknownExpectation { expectation: id.clone() };
    show_one::<ExpectationBody>(&api, &reading, (Kind::Expectation, id.as_str()), unknown).await
}

/// Lists expected receipts
///
/// By id.
#[utoipa::path(get, path = "/v1/expectations", tag = "Stock", operation_id = "list_expectations",
    params(DocumentQuery, ReadHeaders), responses(PageAnswer<ExpectationBody>))]
pub(crate) async fn list_expectations(
    State(api): State<Api>,
    reading: Reading,
    Asked(query): Asked<DocumentQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    show_list::<ExpectationBody>(&api, &reading, Kind::Expectation, query, &uri).await
}
