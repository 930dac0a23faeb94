//! From a command to facts.
//!
//! **Shape**: [`handle`] = for each step: guards common to all → the verb's decision → facts folded in at once, so the
//! next step sees them.
//! **Correctness**: the facts of a command are folded in as they are decided; a refused step takes all of them back,
//! so a transaction stands or falls as one. Deciding twice on the same state gives the same facts.

use super::account::decide::{define_account_set, define_dimension, define_tax_code};
use super::catalogue::decide::{
    define_account, define_item, define_location, define_posting_rule, define_stock_policy, open_tenant,
};
use super::command::{Action, Command};
use super::event::{Event, Fact, Note, Recorded, Subject};
use super::id::{CountId, EntryId, ExpectationId, Position, ReservationId};
use super::journal::decide::{Times, expire_entry, post_entry, reverse_entry, settle_entry, void_entry};
use super::journal::guard::guard;
use super::journal::revalue::revalue_currency;
use super::limit::{EFFECTIVE_AHEAD_SECONDS_MAX, FILLS_MAX, METADATA_PAIRS_MAX, TRANSACTION_STEPS_MAX};
use super::period::Month;
use super::period::decide::{close_period, close_year, define_calendar, reopen_period};
use super::rejection::{Refusal, Rejection};
use super::reservation::decide::{change, commit, confirm, expire, extend, filled, reduce, release, relocate};
use super::reservation::open::reserve;
use super::state::{Ledger, Misfit};
use super::stock::decide::{
    adjust, cancel_expectation, change_status, expect, issue, receive, return_goods, return_to_supplier, scrap, transfer,
};
use super::stock::event::Movement;
use super::stock::kit::{assemble, disassemble};
use super::stock::value::{add_cost, revalue};
use super::time::Timestamp;
use super::{count, person, transfer as transfers};

/// Why a command made no facts.
#[derive(Debug)]
pub enum Undecided {
    /// The business says no; the state is as it was.
    Refused(Refusal),
    /// A fact just decided does not fit the state: a bug, or a corrupt log. The tenant must stop.
    Misfit(Misfit),
}

/// Decides a command on `ledger` at `now` and folds its facts in. An empty list means that everything asked for is
/// already so. On [`Undecided::Refused`] the state is as before.
///
/// # Errors
/// [`Undecided`].
pub fn handle(ledger: &mut Ledger, command: &Command, now: Timestamp) -> Result<Vec<Recorded>, Undecided> {
    let refused = |step, rejection| Undecided::Refused(Refusal { step, rejection });
    if command.steps.is_empty() {
        return Err(refused(None, Rejection::TransactionEmpty));
    }
    if command.steps.len() > TRANSACTION_STEPS_MAX {
        let steps_max = u32::try_from(TRANSACTION_STEPS_MAX).unwrap_or(u32::MAX);
        return Err(refused(None, Rejection::TransactionTooLong { steps_max }));
    }
    ledger.advance(now);
    let mark = ledger.mark();
    let mut recorded = Vec::new();
    for (number, action) in (0_u32..).zip(&command.steps) {
        let facts = match decide(ledger, action, number, command.fresh) {
            Ok(facts) => facts,
            Err(rejection) => {
                ledger.rollback(mark);
                return Err(refused((command.steps.len() > 1).then_some(number), rejection));
            }
        };
        ledger.take_freed();
        for fact in facts {
            let next = place(ledger, fact);
            ledger.evolve(&next).map_err(Undecided::Misfit)?;
            recorded.push(next);
        }
        fill(ledger, &mut recorded).map_err(Undecided::Misfit)?;
    }
    Ok(recorded)
}

/// Stock that an action's facts set free goes to the backorders that wait for it.
fn fill(ledger: &mut Ledger, recorded: &mut Vec<Recorded>) -> Result<(), Misfit> {
    let mut left = FILLS_MAX;
    for at in ledger.take_freed() {
        let waiting: Vec<ReservationId> = ledger.waiting(at.0, at.1).take(left).map(|(id, _)| id.clone()).collect();
        left = left.saturating_sub(waiting.len());
        for id in waiting {
            // In order: the first that gets nothing ends it, for what is too little for it is not for those behind it.
            let Some(event) = filled(ledger, &id, at) else { break };
            let next = place(ledger, Fact { event, effective_at: None, note: Note::default() });
            ledger.evolve(&next)?;
            recorded.push(next);
        }
    }
    Ok(())
}

/// The next place in the log and in the fact's stream.
fn place(ledger: &Ledger, fact: Fact) -> Recorded {
    let position = ledger.position().saturating_add(1);
    let known = ledger.stream(&fact.event.subject());
    let stream = if known.version == 0 { position } else { known.number };
    Recorded { position, stream, stream_version: known.version.saturating_add(1), recorded_at: ledger.now(), fact }
}

/// The facts one action makes of a state. Pure.
///
/// # Errors
/// The first guard that does not hold.
pub fn decide(ledger: &Ledger, action: &Action, step: u32, fresh: uuid::Uuid) -> Result<Vec<Fact>, Rejection> {
    let now = ledger.now();
    let common = action.common();
    if common.effective_at.is_some_and(|at| at < Timestamp(0) || at > now.plus_seconds(EFFECTIVE_AHEAD_SECONDS_MAX)) {
        return Err(Rejection::EffectiveTimeOutOfRange);
    }
    if common.metadata.is_some_and(|m| m.len() > METADATA_PAIRS_MAX) {
        return Err(Rejection::MetadataTooLarge { pairs_max: u32::try_from(METADATA_PAIRS_MAX).unwrap_or(u32::MAX) });
    }
    if let Some(expected) = common.expected_version {
        let actual = subject(action).map_or(0, |s| ledger.stream(&s).version);
        let actual = u64::try_from(actual).unwrap_or(u64::MAX);
        if actual != expected {
            return Err(Rejection::VersionMismatch { expected, actual });
        }
    }
    let name = || {
        if step == 0 { fresh.to_string() } else { format!("{fresh}-{step}") }
    };
    let reservation = || ReservationId::trusted(&name());
    let entry = || EntryId::trusted(&name());
    let times = Times { effective_at: common.effective_at.unwrap_or(now), now };
    let events: Vec<Event> = match action {
        Action::OpenTenant(c) => open_tenant(ledger, c),
        Action::DefineItem(c) => define_item(ledger, c),
        Action::DefineLocation(c) => define_location(ledger, c),
        Action::DefineAccount(c) => define_account(ledger, c),
        Action::DefinePostingRule(c) => define_posting_rule(ledger, c),
        Action::Receive(c) => receive(ledger, c),
        Action::Issue(c) => issue(ledger, c),
        Action::Return(c) => return_goods(ledger, c),
        Action::Adjust(c) => adjust(ledger, c),
        Action::Revalue(c) => revalue(ledger, c),
        Action::Transfer(c) => transfer(ledger, c),
        Action::Reserve(c) => reserve(ledger, c, now, &reservation()),
        Action::ExtendReservation(c) => extend(ledger, c, now),
        Action::ReleaseReservation(c) => release(ledger, c),
        Action::CommitReservation(c) => commit(ledger, c),
        Action::ExpireReservation(c) => expire(ledger, c),
        Action::PostEntry(c) => post_entry(ledger, c, &entry(), times),
        Action::ReverseEntry(c) => reverse_entry(ledger, c, times),
        Action::DefineStockPolicy(c) => define_stock_policy(ledger, c),
        Action::ReturnToSupplier(c) => return_to_supplier(ledger, c),
        Action::ChangeStatus(c) => change_status(ledger, c),
        Action::Scrap(c) => scrap(ledger, c),
        Action::Assemble(c) => assemble(ledger, c),
        Action::Disassemble(c) => disassemble(ledger, c),
        Action::AddCost(c) => add_cost(ledger, c),
        Action::Expect(c) => expect(ledger, c, now, &ExpectationId::trusted(&name())),
        Action::CancelExpectation(c) => cancel_expectation(ledger, c),
        Action::DispatchTransfer(c) => transfers::decide::dispatch(ledger, c),
        Action::ReceiveTransfer(c) => transfers::decide::receive(ledger, c),
        Action::CancelTransfer(c) => transfers::decide::cancel(ledger, c),
        Action::OpenCount(c) => count::decide::open(ledger, c, &CountId::trusted(&name())),
        Action::RecordCount(c) => count::decide::record(ledger, c, now),
        Action::PostCount(c) => count::decide::post(ledger, c),
        Action::CancelCount(c) => count::decide::cancel(ledger, c),
        Action::ChangeReservation(c) => change(ledger, c),
        Action::ReduceReservation(c) => reduce(ledger, c),
        Action::MoveReservation(c) => relocate(ledger, c),
        Action::ConfirmReservation(c) => confirm(ledger, c),
        Action::DefineAccountSet(c) => define_account_set(ledger, c),
        Action::DefineDimension(c) => define_dimension(ledger, c),
        Action::DefineTaxCode(c) => define_tax_code(ledger, c),
        Action::DefineCalendar(c) => define_calendar(ledger, c),
        Action::SettleEntry(c) => settle_entry(ledger, c, times),
        Action::VoidEntry(c) => void_entry(ledger, c),
        Action::ExpireEntry(c) => expire_entry(ledger, c),
        Action::RevalueCurrency(c) => revalue_currency(ledger, c, &entry()),
        Action::ClosePeriod(c) => close_period(ledger, c),
        Action::ReopenPeriod(c) => reopen_period(ledger, c, common.reason),
        Action::CloseYear(c) => close_year(ledger, c),
        Action::RecordPerson(c) => person::decide::record(ledger, c),
        Action::ErasePerson(c) => person::decide::erase(ledger, c, common.reason),
    }?;
    let note = Note { reference: common.reference.cloned(), reason: common.reason.cloned() };
    let dated = |event: &Event| match event {
        Event::StockSettled(m) => settled_at(ledger, m, common.effective_at),
        Event::CurrencyRevalued(e) => last_instant(e.period),
        Event::JournalEntryReversed(_) => match action {
            Action::RevalueCurrency(c) => Some(c.period.end()),
            _another => common.effective_at,
        },
        Event::YearClosed(e) => Month::last_of_year(e.year, ledger.periods().year_starts).ok().and_then(last_instant),
        _as_the_command_says => common.effective_at,
    };
    let facts: Vec<Fact> =
        events.into_iter().map(|event| Fact { effective_at: dated(&event), event, note: note.clone() }).collect();
    guard(ledger, action, &facts)?;
    Ok(facts)
}

/// The last instant of a period, in microseconds.
fn last_instant(period: Month) -> Option<Timestamp> {
    Some(Timestamp(period.end().0.saturating_sub(1)))
}

/// A settlement is dated with the receipt that causes it, but never before what it settles: a late receipt changes no
/// value as of the time between.
fn settled_at(ledger: &Ledger, m: &Movement, effective_at: Option<Timestamp>) -> Option<Timestamp> {
    let (item, _) = ledger.item(m.sku.as_str())?;
    let (location, _) = ledger.location(m.location.as_str())?;
    let latest = ledger.pool(item, location)?.effective_max;
    // What a closed period valued stays as it is: the difference belongs to the first one that is open.
    effective_at.map(|at| at.max(latest).max(ledger.periods().free_from)).filter(|at| *at < ledger.now())
}

/// The earlier event whose goods an action speaks of: the pipeline reads it before the action is decided.
#[must_use]
pub fn goods_named(action: &Action) -> Option<Position> {
    match action {
        Action::Return(c) => c.original,
        Action::ReturnToSupplier(c) => c.receipt,
        Action::AddCost(c) => Some(c.receipt),
        _no_other_names_one => None,
    }
}

/// The stream whose version a caller may expect: of the item, the reservation, the entry … that the action names.
#[must_use]
pub fn subject(action: &Action) -> Option<Subject> {
    Some(match action {
        Action::OpenTenant(_) => Subject::Tenant,
        Action::DefineItem(c) => Subject::Item(c.sku.clone()),
        Action::DefineLocation(c) => Subject::Location(c.code.clone()),
        Action::DefineAccount(c) => Subject::Account(c.code.clone()),
        Action::DefinePostingRule(c) => Subject::PostingRule(c.movement, c.class.clone()),
        Action::Receive(c) => Subject::Item(c.sku.clone()),
        Action::Issue(c) => Subject::Item(c.sku.clone()),
        Action::Return(c) => Subject::Item(c.sku.clone()),
        Action::Adjust(c) => Subject::Item(c.sku.clone()),
        Action::Revalue(c) => Subject::Item(c.sku.clone()),
        Action::Transfer(c) => Subject::Item(c.sku.clone()),
        Action::Reserve(c) => Subject::Reservation(c.id.clone()?),
        Action::ExtendReservation(c) => Subject::Reservation(c.id.clone()),
        Action::ReleaseReservation(c) => Subject::Reservation(c.id.clone()),
        Action::CommitReservation(c) => Subject::Reservation(c.id.clone()),
        Action::ExpireReservation(c) => Subject::Reservation(c.id.clone()),
        Action::PostEntry(c) => Subject::Entry(c.id.clone()?),
        Action::ReverseEntry(c) => Subject::Entry(c.id.clone()),
        Action::DefineStockPolicy(c) => Subject::Item(c.sku.clone()),
        Action::ReturnToSupplier(c) => Subject::Item(c.sku.clone()),
        Action::ChangeStatus(c) => Subject::Item(c.sku.clone()),
        Action::Scrap(c) => Subject::Item(c.sku.clone()),
        Action::Assemble(c) => Subject::Item(c.sku.clone()),
        Action::Disassemble(c) => Subject::Item(c.sku.clone()),
        Action::AddCost(c) => Subject::Goods(c.receipt),
        Action::Expect(c) => Subject::Expectation(c.id.clone()?),
        Action::CancelExpectation(c) => Subject::Expectation(c.id.clone()),
        Action::DispatchTransfer(c) => Subject::Transfer(c.id.clone()),
        Action::ReceiveTransfer(c) => Subject::Transfer(c.id.clone()),
        Action::CancelTransfer(c) => Subject::Transfer(c.id.clone()),
        Action::OpenCount(c) => Subject::Count(c.id.clone()?),
        Action::RecordCount(c) => Subject::Count(c.id.clone()),
        Action::PostCount(c) => Subject::Count(c.id.clone()),
        Action::CancelCount(c) => Subject::Count(c.id.clone()),
        Action::ChangeReservation(c) => Subject::Reservation(c.id.clone()),
        Action::ReduceReservation(c) => Subject::Reservation(c.id.clone()),
        Action::MoveReservation(c) => Subject::Reservation(c.id.clone()),
        Action::ConfirmReservation(c) => Subject::Reservation(c.id.clone()),
        Action::DefineAccountSet(c) => Subject::AccountSet(c.code.clone()),
        Action::DefineDimension(c) => Subject::Dimension(c.code.clone()),
        Action::DefineTaxCode(c) => Subject::TaxCode(c.code.clone()),
        Action::DefineCalendar(_) | Action::ClosePeriod(_) | Action::ReopenPeriod(_) | Action::CloseYear(_) => Subject::Periods,
        Action::SettleEntry(c) => Subject::Entry(c.id.clone()),
        Action::VoidEntry(c) => Subject::Entry(c.id.clone()),
        Action::ExpireEntry(c) => Subject::Entry(c.id.clone()),
        Action::RevalueCurrency(c) => Subject::Entry(c.id.clone()?),
        Action::RecordPerson(c) => Subject::Person(c.id.clone()),
        Action::ErasePerson(c) => Subject::Person(c.id.clone()),
    })
}
