//! The broker's stream: made where it is missing, and looked at for what it has lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, StorageType, Stream};
use futures::TryStreamExt;
use ledger_core::domain::id::{Position, TenantId};
use sqlx::postgres::PgPool;
use tokio_util::sync::CancellationToken;

use super::{STREAM, broker, cursor, message};
use crate::Error;

/// The broker remembers message ids this long.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Makes the stream if it is not there, as after its loss.
pub(super) async fn ensure(context: &Context) -> Result<Stream, Error> {
    let config = Config {
        name: STREAM.to_owned(),
        subjects: vec!["ledger.>".to_owned()],
        storage: StorageType::File,
        duplicate_window: DUPLICATE_WINDOW,
        ..Config::default()
    };
    let stream = context.get_or_create_stream(config).await.map_err(broker)?;
    // Old servers accept what they do not know and drop it: look at what came of it.
    let made = &stream.cached_info().config;
    if made.duplicate_window != DUPLICATE_WINDOW || made.storage != StorageType::File {
        tracing::warn!(config = ?made, "the stream {STREAM} is not as it should be");
    }
    Ok(stream)
}

/// Takes cursors back to the last message the broker has, where that is an earlier one: acknowledged messages at the end
/// are what a broker without syncing loses in a power cut. A stream that has none of a tenant's messages was purged or is
/// new: that is for `republish`, because filling it again may not be wanted.
pub(super) async fn rewind(
    pool: &PgPool,
    stream: &Stream,
    codes: &HashMap<TenantId, Arc<str>>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    for (tenant, position) in cursor::all(pool).await? {
        let Some(code) = codes.get(&tenant).filter(|_| position > 0) else { continue };
        if stop.is_cancelled() {
            return Ok(());
        }
        let last = match stream.get_last_raw_message_by_subject(&format!("ledger.{code}.>")).await {
            Ok(message) => message.headers.get(message::POSITION).and_then(|p| p.as_str().parse::<Position>().ok()),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => None,
            Err(error) => return Err(broker(error)),
        };
        match last {
            Some(last) if last < position => {
                tracing::warn!(%tenant, position, last, "the broker lost acknowledged messages, publishing them again");
                cursor::move_from(pool, tenant, position, last).await?;
            }
            Some(_) => {}
            None => {
                tracing::warn!(%tenant, position, "the stream has none of the tenant's messages up to here; republish fills it")
            }
        }
    }
    Ok(())
}

/// Messages the broker has of a tenant.
///
/// # Errors
/// [`Error::Broker`].
pub async fn messages(url: &str, tenant_code: &str) -> Result<u64, Error> {
    let context = async_nats::jetstream::new(super::connect(url).await?);
    let stream = context.get_stream(STREAM).await.map_err(broker)?;
    let mut counts = stream.info_with_subjects(format!("ledger.{}.>", message::token(tenant_code))).await.map_err(broker)?;
    let mut messages = 0_u64;
    while let Some(subject) = counts.try_next().await.map_err(broker)? {
        messages = messages.saturating_add(u64::try_from(subject.1).unwrap_or(0));
    }
    Ok(messages)
}
