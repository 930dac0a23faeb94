//! Responses of the document, by kind of operation.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use ledger_core::domain::time::Timestamp;
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::problem::{MEDIA_TYPE, kinds};

type Responses = BTreeMap<String, RefOr<Response>>;

const JSON: &str = "application/json";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn whole() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

/// RFC 9457. Further members depend on the code.
pub(crate) struct ProblemBody;

impl PartialSchema for ProblemBody {
    fn schema() -> RefOr<Schema> {
        let flaw = ObjectBuilder::new()
            .property("pointer", text().description(Some("JSON Pointer to the place")))
            .property("detail", text())
            .required("pointer")
            .required("detail");
        let shortage = ObjectBuilder::new()
            .property("line", whole())
            .property("item", text())
            .property("location", text())
            .property("requested", text())
            .property("available", text());
        ObjectBuilder::new()
            .description(Some("RFC 9457 problem details. Further members carry the data of the code."))
            .property("type", text().description(Some("`/problems/<code>`: the page that explains it")))
            .property("title", text())
            .property("status", whole())
            .property("detail", text().description(Some("What is wrong this time")))
            .property("instance", text().description(Some("The path it happened at")))
            .property("code", text().enum_values(Some(kinds().map(|kind| kind.code))).description(Some("Stable")))
            .property("errors", ArrayBuilder::new().items(flaw).description(Some("With `malformed`")))
            .property("shortages", ArrayBuilder::new().items(shortage).description(Some("With `insufficient_stock`")))
            .property("step", whole().description(Some("In a transaction: the command that was refused, from 0")))
            .required("type")
            .required("title")
            .required("status")
            .required("detail")
            .required("code")
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for ProblemBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "Problem".into()
    }
}

/// One event of an answer.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of what answers write")]
pub(crate) struct EventLine {
    /// What happened.
    r#type: String,
    /// What it is about.
    stream: String,
    /// Place in the stream.
    version: i64,
    /// Place in the tenant's log.
    position: i64,
    /// In a dry run: when it would have happened.
    #[schema(nullable = false)]
    effective_at: Option<Timestamp>,
    /// In a dry run: the whole event, as the log would show it; of a fact that posts, with its postings.
    #[schema(nullable = false, value_type = Option<Object>)]
    data: Option<()>,
}

/// Verdicts of a batch.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of what batches answer")]
pub(crate) struct BatchVerdicts {
    /// One per command, in their order.
    results: Vec<BatchVerdict>,
}

/// What became of one command of a batch.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of what batches answer")]
pub(crate) struct BatchVerdict {
    /// The command's id; null when it had none that could be read.
    id: Option<String>,
    /// The status it would have had alone.
    status: u16,
    /// Present and true on a stored first answer.
    #[schema(nullable = false)]
    replayed: Option<bool>,
    /// Present when it was accepted.
    #[schema(nullable = false, value_type = Option<Object>)]
    answer: Option<()>,
    /// Present when it was not.
    #[schema(nullable = false)]
    problem: Option<ProblemBody>,
}

/// A problem response per status, each naming the codes it may carry.
fn problems(statuses: &[u16]) -> Responses {
    statuses.iter().map(|status| (status.to_string(), RefOr::T(problem(*status)))).collect()
}

fn problem(status: u16) -> Response {
    let of_status = || kinds().filter(|kind| kind.status == status);
    let codes: Vec<String> = of_status().map(|kind| format!("`{}`", kind.code)).collect();
    let mut response = ResponseBuilder::new()
        .description(codes.join(", "))
        .content(MEDIA_TYPE, ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build());
    if of_status().any(|kind| kind.retry_after.is_some()) {
        response =
            response.header("Retry-After", HeaderBuilder::new().schema(Some(whole())).description(Some("Seconds")).build());
    }
    if status == 401 {
        response = response.header("WWW-Authenticate", HeaderBuilder::new().schema(Some(text())).build());
    }
    response.build()
}

fn header(schema: ObjectBuilder, description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

fn with_position(response: ResponseBuilder, description: &str) -> ResponseBuilder {
    response.header("Ledger-Position", header(whole(), description))
}

/// Responses of a command whose result is a `T`.
pub(crate) struct CommandAnswers<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for CommandAnswers<T> {
    fn responses() -> Responses {
        let events = ArrayBuilder::new()
            .items(Ref::from_schema_name("EventLine"))
            .description(Some("What was recorded, or in a dry run would have been; empty when nothing was to do"));
        let tried = ObjectBuilder::new().schema_type(Type::Boolean).description(Some("Present and true in a dry run"));
        let nothing = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null)).description(Some("Nothing was to do"));
        let result = OneOfBuilder::new().item(result_schema::<T>()).item(nothing);
        let body = ObjectBuilder::new()
            .property("dry_run", tried)
            .property(
                "position",
                whole().description(Some("Place of the last event; where it was decided, if none was recorded")),
            )
            .property("events", events)
            .property("result", result)
            .required("position")
            .required("events")
            .required("result")
            .build();
        let answer = |description: &str| {
            let content = ContentBuilder::new().schema(Some(body.clone())).build();
            with_position(
                ResponseBuilder::new().description(description).content(JSON, content),
                "A read with this as Ledger-Min-Position includes it",
            )
        };
        let replayed = header(text(), "`true` on a stored first answer");
        let mut responses = problems(&[400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 500, 503]);
        responses.insert("201".into(), RefOr::T(answer("Recorded: the commit is durable").build()));
        let again = answer("Recorded before under the same key, nothing was to do, or a dry run")
            .header("Idempotent-Replayed", replayed)
            .header("Dry-Run", dry_run());
        responses.insert("200".into(), RefOr::T(again.build()));
        responses
    }
}

fn dry_run() -> utoipa::openapi::Header {
    header(text(), "`true` when nothing was recorded because of a dry run")
}

/// A transaction's result is a list.
fn result_schema<T: ToSchema>() -> RefOr<Schema> {
    let one = RefOr::Ref(Ref::from_schema_name(T::name()));
    if T::name() == super::StepResult::name() { ArrayBuilder::new().items(one).into() } else { one }
}

fn read_answer<T: ToSchema>(description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(T::name()))).build();
    with_position(
        ResponseBuilder::new().description(description).content(JSON, content),
        "The answer includes every event up to here",
    )
}

/// Responses of a read of one thing.
pub(crate) struct ReadAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for ReadAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 408, 413, 415, 422, 500, 503]);
        let tag = "The stream version; with a suffix where the answer depends on more. `If-Match` takes either. A past state's \
                   has no version, and no command takes it";
        responses.insert("200".into(), RefOr::T(read_answer::<T>("Found").header("ETag", header(text(), tag)).build()));
        responses.insert("304".into(), had_already());
        responses
    }
}

/// To `If-None-Match`.
fn had_already() -> RefOr<Response> {
    RefOr::T(ResponseBuilder::new().description("The caller has it already").build())
}

/// Of what is no single stream's state.
fn body_tag() -> utoipa::openapi::Header {
    header(text(), "Names this very answer; for `If-None-Match` only")
}

/// Responses of a read that a state may be against.
pub(crate) struct StatefulAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for StatefulAnswer<T> {
    fn responses() -> Responses {
        let mut responses = ReadAnswer::<T>::responses();
        responses.extend(problems(&[409]));
        responses
    }
}

/// Responses of a checkpoint: JSON, or the signed note alone.
pub(crate) struct CheckpointAnswer;

impl IntoResponses for CheckpointAnswer {
    fn responses() -> Responses {
        let mut responses = ReadAnswer::<crate::query::audit::checkpoint::CheckpointBody>::responses();
        if let Some(RefOr::T(found)) = responses.get_mut("200") {
            let note = text().description(Some("The signed note, when `Accept` names it"));
            found.content.insert("text/plain".into(), ContentBuilder::new().schema(Some(note)).build().into());
        }
        responses
    }
}

/// Responses of a list of `T`.
pub(crate) struct PageAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for PageAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 500, 503]);
        let page = page(&format!("Page_{}", T::name()));
        responses.insert("200".into(), RefOr::T(page.header("Link", next_link()).header("ETag", body_tag()).build()));
        responses.insert("304".into(), had_already());
        responses
    }
}

fn page(schema: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    with_position(
        ResponseBuilder::new().description("A page").content(JSON, content),
        "The answer includes every event up to here",
    )
}

/// Responses of a page that says more than its rows.
pub(crate) struct LinkedAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for LinkedAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 422, 500, 503]);
        let page = read_answer::<T>("A page").header("ETag", body_tag()).header("Link", next_link());
        responses.insert("200".into(), RefOr::T(page.build()));
        responses.insert("304".into(), had_already());
        responses
    }
}

fn next_link() -> utoipa::openapi::Header {
    header(text(), "`rel=\"next\"` when there is a next page")
}

/// A report: JSON, or a table in another dress.
fn report<T: ToSchema>() -> ResponseBuilder {
    let rows = text().description(Some("One head row; `row` says whether a row is a group, a line, a part of one, or a total"));
    let page = text().description(Some("One page to read and print, nothing fetched from elsewhere"));
    let dress = |schema: ObjectBuilder| ContentBuilder::new().schema(Some(schema)).build();
    read_answer::<T>("The report").content("text/csv", dress(rows)).content("text/html", dress(page))
}

/// Responses of a report.
pub(crate) struct ReportAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for ReportAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 422, 500, 503]);
        responses.insert("200".into(), RefOr::T(report::<T>().header("ETag", body_tag()).build()));
        responses.insert("304".into(), had_already());
        responses
    }
}

/// Responses of a report whose JSON comes in pages.
pub(crate) struct PagedReportAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for PagedReportAnswer<T> {
    fn responses() -> Responses {
        let mut responses = ReportAnswer::<T>::responses();
        responses.insert("200".into(), RefOr::T(report::<T>().header("ETag", body_tag()).header("Link", next_link()).build()));
        responses
    }
}

/// Responses of a page of one stream.
pub(crate) struct StreamAnswer;

impl IntoResponses for StreamAnswer {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 500, 503]);
        let link = header(text(), "`rel=\"next\"` when there may be more");
        responses.insert("200".into(), RefOr::T(page("EventsPage").header("Link", link).build()));
        responses
    }
}

/// Responses of the log: a page, or a stream that stays open.
pub(crate) struct EventsAnswer;

impl IntoResponses for EventsAnswer {
    fn responses() -> Responses {
        let mut responses = StreamAnswer::responses();
        responses.remove("404");
        if let Some(RefOr::T(page)) = responses.get_mut("200") {
            let sent = text().description(Some("Events with `id` (position), `event` (type) and `data` (the event as JSON)"));
            page.content.insert("text/event-stream".into(), ContentBuilder::new().schema(Some(sent)).build().into());
        }
        responses
    }
}

/// Responses of a batch.
pub(crate) struct BatchAnswers;

impl IntoResponses for BatchAnswers {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 408, 413, 415, 500, 503]);
        let lines = text().description(Some("One verdict per line, when `Accept` names it"));
        let answer = read_answer::<BatchVerdicts>("A verdict per command")
            .content("application/x-ndjson", ContentBuilder::new().schema(Some(lines)).build())
            .header("Dry-Run", dry_run());
        responses.insert("200".into(), RefOr::T(answer.build()));
        responses
    }
}

fn json<T: ToSchema>(description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(T::name()))).build();
    ResponseBuilder::new().description(description).content(JSON, content)
}

/// Responses of what shows or changes something that is not of the log.
pub(crate) struct PlainAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for PlainAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 409, 500, 503]);
        responses.insert("200".into(), RefOr::T(json::<T>("As it stands").build()));
        responses
    }
}

/// Responses of what makes or changes such a thing.
pub(crate) struct PutAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for PutAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 408, 413, 415, 422, 500, 503]);
        responses.insert("200".into(), RefOr::T(json::<T>("Changed").build()));
        responses.insert("201".into(), RefOr::T(json::<T>("Made").build()));
        responses
    }
}

/// Responses of a list of such things.
pub(crate) struct PlainPageAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for PlainPageAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 500, 503]);
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(format!("Page_{}", T::name())))).build();
        let page = ResponseBuilder::new().description("A page").content(JSON, content).header("Link", next_link());
        responses.insert("200".into(), RefOr::T(page.build()));
        responses
    }
}

/// Responses of what will be done later.
pub(crate) struct AcceptedAnswer<T>(PhantomData<T>);

impl<T: ToSchema> IntoResponses for AcceptedAnswer<T> {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503]);
        let accepted = json::<T>("It will be done")
            .header("Location", header(text(), "Where it can be looked at"))
            .header("Idempotent-Replayed", header(text(), "`true` when it was asked for before"));
        responses.insert("202".into(), RefOr::T(accepted.build()));
        responses
    }
}

/// Responses of what leaves nothing to show.
pub(crate) struct GoneAnswer;

impl IntoResponses for GoneAnswer {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 500, 503]);
        responses.insert("204".into(), RefOr::T(ResponseBuilder::new().description("Done").build()));
        responses
    }
}

/// Responses of a file.
pub(crate) struct DownloadAnswer;

impl IntoResponses for DownloadAnswer {
    fn responses() -> Responses {
        let mut responses = problems(&[400, 401, 403, 404, 409, 500, 503]);
        let dress = || ContentBuilder::new().schema(Some(text())).build();
        let any = ContentBuilder::new().schema(Some(ObjectBuilder::new())).build();
        let file = ["application/x-ndjson", "text/csv", "text/html"]
            .into_iter()
            .fold(ResponseBuilder::new().description("The file"), |file, media_type| file.content(media_type, dress()));
        responses.insert("200".into(), RefOr::T(file.content(JSON, any).build()));
        responses
    }
}

/// Problems of operations that need no credential.
pub(crate) struct PublicProblems;

impl IntoResponses for PublicProblems {
    fn responses() -> Responses {
        problems(&[400, 404, 500, 503])
    }
}

/// Problems of probes, whose 503 is their own.
pub(crate) struct ProbeProblems;

impl IntoResponses for ProbeProblems {
    fn responses() -> Responses {
        problems(&[500])
    }
}
