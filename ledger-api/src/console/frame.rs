//! What stands around every page: where one is, where one can go, and who is signed in.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::Console;
use super::asset::VERSION;
use super::part::{Note, Part};
use super::session::{Session, Theme};
use crate::problem::Problem;

/// The parts of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Stock,
    Reservations,
    Journal,
    Accounts,
    Reports,
    Events,
    Audit,
    Background,
}

impl Section {
    const ALL: [Self; 9] = [
        Self::Overview,
        Self::Stock,
        Self::Reservations,
        Self::Journal,
        Self::Accounts,
        Self::Reports,
        Self::Events,
        Self::Audit,
        Self::Background,
    ];

    /// Its name, path, and the key that leads there after `g`.
    const fn link(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "/console", "o"),
            Self::Stock => ("Stock", "/console/stock", "s"),
            Self::Reservations => ("Reservations", "/console/reservations", "h"),
            Self::Journal => ("Journal", "/console/journal", "j"),
            Self::Accounts => ("Accounts", "/console/accounts", "c"),
            Self::Reports => ("Reports", "/console/reports", "r"),
            Self::Events => ("Events", "/console/events", "e"),
            Self::Audit => ("Audit", "/console/audit", "a"),
            Self::Background => ("Background", "/console/background", "b"),
        }
    }
}

/// A page without its frame.
pub(super) struct View {
    title: String,
    section: Section,
    /// The pages above this one: words and paths.
    above: Vec<(String, String)>,
    /// The position it shows.
    position: Option<String>,
    parts: Vec<String>,
}

/// A page, or why there is none.
pub(super) type Shown = Result<View, Problem>;

impl View {
    pub(super) fn new(section: Section, title: impl Into<String>) -> Self {
        Self { title: title.into(), section, above: Vec::new(), position: None, parts: Vec::new() }
    }

    /// Names a page above this one.
    pub(super) fn below(mut self, words: impl Into<String>, path: impl Into<String>) -> Self {
        self.above.push((words.into(), path.into()));
        self
    }

    /// Says which position the figures are of.
    pub(super) fn at(mut self, position: Option<String>) -> Self {
        self.position = position;
        self
    }

    pub(super) fn part(mut self, part: impl Part) -> Self {
        self.parts.push(part.html());
        self
    }

    pub(super) fn part_if(self, part: Option<impl Part>) -> Self {
        match part {
            Some(part) => self.part(part),
            None => self,
        }
    }
}

#[derive(Template)]
#[template(path = "console/frame.html")]
struct Frame<'a> {
    view: &'a View,
    session: &'a Session,
    version: &'static str,
    tenant: &'a str,
    name: &'a str,
    currency: &'a str,
}

impl Frame<'_> {
    fn links(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str, bool)> {
        Section::ALL.into_iter().map(|section| {
            let (words, path, key) = section.link();
            (words, path, key, section == self.view.section)
        })
    }

    fn next_theme(&self) -> &'static str {
        match self.session.theme {
            Theme::System => "dark",
            Theme::Dark => "light",
            Theme::Light => "system",
        }
    }

    fn back(&self) -> String {
        super::part::encode(&self.session.here)
    }
}

impl Session {
    /// Puts a page into its frame; a problem becomes a page too, with its status.
    pub(super) async fn show(&self, console: &Console, shown: Shown) -> Response {
        let (view, problem) = match shown {
            Ok(view) => (view, None),
            Err(problem) => (problem_view(&problem), Some(problem)),
        };
        // Without the database there is no name, and the page says what is wrong all the same.
        let book = console.api.books.of(&console.api, self.principal.tenant).await.unwrap_or_default();
        let frame = Frame {
            view: &view,
            session: self,
            version: &VERSION,
            tenant: &book.code,
            name: &book.name,
            currency: &book.currency,
        };
        let mut response = page(frame.render());
        if let Some(problem) = problem {
            *response.status_mut() = problem.status();
            if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
        }
        response
    }
}

/// A page that was written.
pub(super) fn page(html: Result<String, askama::Error>) -> Response {
    match html {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn problem_view(problem: &Problem) -> View {
    let body = problem.body(None);
    let field = |name: &str| body.get(name).map(super::ask::plain).unwrap_or_default();
    let title = if problem.status() == StatusCode::NOT_FOUND { "Not found".to_owned() } else { field("title") };
    let words = format!("{} ({}, status {})", field("detail"), field("code"), field("status"));
    View::new(Section::Overview, title).part(Note { tone: "bad", words })
}

/// Signing in: the one page without a frame.
#[derive(Template)]
#[template(path = "console/login.html")]
pub(super) struct Login<'a> {
    pub(super) version: &'static str,
    pub(super) theme: &'static str,
    pub(super) back: &'a str,
    /// What went wrong, or why one is here again.
    pub(super) words: &'a str,
}
