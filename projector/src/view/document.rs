//! Transfers, counts and expected receipts.

use ledger_core::domain::amount::Number;
use ledger_core::domain::event::{Event, Recorded};
use ledger_core::domain::id::{LocationCode, Position, Sku, StreamVersion};
use ledger_core::domain::stock::event::Movement;
use ledger_core::domain::time::Timestamp;
use ledger_core::domain::transfer::event::Arrival;
use ledger_core::view::document::{
    CountLineView, CountView, Document, DocumentStatus, ExpectationView, Kind, TransferLineView, TransferView,
};

use super::Tables;

/// A row of `view_document`.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentRow {
    /// Version of its stream.
    pub stream_version: StreamVersion,
    /// Newest event that touched it.
    pub position: Position,
    /// Where it stands.
    pub status: DocumentStatus,
    /// What it says.
    pub document: Document,
}

impl DocumentRow {
    /// The item of an expected receipt, and when it is due.
    #[must_use]
    pub fn expected(&self) -> Option<(&Sku, Timestamp)> {
        match &self.document {
            Document::Expectation(e) => Some((&e.sku, e.due_at)),
            Document::Transfer(_) | Document::Count(_) => None,
        }
    }
}

/// Decimals of a number as it is written.
fn scale(number: Number) -> u8 {
    u8::try_from(number.decimal().scale()).unwrap_or(0)
}

/// A number changed by units of its own scale.
fn plus(number: Number, units: i64) -> Option<Number> {
    let scale = scale(number);
    Some(Number::from_units(number.units_at(scale)?.checked_add(units)?, scale))
}

/// Keys of the documents an event changes.
pub(super) fn keys(event: &Event) -> Vec<(Kind, String)> {
    let own = match event {
        Event::StockExpected(e) => Some((Kind::Expectation, e.id.to_string())),
        Event::ExpectationCancelled(e) => Some((Kind::Expectation, e.id.to_string())),
        Event::TransferDispatched(e) => Some((Kind::Transfer, e.id.to_string())),
        Event::TransferReceived(e) => Some((Kind::Transfer, e.id.to_string())),
        Event::TransferCancelled(e) => Some((Kind::Transfer, e.id.to_string())),
        Event::CountOpened(e) => Some((Kind::Count, e.id.to_string())),
        Event::CountRecorded(e) => Some((Kind::Count, e.id.to_string())),
        Event::CountPosted(e) => Some((Kind::Count, e.id.to_string())),
        Event::CountCancelled(e) => Some((Kind::Count, e.id.to_string())),
        _no_document => None,
    };
    let fulfilled = event.movements().filter_map(|m| m.detail.as_ref()?.expectation.as_ref());
    own.into_iter().chain(fulfilled.map(|id| (Kind::Expectation, id.to_string()))).collect()
}

impl Tables {
    pub(super) fn fold_documents(&mut self, recorded: &Recorded) -> Result<(), &'static str> {
        let event = &recorded.fact.event;
        match event {
            Event::StockExpected(e) => {
                let quantity = Number::from_units(e.quantity, e.scale);
                let (sku, location) = (e.sku.clone(), e.location.clone());
                let view = ExpectationView { sku, location, quantity, outstanding: quantity, due_at: e.due_at };
                self.level(&e.sku, &e.location, recorded.position, e.scale)?.incoming += e.quantity;
                self.begin(recorded, (Kind::Expectation, e.id.to_string()), Document::Expectation(view));
            }
            Event::ExpectationCancelled(e) => {
                let key = (Kind::Expectation, e.id.to_string());
                self.fulfil(recorded, &key, None)?;
                self.touch(recorded, &key, DocumentStatus::Cancelled)?;
            }
            Event::TransferDispatched(e) => {
                let sent = e.movements.iter().skip(1).step_by(2);
                let (from, to, via) = (e.from.clone(), e.to.clone(), e.via.clone());
                let view = TransferView { from, to, via, due_at: e.due_at, lines: sent.map(sent_line).collect() };
                self.begin(recorded, (Kind::Transfer, e.id.to_string()), Document::Transfer(view));
            }
            Event::TransferReceived(e) => {
                let status = if e.is_final { DocumentStatus::Closed } else { DocumentStatus::Open };
                let Document::Transfer(view) = self.touch(recorded, &(Kind::Transfer, e.id.to_string()), status)? else {
                    return Err("it is no transfer");
                };
                for a in &e.arrivals {
                    let line = view.lines.get_mut(a.line as usize).ok_or("it has no such line")?;
                    arrive(line, a).ok_or("its figures leave the range")?;
                }
            }
            Event::TransferCancelled(e) => {
                let key = (Kind::Transfer, e.id.to_string());
                let Document::Transfer(view) = self.touch(recorded, &key, DocumentStatus::Cancelled)? else {
                    return Err("it is no transfer");
                };
                for line in &mut view.lines {
                    line.under_way = Number::from_units(0, scale(line.under_way));
                }
            }
            Event::CountOpened(e) => {
                let view = CountView { location: e.location.clone(), lines: Vec::new() };
                self.begin(recorded, (Kind::Count, e.id.to_string()), Document::Count(view));
            }
            Event::CountRecorded(e) => {
                let key = (Kind::Count, e.id.to_string());
                let Document::Count(view) = self.touch(recorded, &key, DocumentStatus::Open)? else {
                    return Err("it is no count");
                };
                for l in &e.lines {
                    let shown = |units| Number::from_units(units, l.scale);
                    let line = CountLineView {
                        sku: l.sku.clone(),
                        location: l.location.clone(),
                        lot: l.lot.clone(),
                        status: l.status,
                        counted: shown(l.counted),
                        expected: shown(l.expected),
                        difference: shown(l.counted.saturating_sub(l.expected)),
                        counted_at: e.counted_at,
                    };
                    let same = |known: &CountLineView| {
                        (&known.sku, &known.location, &known.lot, known.status)
                            == (&line.sku, &line.location, &line.lot, line.status)
                    };
                    match view.lines.iter_mut().find(|known| same(known)) {
                        Some(known) => *known = line,
                        None => view.lines.push(line),
                    }
                }
            }
            Event::CountPosted(e) => {
                self.touch(recorded, &(Kind::Count, e.id.to_string()), DocumentStatus::Closed)?;
            }
            Event::CountCancelled(e) => {
                self.touch(recorded, &(Kind::Count, e.id.to_string()), DocumentStatus::Cancelled)?;
            }
            _no_document => {}
        }
        for m in event.movements() {
            if let Some(id) = m.detail.as_ref().and_then(|d| d.expectation.as_ref()) {
                self.fulfil(recorded, &(Kind::Expectation, id.to_string()), Some(m.quantity))?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, recorded: &Recorded, key: (Kind, String), document: Document) {
        let (stream_version, position) = (recorded.stream_version, recorded.position);
        let row = DocumentRow { stream_version, position, status: DocumentStatus::Open, document };
        self.documents.insert(key.clone(), row);
        self.dirty.documents.insert(key);
    }

    /// The document of an event of its own stream.
    fn touch(
        &mut self,
        recorded: &Recorded,
        key: &(Kind, String),
        status: DocumentStatus,
    ) -> Result<&mut Document, &'static str> {
        let row = self.documents.get_mut(key).ok_or("its document is not there")?;
        (row.stream_version, row.position, row.status) = (recorded.stream_version, recorded.position, status);
        self.dirty.documents.insert(key.clone());
        Ok(&mut row.document)
    }

    /// So many units of an expected receipt came in; `None`: the rest will not come.
    fn fulfil(&mut self, recorded: &Recorded, key: &(Kind, String), units: Option<i64>) -> Result<(), &'static str> {
        let row = self.documents.get_mut(key).ok_or("its expected receipt is not there")?;
        let Document::Expectation(view) = &mut row.document else { return Err("it is no expected receipt") };
        let scale = scale(view.outstanding);
        let outstanding = view.outstanding.units_at(scale).ok_or("its figures leave the range")?;
        let part = units.map_or(outstanding, |units| units.min(outstanding));
        let left = outstanding.saturating_sub(part);
        view.outstanding = Number::from_units(left, scale);
        row.position = recorded.position;
        if left == 0 {
            row.status = DocumentStatus::Closed;
        }
        let (sku, location): (Sku, LocationCode) = (view.sku.clone(), view.location.clone());
        self.dirty.documents.insert(key.clone());
        self.level(&sku, &location, recorded.position, scale)?.incoming -= part;
        Ok(())
    }
}

fn sent_line(m: &Movement) -> TransferLineView {
    let shown = |units| Number::from_units(units, m.scale);
    TransferLineView {
        sku: m.sku.clone(),
        lot: m.lot().cloned(),
        sent: shown(m.quantity),
        received: shown(0),
        damaged: shown(0),
        short: shown(0),
        over: shown(0),
        under_way: shown(m.quantity),
    }
}

fn arrive(line: &mut TransferLineView, a: &Arrival) -> Option<()> {
    line.received = plus(line.received, a.good)?;
    line.damaged = plus(line.damaged, a.damaged)?;
    line.short = plus(line.short, a.short)?;
    line.over = plus(line.over, a.over)?;
    line.under_way = plus(line.under_way, a.good.checked_add(a.damaged)?.checked_add(a.short)?.checked_neg()?)?;
    Some(())
}
