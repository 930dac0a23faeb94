//! What callers may ask: one [`Action`] per verb, parsed strictly (unknown and duplicate fields are refused).
//!
//! Every action carries the same five optional fields, added by [`action!`]. The CBOR encoding of an action is what
//! the idempotency fingerprint is taken over, so indices keep their meaning and new fields are optional.

use std::collections::BTreeMap;
use std::sync::Arc;

use minicbor::{Decode, Encode};

use super::account::command::{DefineAccountSet, DefineDimension, DefineTaxCode};
use super::catalogue::command::{DefineAccount, DefineItem, DefineLocation, DefinePostingRule, DefineStockPolicy, OpenTenant};
use super::count::command::{CancelCount, OpenCount, PostCount, RecordCount};
use super::id::{CommandId, ReasonCode, Text, digest16};
use super::journal::command::{ExpireEntry, PostEntry, RevalueCurrency, ReverseEntry, SettleEntry, VoidEntry};
use super::period::command::{ClosePeriod, CloseYear, DefineCalendar, ReopenPeriod};
use super::person::command::{ErasePerson, RecordPerson};
use super::reservation::command::{
    ChangeReservation, CommitReservation, ConfirmReservation, ExpireReservation, ExtendReservation, MoveReservation,
    ReduceReservation, ReleaseReservation, Reserve,
};
use super::stock::command::{
    AddCost, Adjust, Assemble, CancelExpectation, ChangeStatus, Disassemble, Expect, Issue, Receive, Return, ReturnToSupplier,
    Revalue, Scrap, Transfer,
};
use super::time::Timestamp;
use super::transfer::command::{CancelTransfer, DispatchTransfer, ReceiveTransfer};

/// Free key-value pairs stored with the command.
pub type Metadata = BTreeMap<Text, Text>;

/// Declares an action with the fields every action has.
macro_rules! action {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$fdoc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, minicbor::Encode, minicbor::Decode, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name {
            /// When it happened in the world; the recording time if absent.
            #[n(0)]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(nullable = false))]
            pub effective_at: Option<$crate::domain::time::Timestamp>,
            /// The caller's document.
            #[n(1)]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(nullable = false))]
            pub reference: Option<$crate::domain::id::Text>,
            /// Why, as a code.
            #[n(2)]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(nullable = false))]
            pub reason: Option<$crate::domain::id::ReasonCode>,
            /// The stream version the caller decided on; 0 means the stream must not exist.
            #[n(3)]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(nullable = false))]
            pub expected_version: Option<u64>,
            /// Free pairs, kept with the command.
            #[n(4)]
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Option<std::collections::BTreeMap<String, String>>))]
            pub metadata: Option<$crate::domain::command::Metadata>,
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl $name {
            /// The fields every action has.
            #[must_use]
            pub fn common(&self) -> $crate::domain::command::Common<'_> {
                $crate::domain::command::Common {
                    effective_at: self.effective_at,
                    reference: self.reference.as_ref(),
                    reason: self.reason.as_ref(),
                    expected_version: self.expected_version,
                    metadata: self.metadata.as_ref(),
                }
            }
        }
    };
}
pub(crate) use action;

/// The fields every action has, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// See [`action!`].
    pub effective_at: Option<Timestamp>,
    /// The caller's document.
    pub reference: Option<&'a Text>,
    /// Why, as a code.
    pub reason: Option<&'a ReasonCode>,
    /// The version the caller decided on.
    pub expected_version: Option<u64>,
    /// Free pairs.
    pub metadata: Option<&'a Metadata>,
}

/// One thing asked of the ledger. `type` names it where several may stand (batches, transactions).
#[derive(Clone, Debug, PartialEq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "each variant is the struct it holds, which is documented")]
pub enum Action {
    #[n(0)]
    #[serde(skip)]
    OpenTenant(#[n(0)] OpenTenant),
    #[n(1)]
    DefineItem(#[n(0)] DefineItem),
    #[n(2)]
    DefineLocation(#[n(0)] DefineLocation),
    #[n(3)]
    DefineAccount(#[n(0)] DefineAccount),
    #[n(4)]
    DefinePostingRule(#[n(0)] DefinePostingRule),
    #[n(5)]
    Receive(#[n(0)] Receive),
    #[n(6)]
    Issue(#[n(0)] Issue),
    #[n(7)]
    Return(#[n(0)] Return),
    #[n(8)]
    Adjust(#[n(0)] Adjust),
    #[n(9)]
    Revalue(#[n(0)] Revalue),
    #[n(10)]
    Transfer(#[n(0)] Transfer),
    #[n(11)]
    Reserve(#[n(0)] Reserve),
    #[n(12)]
    ExtendReservation(#[n(0)] ExtendReservation),
    #[n(13)]
    ReleaseReservation(#[n(0)] ReleaseReservation),
    #[n(14)]
    CommitReservation(#[n(0)] CommitReservation),
    #[n(15)]
    #[serde(skip)]
    ExpireReservation(#[n(0)] ExpireReservation),
    #[n(16)]
    PostEntry(#[n(0)] PostEntry),
    #[n(17)]
    ReverseEntry(#[n(0)] ReverseEntry),
    #[n(18)]
    DefineStockPolicy(#[n(0)] DefineStockPolicy),
    #[n(19)]
    ReturnToSupplier(#[n(0)] ReturnToSupplier),
    #[n(20)]
    ChangeStatus(#[n(0)] ChangeStatus),
    #[n(21)]
    Scrap(#[n(0)] Scrap),
    #[n(22)]
    Assemble(#[n(0)] Assemble),
    #[n(23)]
    Disassemble(#[n(0)] Disassemble),
    #[n(24)]
    AddCost(#[n(0)] AddCost),
    #[n(25)]
    Expect(#[n(0)] Expect),
    #[n(26)]
    CancelExpectation(#[n(0)] CancelExpectation),
    #[n(27)]
    DispatchTransfer(#[n(0)] DispatchTransfer),
    #[n(28)]
    ReceiveTransfer(#[n(0)] ReceiveTransfer),
    #[n(29)]
    CancelTransfer(#[n(0)] CancelTransfer),
    #[n(30)]
    OpenCount(#[n(0)] OpenCount),
    #[n(31)]
    RecordCount(#[n(0)] RecordCount),
    #[n(32)]
    PostCount(#[n(0)] PostCount),
    #[n(33)]
    CancelCount(#[n(0)] CancelCount),
    #[n(34)]
    ChangeReservation(#[n(0)] ChangeReservation),
    #[n(35)]
    ReduceReservation(#[n(0)] ReduceReservation),
    #[n(36)]
    MoveReservation(#[n(0)] MoveReservation),
    #[n(37)]
    ConfirmReservation(#[n(0)] ConfirmReservation),
    #[n(38)]
    DefineAccountSet(#[n(0)] DefineAccountSet),
    #[n(39)]
    DefineDimension(#[n(0)] DefineDimension),
    #[n(40)]
    DefineTaxCode(#[n(0)] DefineTaxCode),
    #[n(41)]
    DefineCalendar(#[n(0)] DefineCalendar),
    #[n(42)]
    SettleEntry(#[n(0)] SettleEntry),
    #[n(43)]
    VoidEntry(#[n(0)] VoidEntry),
    #[n(44)]
    #[serde(skip)]
    ExpireEntry(#[n(0)] ExpireEntry),
    #[n(45)]
    RevalueCurrency(#[n(0)] RevalueCurrency),
    #[n(46)]
    ClosePeriod(#[n(0)] ClosePeriod),
    #[n(47)]
    ReopenPeriod(#[n(0)] ReopenPeriod),
    #[n(48)]
    CloseYear(#[n(0)] CloseYear),
    #[n(49)]
    #[serde(skip)]
    RecordPerson(#[n(0)] RecordPerson),
    #[n(50)]
    #[serde(skip)]
    ErasePerson(#[n(0)] ErasePerson),
}

impl Action {
    /// The fields every action has.
    #[must_use]
    pub fn common(&self) -> Common<'_> {
        match self {
            Self::OpenTenant(a) => a.common(),
            Self::DefineItem(a) => a.common(),
            Self::DefineLocation(a) => a.common(),
            Self::DefineAccount(a) => a.common(),
            Self::DefinePostingRule(a) => a.common(),
            Self::Receive(a) => a.common(),
            Self::Issue(a) => a.common(),
            Self::Return(a) => a.common(),
            Self::Adjust(a) => a.common(),
            Self::Revalue(a) => a.common(),
            Self::Transfer(a) => a.common(),
            Self::Reserve(a) => a.common(),
            Self::ExtendReservation(a) => a.common(),
            Self::ReleaseReservation(a) => a.common(),
            Self::CommitReservation(a) => a.common(),
            Self::ExpireReservation(a) => a.common(),
            Self::PostEntry(a) => a.common(),
            Self::ReverseEntry(a) => a.common(),
            Self::DefineStockPolicy(a) => a.common(),
            Self::ReturnToSupplier(a) => a.common(),
            Self::ChangeStatus(a) => a.common(),
            Self::Scrap(a) => a.common(),
            Self::Assemble(a) => a.common(),
            Self::Disassemble(a) => a.common(),
            Self::AddCost(a) => a.common(),
            Self::Expect(a) => a.common(),
            Self::CancelExpectation(a) => a.common(),
            Self::DispatchTransfer(a) => a.common(),
            Self::ReceiveTransfer(a) => a.common(),
            Self::CancelTransfer(a) => a.common(),
            Self::OpenCount(a) => a.common(),
            Self::RecordCount(a) => a.common(),
            Self::PostCount(a) => a.common(),
            Self::CancelCount(a) => a.common(),
            Self::ChangeReservation(a) => a.common(),
            Self::ReduceReservation(a) => a.common(),
            Self::MoveReservation(a) => a.common(),
            Self::ConfirmReservation(a) => a.common(),
            Self::DefineAccountSet(a) => a.common(),
            Self::DefineDimension(a) => a.common(),
            Self::DefineTaxCode(a) => a.common(),
            Self::DefineCalendar(a) => a.common(),
            Self::SettleEntry(a) => a.common(),
            Self::VoidEntry(a) => a.common(),
            Self::ExpireEntry(a) => a.common(),
            Self::RevalueCurrency(a) => a.common(),
            Self::ClosePeriod(a) => a.common(),
            Self::ReopenPeriod(a) => a.common(),
            Self::CloseYear(a) => a.common(),
            Self::RecordPerson(a) => a.common(),
            Self::ErasePerson(a) => a.common(),
        }
    }
}

/// Who asked, and in which conversation; stored with the command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Context {
    /// The principal: an API key's id, or the name of a part of this system.
    #[n(0)]
    pub actor: Option<Text>,
    /// W3C trace context.
    #[n(1)]
    pub traceparent: Option<Text>,
    /// Ties the commands of one conversation together.
    #[n(2)]
    pub correlation_id: Option<Text>,
    /// What made the caller ask.
    #[n(3)]
    pub causation_id: Option<Text>,
}

/// One command: its identity, and one action or, as a transaction, several that stand or fall together.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Idempotency identity.
    pub id: CommandId,
    /// 16 bytes of SHA-256 over the actions' CBOR: the same id with another fingerprint is refused.
    pub fingerprint: [u8; 16],
    /// Who asked.
    pub context: Arc<Context>,
    /// At least one, at most [`super::limit::TRANSACTION_STEPS_MAX`].
    pub steps: Vec<Action>,
    /// A fresh UUIDv7 from outside the domain; names what the caller left unnamed.
    pub fresh: uuid::Uuid,
    /// Decided and answered like any other, but nothing of it stays.
    pub dry_run: bool,
}

impl Command {
    /// Builds a command and takes its fingerprint. `steps.len() > 1` is a transaction.
    #[must_use]
    pub fn new(id: CommandId, context: Arc<Context>, steps: Vec<Action>, fresh: uuid::Uuid) -> Self {
        let mut bytes = Vec::with_capacity(128);
        for step in &steps {
            // Writing to a vector cannot fail, and every number was bounded when it was parsed; were one not, the
            // short bytes still make a fingerprint.
            let _ = minicbor::encode(step, &mut bytes);
        }
        Self { id, fingerprint: digest16(&bytes), context, steps, fresh, dry_run: false }
    }
}
