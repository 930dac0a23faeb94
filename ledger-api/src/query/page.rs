//! Pages of lists.

use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use ledger_core::domain::id::TenantId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Reading, Version, cursor};
use crate::path;
use crate::problem::Problem;

/// What every list takes.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Rows of a page, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    pub(crate) limit: Option<u32>,
    /// From `next_cursor` or `Link: rel="next"` of the page before.
    #[param(max_length = 512, nullable = false)]
    pub(crate) cursor: Option<String>,
}

/// Which end of the log a list begins at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Age {
    /// What the log accepted first.
    #[default]
    Oldest,
    /// What the log accepted last.
    Newest,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows, in the list's order.
    pub(crate) data: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The one page of a short list.
    pub(crate) const fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }
}

/// Where in which list a page is.
pub(crate) struct Place<'a> {
    scope: String,
    rows: i64,
    uri: &'a Uri,
}

impl<'a> Place<'a> {
    /// `scope` says which list it is: the path's names and the filters.
    ///
    /// # Errors
    /// `parameter_invalid` for a limit out of range.
    pub(crate) fn new(reading: &Reading, uri: &'a Uri, scope: &str, limit: Option<u32>) -> Result<Self, Problem> {
        Self::of(reading.tenant, uri, scope, limit)
    }

    /// As [`Place::new`], for lists that are not of the log.
    ///
    /// # Errors
    /// `parameter_invalid` for a limit out of range.
    pub(crate) fn of(tenant: TenantId, uri: &'a Uri, scope: &str, limit: Option<u32>) -> Result<Self, Problem> {
        let scope = format!("{tenant}:{}:{scope}", uri.path());
        Ok(Self { scope, rows: path::rows(limit)?, uri })
    }

    /// Where the page begins; `None` for the first one.
    ///
    /// # Errors
    /// `cursor_invalid`.
    pub(crate) fn after<T: DeserializeOwned>(&self, cursor: Option<&str>) -> Result<Option<T>, Problem> {
        cursor.map(|cursor| cursor::read(&self.scope, cursor)).transpose()
    }

    /// Rows of a page.
    pub(crate) fn rows(&self) -> usize {
        usize::try_from(self.rows).unwrap_or(usize::MAX)
    }

    /// Rows to read: one more than shown tells whether there is a next page.
    pub(crate) const fn rows_to_read(&self) -> i64 {
        self.rows.saturating_add(1)
    }

    /// Leaves a page of the rows read; where the next one begins, if there is one. `key` is the place behind a row.
    pub(crate) fn cut<T, K: Serialize>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> K) -> Option<String> {
        let is_more = rows.len() > self.rows();
        rows.truncate(self.rows());
        rows.last().filter(|_| is_more).and_then(|last| self.cursor(&key(last)))
    }

    /// A cursor that leads to a place.
    pub(crate) fn cursor<K: Serialize>(&self, key: &K) -> Option<String> {
        cursor::write(&self.scope, key)
    }

    /// `Link: rel="next"` for a cursor.
    pub(crate) fn link(&self, cursor: &str) -> Option<HeaderValue> {
        next_link(self.uri, cursor)
    }

    /// Renders a page of the rows read; `key` is where the next page begins after a row.
    ///
    /// # Errors
    /// See [`Reading::show`].
    pub(crate) fn show<T: Serialize, K: Serialize>(
        &self,
        reading: &Reading,
        as_of: i64,
        mut data: Vec<T>,
        key: impl Fn(&T) -> K,
    ) -> Result<Response, Problem> {
        let next_cursor = self.cut(&mut data, key);
        self.show_page(reading, as_of, data, next_cursor)
    }

    /// Renders a page of a list that is not of the log, and shows no position.
    ///
    /// # Errors
    /// None for rows that can be written.
    pub(crate) fn plain<T: Serialize, K: Serialize>(&self, mut data: Vec<T>, key: impl Fn(&T) -> K) -> Result<Response, Problem> {
        let next_cursor = self.cut(&mut data, key);
        let link = next_cursor.as_deref().and_then(|cursor| self.link(cursor));
        let mut response = super::job::show(&Page { data, next_cursor })?;
        response.headers_mut().extend(link.map(|link| (header::LINK, link)));
        Ok(response)
    }

    /// Renders a page whose successor begins at a cursor.
    ///
    /// # Errors
    /// See [`Reading::show`].
    pub(crate) fn show_page<T: Serialize>(
        &self,
        reading: &Reading,
        as_of: i64,
        data: Vec<T>,
        next_cursor: Option<String>,
    ) -> Result<Response, Problem> {
        let link = next_cursor.as_deref().and_then(|cursor| self.link(cursor));
        let mut response = reading.show(as_of, Version::Body, &Page { data, next_cursor })?;
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }
}

/// The same request with another cursor (RFC 8288).
fn next_link(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    let kept: String = uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
        .map(|pair| format!("{pair}&"))
        .collect();
    let target = format!("{}?{kept}cursor={cursor}", uri.path()).replace('<', "%3C").replace('>', "%3E");
    HeaderValue::try_from(format!("<{target}>; rel=\"next\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_keeps_the_filters() {
        let link = |uri: &str| next_link(&uri.parse().unwrap(), "c2").unwrap();
        assert_eq!(link("/v1/items"), "</v1/items?cursor=c2>; rel=\"next\"");
        assert_eq!(link("/v1/items?limit=2&cursor=c1"), "</v1/items?limit=2&cursor=c2>; rel=\"next\"");
    }
}
