//! Signing in and out, and the choice of colours.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use std::time::Duration;

use crate::auth;
use crate::console::Console;
use crate::console::asset::VERSION;
use crate::console::frame::{Login, page};
use crate::console::guard::is_https;
use crate::console::session::{self, Session, THEME_COOKIE, Theme};
use askama::Template;

/// Colours are remembered for a year.
const THEME_TIME: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Where to go afterwards, and whether a session ended.
#[derive(Default, Deserialize)]
pub(in crate::console) struct Asked {
    #[serde(default)]
    back: Option<String>,
    #[serde(default)]
    ended: Option<String>,
}

fn form(headers: &HeaderMap, back: &str, words: &str) -> Response {
    page(Login { version: &VERSION, theme: Theme::of(headers).as_str(), back, words }.render())
}

pub(in crate::console) async fn show(headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let words = if asked.ended.is_some() { "Your session has ended. Sign in again to go on." } else { "" };
    form(&headers, session::way_back(asked.back.as_deref()), words)
}

/// What the form sends.
#[derive(Deserialize)]
pub(in crate::console) struct Key {
    key: String,
    #[serde(default)]
    back: Option<String>,
}

pub(in crate::console) async fn sign_in(State(console): State<Console>, headers: HeaderMap, Form(sent): Form<Key>) -> Response {
    let back = session::way_back(sent.back.as_deref());
    match auth::by_text(&console.api, sent.key.trim()).await {
        Ok(key) => {
            let cookie = session::begin(&key, console.api.pipeline.now(), is_https(&headers));
            ([(header::SET_COOKIE, cookie)], Redirect::to(back)).into_response()
        }
        Err(problem) => {
            let words = match problem.status() {
                StatusCode::UNAUTHORIZED => "This key is not valid: it is mistyped, was taken back, or has expired.",
                StatusCode::FORBIDDEN => "This tenant takes no calls at present.",
                _it_cannot_be_told => "The key cannot be checked at present. Try again in a moment.",
            };
            let mut response = form(&headers, back, words);
            *response.status_mut() = problem.status();
            response
        }
    }
}

/// What every form of a session sends.
#[derive(Deserialize)]
pub(in crate::console) struct Token {
    token: String,
}

impl Token {
    /// Whether the form is of this session.
    pub(in crate::console) fn is_of(&self, session: &Session) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(self.token.as_bytes(), session.token.as_bytes()))
    }
}

pub(in crate::console) async fn sign_out(session: Session, headers: HeaderMap, Form(sent): Form<Token>) -> Response {
    if !sent.is_of(&session) {
        return (StatusCode::FORBIDDEN, "this form is of another session\n").into_response();
    }
    ([(header::SET_COOKIE, session::end(is_https(&headers)))], Redirect::to("/console/login")).into_response()
}

/// Colours wanted.
#[derive(Deserialize)]
pub(in crate::console) struct Colours {
    to: String,
    #[serde(default)]
    back: Option<String>,
}

/// Changes nothing but the browser's own cookie, so a link may do it.
pub(in crate::console) async fn choose_theme(headers: HeaderMap, Query(asked): Query<Colours>) -> Response {
    let theme = Theme::parse(&asked.to).unwrap_or_default();
    let cookie = session::set_cookie(THEME_COOKIE, theme.as_str(), THEME_TIME, is_https(&headers));
    ([(header::SET_COOKIE, cookie)], Redirect::to(session::way_back(asked.back.as_deref()))).into_response()
}
