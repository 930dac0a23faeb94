//! The letters of a SIE file: its character set, its lines, their fields.

use std::fmt;

/// Bytes of a line: the longest text field is far shorter.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Fields of a line, and of an object list: the longest record has eight.
const FIELDS_MAX: usize = 64;

/// The upper half of code page 437, which the standard calls PC8.
const PC8_UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The file as text, and whether it was UTF-8. A Swedish letter of code page 437 is never valid UTF-8 by itself: its byte
/// only continues a character there.
pub(super) fn decode(bytes: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.trim_start_matches('\u{feff}').to_owned(), true);
    }
    let upper: Vec<char> = PC8_UPPER.chars().collect();
    let letter = |byte: &u8| match byte.checked_sub(128) {
        None => char::from(*byte),
        Some(at) => upper.get(usize::from(at)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    (bytes.iter().map(letter).collect(), false)
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli::import) struct Fault {
    /// Line of the file, from 1.
    pub(in crate::cli::import) line: usize,
    pub(in crate::cli::import) why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for Fault {}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Text(String),
    List(Vec<String>),
}

/// A record's fields after its label. One that is missing at the end is as good as an empty one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields(Vec<Field>);

impl Fields {
    /// The field's text, if it has one.
    pub(super) fn text(&self, at: usize, name: &str) -> Result<Option<&str>, String> {
        match self.0.get(at) {
            Some(Field::Text(text)) if !text.is_empty() => Ok(Some(text)),
            Some(Field::Text(_)) | None => Ok(None),
            Some(Field::List(_)) => Err(format!("{name} is a list in braces")),
        }
    }

    /// As [`Fields::text`] for what must be there.
    pub(super) fn needed(&self, at: usize, name: &str) -> Result<&str, String> {
        self.text(at, name)?.ok_or_else(|| format!("{name} is missing"))
    }

    /// The object list; some programs leave an empty one out.
    pub(super) fn list(&self, at: usize) -> Option<&[String]> {
        match self.0.get(at) {
            Some(Field::List(list)) => Some(list),
            Some(Field::Text(_)) | None => None,
        }
    }
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// What stands at the ends of a line and says nothing, the end-of-file mark of DOS among it.
pub(super) fn trimmed(line: &str) -> &str {
    line.trim_matches(|c| is_blank(c) || matches!(c, '\r' | '\u{1a}'))
}

/// A record's label and fields. A backslash before a quote makes it a letter; before anything else it is one itself.
pub(super) fn record(line: &str) -> Result<(&str, Fields), String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("is longer than {LINE_BYTES_MAX} bytes"));
    }
    let (label, mut rest) = line.split_at(line.find(is_blank).unwrap_or(line.len()));
    if !label.starts_with('#') {
        return Err("does not begin with a label such as #KONTO".to_owned());
    }
    let mut fields = Vec::new();
    loop {
        rest = rest.trim_start_matches(is_blank);
        let field = match rest.chars().next() {
            None => return Ok((label, Fields(fields))),
            Some('{') => list(&mut rest)?,
            Some('}') => return Err("has a } that no { opened".to_owned()),
            Some(_) => Field::Text(word(&mut rest, false)?),
        };
        fields.push(field);
        if fields.len() > FIELDS_MAX {
            return Err(format!("has more than {FIELDS_MAX} fields"));
        }
    }
}

fn list(rest: &mut &str) -> Result<Field, String> {
    *rest = rest.strip_prefix('{').unwrap_or(rest);
    let mut words = Vec::new();
    loop {
        *rest = rest.trim_start_matches(is_blank);
        match rest.chars().next() {
            None => return Err("has a { that nothing closes".to_owned()),
            Some('{') => return Err("has a { inside of braces".to_owned()),
            Some('}') => break,
            Some(_) => words.push(word(rest, true)?),
        }
        if words.len() > FIELDS_MAX {
            return Err(format!("has more than {FIELDS_MAX} words in braces"));
        }
    }
    *rest = rest.strip_prefix('}').unwrap_or(rest);
    Ok(Field::List(words))
}

/// One word, in quotes or up to the next blank. Inside of braces these end it too.
fn word(rest: &mut &str, in_braces: bool) -> Result<String, String> {
    let ends = |c: char| is_blank(c) || (in_braces && matches!(c, '{' | '}'));
    let quoted = rest.strip_prefix('"');
    let text = quoted.unwrap_or(rest);
    let mut word = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        let next = letters.peek().map(|(_, next)| *next);
        match c {
            '\\' if next == Some('"') => {
                word.push('"');
                letters.next();
            }
            '"' if quoted.is_some() => {
                *rest = text.split_at(at.saturating_add(1)).1;
                let is_apart = next.is_none_or(ends);
                return if is_apart { Ok(word) } else { Err("goes on right after a closing quote".to_owned()) };
            }
            c if quoted.is_none() && ends(c) => {
                *rest = text.split_at(at).1;
                return Ok(word);
            }
            c => word.push(c),
        }
    }
    *rest = "";
    if quoted.is_some() { Err("has a quote that nothing closes".to_owned()) } else { Ok(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        let (_, Fields(fields)) = record(line).unwrap();
        let show = |field: Field| match field {
            Field::Text(text) => text,
            Field::List(words) => format!("{words:?}"),
        };
        fields.into_iter().map(show).collect()
    }

    #[test]
    fn code_page_437_is_read_and_so_is_utf_8() {
        let names = b"\x86\x84\x94\x8f\x8e\x99\x82\x90\x81\x9a";
        assert_eq!(decode(names), ("åäöÅÄÖéÉüÜ".to_owned(), false));
        assert_eq!(decode("\u{feff}åäö".as_bytes()), ("åäö".to_owned(), true));
        assert_eq!(PC8_UPPER.chars().count(), 128);
        assert_eq!(decode(b"\x80\xe1\xff"), ("Çß\u{a0}".to_owned(), false));
    }

    #[test]
    fn fields_are_told_apart() {
        for (line, fields) in [
            ("#KONTO 1510 Kundfordringar", vec!["1510", "Kundfordringar"]),
            ("#KONTO\t1510  \"Kund fordringar\" ", vec!["1510", "Kund fordringar"]),
            ("#VER \"\" 1 20110101 \"\"", vec!["", "1", "20110101", ""]),
            (r#"#A "sa \"hej\" då" C:\temp x\"y"#, vec![r#"sa "hej" då"#, r"C:\temp", r#"x"y"#]),
            (r#"#A 5"rör "}{""#, vec![r#"5"rör"#, "}{"]),
            ("#TRANS 1 {} 5", vec!["1", "[]", "5"]),
            ("#TRANS 1 {1 \"10 A\" 6 \"\"} 5", vec!["1", r#"["1", "10 A", "6", ""]"#, "5"]),
            ("#TRANS 1 { 1 10 }5", vec!["1", r#"["1", "10"]"#, "5"]),
            ("#EMPTY", vec![]),
        ] {
            assert_eq!(texts(line), fields, "{line}");
        }
    }

    #[test]
    fn bad_fields_are_named() {
        for (line, why) in [
            ("KONTO 1", "does not begin with a label"),
            ("#A \"b", "quote that nothing closes"),
            ("#A \"b\"c", "right after a closing quote"),
            ("#A {1 2", "{ that nothing closes"),
            ("#A {1 {2}}", "{ inside of braces"),
            ("#A }", "} that no { opened"),
            (&format!("#A{}", " b".repeat(65)), "more than 64 fields"),
            (&format!("#A {{{}}}", " b".repeat(65)), "more than 64 words"),
            (&format!("#A {}", "b".repeat(64 << 10)), "longer than 65536 bytes"),
        ] {
            let found = record(line).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }

    #[test]
    fn what_is_missing_at_the_end_is_empty() {
        let (label, fields) = record("#TRANS 1510 {}").unwrap();
        assert_eq!((label, fields.needed(0, "account")), ("#TRANS", Ok("1510")));
        assert_eq!((fields.list(1), fields.text(9, "text")), (Some([].as_slice()), Ok(None)));
        assert_eq!(fields.needed(2, "amount"), Err("amount is missing".to_owned()));
        assert_eq!(fields.needed(1, "amount"), Err("amount is a list in braces".to_owned()));
    }
}
