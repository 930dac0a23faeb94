//! Who is signed in.
//!
//! **Shape**: a key's text, once, in a form → a cookie `tenant.key.until.proof` → a [`Session`] with the principal that the
//! key names. The proof is an HMAC-SHA256 over the rest, keyed with the key's hash, which the database keeps.
//! **Correctness**: 1. The cookie does not hold the key, and the key cannot be computed from it: who steals the cookie
//! reads this tenant until it ends, and can write nothing. 2. Nothing is kept on the server, so any node takes any cookie,
//! before and after a restart. 3. The instant it ends is under the proof. 4. The key is looked at on every request as for
//! every call of the API: one that is revoked or has expired, or a suspended tenant, ends its sessions within seconds.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use hmac::{Hmac, KeyInit, Mac};
use ledger_core::domain::id::TenantId;
use ledger_core::domain::time::Timestamp;
use sha2::Sha256;

use super::{Console, part};
use crate::auth::{self, KnownKey, Principal};
use crate::limit::CONSOLE_SESSION_TIME;
use crate::problem::Problem;
use crate::query::{hex, unhex};
use crate::state::Api;

/// The cookie with the proof.
pub(super) const COOKIE: &str = "ledger_console";
/// The cookie with the colours chosen.
pub(super) const THEME_COOKIE: &str = "ledger_theme";
/// What the proof is for: the hash proves nothing else under this name.
const SESSION: &[u8] = b"ledger console session\0";
/// See [`SESSION`].
const FORM: &[u8] = b"ledger console form\0";
const MICROS: i64 = 1_000_000;

/// Colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system has it.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::System, Self::Light, Self::Dark].into_iter().find(|theme| theme.as_str() == text)
    }

    pub(super) fn of(headers: &HeaderMap) -> Self {
        cookie(headers, THEME_COOKIE).and_then(Self::parse).unwrap_or_default()
    }
}

/// Somebody who is signed in, and the request.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) principal: Principal,
    /// The key's name for people.
    pub(super) key: String,
    pub(super) theme: Theme,
    /// Path and query of the page.
    pub(super) here: String,
    /// What a form of this session carries.
    pub(super) token: String,
}

/// Why nobody is signed in.
pub(super) enum Refused {
    /// Sign in first.
    SignIn { back: String, is_script: bool, was_signed_in: bool },
    /// It cannot be told at present.
    Problem(Problem),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn { back, is_script, was_signed_in } => {
                let ended = if was_signed_in { "&ended=1" } else { "" };
                let target = format!("/console/login?back={}{ended}", part::encode(&back));
                match is_script {
                    // A script would follow a redirect by itself and put the form where it does not belong.
                    true => (StatusCode::UNAUTHORIZED, [("hx-redirect", target)], "sign in first\n").into_response(),
                    false => Redirect::to(&target).into_response(),
                }
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl FromRequestParts<Console> for Session {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Refused> {
        let here = parts.uri.path_and_query().map_or("/console", |p| p.as_str()).to_owned();
        let headers = &parts.headers;
        let is_script = headers.contains_key("hx-request") || crate::header::accepts(headers, "text/event-stream");
        let text = cookie(headers, COOKIE);
        let back = if parts.method == axum::http::Method::GET && !is_script { here.clone() } else { "/console".to_owned() };
        let sign_in = || Refused::SignIn { back, is_script, was_signed_in: text.is_some() };
        let Some(claim) = text.and_then(Claim::parse) else { return Err(sign_in()) };
        if claim.until <= console.api.pipeline.now() {
            return Err(sign_in());
        }
        let key = match claim.check(&console.api).await {
            Ok(key) => key,
            Err(problem) if problem.status().is_client_error() => return Err(sign_in()),
            Err(problem) => return Err(Refused::Problem(problem)),
        };
        let token = hex(&mac(&key.row.hash, FORM, claim.text.as_bytes()).finalize().into_bytes());
        let principal = Principal { tenant: key.row.tenant, context: Arc::clone(&key.context) };
        Ok(Self { principal, key: key.row.name.clone(), theme: Theme::of(headers), here, token })
    }
}

/// What a cookie says, not looked into yet.
struct Claim<'a> {
    tenant: TenantId,
    key: &'a str,
    until: Timestamp,
    proof: Vec<u8>,
    /// All of it.
    text: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let (tenant, key, until, proof) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let until = until.parse::<i64>().ok()?.checked_mul(MICROS)?;
        let rest_is_empty = parts.next().is_none();
        let claim = Self { tenant: TenantId(tenant.parse().ok()?), key, until: Timestamp(until), proof: unhex(proof)?, text };
        rest_is_empty.then_some(claim)
    }

    async fn check(&self, api: &Api) -> Result<Arc<KnownKey>, Problem> {
        let signed = said(self.tenant, self.key, self.until);
        let is_proven = |row: &ledger_core::store::api_key::KeyRow| {
            // In constant time.
            mac(&row.hash, SESSION, signed.as_bytes()).verify_slice(&self.proof).is_ok()
        };
        auth::by_proof(api, self.tenant, self.key, is_proven).await
    }
}

fn said(tenant: TenantId, key: &str, until: Timestamp) -> String {
    format!("{tenant}.{key}.{}", until.0.div_euclid(MICROS))
}

fn mac(hash: &[u8; 32], name: &[u8], what: &[u8]) -> Hmac<Sha256> {
    // A shorter key is filled up with zeros to the hash's block by definition (RFC 2104, §2); here it is before.
    let mut key = [0; 64];
    key.iter_mut().zip(hash).for_each(|(place, byte)| *place = *byte);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&key.into());
    mac.update(name);
    mac.update(what);
    mac
}

/// The cookie for a key that was checked.
pub(super) fn begin(key: &KnownKey, now: Timestamp, is_https: bool) -> HeaderValue {
    let micros = i64::try_from(CONSOLE_SESSION_TIME.as_micros()).unwrap_or(i64::MAX);
    let until = Timestamp(now.0.saturating_add(micros));
    let said = said(key.row.tenant, &key.row.id, until);
    let proof = hex(&mac(&key.row.hash, SESSION, said.as_bytes()).finalize().into_bytes());
    set_cookie(COOKIE, &format!("{said}.{proof}"), CONSOLE_SESSION_TIME, is_https)
}

/// The cookie that ends a session.
pub(super) fn end(is_https: bool) -> HeaderValue {
    set_cookie(COOKIE, "", Duration::ZERO, is_https)
}

pub(super) fn set_cookie(name: &str, value: &str, age: Duration, is_https: bool) -> HeaderValue {
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/console; Max-Age={}; HttpOnly; SameSite=Strict{secure}", age.as_secs());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|p| p.1)
}

/// Where to go after signing in: a page of the console, never another site.
pub(super) fn way_back(asked: Option<&str>) -> &str {
    let is_ours = |path: &&str| {
        let rest = path.strip_prefix("/console");
        let begins = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('?'));
        begins && !path.starts_with("/console/log") && path.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\')
    };
    asked.filter(is_ours).unwrap_or("/console")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_taken_apart_or_refused() {
        let claim = Claim::parse("7.abc.1700000000.00ff").unwrap();
        assert_eq!((claim.tenant, claim.key, claim.until.0), (TenantId(7), "abc", 1_700_000_000_000_000));
        assert_eq!(claim.proof, [0, 255]);
        for bad in ["", "7", "7.abc.1", "x.abc.1.00", "7.abc.x.00", "7.abc.1.0", "7.abc.1.00.00", "7.abc.99999999999999999.00"] {
            assert!(Claim::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_proof_holds_for_what_it_was_made_for() {
        let (hash, other) = ([1; 32], [2; 32]);
        let proof = mac(&hash, SESSION, b"7.abc.1").finalize().into_bytes();
        assert!(mac(&hash, SESSION, b"7.abc.1").verify_slice(&proof).is_ok());
        assert!(mac(&hash, SESSION, b"7.abc.2").verify_slice(&proof).is_err());
        assert!(mac(&hash, FORM, b"7.abc.1").verify_slice(&proof).is_err());
        assert!(mac(&other, SESSION, b"7.abc.1").verify_slice(&proof).is_err());
    }

    #[test]
    fn the_way_back_stays_in_the_console() {
        for good in ["/console", "/console/stock?search=a", "/console?x=1"] {
            assert_eq!(way_back(Some(good)), good);
        }
        for bad in ["//evil", "https://evil", "/consolex", "/console/\\evil", "/console/login", "/v1/items", "", "/console/a b"] {
            assert_eq!(way_back(Some(bad)), "/console", "{bad}");
        }
        assert_eq!(way_back(None), "/console");
    }

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; ledger_theme=dark;ledger_console=x.y"));
        assert_eq!((cookie(&headers, COOKIE), Theme::of(&headers)), (Some("x.y"), Theme::Dark));
        assert_eq!(cookie(&HeaderMap::new(), COOKIE), None);
        let set = set_cookie(COOKIE, "v", Duration::from_secs(60), true);
        assert_eq!(set, "ledger_console=v; Path=/console; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
    }
}
