//! The log over HTTP: what the broker does not have.

use std::time::Duration;

use serde::Deserialize;

use crate::{Error, Event};

/// Events asked for at once: the most the API gives.
const PAGE_EVENTS: usize = 1_000;
/// Longest wait for a page.
const PAGE_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest text of a refusal that is passed on.
const DETAIL_CHARS_MAX: usize = 300;

/// A reader of one tenant's log.
pub(crate) struct Log {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// Events after a position.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) data: Vec<Event>,
    pub(crate) more: bool,
}

impl Log {
    pub(crate) fn new(url: &str, key: &str) -> Result<Self, Error> {
        // A client asks for one even where it speaks plain HTTP; whoever was first has decided.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(PAGE_TIME_MAX).build().map_err(|e| Error::Log(e.to_string()))?;
        Ok(Self { http, url: format!("{}/v1/events", url.trim_end_matches('/')), key: key.to_owned() })
    }

    /// The events after a position, without a gap.
    pub(crate) async fn after(&self, position: i64) -> Result<Page, Error> {
        let failed = |error: reqwest::Error| Error::Log(error.without_url().to_string());
        let url = format!("{}?after={position}&limit={PAGE_EVENTS}", self.url);
        let answer = self.http.get(url).bearer_auth(&self.key).send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        if status != 200 {
            let detail: String = answer.text().await.unwrap_or_default().chars().take(DETAIL_CHARS_MAX).collect();
            // Busy, behind, limited, failing: later. Anything else is not going to change by waiting.
            let is_for_later = status == 408 || status == 429 || status >= 500;
            return Err(if is_for_later { Error::Log(format!("{status} {detail}")) } else { Error::Refused { status, detail } });
        }
        let page: Page = answer.json().await.map_err(failed)?;
        for (wanted, event) in (position.saturating_add(1)..).zip(&page.data) {
            if event.position != wanted {
                return Err(Error::Malformed {
                    position: event.position,
                    what: format!("the log gave it where {wanted} belongs"),
                });
            }
        }
        Ok(page)
    }
}
