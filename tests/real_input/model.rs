//! What stock costs, written down a second time and as simply as possible: the judge of a slice, whose figures no file
//! has. It follows the costing policy of the data's README and shares nothing with the ledger.

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};
use rust_decimal::Decimal;

use crate::data::money;
use crate::options::Method;

/// Quantity and value of something on hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) quantity: Decimal,
    pub(crate) value: Decimal,
}

impl Stock {
    /// Takes `quantity` of it and its share of the value; all of the value with the last unit.
    fn take(&mut self, quantity: Decimal) -> Result<Decimal> {
        ensure!(quantity <= self.quantity, "takes {quantity} of {}", self.quantity);
        let cost = if quantity == self.quantity {
            self.value
        } else {
            let shared = self.value.checked_mul(quantity).and_then(|v| v.checked_div(self.quantity));
            money(shared.context("a share is out of range")?)
        };
        self.quantity -= quantity;
        self.value -= cost;
        Ok(cost)
    }
}

/// The stock of one item, in as many parts as the method costs apart.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    method: Method,
    parts: VecDeque<Stock>,
}

impl Pool {
    pub(crate) const fn new(method: Method) -> Self {
        Self { method, parts: VecDeque::new() }
    }

    pub(crate) fn receive(&mut self, quantity: Decimal, value: Decimal) {
        match (self.method, self.parts.back_mut()) {
            (Method::MovingAverage, Some(pool)) => {
                pool.quantity += quantity;
                pool.value += value;
            }
            (Method::MovingAverage, None) | (Method::Fifo, _) => self.parts.push_back(Stock { quantity, value }),
        }
    }

    /// Takes goods out and says what they cost.
    pub(crate) fn issue(&mut self, mut quantity: Decimal) -> Result<Decimal> {
        let mut cost = Decimal::ZERO;
        while quantity > Decimal::ZERO {
            let oldest = self.parts.front_mut().context("more goes out than is there")?;
            let part = quantity.min(oldest.quantity);
            cost += oldest.take(part)?;
            quantity -= part;
            if oldest.quantity.is_zero() {
                self.parts.pop_front();
            }
        }
        Ok(cost)
    }

    /// Changes the value alone; of several parts, the newest one's.
    pub(crate) fn revalue(&mut self, change: Decimal) -> Result<()> {
        self.parts.back_mut().context("a value changes without stock")?.value += change;
        Ok(())
    }

    /// All parts together.
    pub(crate) fn total(&self) -> Stock {
        self.parts
            .iter()
            .fold(Stock::default(), |sum, part| Stock { quantity: sum.quantity + part.quantity, value: sum.value + part.value })
    }
}
