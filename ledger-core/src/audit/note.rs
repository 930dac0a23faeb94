//! Signed notes: text with signature lines below it (C2SP signed-note, c2sp.org/signed-note).
//!
//! **Shape**: text + [`Signer`]s → [`sign`] → the note; the note + [`Verifier`]s → [`open`] → its text and who signed.
//! **Correctness**: 1. A text is answered only when a known key signed it. 2. Signatures of unknown keys are ignored; a
//! bad one of a known key refuses the whole note. 3. A private key is never printed, shown or compared; it is wiped when
//! dropped. 4. Bytes are held against the reference implementation's own vectors.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Longest note looked at. One of ours has a few hundred bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signature lines; the specification asks for 16 at least.
pub const SIGNATURES_MAX: usize = 100;
/// Longest name of a key.
pub const KEY_NAME_BYTES_MAX: usize = 256;

/// Ed25519, in the bytes of a key.
const ED25519: u8 = 1;
/// What a private key's text begins with.
const PRIVATE: &str = "PRIVATE+KEY+";
/// What a signature line begins with.
const DASH: &str = "\u{2014} ";

/// A key's text that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+hash+base64`.
    #[error("is not a key: expected name+hash+base64")]
    Form,
    /// A name that notes cannot carry.
    #[error("names of keys have no blanks, no control characters and no plus, and at most 256 bytes")]
    Name,
    /// The hash is that of another key.
    #[error("its hash is that of another key: it was changed")]
    Hash,
    /// Another kind of key, or one that no signature should be believed from.
    #[error("is no Ed25519 key, or a weak one")]
    Algorithm,
}

/// Why a note cannot be signed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a note.
    #[error("is not a signed note: {0}")]
    Malformed(&'static str),
    /// Two of the known keys share name and hash.
    #[error("two known keys are called {0}")]
    Ambiguous(KeyId),
    /// A known key did not sign this.
    #[error("the signature by {0} is bad: the text or the signature was changed")]
    BadSignature(KeyId),
    /// No known key signed it.
    #[error("no key that is known here signed it")]
    Unverified,
}

/// Which key: its name, and the first four bytes of its hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    /// Such as `example.com/log`.
    pub name: String,
    /// Tells the keys of one name apart.
    pub hash: u32,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, self.hash)
    }
}

impl KeyId {
    fn of(name: &str, public: &VerifyingKey) -> Self {
        let digest = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(public.as_bytes()).finalize();
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
        Self { name: name.to_owned(), hash: u32::from_be_bytes([a, b, c, d]) }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= KEY_NAME_BYTES_MAX && !name.chars().any(|c| c == '+' || c.is_whitespace() || c.is_control())
}

/// Takes `name+hash+base64` apart: the name, the hash, the 32 bytes behind the algorithm.
fn parse_key(text: &str) -> Result<(&str, u32, [u8; 32]), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(hash), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Form);
    };
    if !is_name(name) {
        return Err(KeyError::Name);
    }
    let is_hex = hash.len() == 8 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let hash = u32::from_str_radix(hash, 16).ok().filter(|_| is_hex).ok_or(KeyError::Form)?;
    let data = BASE64.decode(data).map_err(|_| KeyError::Form)?;
    match data.split_first() {
        Some((&ED25519, key)) => Ok((name, hash, key.try_into().map_err(|_| KeyError::Form)?)),
        Some(_) => Err(KeyError::Algorithm),
        None => Err(KeyError::Form),
    }
}

fn key_data(key: &[u8; 32]) -> String {
    let mut data = [ED25519; 33];
    data[1..].copy_from_slice(key);
    BASE64.encode(data)
}

/// A public key that signatures are checked with. Its text form is what auditors are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    id: KeyId,
    key: VerifyingKey,
}

impl Verifier {
    /// Which key it is.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }
}

impl FromStr for Verifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, hash, public) = parse_key(text)?;
        let key = VerifyingKey::from_bytes(&public).map_err(|_| KeyError::Algorithm)?;
        let id = KeyId::of(name, &key);
        if key.is_weak() {
            return Err(KeyError::Algorithm);
        }
        if id.hash != hash {
            return Err(KeyError::Hash);
        }
        Ok(Self { id, key })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.id, key_data(self.key.as_bytes()))
    }
}

/// A private key. Shows itself by its public name only.
#[derive(Clone)]
pub struct Signer {
    verifier: Verifier,
    key: SigningKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier.id)
    }
}

impl Signer {
    /// A key of this name from 32 random bytes. Where they come from is the caller's to say: this crate draws nothing.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        let key = SigningKey::from_bytes(seed);
        let verifier = Verifier { id: KeyId::of(name, &key.verifying_key()), key: key.verifying_key() };
        Ok(Self { verifier, key })
    }

    /// Reads a private key's text.
    ///
    /// # Errors
    /// [`KeyError`], which does not repeat the text.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let (name, hash, seed) = parse_key(text.strip_prefix(PRIVATE).ok_or(KeyError::Form)?)?;
        let signer = Self::from_seed(name, &seed)?;
        if signer.verifier.id.hash != hash {
            return Err(KeyError::Hash);
        }
        Ok(signer)
    }

    /// The private key's text: for the file it is kept in, and nothing else.
    #[must_use]
    pub fn private_text(&self) -> String {
        format!("{PRIVATE}{}+{}", self.verifier.id, key_data(self.key.as_bytes()))
    }

    /// Its public half.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    fn line(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let id = &self.verifier.id;
        format!("{DASH}{} {}\n", id.name, BASE64.encode([&id.hash.to_be_bytes()[..], &signature[..]].concat()))
    }
}

fn is_text(text: &str) -> bool {
    text.ends_with('\n') && text.len() <= NOTE_BYTES_MAX && !text.bytes().any(|b| b < b' ' && b != b'\n')
}

/// The note: the text and a line for each signer, in their order.
///
/// # Errors
/// [`NoteError::Malformed`] for a text that does not end its last line, or has control characters.
pub fn sign<'a>(text: &str, signers: impl IntoIterator<Item = &'a Signer>) -> Result<String, NoteError> {
    if !is_text(text) {
        return Err(NoteError::Malformed("the text must end with a newline and have no control characters"));
    }
    let mut note = format!("{text}\n");
    let mut signed: Vec<&KeyId> = Vec::new();
    for signer in signers {
        if !signed.contains(&signer.verifier.id()) {
            signed.push(signer.verifier.id());
            note.push_str(&signer.line(text));
        }
    }
    Ok(note)
}

/// A note that a known key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// What was signed.
    pub text: &'a str,
    /// The known keys that signed it, in the order of their lines.
    pub signed_by: Vec<KeyId>,
    /// Keys that are not known here; what their lines say was not looked at.
    pub unknown: Vec<KeyId>,
}

/// Opens a note with the keys that are known.
///
/// # Errors
/// [`NoteError`].
pub fn open<'a>(note: &'a str, known: &[Verifier]) -> Result<Opened<'a>, NoteError> {
    let (text, lines) = take_apart(note)?;
    let mut opened = Opened { text, signed_by: Vec::new(), unknown: Vec::new() };
    for line in lines {
        let (id, signature) = line?;
        let mut of_id = known.iter().filter(|verifier| verifier.id == id);
        match (of_id.next(), of_id.next()) {
            (None, _) if opened.unknown.contains(&id) => {}
            (None, _) => opened.unknown.push(id),
            (Some(_), Some(_)) => return Err(NoteError::Ambiguous(id)),
            // The first line of a key decides, as in the reference implementation.
            (Some(_), None) if opened.signed_by.contains(&id) => {}
            (Some(verifier), None) => {
                let signature = Signature::from_slice(&signature).ok();
                let is_good = signature.is_some_and(|s| verifier.key.verify_strict(text.as_bytes(), &s).is_ok());
                if !is_good {
                    return Err(NoteError::BadSignature(id));
                }
                opened.signed_by.push(id);
            }
        }
    }
    if opened.signed_by.is_empty() { Err(NoteError::Unverified) } else { Ok(opened) }
}

/// A note's text whoever signed it: to look at, not to believe.
///
/// # Errors
/// [`NoteError::Malformed`].
pub fn text(note: &str) -> Result<&str, NoteError> {
    let (text, lines) = take_apart(note)?;
    for line in lines {
        line?;
    }
    Ok(text)
}

type Line = Result<(KeyId, Vec<u8>), NoteError>;

fn take_apart(note: &str) -> Result<(&str, impl Iterator<Item = Line> + '_), NoteError> {
    if !is_text(note) {
        return Err(NoteError::Malformed("it is too long, does not end its last line, or has control characters"));
    }
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line stands before its signatures"))?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    let lines = signatures.split_terminator('\n');
    if signatures.is_empty() || lines.clone().count() > SIGNATURES_MAX {
        return Err(NoteError::Malformed("it has no signatures, or too many"));
    }
    Ok((text, lines.map(parse_line)))
}

fn parse_line(line: &str) -> Line {
    let bad = NoteError::Malformed("a signature line is not `\u{2014} name base64`");
    let (name, signature) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(bad.clone())?;
    let bytes = BASE64.decode(signature).map_err(|_| bad.clone())?;
    match bytes.split_first_chunk::<4>() {
        Some((hash, signature)) if is_name(name) && !signature.is_empty() => {
            Ok((KeyId { name: name.to_owned(), hash: u32::from_be_bytes(*hash) }, signature.to_vec()))
        }
        _ => Err(bad),
    }
}

#[cfg(test)]
mod tests;
