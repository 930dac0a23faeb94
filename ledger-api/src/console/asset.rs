//! Style, scripts and libraries: files inside the program, under a path that changes with them, so that browsers keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest, Sha256};

use crate::query::hex;

/// The files, with the licences of those that are not ours.
#[derive(Embed)]
#[folder = "src/console/assets/"]
struct Files;

/// A digest of all files: the version in their paths.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    let mut names: Vec<_> = Files::iter().collect();
    names.sort();
    for file in names.iter().filter_map(|name| Files::get(name)) {
        digest.update(&file.data);
    }
    hex(digest.finalize().get(..8).unwrap_or_default())
});

/// One file. An old version's path has the present file: a page that is open while the program is replaced goes on.
pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(EmbeddedFile { data, .. }) = Files::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let media_type = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _text => "text/plain; charset=utf-8",
    };
    let caching = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-store" };
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, caching)], data).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_have_their_licences_and_scripts_fetch_nothing() {
        let names: Vec<_> = Files::iter().collect();
        for name in ["console.css", "console.js", "htmx.min.js", "uplot.min.js", "uplot.min.css", "icon.svg"] {
            assert!(names.iter().any(|n| n == name), "{name}");
        }
        for licence in ["htmx.LICENSE.txt", "uplot.LICENSE.txt"] {
            assert!(Files::get(licence).is_some_and(|file| file.data.len() > 300), "{licence}");
        }
        let ours = Files::get("console.js").map(|file| String::from_utf8_lossy(&file.data).into_owned()).unwrap();
        for word in ["eval(", "innerHTML", "insertAdjacentHTML", "document.write", "http://", "https://"] {
            assert!(!ours.contains(word), "{word}");
        }
    }
}
