//! People.

use serde::Serialize;

/// A person after the command: the event as it is, and what the person is now.
#[derive(Serialize)]
pub(super) struct Person<'a, E> {
    #[serde(flatten)]
    pub(super) event: &'a E,
    pub(super) status: &'static str,
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::id::PersonId;
    use ledger_core::domain::period::event::Digest;
    use ledger_core::domain::person::event::{PersonErased, PersonRecorded};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_is_an_id_and_a_commitment() {
        let id = PersonId::parse("p-7").unwrap();
        let event = PersonRecorded { id: id.clone(), commitment: Digest([0xab; 32]) };
        let shown = serde_json::to_value(Person { event: &event, status: "recorded" }).unwrap();
        assert_eq!(shown, json!({"id": "p-7", "commitment": "ab".repeat(32), "status": "recorded"}));
        let shown = serde_json::to_value(Person { event: &PersonErased { id }, status: "erased" }).unwrap();
        assert_eq!(shown, json!({"id": "p-7", "status": "erased"}));
    }
}
