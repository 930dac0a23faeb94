//! What a tenant's log begins with: who it is, and its base currency. It never changes, so it is read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ledger_core::domain::event::Event;
use ledger_core::domain::id::TenantId;
use ledger_core::store;

use crate::limit::TENANTS_REMEMBERED_MAX;
use crate::problem::Problem;
use crate::state::Api;

/// A tenant's first event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// The tenant's code.
    pub(crate) code: String,
    /// Display name.
    pub(crate) name: String,
    /// ISO 4217 code of the base currency.
    pub(crate) currency: String,
    /// Decimals of the base currency.
    pub(crate) scale: u8,
}

impl Book {
    /// A currency as the views name it is empty for the base currency.
    pub(crate) fn shown<'a>(&'a self, currency: &'a str) -> &'a str {
        if currency.is_empty() { &self.currency } else { currency }
    }

    /// The inverse of [`Book::shown`].
    pub(crate) fn stored<'a>(&self, currency: &'a str) -> &'a str {
        if currency == self.currency { "" } else { currency }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<HashMap<TenantId, Arc<Book>>>);

impl Books {
    /// A tenant's; nameless while its log is not open.
    ///
    /// # Errors
    /// `unavailable` when it is not remembered and the database cannot be asked.
    pub(crate) async fn of(&self, api: &Api, tenant: TenantId) -> Result<Arc<Book>, Problem> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Ok(Arc::clone(known));
        }
        let pool = api.pool.clone();
        let first = api.detached(async move { store::read::page(&pool, tenant, 0, 1).await }).await?;
        let Some(Event::TenantOpened(opened)) = first.into_iter().next().map(|stored| stored.recorded.fact.event) else {
            return Ok(Arc::default());
        };
        let book = Arc::new(Book {
            code: opened.code.to_string(),
            name: opened.name.to_string(),
            currency: opened.currency.to_string(),
            scale: opened.currency_scale,
        });
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if books.len() < TENANTS_REMEMBERED_MAX {
            books.insert(tenant, Arc::clone(&book));
        }
        Ok(book)
    }
}
