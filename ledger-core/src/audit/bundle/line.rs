//! Lines of a bundle: bounded, whole, and written in one way only.

use std::io::{BufRead, Read as _};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest line: the largest event is far below, the sizes of a million checkpoints are not above.
const LINE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Lines with their end, as text.
pub(super) struct Lines<R> {
    input: R,
    /// Nothing can be read any more.
    is_over: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self { input, is_over: false }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<String, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
        let ends = bytes.pop_if(|last| *last == b'\n').is_some();
        self.is_over = !ends;
        match read {
            Ok(0) => None,
            Ok(_) if !ends => Some(Err("the file ends within it, or it is too long".to_owned())),
            Ok(_) => Some(String::from_utf8(bytes).map_err(|e| e.to_string())),
            Err(error) => Some(Err(format!("the file cannot be read further: {error}"))),
        }
    }
}

/// The value of a line, which must be written exactly as this program writes it.
pub(super) fn canonical<T: Serialize + DeserializeOwned>(line: &str) -> Result<T, String> {
    let value: T = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let written = serde_json::to_string(&value).map_err(|e| e.to_string())?;
    if written == line { Ok(value) } else { Err("it is not written as its values are".to_owned()) }
}
