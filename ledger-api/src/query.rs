//! Everything that reads.
//!
//! **Shape**: [`Reading`] (key, smallest position) → the cache, or one statement on the views → an answer that says
//! which position it shows.
//! **Correctness**: rows and the position they are folded to come from one statement, so from one snapshot. A hold
//! whose instant has come is taken off by the database's clock, whether or not the sweeper has recorded it.

pub(crate) mod account;
pub(crate) mod account_set;
pub(crate) mod as_of;
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
pub(crate) mod job;
pub(crate) mod lot;
pub(crate) mod moment;
mod page;
pub(crate) mod period;
pub(crate) mod person;
pub(crate) mod position;
pub(crate) mod promise;
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

use crate::auth::Principal;
use crate::command::answer::unwritable;
use crate::header::{self, LEDGER_POSITION};
use crate::problem::{Fault, Problem};
use crate::state::Api;
pub(crate) use exact::Exact;
pub(crate) use page::{Page, PageQuery};

/// Who reads, and how new the answer must be.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) tenant: TenantId,
    pub(crate) position_min: Option<Position>,
    wait: Duration,
    /// What the caller has already (`If-None-Match`).
    tags: Vec<HeaderValue>,
}

impl FromRequestParts<Api> for Reading {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let principal = Principal::from_request_parts(parts, api).await?;
        let headers = &parts.headers;
        Ok(Self {
            tenant: principal.tenant,
            position_min: header::position_min(headers)?,
            wait: header::wait(headers),
            tags: headers.get_all(names::IF_NONE_MATCH).iter().cloned().collect(),
        })
    }
}

impl Reading {
    /// Waits until the views include the position the caller asks for.
    ///
    /// # Errors
    /// `behind` when they do not in time.
    pub(crate) async fn settle(&self, api: &Api) -> Result<(), Problem> {
        match self.position_min {
            None => Ok(()),
            Some(min) => match api.positions.reached(api, self.tenant, min, self.wait).await {
                Ok(()) => Ok(()),
                Err(at) => Err(behind(at)),
            },
        }
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
    /// Lists have none.
    None,
}

impl Version {
    fn etag(self, body: &[u8]) -> Option<String> {
        match self {
            Self::Stream(version) => Some(format!("\"{version}\"")),
            Self::Derived(version) => {
                let digest = ledger_core::domain::id::digest16(body);
                Some(format!("\"{version}-{}\"", cursor::hex(digest.get(..8).unwrap_or_default())))
            }
            Self::None => None,
        }
    }
}

/// A stored row that is not what the projector writes.
pub(crate) fn corrupt(what: &'static str) -> store::Error {
    store::Error::from(sqlx::Error::Decode(what.into()))
}
