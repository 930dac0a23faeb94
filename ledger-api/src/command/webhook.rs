//! Endpoints outside that are told of events: defined, removed, tried out.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header as names};
use axum::response::{IntoResponse, Response};
use ledger_core::domain::id::{Position, TenantId, Text, digest16};
use ledger_core::store::job::{self, NewJob, Priority};
use ledger_core::store::read;
use ledger_core::store::webhook::{self as store, Definition, Put, SECRET_BYTES};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::job::accepted;
use super::{Body, BodyOrNone};
use crate::auth::Principal;
use crate::limit::{WEBHOOK_FILTERS_MAX, WEBHOOK_STREAM_CHARS_MAX, WEBHOOK_URL_BYTES_MAX};
use crate::openapi::{AcceptedAnswer, GoneAnswer, PlainAnswer, PutAnswer};
use crate::path::Named;
use crate::problem::{Fault, Flaw, Problem};
use crate::query::event_type;
use crate::query::job::{JobBody, show};
use crate::query::webhook::{CATEGORIES, SecretBody, WebhookBody, WebhookId, unknown};
use crate::state::Api;

/// What an endpoint is to get.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookRequest {
    /// Where messages are posted to: `https`, to a public address.
    #[schema(max_length = 2048, format = "uri", example = "https://example.org/hooks/ledger")]
    url: String,
    /// For people.
    #[serde(default)]
    #[schema(nullable = false, max_length = 256)]
    description: Option<Text>,
    /// Only events of these types; of all if absent or empty.
    #[serde(default)]
    #[schema(max_items = 100, example = json!(["stock_received"]))]
    types: Vec<String>,
    /// Only events of these categories: `catalogue`, `stock`, `reservation`, `journal`, `period`.
    #[serde(default)]
    #[schema(max_items = 100)]
    categories: Vec<String>,
    /// Only events of streams whose names begin with one of these, such as `item-` or `reservation-R1`.
    #[serde(default)]
    #[schema(max_items = 100)]
    streams: Vec<String>,
    /// False: nothing is sent; what would have been goes out once it is true again. True if absent.
    #[serde(default)]
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// Of a new endpoint: begin with the events after this position; at the end of the log if absent.
    #[serde(default)]
    #[schema(nullable = false, maximum = 9_223_372_036_854_775_807_i64)]
    after: Option<u64>,
}

fn flaw(pointer: &str, detail: impl Into<String>) -> Problem {
    Problem::malformed(Flaw { pointer: pointer.to_owned(), detail: detail.into() })
}

impl WebhookRequest {
    fn definition(self, api: &Api) -> Result<(Definition, Option<Position>), Problem> {
        must_lead_out(&self.url, api)?;
        for (pointer, list) in [("/types", &self.types), ("/categories", &self.categories), ("/streams", &self.streams)] {
            if list.len() > WEBHOOK_FILTERS_MAX {
                return Err(flaw(pointer, format!("more than {WEBHOOK_FILTERS_MAX}")));
            }
        }
        if let Some(word) = self.types.iter().find(|t| !event_type::is_known(t)) {
            return Err(flaw("/types", format!("there is no event type {word}")));
        }
        if let Some(word) = self.categories.iter().find(|c| !CATEGORIES.contains(&c.as_str())) {
            return Err(flaw("/categories", format!("there is no category {word}")));
        }
        let is_prefix = |s: &String| !s.is_empty() && s.len() <= WEBHOOK_STREAM_CHARS_MAX && !s.contains(char::is_control);
        if !self.streams.iter().all(is_prefix) {
            return Err(flaw("/streams", "must be beginnings of streams' names"));
        }
        let after = self.after.map(Position::try_from).transpose().map_err(|_| flaw("/after", "is no position"))?;
        let definition = Definition {
            url: self.url,
            description: self.description.map(|d| d.to_string()),
            types: self.types,
            categories: self.categories,
            streams: self.streams,
            enabled: self.enabled.unwrap_or(true),
        };
        Ok((definition, after))
    }
}

/// Refuses URLs that say by themselves that they are not to be asked. What a name leads to is judged at each delivery.
fn must_lead_out(url: &str, api: &Api) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(Fault::WebhookUrlRefused, format!("url: {detail}")));
    let (Ok(uri), true) = (url.parse::<Uri>(), url.len() <= WEBHOOK_URL_BYTES_MAX && !url.contains('#')) else {
        return refused("is no URL that can be posted to");
    };
    let Some(authority) = uri.authority() else { return refused("names no host") };
    if authority.as_str().contains('@') {
        return refused("must not hold a name or a password; the signature says who sends");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") if api.webhook_allow.names(host) => {}
        _another => return refused("must be https"),
    }
    match host.parse() {
        Ok(address) if !api.webhook_allow.may_reach(host, address) => refused("its address is not a public one"),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// 32 bytes of the operating system's randomness, drawn through UUIDv4 (122 random bits each, so three of them).
fn draw_secret() -> [u8; SECRET_BYTES] {
    let drawn: Vec<u8> = (0..3).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
    let (first, second) = (digest16(&drawn), digest16(&[drawn.as_slice(), b"2"].concat()));
    let mut secret = [0; SECRET_BYTES];
    for (to, from) in secret.iter_mut().zip(first.into_iter().chain(second)) {
        *to = from;
    }
    secret
}

async fn body(api: &Api, tenant: TenantId, id: &WebhookId, secret: Option<&[u8]>) -> Result<WebhookBody, Problem> {
    let (pool, name) = (api.pool.clone(), id.to_string());
    let found = api.detached(async move { store::find(&pool, tenant, &name).await }).await?;
    Ok(WebhookBody::new(found.ok_or_else(unknown)?, secret))
}

/// Defines a webhook
///
/// An endpoint that is posted every event it wants, in order, as the CloudEvents that the broker gets, signed as Standard
/// Webhooks says (`webhook-id`, `webhook-timestamp`, `webhook-signature`). The secret is in the answer that made the endpoint,
/// and nowhere else afterwards. What an endpoint does not take with a 2xx is tried again and later events wait; an event that
/// alone is not taken is set aside after three attempts, tried again for days, and listed.
#[utoipa::path(put, path = "/v1/webhooks/{id}", tag = "Webhooks", operation_id = "put_webhook",
    params(("id" = WebhookId, Path, description = "The endpoint")), request_body = WebhookRequest, responses(PutAnswer<WebhookBody>))]
pub(crate) async fn put_webhook(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<WebhookId>,
    request: Body<WebhookRequest>,
) -> Result<Response, Problem> {
    let (definition, after) = request.value.definition(&api)?;
    let (pool, tenant, name, secret) = (api.pool.clone(), principal.tenant, id.to_string(), draw_secret());
    let put = api.detached(async move { store::put(&pool, tenant, &name, &definition, after, &secret).await }).await?;
    match put {
        Put::Created => {
            let mut response = show(&body(&api, tenant, &id, Some(&secret)).await?)?;
            *response.status_mut() = StatusCode::CREATED;
            Ok(response)
        }
        Put::Changed => show(&body(&api, tenant, &id, None).await?),
        Put::Full => Err(Problem::new(Fault::TooManyWebhooks, Fault::TooManyWebhooks.sentence())),
    }
}

/// Removes a webhook
///
/// With its secrets and the list of its deliveries.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "Webhooks", operation_id = "delete_webhook",
    params(("id" = WebhookId, Path, description = "The endpoint")), responses(GoneAnswer))]
pub(crate) async fn delete_webhook(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<WebhookId>,
) -> Result<Response, Problem> {
    let pool = api.pool.clone();
    let was_there = api.detached(async move { store::delete(&pool, principal.tenant, id.as_str()).await }).await?;
    if was_there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(unknown()) }
}

/// Replaces a webhook's secret
///
/// The new one is in the answer and nowhere else afterwards. For a day messages carry both signatures.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate-secret", tag = "Webhooks", operation_id = "rotate_webhook_secret",
    params(("id" = WebhookId, Path, description = "The endpoint")), responses(PlainAnswer<SecretBody>))]
pub(crate) async fn rotate_secret(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<WebhookId>,
) -> Result<Response, Problem> {
    let (pool, secret) = (api.pool.clone(), draw_secret());
    let was_there = api.detached(async move { store::rotate(&pool, principal.tenant, id.as_str(), &secret).await }).await?;
    if was_there { show(&SecretBody::new(&secret)) } else { Err(unknown()) }
}

/// Which events to send again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRequest {
    /// Those after this position; from the first one if absent.
    #[serde(default)]
    #[schema(nullable = false, maximum = 9_223_372_036_854_775_807_i64)]
    after: Option<u64>,
    /// Up to this position; to the end of the log as it is now if absent.
    #[serde(default)]
    #[schema(nullable = false, maximum = 9_223_372_036_854_775_807_i64)]
    to: Option<u64>,
}

/// Sends a webhook events again
///
/// By a background job, in order, beside what goes out anyway; ids are the same as the first time. The body may be left out.
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", tag = "Webhooks", operation_id = "replay_webhook",
    params(("id" = WebhookId, Path, description = "The endpoint")), request_body = ReplayRequest, responses(AcceptedAnswer<JobBody>))]
pub(crate) async fn replay(
    State(api): State<Api>,
    principal: Principal,
    Named(id): Named<WebhookId>,
    BodyOrNone(request): BodyOrNone<ReplayRequest>,
) -> Result<Response, Problem> {
    let position = |field: Option<u64>, pointer: &str| {
        field.map(Position::try_from).transpose().map_err(|_| flaw(pointer, "is no position"))
    };
    let (after, to) = (position(request.after, "/after")?.unwrap_or(0), position(request.to, "/to")?);
    let (pool, tenant) = (api.pool.clone(), principal.tenant);
    let head = api.detached(async move { read::head(&pool, tenant).await }).await?.map_or(0, |head| head.position);
    let to = to.unwrap_or(head).min(head);
    let payload = json!({"webhook": id.as_str(), "replay": {"after": after, "to": to}});
    ask(&api, &principal, &id, &payload, "replay").await
}

/// Tries a webhook out
///
/// Sends a message of type `ledger.test` by a background job; its result says what the endpoint answered.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "Webhooks", operation_id = "test_webhook",
    params(("id" = WebhookId, Path, description = "The endpoint")), responses(AcceptedAnswer<JobBody>))]
pub(crate) async fn test(State(api): State<Api>, principal: Principal, Named(id): Named<WebhookId>) -> Result<Response, Problem> {
    ask(&api, &principal, &id, &json!({"webhook": id.as_str(), "test": true}), "test").await
}

/// A job for an endpoint; one of a sort at a time.
async fn ask(
    api: &Api,
    principal: &Principal,
    id: &WebhookId,
    payload: &serde_json::Value,
    sort: &str,
) -> Result<Response, Problem> {
    body(api, principal.tenant, id, None).await?;
    let (pool, tenant) = (api.pool.clone(), principal.tenant);
    let (payload, key) = (payload.to_string(), format!("{id}:{sort}"));
    let actor = principal.context.actor.as_ref().map(ToString::to_string);
    let done = api.detached(async move {
        let new = NewJob {
            priority: Priority::Urgent,
            unique_key: Some(&key),
            actor: actor.as_deref(),
            ..NewJob::new("webhook", &payload)
        };
        job::enqueue(&pool, tenant, &new).await
    });
    accepted(api, principal, done.await?).await
}

/// Tries a delivery again
///
/// One that is set aside or given up, now; its number is the position of its event.
#[utoipa::path(post, path = "/v1/webhooks/{id}/deliveries/{n}/retry", tag = "Webhooks", operation_id = "retry_delivery",
    params(("id" = WebhookId, Path, description = "The endpoint"), ("n" = i64, Path, description = "The event's position", minimum = 1)),
    responses(GoneAnswer))]
pub(crate) async fn retry_delivery(
    State(api): State<Api>,
    principal: Principal,
    Named((id, position)): Named<(WebhookId, i64)>,
) -> Result<Response, Problem> {
    let pool = api.pool.clone();
    let retried = api.detached(async move { store::retry(&pool, (principal.tenant, id.as_str()), Some(position)).await }).await?;
    if retried == 0 {
        return Err(Problem::new(Fault::NotFound, "no such delivery is set aside or given up"));
    }
    Ok((StatusCode::NO_CONTENT, [(names::CACHE_CONTROL, "no-store")]).into_response())
}
