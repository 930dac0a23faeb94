//! What the HTTP side must know of each action: its word, where its version goes, which name a path would give it.

use ledger_core::domain::catalogue::command::{DefineAccount, DefineItem, DefineLocation, DefinePostingRule};
use ledger_core::domain::command::Action;
use ledger_core::domain::journal::command::{PostEntry, ReverseEntry};
use ledger_core::domain::reservation::command::{CommitReservation, ExtendReservation, ReleaseReservation, Reserve};
use ledger_core::domain::stock::command::{Adjust, Issue, Receive, Return, Revalue, Transfer};
use serde::de::DeserializeOwned;

/// An action a caller may send.
pub(crate) trait Verb: DeserializeOwned + Send {
    /// The body's field for the version the caller decided on.
    fn expected_version(&mut self) -> &mut Option<u64>;
    /// The field that no path has filled and the body left out.
    fn unnamed(&self) -> Option<&'static str>;
    /// The action.
    fn into_action(self) -> Action;
}

macro_rules! verbs {
    ($($name:ident $(named by $field:ident as $shown:literal)?;)*) => {
        $(impl Verb for $name {
            fn expected_version(&mut self) -> &mut Option<u64> {
                &mut self.expected_version
            }

            fn unnamed(&self) -> Option<&'static str> {
                $(if self.$field.is_unset() {
                    return Some($shown);
                })?
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
    Receive;
    Issue;
    Return;
    Adjust;
    Revalue;
    Transfer;
    Reserve;
    ExtendReservation named by id as "reservation";
    ReleaseReservation named by id as "reservation";
    CommitReservation named by id as "reservation";
    PostEntry;
    ReverseEntry named by id as "entry";
}
