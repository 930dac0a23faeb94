//! Headers of the contract, parsed once and strictly.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ledger_core::domain::id::{CommandId, Position, Text};

use crate::limit::{IDEMPOTENCY_KEY_CHARS_MAX, POSITION_WAIT, POSITION_WAIT_SECONDS_MAX};
use crate::problem::{Fault, Problem};

/// The caller's name for a command.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `true` on the answer of a command that was answered before.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Asks for a command's answer without the command; `true` on such an answer.
pub(crate) const DRY_RUN: HeaderName = HeaderName::from_static("dry-run");
/// The state an answer shows, or the position of a command's last event.
pub(crate) const LEDGER_POSITION: HeaderName = HeaderName::from_static("ledger-position");
/// The state a read must include.
pub(crate) const LEDGER_MIN_POSITION: HeaderName = HeaderName::from_static("ledger-min-position");
/// RFC 7240.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Echoed.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Ties the commands of one conversation together; recorded.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// What made the caller ask; recorded.
pub(crate) const CAUSATION_ID: HeaderName = HeaderName::from_static("x-causation-id");
/// Where an event stream goes on.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// W3C Trace Context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(crate) fn invalid(name: &HeaderName, detail: &str) -> Problem {
    Problem::new(Fault::HeaderInvalid, format!("{name}: {detail}")).with("header", name.as_str())
}

/// The one value of a header; `None` when it is absent.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(name, "given more than once"));
    }
    value.to_str().map(|text| Some(text.trim())).map_err(|_| invalid(name, "not plain ASCII"))
}

/// The command's identity from `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a quoted string, or
/// the same characters bare. `None` when it is absent.
pub(crate) fn command_id(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let key_invalid = || Problem::new(Fault::IdempotencyKeyInvalid, Fault::IdempotencyKeyInvalid.sentence());
    let Some(value) = single(headers, &IDEMPOTENCY_KEY).map_err(|_| key_invalid())? else { return Ok(None) };
    let is_quoted = value.starts_with('"');
    let id = if is_quoted { unquote(value).and_then(|key| command_id_from(&key)) } else { command_id_from(value) };
    id.map(Some).ok_or_else(key_invalid)
}

/// Whether a dry run is asked for; `None` when the header is absent.
pub(crate) fn dry_run(headers: &HeaderMap) -> Result<Option<bool>, Problem> {
    match single(headers, &DRY_RUN)? {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(invalid(&DRY_RUN, "must be true or false")),
    }
}

/// The identity a key stands for; `None` when the text is no key.
pub(crate) fn command_id_from(key: &str) -> Option<CommandId> {
    let printable = key.bytes().all(|b| (0x20..0x7f).contains(&b));
    (printable && !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_CHARS_MAX).then(|| CommandId::from_key(key))
}

/// The characters of a structured-field string (RFC 8941 §3.3.3).
fn unquote(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut key = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => key.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => key.push(c),
        }
    }
    // A lone quote is its own prefix and suffix.
    (value.len() >= 2).then_some(key)
}

/// The version a command expects: `If-Match: "7"` (also `"7-…"`, as reads of derived states give it), or
/// `If-None-Match: *` for a stream that must not exist.
pub(crate) fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let absent = match single(headers, &header::IF_NONE_MATCH)? {
        None => false,
        Some("*") => true,
        Some(_) => return Err(invalid(&header::IF_NONE_MATCH, "a command takes only *")),
    };
    match (single(headers, &header::IF_MATCH)?, absent) {
        (None, false) => Ok(None),
        (None, true) => Ok(Some(0)),
        (Some(_), true) => Err(invalid(&header::IF_MATCH, "given beside If-None-Match")),
        (Some(tag), false) => {
            let version = tag
                .strip_prefix('"')
                .and_then(|t| t.strip_suffix('"'))
                .and_then(|t| t.split('-').next())
                .and_then(whole_number)
                .ok_or_else(|| invalid(&header::IF_MATCH, "must be one quoted stream version, such as \"7\""))?;
            Ok(Some(version))
        }
    }
}

/// Digits only: Rust would also take a plus sign.
fn whole_number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What a read must include.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Least {
    /// Every event up to here.
    Position(Position),
    /// Everything committed before the request arrived.
    Head,
}

/// What a read must include.
pub(crate) fn position_min(headers: &HeaderMap) -> Result<Option<Least>, Problem> {
    if single(headers, &LEDGER_MIN_POSITION)? == Some("head") {
        return Ok(Some(Least::Head));
    }
    let found = position(headers, &LEDGER_MIN_POSITION);
    found
        .map_err(|_| invalid(&LEDGER_MIN_POSITION, "must be a position (a whole number) or head"))
        .map(|p| p.map(Least::Position))
}

/// The position after which an event stream goes on.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    position(headers, &LAST_EVENT_ID)
}

fn position(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Position>, Problem> {
    let Some(text) = single(headers, name)? else { return Ok(None) };
    let position = whole_number(text).and_then(|n| Position::try_from(n).ok());
    position.map(Some).ok_or_else(|| invalid(name, "must be a position: a whole number"))
}

/// How long a read may wait (`Prefer: wait=SECONDS`, RFC 7240). Preferences that are not understood are ignored, as
/// the RFC says.
pub(crate) fn wait(headers: &HeaderMap) -> Duration {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|preference| preference.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| whole_number(seconds.trim().trim_matches('"')))
        .map_or(POSITION_WAIT, |seconds| Duration::from_secs(seconds.min(POSITION_WAIT_SECONDS_MAX)))
}

/// True when one of `If-None-Match`'s tags is this one (weak comparison).
pub(crate) fn has_representation<'a>(tags: impl IntoIterator<Item = &'a HeaderValue>, etag: &str) -> bool {
    tags.into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag == etag)
}

/// The trace this request belongs to; a value that is none is ignored, as W3C Trace Context says.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<Text> {
    let value = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut parts = value.split('-');
    let lengths_fit = [2, 32, 16, 2].iter().all(|length| parts.next().is_some_and(|p| p.len() == *length && is_lower_hex(p)));
    (lengths_fit && !value.starts_with("ff")).then(|| Text::parse(value).ok())?
}

/// An identity of the caller's own that is recorded with a command. Unlike a trace it is somebody's statement: one that
/// cannot be kept is refused.
pub(crate) fn recorded_id(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Text>, Problem> {
    match single(headers, name)? {
        None => Ok(None),
        Some("") => Err(invalid(name, "empty")),
        Some(text) => Text::parse(text).map(Some).map_err(|error| invalid(name, &error.to_string())),
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The bearer credential.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

/// The media type of the body, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// True when the caller names this media type among those it accepts.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_key_is_the_same_quoted_and_bare() {
        let id = |value: &str| command_id(&headers(&[(IDEMPOTENCY_KEY, value)]));
        assert_eq!(id("abc").unwrap(), Some(CommandId::from_key("abc")));
        assert_eq!(id("\"abc\"").unwrap(), Some(CommandId::from_key("abc")));
        assert_eq!(id(r#""a\"b""#).unwrap(), Some(CommandId::from_key("a\"b")));
        assert!(id(&"k".repeat(255)).is_ok());
        for bad in ["", "\"\"", "\"", "\"abc", "\"a\"b\"", r#""a\x""#, &"k".repeat(256)] {
            assert_eq!(id(bad).unwrap_err().code(), "idempotency_key_invalid", "{bad}");
        }
        assert_eq!(command_id(&HeaderMap::new()).unwrap(), None);
        let mut twice = headers(&[(IDEMPOTENCY_KEY, "a")]);
        twice.append(IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert_eq!(command_id(&twice).unwrap_err().code(), "idempotency_key_invalid");
    }

    #[test]
    fn versions_are_read_from_tags() {
        let version = |value| expected_version(&headers(&[(header::IF_MATCH, value)]));
        assert_eq!(version("\"7\"").unwrap(), Some(7));
        assert_eq!(version("\"7-00ff\"").unwrap(), Some(7));
        for bad in ["7", "*", "\"\"", "\"+7\"", "\"-7\"", "W/\"7\"", "\"7\", \"8\"", "\"99999999999999999999\""] {
            assert_eq!(version(bad).unwrap_err().code(), "header_invalid", "{bad}");
        }
        assert_eq!(expected_version(&headers(&[(header::IF_NONE_MATCH, "*")])).unwrap(), Some(0));
        assert!(expected_version(&headers(&[(header::IF_NONE_MATCH, "*"), (header::IF_MATCH, "\"1\"")])).is_err());
        assert_eq!(expected_version(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn waits_are_bounded_and_nonsense_is_ignored() {
        let wait = |value| wait(&headers(&[(PREFER, value)])).as_secs();
        assert_eq!(wait("wait=2"), 2);
        assert_eq!(wait("respond-async, wait=7"), 7);
        assert_eq!(wait("wait=0"), 0);
        assert_eq!(wait("wait=3600"), 30);
        for ignored in ["wait=x", "wait", "return=minimal", "wait=-1"] {
            assert_eq!(wait(ignored), 5, "{ignored}");
        }
    }

    #[test]
    fn positions_are_whole_numbers() {
        let min = |value| position_min(&headers(&[(LEDGER_MIN_POSITION, value)]));
        assert_eq!(min("12").unwrap(), Some(Least::Position(12)));
        assert_eq!(min("head").unwrap(), Some(Least::Head));
        for bad in ["", "-1", "Head", "head, 1", "1.0", "x", "9223372036854775808"] {
            assert_eq!(min(bad).unwrap_err().code(), "header_invalid", "{bad}");
        }
    }

    #[test]
    fn only_well_formed_traces_are_kept() {
        let trace = |value| traceparent(&headers(&[(TRACEPARENT, value)]));
        assert!(trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").is_some());
        for bad in ["", "00-4bf9-00f0-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x"] {
            assert!(trace(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn ids_to_be_recorded_are_kept_as_they_are_or_refused() {
        let id = |value| recorded_id(&headers(&[(CORRELATION_ID, value)]), &CORRELATION_ID);
        assert_eq!(id("order 7").unwrap(), Text::parse("order 7").ok());
        assert_eq!(recorded_id(&HeaderMap::new(), &CORRELATION_ID).unwrap(), None);
        for bad in ["", &"x".repeat(257)] {
            assert_eq!(id(bad).unwrap_err().code(), "header_invalid", "{bad}");
        }
    }

    #[test]
    fn representations_are_compared_weakly() {
        let has = |value| has_representation(&[HeaderValue::from_static(value)], "\"3\"");
        assert!(has("\"3\"") && has("W/\"3\"") && has("\"1\", \"3\"") && has("*"));
        assert!(!has("\"4\"") && !has("3"));
    }
}
