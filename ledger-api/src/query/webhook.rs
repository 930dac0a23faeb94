//! Endpoints outside that are told of events, and their deliveries.

use std::fmt;

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::domain::time::Timestamp;
use ledger_core::store::webhook::{self, Delivery, Status, Webhook};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::job::show;
use super::page::{Page, Place};
use crate::auth::Principal;
use crate::openapi::{PlainAnswer, PlainPageAnswer};
use crate::path::{Asked, Named};
use crate::problem::{Fault, Problem};
use crate::state::Api;

/// Categories of events, as subjects on the broker have them.
pub(crate) const CATEGORIES: [&str; 5] = ["catalogue", "stock", "reservation", "journal", "period"];

/// An endpoint's name: 1 to 64 letters, digits, dots, dashes and underscores.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$", example = "shop")]
pub(crate) struct WebhookId(String);

impl TryFrom<String> for WebhookId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        is_name.then_some(Self(text)).ok_or("a webhook's name has 1 to 64 letters, digits, dots, dashes and underscores")
    }
}

impl WebhookId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretBody {
    /// `whsec_` and the key of the signatures in base64. Not shown again.
    secret: String,
}

impl SecretBody {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { secret: format!("whsec_{}", BASE64.encode(secret)) }
    }
}

/// A webhook as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookBody {
    id: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    description: Option<String>,
    types: Vec<String>,
    categories: Vec<String>,
    streams: Vec<String>,
    enabled: bool,
    /// Why it was switched off, if nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    disabled_why: Option<String>,
    /// Everything up to here was delivered, is set aside, or does not concern it.
    position: i64,
    /// Attempts in a row that failed.
    failures: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failing_since: Option<Timestamp>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_delivered_at: Option<Timestamp>,
    /// Deliveries that are set aside and tried again.
    parked: i64,
    /// Deliveries that were given up.
    dead: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

impl WebhookBody {
    pub(crate) fn new(hook: Webhook, secret: Option<&[u8]>) -> Self {
        let definition = hook.definition;
        Self {
            id: hook.id,
            url: definition.url,
            description: definition.description,
            types: definition.types,
            categories: definition.categories,
            streams: definition.streams,
            enabled: definition.enabled,
            disabled_why: hook.disabled_why,
            position: hook.position,
            failures: hook.failures,
            failing_since: hook.failing_since,
            next_attempt_at: hook.next_at,
            last_error: hook.last_error,
            last_delivered_at: hook.last_delivered_at,
            parked: hook.parked,
            dead: hook.dead,
            created_at: hook.created_at,
            updated_at: hook.updated_at,
            secret: secret.map(|secret| SecretBody::new(secret).secret),
        }
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryStatus {
    /// It was taken; the last hundred are listed.
    Delivered,
    /// It is set aside and tried again: a later one was taken while it was not.
    Parked,
    /// It is given up.
    Dead,
}

impl DeliveryStatus {
    const fn stored(self) -> Status {
        match self {
            Self::Delivered => Status::Delivered,
            Self::Parked => Status::Parked,
            Self::Dead => Status::Dead,
        }
    }

    const fn of(status: Status) -> Self {
        match status {
            Status::Delivered => Self::Delivered,
            Status::Parked => Self::Parked,
            Status::Dead => Self::Dead,
        }
    }
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryBody {
    /// Of which event; also the delivery's number.
    position: i64,
    status: DeliveryStatus,
    attempts: i32,
    /// What the endpoint answered last, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    http_status: Option<i16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_attempt_at: Option<Timestamp>,
    updated_at: Timestamp,
}

impl From<Delivery> for DeliveryBody {
    fn from(d: Delivery) -> Self {
        Self {
            position: d.position,
            status: DeliveryStatus::of(d.status),
            attempts: d.attempts,
            http_status: d.http_status,
            error: d.error,
            next_attempt_at: d.next_at,
            updated_at: d.updated_at,
        }
    }
}

/// An endpoint that is not there, or another tenant's.
pub(crate) fn unknown() -> Problem {
    Problem::new(Fault::NotFound, "there is no such webhook")
}

async fn find(api: &Api, tenant: TenantId, id: &WebhookId) -> Result<Webhook, Problem> {
    let (pool, name) = (api.pool.clone(), id.to_string());
    api.detached(async move { webhook::find(&pool, tenant, &name).await }).await?.ok_or_else(unknown)
}

/// Lists webhooks
///
/// By name. A tenant has at most 50: they are on one page.
#[utoipa::path(get, path = "/v1/webhooks", tag = "Webhooks", operation_id = "list_webhooks",
    responses(PlainPageAnswer<WebhookBody>))]
pub(crate) async fn list_webhooks(State(api): State<Api>, principal: Principal) -> Result<Response, Problem> {
    let pool = api.pool.clone();
    let hooks = api.detached(async move { webhook::list(&pool, principal.tenant).await }).await?;
    show(&Page::whole(hooks.into_iter().map(|hook| WebhookBody::new(hook, None)).collect()))
}

/// Shows a webhook
///
/// Without its secret.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "Webhooks", operation_id = "get_webhook",
    params(("id" = WebhookId, Path, description = "The endpoint")), responses(PlainAnswer<WebhookBody>))]
pub(crate) async fn get_webhook(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<WebhookId>,
) -> Result<Response, Problem> {
    show(&WebhookBody::new(find(&api, principal.tenant, &id).await?, None))
}

/// Which deliveries.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// Only those that stand so.
    #[param(nullable = false, inline)]
    status: Option<DeliveryStatus>,
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    cursor: Option<String>,
}

/// Lists a webhook's deliveries
///
/// Those that are set aside or given up, and the last hundred that were taken, by position. What was taken before is below the
/// webhook's position and not listed.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "Webhooks", operation_id = "list_deliveries",
    params(("id" = WebhookId, Path, description = "The endpoint"), DeliveryQuery), responses(PlainPageAnswer<DeliveryBody>))]
pub(crate) async fn list_deliveries(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<WebhookId>,
    Asked(query): Asked<DeliveryQuery>,
    uri: Uri,
) -> Result<Response, Problem> {
    let place = Place::of(principal.tenant, &uri, &format!("{:?}", query.status), query.limit)?;
    let after = place.after::<Position>(query.cursor.as_deref())?.unwrap_or(0);
    find(&api, principal.tenant, &id).await?;
    let (pool, limit) = (api.pool.clone(), place.rows_to_read());
    let found = api.detached(async move {
        let status = query.status.map(DeliveryStatus::stored);
        webhook::deliveries(&pool, (principal.tenant, id.as_str()), status, after, limit).await
    });
    let bodies = found.await?.into_iter().map(DeliveryBody::from).collect();
    place.plain(bodies, |d: &DeliveryBody| d.position)
}
