//! The keys, note and refusals of the reference implementation's documentation and tests (golang.org/x/mod/sumdb/note).

use super::*;

const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PETER_LINE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const ENOCH_LINE: &str =
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn peter() -> Verifier {
    PETER.parse().unwrap()
}

fn enoch() -> Verifier {
    ENOCH.parse().unwrap()
}

fn note(lines: &[&str]) -> String {
    format!("{TEXT}\n{}", lines.concat())
}

#[test]
fn signs_the_documented_note_to_the_byte() {
    let signer = Signer::from_text(PETER_PRIVATE).unwrap();
    assert_eq!(sign(TEXT, [&signer]).unwrap(), note(&[PETER_LINE]));
    assert_eq!(sign(TEXT, [&signer, &signer]).unwrap(), note(&[PETER_LINE]), "one line per key");
    assert_eq!(signer.verifier().to_string(), PETER);
    assert_eq!(signer.private_text(), PETER_PRIVATE);
    assert_eq!(format!("{signer:?}"), "Signer(PeterNeumann+c74f20a3)", "a private key is not shown");
    for bad in ["abc", "", "a\u{1}b\n", "a\tb\n"] {
        assert!(matches!(sign(bad, [&signer]), Err(NoteError::Malformed(_))), "{bad:?}");
    }
}

#[test]
fn opens_the_documented_notes() {
    let both = note(&[PETER_LINE, ENOCH_LINE]);
    let opened = open(&both, &[peter()]).unwrap();
    assert_eq!((opened.text, opened.signed_by, opened.unknown), (TEXT, vec![peter().id], vec![enoch().id]));
    let opened = open(&both, &[enoch(), peter()]).unwrap();
    assert_eq!((opened.signed_by, opened.unknown), (vec![peter().id, enoch().id], vec![]));
    assert_eq!(open(&both, &[]), Err(NoteError::Unverified));
    assert_eq!(text(&both).unwrap(), TEXT);

    // A key twice is a fault of whoever keeps the keys, but only where it matters.
    assert_eq!(open(&both, &[enoch(), peter(), enoch()]), Err(NoteError::Ambiguous(enoch().id)));
    assert!(open(&note(&[PETER_LINE]), &[enoch(), peter(), enoch()]).is_ok());

    // Lines that stand there twice count once.
    let repeated = note(&[PETER_LINE, PETER_LINE, ENOCH_LINE, ENOCH_LINE]);
    let opened = open(&repeated, &[peter()]).unwrap();
    assert_eq!((opened.signed_by.len(), opened.unknown.len()), (1, 1));
    assert!(open(&note(&[PETER_LINE; SIGNATURES_MAX]), &[peter()]).is_ok());
    assert!(matches!(open(&note(&[PETER_LINE; SIGNATURES_MAX + 1]), &[peter()]), Err(NoteError::Malformed(_))));
}

#[test]
fn a_changed_note_is_refused() {
    let good = note(&[PETER_LINE]);
    let bad = NoteError::BadSignature(peter().id);
    assert_eq!(open(&good.replace("cryptography", "Cryptography"), &[peter()]), Err(bad.clone()));
    // A bad signature of a known key refuses the note, whoever else signed.
    let (head, tail) = PETER_LINE.split_at(PETER_LINE.len() - 10);
    let longer = format!("{head}ABCD{tail}");
    assert_eq!(open(&note(&[&longer, ENOCH_LINE]), &[peter(), enoch()]), Err(bad.clone()));
    let enochs = ENOCH_LINE.rsplit(' ').next().unwrap();
    let hash = BASE64.encode([&0xc74f_20a3_u32.to_be_bytes()[..], &BASE64.decode(enochs.trim()).unwrap()[4..]].concat());
    assert_eq!(open(&note(&[&format!("— PeterNeumann {hash}\n")]), &[peter()]), Err(bad));
    // One bit anywhere: never the same text by a known key.
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(text) = String::from_utf8(bytes) {
            assert!(open(&text, &[peter()]).is_err(), "bit at {at}");
        }
    }
}

#[test]
fn what_is_no_note_is_refused() {
    let cases = [
        TEXT.to_owned(),
        format!("{TEXT}\n"),
        note(&[PETER_LINE.trim_end()]),
        format!("\u{1}{}", note(&[PETER_LINE])),
        note(&["— Bad Name x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"]),
        note(&[PETER_LINE, "Unexpected line.\n"]),
        note(&["— PeterNeumann x08g\n"]),
        note(&["— PeterNeumann !!!!\n"]),
        note(&["— PeterNeumann x08go/8\n"]),
        note(&[" — PeterNeumann x08go/ZJ\n"]),
        String::new(),
        "a".repeat(NOTE_BYTES_MAX) + &note(&[PETER_LINE]),
    ];
    for case in cases {
        assert!(matches!(open(&case, &[peter()]), Err(NoteError::Malformed(_))), "{case:?}");
    }
}

#[test]
fn keys_are_read_whole_or_not_at_all() {
    for (key, is_key) in [
        (PETER, (|k: &str| k.parse::<Verifier>().is_ok()) as fn(&str) -> bool),
        (PETER_PRIVATE, |k| Signer::from_text(k).is_ok()),
    ] {
        assert!(is_key(key));
        for start in 0..key.len() {
            for end in start + 1..=key.len() {
                assert!(&key[start..end] == key || !is_key(&key[start..end]), "{start}..{end}");
            }
        }
        for at in 0..key.len() {
            let mut bytes = key.to_owned().into_bytes();
            bytes[at] += 1;
            assert!(!is_key(&String::from_utf8(bytes).unwrap()), "byte {at}");
        }
    }
    let key = |text: &str| text.parse::<Verifier>().unwrap_err();
    // Too long, with its hash; another algorithm, with its hash.
    assert_eq!(key("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=="), KeyError::Form);
    assert_eq!(key("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), KeyError::Algorithm);
    assert_eq!(key("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), KeyError::Name);
    assert_eq!(key("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), KeyError::Hash);
    // The neutral point of the curve: everything would be signed by it.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let weak = VerifyingKey::from_bytes(&neutral).unwrap();
    assert_eq!(key(&format!("{}+{}", KeyId::of("weak", &weak), key_data(&neutral))), KeyError::Algorithm);
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{1}b", &"n".repeat(KEY_NAME_BYTES_MAX + 1)] {
        assert_eq!(Signer::from_seed(name, &[7; 32]).unwrap_err(), KeyError::Name, "{name:?}");
    }
}
