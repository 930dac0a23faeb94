//! Everything that reads.
//!
//! **Shape**: [`Reading`] (key, smallest position) → the cache, or one statement on the views of a replica or the primary
//! ([`Reading::settle`] says which) → an answer that says which position it shows.
//! **Correctness**: rows and the position they are folded to come from one statement, so from one snapshot. A hold
//! whose instant has come is taken off by the database's clock, whether or not the sweeper has recorded it.

pub(crate) mod account;
pub(crate) mod account_set;
pub(crate) mod as_of;
pub(crate) mod audit;
mod balance;
pub(crate) mod cache;
pub(crate) mod card;
pub(crate) mod catalogue;
mod cursor;
pub(crate) mod definition;
pub(crate) mod document;
pub(crate) mod entry;
pub(crate) mod event;
pub(crate) mod event_type;
mod exact;
pub(crate) mod feed;
pub(crate) mod history;
pub(crate) mod job;
pub(crate) mod located;
pub(crate) mod lot;
pub(crate) mod moment;
pub(crate) mod overview;
mod page;
pub(crate) mod period;
pub(crate) mod person;
pub(crate) mod position;
pub(crate) mod promise;
pub(crate) mod replica;
pub(crate) mod report;
pub(crate) mod reservation;
pub(crate) mod statement;
pub(crate) mod stock;
pub(crate) mod tenant;
pub(crate) mod trail;
pub(crate) mod verification;
pub(crate) mod webhook;

use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header as names};
use axum::response::{IntoResponse, Response};
use ledger_core::domain::id::{Position, TenantId};
use ledger_core::store;
use serde::Serialize;
use sqlx::PgPool;

use crate::auth::Principal;
use crate::command::answer::unwritable;
use crate::header::{self, LEDGER_POSITION, Least};
use crate::problem::{Fault, Problem};
use crate::state::Api;
pub(crate) use cursor::{hex, unhex};
pub(crate) use exact::Exact;
pub(crate) use page::{Page, PageQuery};
use replica::Attempt;

/// Who reads, and how new the answer must be.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) tenant: TenantId,
    pub(crate) position_min: Option<Position>,
    wait: Duration,
    /// What the caller has already (`If-None-Match`).
    tags: Vec<HeaderValue>,
    /// Set where the read can be asked again: only then may a replica answer it.
    attempt: Option<Attempt>,
}

impl FromRequestParts<Api> for Reading {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let principal = Principal::from_request_parts(parts, api).await?;
        let headers = &parts.headers;
        let position_min = match header::position_min(headers)? {
            Some(Least::Position(position)) => Some(position),
            Some(Least::Head) => Some(head(api, principal.tenant).await?),
            None => None,
        };
        Ok(Self {
            tenant: principal.tenant,
            position_min,
            wait: header::wait(headers),
            tags: headers.get_all(names::IF_NONE_MATCH).iter().cloned().collect(),
            attempt: parts.extensions.get::<Attempt>().cloned(),
        })
    }
}

/// Where a tenant's log ends, by the database that is written to: what was committed before this was asked is in it.
async fn head(api: &Api, tenant: TenantId) -> Result<Position, Problem> {
    let pool = api.pool.clone();
    let head = api.detached(async move { store::read::head(&pool, tenant).await }).await?;
    Ok(head.map_or(0, |head| head.position))
}

impl Reading {
    /// Waits until the views include the position the caller asks for; answers where to read them: a replica that has it
    /// already, or the primary.
    ///
    /// # Errors
    /// `behind` when they do not in time.
    pub(crate) async fn settle(&self, api: &Api) -> Result<Api, Problem> {
        if let Some(attempt) = &self.attempt
            && let Some(pool) = attempt.pool(api, self.tenant, self.position_min).await
        {
            replica::count("replica");
            return Ok(api.reading(pool));
        }
        if let Some(min) = self.position_min
            && let Err(at) = api.positions.reached(api, self.tenant, min, self.wait).await
        {
            return Err(behind(at));
        }
        replica::count("primary");
        Ok(api.clone())
    }

    /// A replica whose log has come to a position, and to the one the caller asks for.
    pub(crate) async fn log_at(&self, api: &Api, position: Position) -> Option<PgPool> {
        let position = self.position_min.map_or(position, |min| min.max(position));
        self.attempt.as_ref()?.pool(api, self.tenant, Some(position)).await
    }

    /// The same caller, content with whatever the log has.
    pub(crate) fn unbounded(&self) -> Self {
        Self { tenant: self.tenant, position_min: None, wait: self.wait, tags: Vec::new(), attempt: self.attempt.clone() }
    }

    /// Renders a body that includes every event up to `as_of`.
    ///
    /// # Errors
    /// `behind` when that is not what was asked for: a view that is being rebuilt may have fallen back.
    pub(crate) fn show<T: Serialize>(&self, as_of: Position, version: Version, body: &T) -> Result<Response, Problem> {
        let body = serde_json::to_vec(body).map_err(unwritable)?;
        self.send(as_of, version, "application/json", body)
    }

    /// Sends a body that includes every event up to `as_of`.
    ///
    /// # Errors
    /// As for [`Reading::show`].
    pub(crate) fn send(
        &self,
        as_of: Position,
        version: Version,
        media_type: &'static str,
        body: Vec<u8>,
    ) -> Result<Response, Problem> {
        if self.position_min.is_some_and(|min| as_of < min) {
            return Err(behind(as_of));
        }
        let etag = version.etag(&body);
        let is_known = etag.as_deref().is_some_and(|etag| header::has_representation(&self.tags, etag));
        let mut response = match is_known {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => Body::from(body).into_response(),
        };
        let headers = response.headers_mut();
        if !is_known {
            headers.insert(names::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        headers.insert(LEDGER_POSITION, as_of.into());
        // Another key may not see it, and this one must ask whether it is still so.
        headers.insert(names::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        headers.insert(names::VARY, HeaderValue::from_static("Authorization, Accept-Encoding"));
        if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
            headers.insert(names::ETAG, etag);
        }
        Ok(response)
    }
}

fn behind(at: Position) -> Problem {
    Problem::new(Fault::Behind, format!("the views are at position {at}")).with("position", at)
}

/// What an `ETag` is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    /// The body is a function of this stream version.
    Stream(i64),
    /// The body also depends on other streams, or on the time: the version, and a digest of the body. `If-Match`
    /// takes such a tag and looks at the version only.
    Derived(i64),
    /// The body is no stream's: a digest of it. No command takes such a tag.
    Body,
    /// Pages of the log have none: a position says more.
    None,
}

impl Version {
    fn etag(self, body: &[u8]) -> Option<String> {
        match self {
            Self::Stream(version) => Some(format!("\"{version}\"")),
            Self::Derived(version) => Some(format!("\"{version}-{}\"", digest(body))),
            Self::Body => Some(format!("\"b{}\"", digest(body))),
            Self::None => None,
        }
    }
}

fn digest(body: &[u8]) -> String {
    cursor::hex(ledger_core::domain::id::digest16(body).get(..8).unwrap_or_default())
}

/// A stored row that is not what the projector writes.
pub(crate) fn corrupt(what: &'static str) -> store::Error {
    store::Error::from(sqlx::Error::Decode(what.into()))
}
