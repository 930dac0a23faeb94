//! A row of the table `event` as a value, wherever it came from: the database, or a file that an auditor carries.
//!
//! **Correctness**: [`Raw`] holds every column, so what is hashed of it is all there is; nothing here needs a database.

use minicbor::{Decode, Encode};
use std::collections::BTreeMap;

use super::leaf;
use super::merkle::{Frontier, Hash};
use crate::domain::codec::{self, CodecError};
use crate::domain::command::{Context, Metadata};
use crate::domain::event::{Note, Recorded};
use crate::domain::id::{CommandId, Position, TenantId};
use crate::domain::time::Timestamp;

/// What is stored once per command, on its first event.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Meta {
    /// Events of the command; they stand one after another.
    #[n(0)]
    pub events: u32,
    /// Who asked.
    #[n(1)]
    pub context: Context,
    /// Free pairs by step of the transaction (0 for a single action).
    #[n(2)]
    pub metadata: Option<BTreeMap<u32, Metadata>>,
}

/// A command as its first event tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommand {
    /// Idempotency identity.
    pub id: CommandId,
    /// Of what was asked.
    pub fingerprint: [u8; 16],
    /// The rest.
    pub meta: Meta,
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The event.
    pub recorded: Recorded,
    /// On the first event of a command.
    pub command: Option<StoredCommand>,
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// What happened.
    #[error("tenant {tenant}: event at position {position} cannot be read")]
    Event {
        /// Whose log.
        tenant: TenantId,
        /// Where in it.
        position: Position,
        /// What is wrong.
        #[source]
        source: CodecError,
    },
    /// Who asked for it.
    #[error("tenant {tenant}: what is stored of a command cannot be read")]
    Command {
        /// Whose log.
        tenant: TenantId,
        /// What is wrong.
        #[source]
        source: minicbor::decode::Error,
    },
}

/// A row of the table `event`, not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the table event")]
pub struct Raw {
    pub tenant: TenantId,
    pub position: Position,
    pub stream: i64,
    pub stream_version: i64,
    pub recorded_at: Timestamp,
    pub effective_at: Option<Timestamp>,
    pub type_number: i16,
    pub schema_version: i16,
    pub leaf_check: i32,
    pub payload: Vec<u8>,
    pub command_id: Option<[u8; 16]>,
    pub fingerprint: Option<[u8; 16]>,
    pub stream_key: Option<[u8; 16]>,
    pub meta: Option<Vec<u8>>,
}

impl Raw {
    /// All of it that is hashed.
    #[must_use]
    pub fn row(&self) -> leaf::Row<'_> {
        leaf::Row {
            tenant: self.tenant.0,
            position: self.position,
            stream: self.stream,
            stream_version: self.stream_version,
            recorded_at: self.recorded_at.0,
            effective_at: self.effective_at.map(|t| t.0),
            type_number: self.type_number,
            schema_version: self.schema_version,
            payload: &self.payload,
            command_id: self.command_id.as_ref(),
            fingerprint: self.fingerprint.as_ref(),
            stream_key: self.stream_key.as_ref(),
            meta: self.meta.as_deref(),
        }
    }

    /// Its leaf in the tenant's tree.
    #[must_use]
    pub fn leaf_hash(&self, scratch: &mut Vec<u8>) -> Hash {
        self.row().hash(scratch)
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`RowError`], naming the position.
    pub fn decode(&self) -> Result<Stored, RowError> {
        self.row().decode()
    }

    /// The command whose first event it is.
    ///
    /// # Errors
    /// [`RowError::Command`].
    pub fn command(&self) -> Result<Option<StoredCommand>, RowError> {
        self.row().command()
    }

    /// Document and reason, without the event itself.
    ///
    /// # Errors
    /// [`RowError::Event`], naming the position.
    pub fn note(&self) -> Result<Note, RowError> {
        let (tenant, position) = (self.tenant, self.position);
        codec::decode_note(&self.payload).map_err(|source| RowError::Event { tenant, position, source })
    }
}

impl leaf::Row<'_> {
    /// The command whose first event it is.
    ///
    /// # Errors
    /// [`RowError::Command`].
    pub fn command(&self) -> Result<Option<StoredCommand>, RowError> {
        match (self.command_id, self.fingerprint, self.meta) {
            (Some(id), Some(fingerprint), Some(meta)) => {
                let tenant = TenantId(self.tenant);
                let meta = minicbor::decode(meta).map_err(|source| RowError::Command { tenant, source })?;
                Ok(Some(StoredCommand { id: CommandId(*id), fingerprint: *fingerprint, meta }))
            }
            _not_the_first_of_its_command => Ok(None),
        }
    }

    /// Decodes it.
    ///
    /// # Errors
    /// [`RowError`], naming the position.
    pub fn decode(&self) -> Result<Stored, RowError> {
        let (tenant, position) = (TenantId(self.tenant), self.position);
        let effective_at = self.effective_at.map(Timestamp);
        let fact = codec::decode(self.type_number, self.schema_version, effective_at, self.payload)
            .map_err(|source| RowError::Event { tenant, position, source })?;
        let command = self.command()?;
        let recorded = Recorded {
            position,
            stream: self.stream,
            stream_version: self.stream_version,
            recorded_at: Timestamp(self.recorded_at),
            fact,
        };
        Ok(Stored { recorded, command })
    }
}

/// A row as far as it can be looked at by itself: hashed and decoded. The dear part of a replay, and the part that may be
/// done for many rows at once, in any order.
#[derive(Debug)]
pub struct Read {
    /// Where it says it stands.
    pub position: Position,
    /// Whose it says it is.
    pub tenant: TenantId,
    /// Of the first event of a stream: the stream's name, hashed.
    pub stream_key: Option<[u8; 16]>,
    /// Its leaf in the tenant's tree.
    pub leaf: Hash,
    /// The check that was stored beside it is that leaf's.
    pub is_as_written: bool,
    /// What it says.
    pub stored: Result<Stored, RowError>,
}

impl Read {
    /// Looks at a row; `leaf_check` is what was stored beside it.
    #[must_use]
    pub fn new(row: &leaf::Row<'_>, leaf_check: i32, scratch: &mut Vec<u8>) -> Self {
        let leaf = row.hash(scratch);
        Self {
            position: row.position,
            tenant: TenantId(row.tenant),
            stream_key: row.stream_key.copied(),
            leaf,
            is_as_written: leaf::check(&leaf) == leaf_check,
            stored: row.decode(),
        }
    }
}

/// Where a tenant's log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose.
    pub tenant: TenantId,
    /// Newest position; 0 for an empty log.
    pub position: Position,
    /// When that was recorded.
    pub recorded_at: Timestamp,
    /// The tree over all events.
    pub frontier: Frontier,
}
