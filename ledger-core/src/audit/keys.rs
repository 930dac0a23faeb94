//! The keys that sign checkpoints, as their file holds them.
//!
//! **Shape**: text of the file → [`Keys::parse`] → [`Keys::sign`]; [`Keys::rotate`] → [`Keys::to_text`] → the file.
//! A line is a private key, a statement of rotation in base64 behind `statement `, a comment behind `#`, or empty.
//! **Correctness**: 1. The newest key stands last. It signs first; the older ones sign along, so that who knows only an
//! older one can still open what is signed today. 2. A rotation leaves a statement, signed by the old and the new key,
//! that names the new one: an auditor follows it from the key they know to the one in use, also when the old private key
//! was taken out of the file. 3. All keys have one name, the origin's first part.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::note::{self, KeyError, Signer, Verifier};

/// Most keys in one file; the oldest are taken out of use long before.
pub const KEYS_MAX: usize = 16;
/// Most statements in one file.
pub const STATEMENTS_MAX: usize = 256;
/// Longest file looked at.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a line with a statement begins with.
const STATEMENT: &str = "statement ";
/// Second line of a statement. No checkpoint has it: there it is a number.
const TITLE: &str = "key rotation";

/// Why a file of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// A line is neither key, statement, comment nor empty. What stands there is not repeated: it may be a private key.
    #[error("line {line} {source}")]
    Key {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A statement that does not hold.
    #[error("line {0} is no statement of rotation that its keys signed")]
    Statement(usize),
    /// Keys of different names.
    #[error("the keys have different names: {0} and {1}")]
    Names(String, String),
    /// The same key twice.
    #[error("key {0} stands there twice")]
    Twice(note::KeyId),
    /// No private key.
    #[error("there is no private key in it")]
    Empty,
    /// More than the limit.
    #[error("there are more than {KEYS_MAX} keys or {STATEMENTS_MAX} statements in it")]
    TooMany,
}

/// One step from an old key to a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The key that was in use.
    pub old: Verifier,
    /// The key that took its place.
    pub new: Verifier,
    /// The note: signed by both.
    pub note: String,
}

impl Statement {
    /// Reads a statement and checks that both keys signed it.
    #[must_use]
    pub fn open(text: &str) -> Option<Self> {
        let mut lines = note::text(text).ok()?.strip_suffix('\n')?.split('\n');
        let (origin, title, old, new) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        let (old, new): (Verifier, Verifier) = (old.parse().ok()?, new.parse().ok()?);
        let is_whole = lines.next().is_none() && title == TITLE && old.id().name == origin && new.id().name == origin;
        let opened = note::open(text, &[old.clone(), new.clone()]).ok()?;
        let is_signed = [&old, &new].iter().all(|key| opened.signed_by.contains(key.id()));
        (is_whole && is_signed).then(|| Self { old, new, note: text.to_owned() })
    }

    fn make(old: &Signer, new: &Signer) -> Option<Self> {
        let name = &old.verifier().id().name;
        let text = format!("{name}\n{TITLE}\n{}\n{}\n", old.verifier(), new.verifier());
        Self::open(&note::sign(&text, [old, new]).ok()?)
    }
}

/// The keys of one file.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Newest last; never empty.
    signers: Vec<Signer>,
    statements: Vec<Statement>,
}

impl Keys {
    /// A first key, and nothing else.
    #[must_use]
    pub fn first(signer: Signer) -> Self {
        Self { signers: vec![signer], statements: Vec::new() }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys = Self { signers: Vec::new(), statements: Vec::new() };
        for (at, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line_number = at + 1;
            match line.strip_prefix(STATEMENT) {
                Some(encoded) => {
                    let note = BASE64.decode(encoded).ok().and_then(|note| String::from_utf8(note).ok());
                    let statement = note.and_then(|note| Statement::open(&note)).ok_or(KeysError::Statement(line_number))?;
                    keys.statements.push(statement);
                }
                None => keys.add(Signer::from_text(line).map_err(|source| KeysError::Key { line: line_number, source })?)?,
            }
            if keys.signers.len() > KEYS_MAX || keys.statements.len() > STATEMENTS_MAX {
                return Err(KeysError::TooMany);
            }
        }
        if keys.signers.is_empty() { Err(KeysError::Empty) } else { Ok(keys) }
    }

    fn add(&mut self, signer: Signer) -> Result<(), KeysError> {
        let id = signer.verifier().id();
        if let Some(first) = self.signers.first().map(|first| first.verifier().id())
            && first.name != id.name
        {
            return Err(KeysError::Names(first.name.clone(), id.name.clone()));
        }
        if self.signers.iter().any(|known| known.verifier().id() == id) {
            return Err(KeysError::Twice(id.clone()));
        }
        self.signers.push(signer);
        Ok(())
    }

    /// The text to keep in the file: private keys are in it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text =
            String::from("# Private keys that sign checkpoints, newest last. Whoever has them can sign in this ledger's name.\n");
        for statement in &self.statements {
            text.push_str(&format!("{STATEMENT}{}\n", BASE64.encode(&statement.note)));
        }
        for signer in &self.signers {
            text.push_str(&signer.private_text());
            text.push('\n');
        }
        text
    }

    /// Takes a new key into use: it signs first from now on.
    ///
    /// # Errors
    /// [`KeysError`] when its name is another one, it is there already, or there are too many.
    pub fn rotate(&mut self, new: Signer) -> Result<&Statement, KeysError> {
        if self.signers.len() >= KEYS_MAX || self.statements.len() >= STATEMENTS_MAX {
            return Err(KeysError::TooMany);
        }
        let old = self.signers.last().cloned().ok_or(KeysError::Empty)?;
        self.add(new)?;
        let made = self.signers.last().and_then(|new| Statement::make(&old, new)).ok_or(KeysError::Statement(0))?;
        self.statements.push(made);
        self.statements.last().ok_or(KeysError::Empty)
    }

    /// The keys' name: what origins begin with.
    #[must_use]
    pub fn name(&self) -> &str {
        self.signers.first().map_or("", |signer| &signer.verifier().id().name)
    }

    /// The public keys that sign, newest first.
    pub fn verifiers(&self) -> impl Iterator<Item = &Verifier> {
        self.signers.iter().rev().map(Signer::verifier)
    }

    /// The steps from each key to the next, oldest first.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Every public key of this log that can be led to from any other by statements, and those that sign, newest first,
    /// each once: what a checkpoint of any age may be opened with.
    #[must_use]
    pub fn known(&self) -> Vec<Verifier> {
        let mut known: Vec<Verifier> = self.verifiers().cloned().collect();
        for key in self.statements.iter().rev().flat_map(|statement| [&statement.new, &statement.old]) {
            if !known.contains(key) {
                known.push(key.clone());
            }
        }
        known
    }

    /// Signs a text with every key, newest first.
    ///
    /// # Errors
    /// [`note::NoteError`] for a text that no note can carry.
    pub fn sign(&self, text: &str) -> Result<String, note::NoteError> {
        note::sign(text, self.signers.iter().rev())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(seed: u8) -> Signer {
        Signer::from_seed("ledgerd", &[seed; 32]).unwrap()
    }

    #[test]
    fn an_auditor_who_knows_the_first_key_is_led_to_the_newest() {
        let mut keys = Keys::first(signer(1));
        let first = keys.verifiers().next().unwrap().clone();
        keys.rotate(signer(2)).unwrap();
        keys.rotate(signer(3)).unwrap();
        let keys = Keys::parse(&keys.to_text()).unwrap();
        assert_eq!(keys.verifiers().cloned().collect::<Vec<_>>(), [3, 2, 1].map(|seed| signer(seed).verifier().clone()));

        // The older key alone opens what is signed now, and the newest one signs first.
        let note = keys.sign("a\n1\n").unwrap();
        let opened = note::open(&note, std::slice::from_ref(&first)).unwrap();
        assert_eq!((opened.signed_by.len(), opened.unknown.len()), (1, 2));
        assert_eq!(opened.unknown[0], *signer(3).verifier().id());

        let mut known = first;
        for statement in keys.statements() {
            let opened = note::open(&statement.note, std::slice::from_ref(&known)).unwrap();
            assert!(opened.text.contains(&statement.new.to_string()));
            known = statement.new.clone();
        }
        assert_eq!(known, *signer(3).verifier());

        // An old private key may be taken away; the way from it stays.
        let without_first: String =
            keys.to_text().lines().filter(|line| *line != signer(1).private_text()).flat_map(|line| [line, "\n"]).collect();
        let keys = Keys::parse(&without_first).unwrap();
        assert_eq!((keys.verifiers().count(), keys.statements().len(), keys.known().len()), (2, 2, 3));
    }

    #[test]
    fn what_is_no_file_of_keys_is_refused_without_repeating_it() {
        let text = |lines: &[&str]| lines.join("\n");
        let (one, other) = (signer(1).private_text(), Signer::from_seed("other", &[2; 32]).unwrap().private_text());
        let broken = one.replace("ledgerd", "ledgerx");
        assert_eq!(Keys::parse("# nothing\n\n").unwrap_err(), KeysError::Empty);
        assert_eq!(Keys::parse(&text(&[&one, &one])).unwrap_err(), KeysError::Twice(signer(1).verifier().id().clone()));
        assert_eq!(Keys::parse(&text(&[&one, &other])).unwrap_err(), KeysError::Names("ledgerd".into(), "other".into()));
        let error = Keys::parse(&text(&["", &broken])).unwrap_err();
        assert_eq!(error, KeysError::Key { line: 2, source: KeyError::Hash });
        assert!(!error.to_string().contains("AQEBAQ"), "{error}");
        assert_eq!(Keys::parse(&text(&["statement AAAA", &one])).unwrap_err(), KeysError::Statement(1));

        // A statement that the old key did not sign leads nowhere.
        let statement = Statement::make(&signer(1), &signer(2)).unwrap();
        let text = note::text(&statement.note).unwrap();
        for signers in [&[signer(2)][..], &[signer(1)], &[signer(3), signer(2)]] {
            assert_eq!(Statement::open(&note::sign(text, signers).unwrap()), None);
        }
        let extended = note::sign(&format!("{text}more\n"), &[signer(1), signer(2)]).unwrap();
        assert_eq!(Statement::open(&extended), None);
        assert_eq!(Statement::open(&statement.note), Some(statement));
    }

    #[test]
    fn a_statement_is_no_checkpoint() {
        let statement = Statement::make(&signer(1), &signer(2)).unwrap();
        assert!(super::super::checkpoint::Checkpoint::parse(note::text(&statement.note).unwrap()).is_err());
    }
}
