//! The console: the ledger for people, in a browser.
//!
//! **Shape**: a page's handler asks the API's own router, in this process ([`ask`]), for what the page shows; makes
//! [`part`]s of the answers (tables, facts, forms, charts); [`frame`] puts them on a page. Style, scripts and the two
//! libraries are files inside the program ([`asset`]).
//! **Correctness**: 1. Every figure is the API's answer, with the API's authorisation: there is no second way to the data,
//! and numbers are shown digit by digit as they came. 2. Whoever is signed in is known by a cookie that proves a key without
//! holding it ([`session`]). 3. Text is escaped by the templates and by the parts themselves ([`part`]), and the content security policy
//! lets nothing run that is not one of our files. 4. Pages read. What is posted (sign in, sign out, verify now) must come
//! from a page of this console. 5. Everything can be read without scripts.

mod ask;
mod asset;
mod frame;
mod guard;
mod page;
mod part;
mod session;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get, post};
use tower_http::compression::CompressionLayer;

use crate::limit::CONSOLE_FORM_BYTES_MAX;
use crate::state::Api;

/// What every page can reach.
#[derive(Clone)]
pub(crate) struct Console {
    api: Api,
    /// The API itself.
    inner: Router,
}

type Page = (&'static str, fn() -> MethodRouter<Console>);

/// Every page.
const PAGES: &[Page] = &[
    ("/console", || get(page::overview::show)),
    ("/console/login", || get(page::login::show).post(page::login::sign_in)),
    ("/console/logout", || post(page::login::sign_out)),
    ("/console/theme", || get(page::login::choose_theme)),
    ("/console/assets/{version}/{name}", || get(asset::serve)),
    ("/console/stock", || get(page::stock::list)),
    ("/console/stock/{sku}", || get(page::item::show)),
    ("/console/stock/{sku}/{location}", || get(page::place::show)),
    ("/console/locations", || get(page::stock::locations)),
    ("/console/locations/{code}", || get(page::stock::location)),
    ("/console/reservations", || get(page::reservation::list)),
    ("/console/reservations/{id}", || get(page::reservation::show)),
    ("/console/journal", || get(page::journal::list)),
    ("/console/journal/{id}", || get(page::journal::show)),
    ("/console/accounts", || get(page::account::list)),
    ("/console/accounts/{code}", || get(page::account::show)),
    ("/console/reports", || get(page::report::list)),
    ("/console/reports/{name}", || get(page::report::show)),
    ("/console/reports/{name}/{format}", || get(page::report::download)),
    ("/console/events", || get(page::event::list)),
    ("/console/events/live", || get(page::event::live)),
    ("/console/events/{position}", || get(page::event::show)),
    ("/console/audit", || get(page::audit::show)),
    ("/console/audit/trail", || get(page::audit::trail)),
    ("/console/audit/verify", || post(page::audit::verify)),
    ("/console/audit/verifications/{id}", || get(page::audit::verification)),
    ("/console/background", || get(page::background::show)),
    ("/console/{*rest}", || get(page::missing)),
];

/// The paths of the pages, under which they are counted.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(path, _)| *path)
}

/// The pages, over the router they ask.
pub(crate) fn routes(api: Api, inner: Router) -> Router {
    let router = PAGES.iter().fold(Router::new(), |router, (path, page)| router.route(path, page()));
    router
        .layer(DefaultBodyLimit::max(CONSOLE_FORM_BYTES_MAX))
        .layer(from_fn(guard::guard))
        .layer(CompressionLayer::new())
        .with_state(Console { api, inner })
}
