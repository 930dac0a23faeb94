//! Decisions on people.

use super::command::{ErasePerson, RecordPerson};
use super::event::{PersonErased, PersonRecorded};
use crate::domain::event::Event;
use crate::domain::id::ReasonCode;
use crate::domain::rejection::Rejection;
use crate::domain::state::Ledger;

/// An erased id is never used again: what entries and reservations say of it would be said of somebody else.
pub(crate) fn record(ledger: &Ledger, c: &RecordPerson) -> Result<Vec<Event>, Rejection> {
    let recorded = Event::PersonRecorded(PersonRecorded { id: c.id.clone(), commitment: c.commitment });
    match ledger.person(c.id.as_str()).map(|p| p.commitment) {
        Some(None) => Err(Rejection::PersonErased { person: c.id.clone() }),
        Some(Some(known)) if known == c.commitment => Ok(Vec::new()),
        Some(Some(_)) | None => Ok(vec![recorded]),
    }
}

pub(crate) fn erase(ledger: &Ledger, c: &ErasePerson, reason: Option<&ReasonCode>) -> Result<Vec<Event>, Rejection> {
    let person = ledger.person(c.id.as_str()).ok_or_else(|| Rejection::UnknownPerson { person: c.id.clone() })?;
    if person.commitment.is_none() {
        return Err(Rejection::PersonErased { person: c.id.clone() });
    }
    if reason.is_none() {
        return Err(Rejection::ReasonRequired);
    }
    Ok(vec![Event::PersonErased(PersonErased { id: c.id.clone() })])
}
