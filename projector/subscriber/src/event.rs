//! An event, whichever way it came.

use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// One fact of a tenant's log. JSON Schemas of `data` by type are part of the ledger's repository.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Event {
    /// Place in the tenant's log: 1, 2, 3 … without gaps.
    pub position: i64,
    /// What happened, such as `stock_received`.
    pub r#type: String,
    /// What it is about, such as `item-ABC`.
    pub stream: String,
    /// Place in the stream.
    pub version: i64,
    /// When the log accepted it, RFC 3339.
    pub recorded_at: String,
    /// When it happened in the world, RFC 3339.
    pub effective_at: String,
    /// The caller's document.
    #[serde(default)]
    pub reference: Option<String>,
    /// Why, as a code.
    #[serde(default)]
    pub reason: Option<String>,
    /// What the fact says. Quantities and amounts are decimal strings.
    pub data: Value,
}

/// As published: CloudEvents 1.0.2, structured JSON.
#[derive(Deserialize)]
struct CloudEvent {
    r#type: String,
    time: String,
    sequence: String,
    /// Absent where the event was too large for the broker; it is in the log.
    data: Option<Body>,
}

#[derive(Deserialize)]
struct Body {
    stream: String,
    version: i64,
    effective_at: String,
    reference: Option<String>,
    reason: Option<String>,
    event: Value,
}

/// What a message says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// The event itself.
    Whole(Box<Event>),
    /// Only that there is an event at this position.
    Reference(i64),
}

impl Said {
    pub(crate) fn position(&self) -> i64 {
        match self {
            Self::Whole(event) => event.position,
            Self::Reference(position) => *position,
        }
    }

    /// Reads a published message.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Error> {
        let malformed = |position, what: String| Error::Malformed { position, what };
        let said: CloudEvent = serde_json::from_slice(payload).map_err(|e| malformed(0, e.to_string()))?;
        let position: i64 = said.sequence.parse().map_err(|_| malformed(0, format!("sequence {:?}", said.sequence)))?;
        let Some(body) = said.data else { return Ok(Self::Reference(position)) };
        let r#type = said.r#type.strip_prefix("ledger.").ok_or_else(|| malformed(position, format!("type {:?}", said.r#type)))?;
        Ok(Self::Whole(Box::new(Event {
            position,
            r#type: r#type.to_owned(),
            stream: body.stream,
            version: body.version,
            recorded_at: said.time,
            effective_at: body.effective_at,
            reference: body.reference,
            reason: body.reason,
            data: body.event,
        })))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_the_same_from_the_feed_and_from_the_log() {
        let event = json!({"code": "A", "name": "Shop", "kind": "storage", "retired": false});
        let published = json!({
            "specversion": "1.0", "id": "3:7", "source": "/tenants/acme", "type": "ledger.location_defined",
            "subject": "location-A", "time": "1970-01-01T00:00:01Z", "sequence": "7", "partitionkey": "location-A",
            "datacontenttype": "application/json",
            "data": {"position": 7, "stream": "location-A", "version": 1, "effective_at": "1970-01-01T00:00:01Z",
                "reference": "PO 7", "reason": null, "event": event},
        });
        let read = json!({"position": 7, "stream": "location-A", "version": 1, "type": "location_defined",
            "recorded_at": "1970-01-01T00:00:01Z", "effective_at": "1970-01-01T00:00:01Z", "reference": "PO 7", "data": event});
        let read: Event = serde_json::from_value(read).unwrap();
        assert_eq!(Said::parse(published.to_string().as_bytes()).unwrap(), Said::Whole(Box::new(read)));
    }

    #[test]
    fn what_is_too_large_is_only_named_and_what_is_no_event_is_refused() {
        let large = json!({"type": "ledger.period_closed", "time": "1970-01-01T00:00:01Z", "sequence": "9", "dataref": "/v1/events?after=8&limit=1"});
        assert_eq!(Said::parse(large.to_string().as_bytes()).unwrap(), Said::Reference(9));
        for wrong in [json!({}), json!({"type": "ledger.x", "time": "", "sequence": "nine"}), json!(7)] {
            assert!(Said::parse(wrong.to_string().as_bytes()).is_err(), "{wrong}");
        }
    }
}
