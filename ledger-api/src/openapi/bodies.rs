//! Schemas of commands among others: each verb's own schema, with `type` (and in a batch `id`) beside its fields.

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::command::batch::TRANSACTION;
use crate::command::element::{self, Place, WORDS};
use crate::limit::BATCH_COMMANDS_MAX;

fn word(word: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([word]))
}

fn id() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[ -~]+$"))
        .description(Some("The command's idempotency key; of no use in a dry run"))
}

/// The schema of one verb where it stands.
fn element(name: &str, place: Place) -> Option<Object> {
    let RefOr::T(Schema::Object(mut object)) = element::schema(name)? else { return None };
    if let Some((alias, field)) = element::alias(name)
        && let Some(schema) = object.properties.remove(field)
    {
        object.properties.insert(alias.into(), schema);
        for required in &mut object.required {
            if required == field {
                *required = alias.into();
            }
        }
    }
    // No path names it here.
    for named in element::named(name) {
        if !object.required.iter().any(|r| r == named) {
            object.required.push((*named).into());
        }
    }
    object.properties.insert("type".into(), word(name).into());
    object.required.push("type".into());
    if place == Place::Batch {
        object.properties.insert("id".into(), id().into());
        object.required.push("id".into());
    }
    Some(object)
}

fn elements(place: Place) -> OneOfBuilder {
    let objects = WORDS.iter().filter_map(|name| element(name, place));
    objects.fold(OneOfBuilder::new(), |one_of, object| one_of.item(object))
}

/// One command of a transaction.
pub(crate) struct TransactionStep;

impl PartialSchema for TransactionStep {
    fn schema() -> RefOr<Schema> {
        elements(Place::Transaction).into()
    }
}

impl ToSchema for TransactionStep {}

/// Commands that stand or fall together.
pub(crate) struct TransactionBody;

fn steps() -> ArrayBuilder {
    let steps_max = ledger_core::domain::limit::TRANSACTION_STEPS_MAX;
    ArrayBuilder::new().items(Ref::from_schema_name(TransactionStep::name())).min_items(Some(1)).max_items(Some(steps_max))
}

fn closed() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

impl PartialSchema for TransactionBody {
    fn schema() -> RefOr<Schema> {
        closed().property("commands", steps()).required("commands").into()
    }
}

impl ToSchema for TransactionBody {}

/// Independent commands, each with its id.
pub(crate) struct BatchBody;

impl PartialSchema for BatchBody {
    fn schema() -> RefOr<Schema> {
        let transaction = closed()
            .property("id", id())
            .property("type", word(TRANSACTION))
            .property("commands", steps())
            .required("id")
            .required("type")
            .required("commands");
        let commands = ArrayBuilder::new().items(elements(Place::Batch).item(transaction)).max_items(Some(BATCH_COMMANDS_MAX));
        closed().property("commands", commands).required("commands").into()
    }
}

impl ToSchema for BatchBody {}
