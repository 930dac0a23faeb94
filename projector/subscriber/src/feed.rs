//! The broker's side: connection, stream, durable consumer.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Config, Stream};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};

use crate::{Error, Options};

/// The stream that a ledger publishes to.
const STREAM: &str = "LEDGER";
/// Longest wait for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// The broker says that it is there this often when it has nothing; two missing ones end the session.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// One request for messages lasts this long.
const PULL_TIME: Duration = Duration::from_secs(10);
/// What is not acknowledged after this long is delivered again.
const ACK_WAIT: Duration = Duration::from_secs(30);

pub(crate) fn broker(error: impl std::fmt::Display) -> Error {
    Error::Broker(error.to_string())
}

/// Messages to come.
pub(crate) struct Messages {
    pub(crate) stream: Stream,
    /// They begin where the stream ended when the consumer was made: what is before has to be read from the log.
    pub(crate) begins_at_end: bool,
}

/// Connects, and goes on with the durable consumer. Where there is none it is made: at the stream's first message for a
/// subscriber that has nothing yet, otherwise at its end, because the log has what is between.
pub(crate) async fn open(options: &Options, position: i64) -> Result<Messages, Error> {
    let client = connect(&options.nats_url).await?;
    let context = async_nats::jetstream::new(client);
    let stream = context.get_stream(STREAM).await.map_err(broker)?;
    let subject = format!("ledger.{}.>", token(&options.tenant));
    let config = Config {
        durable_name: Some(options.durable.clone()),
        ack_policy: AckPolicy::All,
        ack_wait: ACK_WAIT,
        max_ack_pending: i64::try_from(options.in_flight_max).unwrap_or(i64::MAX),
        filter_subject: subject.clone(),
        deliver_policy: if position == 0 { DeliverPolicy::All } else { DeliverPolicy::New },
        ..Config::default()
    };
    let consumer: PullConsumer = stream.get_or_create_consumer(&options.durable, config).await.map_err(broker)?;
    let info = consumer.cached_info();
    let begins_at_end = info.config.deliver_policy == DeliverPolicy::New && info.delivered.consumer_sequence == 0;
    let made = &info.config;
    if made.filter_subject != subject {
        let what = format!("the consumer {} is for {}, not for {subject}", options.durable, made.filter_subject);
        return Err(Error::Malformed { position: 0, what });
    }
    let messages = consumer.stream().max_messages_per_batch(options.in_flight_max).heartbeat(HEARTBEAT).expires(PULL_TIME);
    Ok(Messages { stream: messages.messages().await.map_err(broker)?, begins_at_end })
}

/// A name and password may stand in the URL, which the client library does not look at.
async fn connect(url: &str) -> Result<async_nats::Client, Error> {
    let address: async_nats::ServerAddr = url.parse().map_err(broker)?;
    let mut options =
        async_nats::ConnectOptions::new().name("ledger-subscriber").connection_timeout(CONNECT_TIME_MAX).max_reconnects(1);
    if let (Some(user), Some(password)) = (address.username(), address.password()) {
        options = options.user_and_password(user.to_owned(), password.to_owned());
    }
    options.connect(address).await.map_err(broker)
}

/// A tenant's code as one token of a subject: whatever has a meaning there is written as `=` and two hexadecimal digits.
fn token(code: &str) -> String {
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
    use super::*;

    #[test]
    fn a_code_is_one_token() {
        assert_eq!(token("acme-1_b"), "acme-1_b");
        assert_eq!(token("a.b >*"), "a=2Eb=20=3E=2A");
    }
}
