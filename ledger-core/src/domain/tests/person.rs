//! People: recorded, changed, erased, and never again.

use super::*;
use crate::domain::period::event::Digest;
use crate::domain::person::command::{ErasePerson, RecordPerson};

fn record(commitment: u8) -> Vec<Action> {
    let id = "p-1".parse().unwrap();
    vec![Action::RecordPerson(RecordPerson { id, commitment: Digest([commitment; 32]), ..Default::default() })]
}

fn erase(reason: Option<&str>) -> Vec<Action> {
    let reason = reason.map(|r| r.parse().unwrap());
    vec![Action::ErasePerson(ErasePerson { id: "p-1".parse().unwrap(), reason, ..Default::default() })]
}

#[test]
fn a_person_is_recorded_changed_and_erased_for_good() {
    let mut book = Book::new("fifo", "forbid");
    let names = |events: Vec<Recorded>| events.iter().map(|r| (r.fact.event.type_name(), r.stream_version)).collect::<Vec<_>>();
    assert_eq!(names(book.run(record(1)).unwrap()), [("person_recorded", 1)]);
    assert_eq!(book.run(record(1)).unwrap(), [], "the same commitment again changes nothing");
    assert_eq!(names(book.run(record(2)).unwrap()), [("person_recorded", 2)]);
    assert_eq!(book.run(erase(None)).unwrap_err().code(), "reason_required");
    assert_eq!(names(book.run(erase(Some("GDPR"))).unwrap()), [("person_erased", 3)]);
    // Not again, not under the same id, and whatever the reason.
    for steps in [erase(Some("GDPR")), erase(None), record(2), record(3)] {
        assert_eq!(book.run(steps).unwrap_err().code(), "person_erased");
    }
}

/// What was dropped from memory is read back before a command about it is decided.
#[test]
fn a_person_read_back_from_the_log_is_the_same() {
    let mut book = Book::new("fifo", "forbid");
    book.run(record(1)).unwrap();
    let known = *book.ledger.person("p-1").unwrap();
    book.run(erase(Some("GDPR"))).unwrap();
    let erased = *book.ledger.person("p-1").unwrap();
    assert_eq!((known.commitment, erased.commitment), (Some(Digest([1; 32])), None));
    let of_person: Vec<Recorded> =
        book.log.iter().filter(|r| matches!(r.fact.event.subject(), Subject::Person(_))).cloned().collect();
    for (upto, want) in [(1, known), (2, erased)] {
        let mut other = Ledger::default();
        other.absorb(&of_person[..upto]).unwrap();
        assert_eq!(other.person("p-1"), Some(&want));
    }
}
