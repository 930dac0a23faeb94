//! What the HTTP side must know of each action: its word, where its version goes, which names a path would give it.

use ledger_core::domain::account::command::{DefineAccountSet, DefineDimension, DefineTaxCode};
use ledger_core::domain::catalogue::command::{DefineAccount, DefineItem, DefineLocation, DefinePostingRule, DefineStockPolicy};
use ledger_core::domain::command::Action;
use ledger_core::domain::count::command::{CancelCount, OpenCount, PostCount, RecordCount};
use ledger_core::domain::journal::command::{PostEntry, RevalueCurrency, ReverseEntry, SettleEntry, VoidEntry};
use ledger_core::domain::period::command::{ClosePeriod, CloseYear, DefineCalendar, ReopenPeriod};
use ledger_core::domain::reservation::command::{
    ChangeReservation, CommitReservation, ConfirmReservation, ExtendReservation, MoveReservation, ReduceReservation,
    ReleaseReservation, Reserve,
};
use ledger_core::domain::stock::command::{
    AddCost, Adjust, Assemble, CancelExpectation, ChangeStatus, Disassemble, Expect, Issue, Receive, Return, ReturnToSupplier,
    Revalue, Scrap, Transfer,
};
use ledger_core::domain::transfer::command::{CancelTransfer, DispatchTransfer, ReceiveTransfer};
use serde::de::DeserializeOwned;

use super::Name;

/// An action a caller may send.
pub(crate) trait Verb: DeserializeOwned + Send {
    /// The body's field for the version the caller decided on.
    fn expected_version(&mut self) -> &mut Option<u64>;
    /// The first field that no path has filled and the body left out.
    fn unnamed(&self) -> Option<&'static str>;
    /// The action.
    fn into_action(self) -> Action;
}

macro_rules! verbs {
    ($($name:ident $(named by $($field:ident as $shown:literal),+)?;)*) => {
        $(impl Verb for $name {
            fn expected_version(&mut self) -> &mut Option<u64> {
                &mut self.expected_version
            }

            fn unnamed(&self) -> Option<&'static str> {
                $($(if self.$field.is_unset() {
                    return Some($shown);
                })+)?
                None
            }

            fn into_action(self) -> Action {
                Action::$name(self)
            }
        })*
    };
}

verbs! {
    DefineItem named by sku as "sku";
    DefineLocation named by code as "code";
    DefineAccount named by code as "code";
    DefinePostingRule named by class as "class";
    DefineStockPolicy named by sku as "sku", location as "location";
    DefineAccountSet named by code as "code";
    DefineDimension named by code as "code";
    DefineTaxCode named by code as "code";
    DefineCalendar;
    Receive;
    Issue;
    Return;
    Adjust;
    Revalue;
    Transfer;
    ReturnToSupplier;
    ChangeStatus;
    Scrap;
    Assemble;
    Disassemble;
    AddCost;
    Expect;
    CancelExpectation named by id as "expectation";
    DispatchTransfer named by id as "transfer";
    ReceiveTransfer named by id as "transfer";
    CancelTransfer named by id as "transfer";
    OpenCount;
    RecordCount named by id as "count";
    PostCount named by id as "count";
    CancelCount named by id as "count";
    Reserve;
    ExtendReservation named by id as "reservation";
    ReleaseReservation named by id as "reservation";
    CommitReservation named by id as "reservation";
    ChangeReservation named by id as "reservation";
    ReduceReservation named by id as "reservation";
    MoveReservation named by id as "reservation";
    ConfirmReservation named by id as "reservation";
    PostEntry;
    SettleEntry named by id as "entry";
    VoidEntry named by id as "entry";
    ReverseEntry named by id as "entry";
    RevalueCurrency;
    ClosePeriod named by period as "period";
    ReopenPeriod named by period as "period";
    CloseYear named by year as "year";
}
