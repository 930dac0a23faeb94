//! An event as a message: CloudEvents 1.0.2 in structured JSON, the one mode its NATS binding defines, with the extensions
//! sequence, partitionkey, traceparent and, for an event larger than the broker takes, dataref.

use async_nats::HeaderMap;
use ledger_core::domain::event::Event;
use ledger_core::domain::id::{Position, ReasonCode, TenantId, Text};
use ledger_core::domain::time::Timestamp;
use ledger_core::store::read::Stored;

/// Header with the event's position.
pub(crate) const POSITION: &str = "Ledger-Position";
/// Room that the broker counts as payload beside the body: ours need about 200 bytes.
const HEADERS_BYTES_MAX: usize = 1_024;

/// A message, ready to go.
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Vec<u8>,
}

#[derive(serde::Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    subject: &'a str,
    time: Timestamp,
    sequence: String,
    partitionkey: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(serde::Serialize)]
struct Data<'a> {
    position: Position,
    stream: &'a str,
    version: i64,
    effective_at: Timestamp,
    reference: Option<&'a Text>,
    reason: Option<&'a ReasonCode>,
    event: &'a Event,
}

/// Makes the messages of one tenant, in order.
pub(crate) struct Writer<'a> {
    code: &'a str,
    tenant: TenantId,
    payload_max: usize,
    /// Events of the present command still to come, and the trace it belongs to: that is stored on its first event.
    left: u32,
    traceparent: Option<Text>,
}

impl<'a> Writer<'a> {
    /// `payload_max` is what the broker takes, headers included.
    pub(crate) fn new(code: &'a str, tenant: TenantId, payload_max: usize) -> Self {
        Self { code, tenant, payload_max, left: 0, traceparent: None }
    }

    /// Begins within a command whose first event is `first`: the events up to `after` are not written by this writer.
    pub(crate) fn go_on(&mut self, first: &Stored, after: Position) {
        let Some(command) = &first.command else { return };
        let written = after.saturating_sub(first.recorded.position).saturating_add(1);
        self.left = u32::try_from(i64::from(command.meta.events).saturating_sub(written)).unwrap_or(0);
        self.traceparent.clone_from(&command.meta.context.traceparent);
    }

    /// Passes over an event that is not to be written.
    pub(crate) fn skip(&mut self, stored: &Stored) {
        self.enter(stored);
        self.left = self.left.saturating_sub(1);
    }

    fn enter(&mut self, stored: &Stored) {
        if let Some(command) = &stored.command {
            self.left = command.meta.events;
            self.traceparent.clone_from(&command.meta.context.traceparent);
        }
    }

    /// # Errors
    /// None for an event that was decoded.
    pub(crate) fn write(&mut self, stored: &Stored) -> Result<Message, serde_json::Error> {
        self.enter(stored);
        let traceparent = self.traceparent.as_ref().filter(|_| self.left > 0);
        let recorded = &stored.recorded;
        let (event, note) = (&recorded.fact.event, &recorded.fact.note);
        let stream = event.subject().to_string();
        let mut cloud_event = CloudEvent {
            specversion: "1.0",
            id: format!("{}:{}", self.tenant, recorded.position),
            source: format!("/tenants/{}", self.code),
            r#type: format!("ledger.{}", event.type_name()),
            subject: &stream,
            time: recorded.recorded_at,
            sequence: recorded.position.to_string(),
            partitionkey: &stream,
            traceparent,
            dataref: None,
            datacontenttype: Some("application/json"),
            data: Some(Data {
                position: recorded.position,
                stream: &stream,
                version: recorded.stream_version,
                effective_at: recorded.effective_at(),
                reference: note.reference.as_ref(),
                reason: note.reason.as_ref(),
                event,
            }),
        };
        let mut payload = serde_json::to_vec(&cloud_event)?;
        if payload.len().saturating_add(HEADERS_BYTES_MAX) > self.payload_max {
            // It would never be taken, and nothing after it would go out: say where it can be read instead.
            cloud_event.dataref = Some(format!("/v1/events?after={}&limit=1", recorded.position.saturating_sub(1)));
            (cloud_event.data, cloud_event.datacontenttype) = (None, None);
            payload = serde_json::to_vec(&cloud_event)?;
        }
        self.left = self.left.saturating_sub(1);
        let subject = format!("ledger.{}.{}.{}", self.code, event.category().as_str(), event.type_name());
        Ok(Message { subject, headers: headers(self.tenant, recorded.position), payload })
    }
}

fn headers(tenant: TenantId, position: Position) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_MESSAGE_ID, format!("{tenant}:{position}"));
    headers.insert(POSITION, position.to_string());
    headers.insert("Ledger-Previous-Position", position.saturating_sub(1).to_string());
    headers.insert("Content-Type", "application/cloudevents+json");
    headers
}

/// A tenant's code as one token of a subject: whatever has a meaning there is written as `=` and two hexadecimal digits.
pub(crate) fn token(code: &str) -> String {
    let mut token = String::with_capacity(code.len());
    for byte in code.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("={byte:02X}"));
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::catalogue::event::LocationDefinition;
    use ledger_core::domain::command::Context;
    use ledger_core::domain::event::{Fact, Note, Recorded};
    use ledger_core::domain::id::CommandId;
    use ledger_core::domain::period::event::PeriodReopened;
    use ledger_core::store::read::{Meta, StoredCommand};

    use super::*;

    fn stored(position: Position, events: Option<u32>) -> Stored {
        let definition = LocationDefinition {
            code: "A".parse().unwrap(),
            name: "Shop".parse().unwrap(),
            kind: Default::default(),
            retired: false,
            parent: None,
            x: None,
            y: None,
        };
        let note = Note { reference: Some("PO 7".parse().unwrap()), reason: None };
        let fact = Fact { event: Event::LocationDefined(definition), effective_at: None, note };
        let recorded = Recorded { position, stream: position, stream_version: 1, recorded_at: Timestamp(1_000_000), fact };
        let context = Context { traceparent: Some("00-1-2-01".parse().unwrap()), ..Context::default() };
        let command = |events| StoredCommand {
            id: CommandId([0; 16]),
            fingerprint: [0; 16],
            meta: Meta { events, context, metadata: None },
        };
        Stored { recorded, command: events.map(command) }
    }

    fn json(message: &Message) -> serde_json::Value {
        serde_json::from_slice(&message.payload).unwrap()
    }

    #[test]
    fn a_message_is_a_cloud_event_with_its_place_in_the_log() {
        let message = Writer::new("acme", TenantId(3), 1 << 20).write(&stored(7, Some(1))).unwrap();
        assert_eq!(message.subject, "ledger.acme.catalogue.location_defined");
        let header = |name: &str| message.headers.get(name).map(|v| v.as_str().to_owned());
        assert_eq!(header("Nats-Msg-Id").as_deref(), Some("3:7"));
        assert_eq!(header("Ledger-Position").as_deref(), Some("7"));
        assert_eq!(header("Ledger-Previous-Position").as_deref(), Some("6"));
        assert_eq!(
            json(&message),
            serde_json::json!({
                "specversion": "1.0", "id": "3:7", "source": "/tenants/acme", "type": "ledger.location_defined",
                "subject": "location-A", "time": "1970-01-01T00:00:01Z", "sequence": "7", "partitionkey": "location-A",
                "traceparent": "00-1-2-01", "datacontenttype": "application/json",
                "data": {
                    "position": 7, "stream": "location-A", "version": 1, "effective_at": "1970-01-01T00:00:01Z",
                    "reference": "PO 7", "reason": null,
                    "event": {"code": "A", "name": "Shop", "kind": "storage", "retired": false},
                },
            })
        );
    }

    #[test]
    fn what_concerns_periods_has_a_subject_of_its_own() {
        let mut stored = stored(7, Some(1));
        stored.recorded.fact.event = Event::PeriodReopened(PeriodReopened { period: "2026-11".parse().unwrap() });
        let message = Writer::new("acme", TenantId(3), 1 << 20).write(&stored).unwrap();
        assert_eq!(message.subject, "ledger.acme.period.period_reopened");
        assert_eq!(json(&message)["subject"], "periods");
        assert_eq!(json(&message)["data"]["event"], serde_json::json!({"period": "2026-11"}));
    }

    #[test]
    fn every_event_of_a_command_carries_its_trace_and_no_other_does() {
        let mut writer = Writer::new("acme", TenantId(3), 1 << 20);
        let traced: Vec<bool> = [stored(1, Some(2)), stored(2, None), stored(3, None)]
            .iter()
            .map(|s| json(&writer.write(s).unwrap()).get("traceparent").is_some())
            .collect();
        assert_eq!(traced, [true, true, false]);
    }

    #[test]
    fn a_message_is_the_same_when_publishing_begins_within_a_command() {
        let rows = [stored(1, Some(3)), stored(2, None), stored(3, None), stored(4, None)];
        let mut whole = Writer::new("acme", TenantId(3), 1 << 20);
        let all: Vec<_> = rows.iter().map(|s| json(&whole.write(s).unwrap())).collect();
        for after in 1..=3 {
            let mut writer = Writer::new("acme", TenantId(3), 1 << 20);
            writer.go_on(&rows[0], i64::try_from(after).unwrap());
            let rest: Vec<_> = rows[after..].iter().map(|s| json(&writer.write(s).unwrap())).collect();
            assert_eq!(rest, all[after..], "after {after}");
        }
    }

    #[test]
    fn an_event_too_large_for_the_broker_says_where_it_is() {
        let message = Writer::new("acme", TenantId(3), 1_100).write(&stored(7, Some(1))).unwrap();
        let body = json(&message);
        assert_eq!(body["dataref"], "/v1/events?after=6&limit=1");
        assert!(body.get("data").is_none() && body.get("datacontenttype").is_none());
    }

    #[test]
    fn a_code_is_one_token() {
        assert_eq!(token("acme-1_b"), "acme-1_b");
        assert_eq!(token("a.b >*"), "a=2Eb=20=3E=2A");
    }
}
