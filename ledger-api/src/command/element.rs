//! One command among several: `{"type": "receive", …}` in a transaction, with an `id` of its own in a batch.
//!
//! Here `id` is the command's (its idempotency key) in a batch, so a reservation is named `reservation`, an entry `entry`,
//! and so are transfers, counts and expectations. In a transaction, where commands have no id, `id` still names them, as
//! in the single commands.

use std::borrow::Cow;
use std::fmt;

use ledger_core::domain::command::Action;
use serde::Deserialize;
use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::verb::Verb;
use crate::json::strict::Strict;
use crate::json::{is_object, parse_seed};
use crate::problem::Flaw;

/// What an element says it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    pub(crate) word: Cow<'a, str>,
    /// Its absence cannot be seen in the parsed action, whose default is a movement too.
    #[serde(default)]
    movement: Option<IgnoredAny>,
}

/// Where an element stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `id` is the command's.
    Batch,
    /// `id`, if any, names what the command is about.
    Transaction,
}

/// Reads who an element is, whatever else is in it.
pub(crate) fn head(text: &str) -> Result<Head<'_>, Flaw> {
    if !is_object(text.as_bytes()) {
        return Err(Flaw { pointer: String::new(), detail: "a command is an object".into() });
    }
    serde_json::from_str(text).map_err(|error| Flaw { pointer: String::new(), detail: error.to_string() })
}

macro_rules! words {
    ($($word:literal => $name:ident $(, $alias:literal for $field:literal)?;)*) => {
        /// The words of `type`, in the order of the document.
        pub(crate) const WORDS: &[&str] = &[$($word),*];

        /// The other name of a field whose own name means something else among several commands.
        pub(crate) fn alias(word: &str) -> Option<(&'static str, &'static str)> {
            match word {
                $($($word => Some(($alias, $field)),)?)*
                _the_others => None,
            }
        }

        /// The schema an element's fields come from.
        pub(crate) fn schema(word: &str) -> Option<utoipa::openapi::RefOr<utoipa::openapi::Schema>> {
            use utoipa::PartialSchema;
            match word {
                $($word => Some(ledger_core_types::$name::schema()),)*
                _unknown => None,
            }
        }

        /// Parses an element of a known head.
        pub(crate) fn action(text: &str, head: &Head<'_>, place: Place) -> Result<Action, Flaw> {
            let renaming = Renaming { place, alias: alias(&head.word) };
            match &*head.word {
                $($word => parse::<ledger_core_types::$name>(text, renaming),)*
                other => Err(Flaw { pointer: "/type".into(), detail: format!("unknown command type {other:?}") }),
            }
            .and_then(|action| if is_movement_missing(&action, head) { Err(missing("movement")) } else { Ok(action) })
        }
    };
}

/// Fields that a path would give in a single command and that must be written here.
pub(crate) fn named(word: &str) -> &'static [&'static str] {
    match word {
        "define_item" => &["sku"],
        "define_location" | "define_account" | "define_account_set" | "define_dimension" | "define_tax_code" => &["code"],
        "define_posting_rule" => &["movement", "class"],
        "define_stock_policy" => &["sku", "location"],
        "cancel_expectation" => &["expectation"],
        "dispatch_transfer" | "receive_transfer" | "cancel_transfer" => &["transfer"],
        "record_count" | "post_count" | "cancel_count" => &["count"],
        "extend_reservation"
        | "release_reservation"
        | "commit_reservation"
        | "change_reservation"
        | "reduce_reservation"
        | "move_reservation"
        | "confirm_reservation" => &["reservation"],
        "settle_entry" | "void_entry" | "reverse_entry" => &["entry"],
        "close_period" | "reopen_period" => &["period"],
        "close_year" => &["year"],
        _named_by_serde => &[],
    }
}

mod ledger_core_types {
    pub(super) use ledger_core::domain::account::command::{DefineAccountSet, DefineDimension, DefineTaxCode};
    pub(super) use ledger_core::domain::catalogue::command::{
        DefineAccount, DefineItem, DefineLocation, DefinePostingRule, DefineStockPolicy,
    };
    pub(super) use ledger_core::domain::count::command::{CancelCount, OpenCount, PostCount, RecordCount};
    pub(super) use ledger_core::domain::journal::command::{PostEntry, RevalueCurrency, ReverseEntry, SettleEntry, VoidEntry};
    pub(super) use ledger_core::domain::period::command::{ClosePeriod, CloseYear, DefineCalendar, ReopenPeriod};
    pub(super) use ledger_core::domain::reservation::command::{
        ChangeReservation, CommitReservation, ConfirmReservation, ExtendReservation, MoveReservation, ReduceReservation,
        ReleaseReservation, Reserve,
    };
    pub(super) use ledger_core::domain::stock::command::{
        AddCost, Adjust, Assemble, CancelExpectation, ChangeStatus, Disassemble, Expect, Issue, Receive, Return,
        ReturnToSupplier, Revalue, Scrap, Transfer,
    };
    pub(super) use ledger_core::domain::transfer::command::{CancelTransfer, DispatchTransfer, ReceiveTransfer};
}

words! {
    "define_item" => DefineItem;
    "define_location" => DefineLocation;
    "define_account" => DefineAccount;
    "define_posting_rule" => DefinePostingRule;
    "define_stock_policy" => DefineStockPolicy;
    "define_account_set" => DefineAccountSet;
    "define_dimension" => DefineDimension;
    "define_tax_code" => DefineTaxCode;
    "define_calendar" => DefineCalendar;
    "receive" => Receive;
    "issue" => Issue;
    "return" => Return;
    "adjust" => Adjust;
    "revalue" => Revalue;
    "transfer" => Transfer;
    "return_to_supplier" => ReturnToSupplier;
    "change_status" => ChangeStatus;
    "scrap" => Scrap;
    "assemble" => Assemble;
    "disassemble" => Disassemble;
    "add_cost" => AddCost;
    "expect" => Expect, "expectation" for "id";
    "cancel_expectation" => CancelExpectation, "expectation" for "id";
    "dispatch_transfer" => DispatchTransfer, "transfer" for "id";
    "receive_transfer" => ReceiveTransfer, "transfer" for "id";
    "cancel_transfer" => CancelTransfer, "transfer" for "id";
    "open_count" => OpenCount, "count" for "id";
    "record_count" => RecordCount, "count" for "id";
    "post_count" => PostCount, "count" for "id";
    "cancel_count" => CancelCount, "count" for "id";
    "reserve" => Reserve, "reservation" for "id";
    "extend_reservation" => ExtendReservation, "reservation" for "id";
    "release_reservation" => ReleaseReservation, "reservation" for "id";
    "commit_reservation" => CommitReservation, "reservation" for "id";
    "change_reservation" => ChangeReservation, "reservation" for "id";
    "reduce_reservation" => ReduceReservation, "reservation" for "id";
    "move_reservation" => MoveReservation, "reservation" for "id";
    "confirm_reservation" => ConfirmReservation, "reservation" for "id";
    "post_entry" => PostEntry, "entry" for "id";
    "settle_entry" => SettleEntry, "entry" for "id";
    "void_entry" => VoidEntry, "entry" for "id";
    "reverse_entry" => ReverseEntry, "entry" for "id";
    "revalue_currency" => RevalueCurrency, "entry" for "id";
    "close_period" => ClosePeriod;
    "reopen_period" => ReopenPeriod;
    "close_year" => CloseYear;
}

fn parse<V: Verb>(text: &str, renaming: Renaming) -> Result<Action, Flaw> {
    let verb: V = parse_seed(text.as_bytes(), Seed { renaming, verb: std::marker::PhantomData })?;
    match verb.unnamed() {
        Some(field) => Err(missing(field)),
        None => Ok(verb.into_action()),
    }
}

fn missing(field: &str) -> Flaw {
    Flaw { pointer: format!("/{field}"), detail: format!("missing field `{field}`") }
}

fn is_movement_missing(action: &Action, head: &Head<'_>) -> bool {
    matches!(action, Action::DefinePostingRule(_)) && head.movement.is_none()
}

#[derive(Clone, Copy)]
struct Renaming {
    place: Place,
    alias: Option<(&'static str, &'static str)>,
}

impl Renaming {
    /// The field a key means; `None` when the key belongs to the head.
    fn field<'a>(self, key: Cow<'a, str>) -> Option<Cow<'a, str>> {
        match (&*key, self.alias) {
            ("type", _) => None,
            ("id", _) if self.place == Place::Batch => None,
            (given, Some((alias, field))) if given == alias => Some(Cow::Borrowed(field)),
            _itself => Some(key),
        }
    }
}

struct Seed<V> {
    renaming: Renaming,
    verb: std::marker::PhantomData<V>,
}

impl<V> Clone for Seed<V> {
    fn clone(&self) -> Self {
        Self { renaming: self.renaming, verb: self.verb }
    }
}

impl<'de, V: Deserialize<'de>> DeserializeSeed<'de> for Seed<V> {
    type Value = V;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V, D::Error> {
        V::deserialize(Renamed { inner: Strict(deserializer), renaming: self.renaming })
    }
}

/// A deserializer of one struct whose keys are renamed.
struct Renamed<D> {
    inner: D,
    renaming: Renaming,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Renamed<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct("", &[], RenamedVisitor { visitor, renaming: self.renaming })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct RenamedVisitor<V> {
    visitor: V,
    renaming: Renaming,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for RenamedVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(RenamedMap { access, renaming: self.renaming })
    }
}

struct RenamedMap<A> {
    access: A,
    renaming: Renaming,
}

/// A key, borrowed from the text when it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    /// As a plain text: only then does the tracker of places see it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for RenamedMap<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        while let Some(Key(key)) = self.access.next_key::<Key<'de>>()? {
            match self.renaming.field(key) {
                Some(field) => return seed.deserialize(CowStrDeserializer::new(field)).map(Some),
                None => {
                    self.access.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.access.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, place: Place) -> Result<Action, Flaw> {
        action(text, &head(text)?, place)
    }

    #[test]
    fn every_word_has_a_schema() {
        for word in WORDS {
            assert!(schema(word).is_some(), "{word}");
        }
    }

    #[test]
    fn the_id_is_the_commands_in_a_batch_and_the_subjects_in_a_transaction() {
        let text = r#"{"id":"k1","type":"release_reservation","reservation":"r1"}"#;
        let Ok(Action::ReleaseReservation(release)) = read(text, Place::Batch) else { unreachable!() };
        assert_eq!(release.id.as_str(), "r1");
        let Ok(Action::ReleaseReservation(release)) = read(r#"{"type":"release_reservation","id":"r1"}"#, Place::Transaction)
        else {
            unreachable!()
        };
        assert_eq!(release.id.as_str(), "r1");
        assert_eq!(read(r#"{"id":"k1","type":"release_reservation"}"#, Place::Batch).unwrap_err().pointer, "/reservation");
        // Both names of one field are that field twice.
        assert!(read(r#"{"type":"release_reservation","id":"r1","reservation":"r2"}"#, Place::Transaction).is_err());
    }

    /// The least that makes each element of a batch a command, with the name a path would give it first.
    const LEAST: &[(&str, &str, &str)] = &[
        ("define_stock_policy", r#""sku":"A","#, r#""location":"L""#),
        ("return_to_supplier", "", r#""sku":"A","location":"L","quantity":"1""#),
        ("change_status", "", r#""sku":"A","location":"L","quantity":"1","to":"damaged""#),
        ("scrap", "", r#""sku":"A","location":"L","quantity":"1""#),
        ("assemble", "", r#""sku":"A","location":"L","quantity":"1""#),
        ("disassemble", "", r#""sku":"A","location":"L","quantity":"1""#),
        ("add_cost", "", r#""receipt":7,"amount":"1""#),
        ("expect", "", r#""sku":"A","location":"L","quantity":"1","due_at":"2030-01-01T00:00:00Z""#),
        ("cancel_expectation", r#""expectation":"e","#, r#""reason":"x""#),
        ("dispatch_transfer", r#""transfer":"t","#, r#""from":"L","to":"M","lines":[{"sku":"A","quantity":"1"}]"#),
        ("receive_transfer", r#""transfer":"t","#, r#""lines":[{"line":0,"quantity":"1","damaged":"1"}],"is_final":true"#),
        ("cancel_transfer", r#""transfer":"t","#, r#""reason":"x""#),
        ("open_count", "", r#""location":"L""#),
        ("record_count", r#""count":"c","#, r#""lines":[{"sku":"A","counted":"1"}]"#),
        ("post_count", r#""count":"c","#, r#""reason":"x""#),
        ("cancel_count", r#""count":"c","#, r#""reason":"x""#),
        ("change_reservation", r#""reservation":"r","#, r#""lines":[{"line":0,"quantity":"1"}]"#),
        ("reduce_reservation", r#""reservation":"r","#, r#""lines":[{"line":0,"quantity":"1"}]"#),
        ("move_reservation", r#""reservation":"r","#, r#""line":0,"to":"M""#),
        ("confirm_reservation", r#""reservation":"r","#, r#""owner":"o""#),
        ("define_account_set", r#""code":"s","#, r#""accounts":["1100"]"#),
        ("define_dimension", r#""code":"d","#, r#""values":["100"]"#),
        ("define_tax_code", r#""code":"VAT25","#, r#""rate":"25","account":"2200""#),
        ("define_calendar", "", r#""year_starts_month":7"#),
        ("post_entry", "", r#""pending":true,"postings":[{"account":"1100","debit":"1"},{"account":"4000","credit":"1"}]"#),
        ("settle_entry", r#""entry":"e","#, r#""amount":"1","keep_open":true"#),
        ("void_entry", r#""entry":"e","#, r#""reason":"x""#),
        ("reverse_entry", r#""entry":"e","#, r#""adjusting":true"#),
        ("revalue_currency", "", r#""currency":"USD","rate":"0.9","period":"2026-11""#),
        ("close_period", r#""period":"2026-11","#, r#""soft":true"#),
        ("reopen_period", r#""period":"2026-11","#, r#""reason":"x""#),
        ("close_year", r#""year":2026,"#, r#""reason":"x""#),
    ];

    #[test]
    fn every_word_means_the_action_of_that_name() {
        for (word, name, rest) in LEAST {
            let text = format!(r#"{{"id":"k","type":"{word}",{name}{rest}}}"#);
            let action = read(&text, Place::Batch).unwrap_or_else(|flaw| panic!("{text}: {}", flaw.detail));
            assert_eq!(serde_json::to_value(action).unwrap()["type"], *word);
            let Some(pointer) = named(word).first().map(|field| format!("/{field}")) else { continue };
            let text = format!(r#"{{"id":"k","type":"{word}",{rest}}}"#);
            assert_eq!(read(&text, Place::Batch).unwrap_err().pointer, pointer, "{text}");
        }
        // Both of its names are needed.
        let text = r#"{"id":"k","type":"define_stock_policy","sku":"A"}"#;
        assert_eq!(read(text, Place::Batch).unwrap_err().pointer, "/location");
    }

    #[test]
    fn a_flaw_is_named_as_the_caller_wrote_it() {
        let text = r#"{"id":"k","type":"reserve","reservation":"r","ttl_seconds":1,"lines":[{"sku":"A","location":"L","quantity":1.5}]}"#;
        assert_eq!(read(text, Place::Batch).unwrap_err().pointer, "/lines/0/quantity");
        assert_eq!(
            read(r#"{"id":"k","type":"release_reservation","reservation":7}"#, Place::Batch).unwrap_err().pointer,
            "/reservation"
        );
    }

    #[test]
    fn elements_are_as_strict_as_bodies() {
        for text in [
            r#"{"id":"k","type":"expire_reservation","reservation":"r"}"#,
            r#"{"id":"k","type":"open_tenant"}"#,
            r#"{"id":"k","type":"expire_entry","entry":"e"}"#,
            r#"{"id":"k","type":"close_period","period":"2026-13"}"#,
            r#"{"id":"k","type":"define_item"}"#,
            r#"{"id":"k","type":"define_posting_rule","class":"c","account":"1"}"#,
            r#"{"id":"k","type":"issue","sku":"A","location":"L","quantity":1.5}"#,
            r#"{"id":"k","type":"issue","sku":"A","location":"L","quantity":1,"x":1}"#,
            r#"{"id":"k","id":"l","type":"issue","sku":"A","location":"L","quantity":1}"#,
            r#"{"id":1,"type":"issue","sku":"A","location":"L","quantity":1}"#,
            r#"["k","issue"]"#,
            "{}",
        ] {
            assert!(read(text, Place::Batch).is_err(), "{text}");
        }
    }
}
