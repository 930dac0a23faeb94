//! The OpenAPI 3.1 document: made from the handlers and types that answer, completed here, served as it is.

mod answers;
mod bodies;
mod events;
mod headers;
mod results;

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use utoipa::OpenApi as _;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, RefOr, Required, Schema};

use crate::problem::{Fault, Problem};
use crate::query::Page;
use crate::query::card::CardLine;
use crate::query::catalogue::{AccountBody, ItemBody, LocationBody};
use crate::query::document::{CountBody, ExpectationBody, TransferBody};
use crate::query::entry::EntryBody;
use crate::query::reservation::ReservationBody;
use crate::query::{audit, definition, period, report};
use crate::state::Api;
pub(crate) use answers::{
    AcceptedAnswer, BatchAnswers, CheckpointAnswer, CommandAnswers, DownloadAnswer, EventsAnswer, GoneAnswer, LinkedAnswer,
    PageAnswer, PagedReportAnswer, PlainAnswer, PlainPageAnswer, ProbeProblems, PublicProblems, PutAnswer, ReadAnswer,
    ReportAnswer, StatefulAnswer, StreamAnswer,
};
pub(crate) use bodies::{BatchBody, TransactionBody};
pub use events::event_schemas;
pub(crate) use events::{data_schema, named_schemas, references};
pub(crate) use headers::{BatchHeaders, CommandHeaders, KeyHeaders, ReadHeaders};
pub(crate) use results::{
    AccountResult, AccountSetResult, CalendarResult, CostAddedResult, CountResult, CurrencyRevaluedResult, DimensionResult,
    EntryResult, ExpectationResult, ItemResult, KitResult, LocationResult, MovedResult, PeriodResult, PersonResult, PolicyResult,
    ReservationResult, RevaluedResult, RuleResult, StatusChangedResult, StepResult, TaxCodeResult, TransferResult,
    TwoStepTransferResult, YearResult,
};

/// Schemas of codes: never empty, no blank at an end, no two together, no control characters.
const CODES: [&str; 20] = [
    "Sku",
    "LocationCode",
    "AccountCode",
    "PostingClass",
    "ReasonCode",
    "ReservationId",
    "EntryId",
    "UnitCode",
    "LotCode",
    "Serial",
    "ExpectationId",
    "TransferId",
    "CountId",
    "AccountSetCode",
    "DimensionCode",
    "DimensionValue",
    "PartyCode",
    "PersonId",
    "TaxCode",
    "SeriesCode",
];
/// See [`CODES`].
const CODE_PATTERN: &str = r"^[^\s\x00-\x1f\x7f]+( [^\s\x00-\x1f\x7f]+)*$";
/// A currency's code.
const CURRENCY_PATTERN: &str = "^[A-Z]{3}$";
/// Operations whose body may be left out.
const BODY_OPTIONAL: [&str; 14] = [
    "/v1/stock/expectations/{id}/cancel",
    "/v1/stock/transfers/{id}/receive",
    "/v1/stock/transfers/{id}/cancel",
    "/v1/stock/counts/{id}/post",
    "/v1/stock/counts/{id}/cancel",
    "/v1/reservations/{id}/confirm",
    "/v1/reservations/{id}/commit",
    "/v1/reservations/{id}/release",
    "/v1/journal/entries/{id}/settle",
    "/v1/journal/entries/{id}/void",
    "/v1/journal/entries/{id}/reverse",
    "/v1/periods/{id}/close",
    "/v1/years/{year}/close",
    "/v1/webhooks/{id}/replay",
];

/// The scheme's name in the document.
const SCHEME: &str = "api_key";

/// What no handler says: the title, the schemas that responses refer to by name.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Ledger", description = include_str!("openapi/introduction.md")),
    tags(
        (name = "Catalogue", description = "Items, locations, stock policies, accounts, what groups them, and posting rules"),
        (name = "Stock", description = "Movements of goods and their value, transfers under way, counts; levels and cards"),
        (name = "Reservations", description = "Goods held for a while"),
        (name = "Journal", description = "Entries by hand, pending ones, revaluation of currencies, balances"),
        (name = "Periods", description = "The calendar, the closing of periods and of fiscal years"),
        (name = "People", description = "Who is who, beside the log and erasable"),
        (name = "Many at once", description = "Transactions and batches"),
        (name = "Reports", description = "For programs, spreadsheets and printers"),
        (name = "Webhooks", description = "Endpoints that are told of events"),
        (name = "Jobs", description = "Work done beside the requests: exports, reports, imports"),
        (name = "Log", description = "The events themselves"),
        (name = "Audit", description = "Who did what; signed checkpoints of the log and proofs of what is in it, to be checked without trusting this service"),
        (name = "Operations", description = "Health, metrics, documents; no credential needed")
    ),
    components(schemas(
        answers::ProblemBody, answers::EventLine, answers::BatchVerdicts,
        Page<CardLine>, Page<ItemBody>, Page<LocationBody>, Page<AccountBody>, Page<ReservationBody>,
        ItemBody, LocationBody, AccountBody, ReservationBody, CardLine,
        crate::query::stock::StockBody, crate::query::stock::StockAtBody, crate::query::stock::LookupAnswer,
        crate::query::stock::StockAnswer, crate::query::stock::StockAtAnswer, crate::query::as_of::PastStock,
        crate::query::promise::Promise, crate::query::lot::LotBody, Page<crate::query::lot::LotBody>, crate::query::lot::SerialBody,
        TransferBody, CountBody, ExpectationBody,
        Page<TransferBody>, Page<CountBody>, Page<ExpectationBody>,
        crate::query::account::BalanceBody, crate::query::statement::Statement, crate::query::account_set::SetBalance,
        crate::query::moment::Since, crate::query::moment::Until, EntryBody, Page<EntryBody>,
        definition::AccountSetBody, definition::DimensionBody, definition::TaxCodeBody, definition::PostingRuleBody,
        Page<definition::AccountSetBody>, Page<definition::DimensionBody>, Page<definition::TaxCodeBody>,
        Page<definition::PostingRuleBody>,
        period::CalendarBody, period::PeriodBody, Page<period::PeriodBody>, period::YearBody,
        report::trial_balance::TrialBalance, report::trial_balance::Reconciliation, report::financial::BalanceSheet,
        report::financial::IncomeStatement, report::general_ledger::GeneralLedger, report::aged::AgedItems,
        report::vat::TaxReport, report::valuation::Valuation,
        crate::query::job::JobBody, Page<crate::query::job::JobBody>, crate::query::webhook::WebhookBody,
        Page<crate::query::webhook::WebhookBody>, crate::query::webhook::DeliveryBody, Page<crate::query::webhook::DeliveryBody>,
        crate::query::webhook::SecretBody, crate::query::webhook::WebhookId,
        crate::query::person::PersonBody, crate::query::event::EventsPage, crate::query::event::EventSchema,
        crate::query::event::OneEvent, crate::query::trail::TrailPage,
        crate::query::verification::VerificationBody, Page<crate::query::verification::VerificationBody>,
        audit::checkpoint::CheckpointBody, Page<audit::checkpoint::CheckpointBody>, audit::keys::KeysBody,
        audit::proof::InclusionBody, audit::proof::ConsistencyBody, audit::seal::SealProofBody,
        crate::query::overview::Overview, crate::query::history::History,
        crate::query::located::LocatedBody, Page<crate::query::located::LocatedBody>,
        AccountResult, AccountSetResult, CalendarResult, CostAddedResult, CountResult, CurrencyRevaluedResult,
        DimensionResult, EntryResult, ExpectationResult, ItemResult, KitResult, LocationResult, MovedResult,
        PeriodResult, PersonResult, PolicyResult, ReservationResult, RevaluedResult, RuleResult, StatusChangedResult, StepResult,
        TaxCodeResult, TransferResult, TwoStepTransferResult, YearResult,
        bodies::BatchBody, bodies::TransactionBody, bodies::TransactionStep
    ))
)]
struct Base;

/// The document before the handlers are added.
pub(crate) fn base() -> OpenApi {
    let mut document = Base::openapi();
    events::add(document.components.get_or_insert_with(Components::default));
    document
}

/// Adds what holds for every operation.
pub(crate) fn complete(document: &mut OpenApi) {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("lk_<tenant>_<id>_<secret>")
        .description(Some("An API key. It names the tenant; nothing else can."))
        .build();
    let components = document.components.get_or_insert_with(Components::default);
    components.security_schemes.insert(SCHEME.into(), SecurityScheme::Http(scheme).into());
    let patterns = CODES.map(|code| (code, CODE_PATTERN)).into_iter().chain([("CurrencyCode", CURRENCY_PATTERN)]);
    for (code, pattern) in patterns {
        if let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(code) {
            schema.min_length = Some(1);
            schema.pattern = Some(pattern.into());
        }
    }
    document.security = Some(vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
    for path in BODY_OPTIONAL {
        let post = document.paths.paths.get_mut(path).and_then(|item| item.post.as_mut());
        if let Some(RefOr::T(body)) = post.and_then(|post| post.request_body.as_mut()) {
            body.required = Some(Required::False);
        }
    }
}

/// The document of this program's HTTP side.
#[must_use]
pub fn document() -> OpenApi {
    crate::router::describe().1
}

/// The document as it is sent.
#[derive(Debug, Default)]
pub(crate) struct Document(OnceLock<Bytes>);

impl Document {
    /// Keeps a document; the first one stays.
    pub(crate) fn set(&self, document: &OpenApi) {
        match serde_json::to_vec(document) {
            Ok(json) => {
                self.0.get_or_init(|| json.into());
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the OpenAPI document cannot be written"),
        }
    }
}

/// Shows this document
#[utoipa::path(get, path = "/openapi.json", tag = "Operations", operation_id = "get_openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"), PublicProblems), security(()))]
pub(crate) async fn show_document(State(api): State<Api>) -> Result<Response, Problem> {
    let json = api.document.0.get().cloned().ok_or_else(|| Problem::new(Fault::Internal, Fault::Internal.sentence()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// Shows this document to people
///
/// One page, nothing fetched from elsewhere.
#[utoipa::path(get, path = "/docs", tag = "Operations", operation_id = "get_docs",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), PublicProblems), security(()))]
pub(crate) async fn show_docs() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, include_str!("openapi/docs.html")).into_response()
}

#[cfg(test)]
mod tests;
