//! Every route. Under `/v1` no handler runs without a principal: each takes a `Caller`, a `Reading` or a `Principal`.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::command::{
    batch, catalogue as define, count, job as ask, journal, period, person as define_person, reservation as hold,
    stock as move_stock, transaction, transfer, verification as verify, webhook as hook,
};
use crate::edge::note_route;
use crate::problem::{Fault, Problem, pages};
use crate::query::audit::{checkpoint, keys, proof, seal};
use crate::query::replica::with_fallback;
use crate::query::report::{aged, financial, general_ledger, trial_balance, valuation, vat};
use crate::query::{
    account, account_set, card, catalogue, definition, document, entry, event, history, job, located, lot, overview,
    period as calendar, person, promise, reservation, statement, stock, trail, verification, webhook,
};
use crate::state::Api;
use crate::{console, health, metrics, openapi};

/// What changes the ledger. Answers are small and the path is hot: no compression.
fn commands() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(define::put_item))
        .routes(routes!(define::put_location))
        .routes(routes!(define::put_account))
        .routes(routes!(define::put_posting_rule))
        .routes(routes!(define::put_stock_policy))
        .routes(routes!(define::put_account_set))
        .routes(routes!(define::put_dimension))
        .routes(routes!(define::put_tax_code))
        .routes(routes!(move_stock::receive))
        .routes(routes!(move_stock::issue))
        .routes(routes!(move_stock::return_goods))
        .routes(routes!(move_stock::adjust))
        .routes(routes!(move_stock::transfer))
        .routes(routes!(move_stock::revalue))
        .routes(routes!(move_stock::return_to_supplier))
        .routes(routes!(move_stock::change_status))
        .routes(routes!(move_stock::scrap))
        .routes(routes!(move_stock::assemble))
        .routes(routes!(move_stock::disassemble))
        .routes(routes!(move_stock::add_cost))
        .routes(routes!(move_stock::expect))
        .routes(routes!(move_stock::cancel_expectation))
        .routes(routes!(transfer::dispatch_transfer))
        .routes(routes!(transfer::receive_transfer))
        .routes(routes!(transfer::cancel_transfer))
        .routes(routes!(count::open_count))
        .routes(routes!(count::record_count))
        .routes(routes!(count::post_count))
        .routes(routes!(count::cancel_count))
        .routes(routes!(hold::reserve))
        .routes(routes!(hold::extend))
        .routes(routes!(hold::commit))
        .routes(routes!(hold::change))
        .routes(routes!(hold::reduce))
        .routes(routes!(hold::relocate))
        .routes(routes!(hold::confirm))
        .routes(routes!(hold::release))
        .routes(routes!(journal::post_entry))
        .routes(routes!(journal::settle_entry))
        .routes(routes!(journal::void_entry))
        .routes(routes!(journal::reverse))
        .routes(routes!(journal::revalue_currency))
        .routes(routes!(period::put_calendar))
        .routes(routes!(period::close_period))
        .routes(routes!(period::reopen_period))
        .routes(routes!(period::close_year))
        .routes(routes!(define_person::put_person))
        .routes(routes!(define_person::erase_person))
        .routes(routes!(transaction::transact))
}

/// What reads, and what answers long.
fn queries() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(batch::run_batch))
        .routes(routes!(stock::get_item))
        .routes(routes!(stock::get_level))
        .routes(routes!(stock::lookup))
        .routes(routes!(card::get_card))
        .routes(routes!(history::get_history))
        .routes(routes!(located::list_stock))
        .routes(routes!(promise::get_promise))
        .routes(routes!(lot::list_lots))
        .routes(routes!(lot::get_serial))
        .routes(routes!(document::get_transfer))
        .routes(routes!(document::list_transfers))
        .routes(routes!(document::get_count))
        .routes(routes!(document::list_counts))
        .routes(routes!(document::get_expectation))
        .routes(routes!(document::list_expectations))
        .routes(routes!(reservation::get_reservation))
        .routes(routes!(reservation::list_reservations))
        .routes(routes!(catalogue::list_items))
        .routes(routes!(catalogue::get_item))
        .routes(routes!(catalogue::list_locations))
        .routes(routes!(catalogue::get_location))
        .routes(routes!(catalogue::list_accounts))
        .routes(routes!(catalogue::get_account))
        .routes(routes!(account::get_balance))
        .routes(routes!(statement::get_statement))
        .routes(routes!(entry::get_entry))
        .routes(routes!(entry::list_entries))
        .routes(routes!(definition::list_account_sets))
        .routes(routes!(definition::get_account_set))
        .routes(routes!(account_set::get_set_balance))
        .routes(routes!(definition::list_dimensions))
        .routes(routes!(definition::get_dimension))
        .routes(routes!(definition::list_tax_codes))
        .routes(routes!(definition::get_tax_code))
        .routes(routes!(definition::list_posting_rules))
        .routes(routes!(definition::get_posting_rule))
        .routes(routes!(calendar::get_calendar))
        .routes(routes!(calendar::list_periods))
        .routes(routes!(calendar::get_period))
        .routes(routes!(calendar::get_year))
        .routes(routes!(trial_balance::get_trial_balance))
        .routes(routes!(trial_balance::get_reconciliation))
        .routes(routes!(financial::get_balance_sheet))
        .routes(routes!(financial::get_income_statement))
        .routes(routes!(general_ledger::get_general_ledger))
        .routes(routes!(aged::get_aged_receivables))
        .routes(routes!(aged::get_aged_payables))
        .routes(routes!(vat::get_vat))
        .routes(routes!(valuation::get_inventory_valuation))
        .routes(routes!(person::get_person))
        .routes(routes!(overview::get_overview))
        .routes(routes!(event::list_events))
        .routes(routes!(event::get_event))
        .routes(routes!(event::get_stream))
        .routes(routes!(trail::search_trail))
        .routes(routes!(checkpoint::get_checkpoint))
        .routes(routes!(checkpoint::list_checkpoints))
        .routes(routes!(keys::list_audit_keys))
        .routes(routes!(proof::get_inclusion_proof))
        .routes(routes!(proof::get_consistency_proof))
        .routes(routes!(seal::get_seal_proof))
        .layer(CompressionLayer::new())
}

/// What is done beside the requests, and who is told of events. Nothing of it is in the log.
fn beside() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(verify::create_verification, verification::list_verifications))
        .routes(routes!(verification::get_verification))
        .routes(routes!(ask::create_job, job::list_jobs))
        .routes(routes!(job::get_job))
        .routes(routes!(job::get_job_result))
        .routes(routes!(ask::cancel_job))
        .routes(routes!(ask::retry_job))
        .routes(routes!(webhook::list_webhooks))
        .routes(routes!(webhook::get_webhook, hook::put_webhook, hook::delete_webhook))
        .routes(routes!(webhook::list_deliveries))
        .routes(routes!(hook::retry_delivery))
        .routes(routes!(hook::rotate_secret))
        .routes(routes!(hook::replay))
        .routes(routes!(hook::test))
        .layer(CompressionLayer::new())
}

/// What needs no credential: nothing of a tenant's is here.
fn operations() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::show_metrics))
        .routes(routes!(openapi::show_document))
        .routes(routes!(openapi::show_docs))
        .routes(routes!(pages::show_page))
        .layer(CompressionLayer::new())
}

/// The routes and their document.
pub(crate) fn build(api: Api) -> (Router, OpenApi) {
    let (router, document) = describe();
    api.document.set(&document);
    let router = router.route_layer(from_fn_with_state(api.clone(), with_fallback)).with_state(api.clone());
    let router = router
        .clone()
        .merge(console::routes(api, router))
        .route_layer(from_fn(note_route))
        .method_not_allowed_fallback(|| async { Problem::new(Fault::MethodNotAllowed, Fault::MethodNotAllowed.sentence()) })
        .fallback(|| async { Problem::new(Fault::NotFound, Fault::NotFound.sentence()) });
    (router, document)
}

/// The routes before they have their state, and the complete document.
pub(crate) fn describe() -> (Router<Api>, OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::base())
        .merge(commands())
        .merge(queries())
        .merge(beside())
        .merge(operations())
        .split_for_parts();
    openapi::complete(&mut document);
    (router, document)
}
