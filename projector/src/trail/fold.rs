//! Complete runs of a log into level-1 nodes and mentions; pure.

use std::collections::{HashMap, HashSet};

use ledger_core::audit::leaf;
use ledger_core::audit::merkle::{Frontier, Hash};
use ledger_core::domain::command::Context;
use ledger_core::domain::id::Position;
use ledger_core::store::read::Raw;
use ledger_core::view::trail::{Mention, RUN, run_of, words};

use crate::Error;

/// What some complete runs give.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// Roots of the runs, in order.
    pub(super) roots: Vec<Hash>,
    /// Sorted, each once.
    pub(super) mentions: Vec<(Mention, String, i64)>,
}

/// The root of a complete subtree from the hashes one level below.
pub(super) fn root(below: impl IntoIterator<Item = Hash>) -> Hash {
    let mut tree = Frontier::default();
    below.into_iter().for_each(|hash| tree.push(hash));
    tree.root()
}

/// Folds the complete runs among the rows after `start`, where a run begins. `context` is that of the command under way
/// there. What cannot be folded ends it before its run.
///
/// # Errors
/// [`Error`] when that is the first run already.
pub(super) fn fold(rows: &[Raw], start: Position, mut context: Context) -> Result<Runs, Error> {
    let run_rows = usize::try_from(RUN).unwrap_or(usize::MAX);
    let mut runs = Runs::default();
    let mut scratch = Vec::new();
    for (rows, run) in rows.chunks_exact(run_rows).zip(run_of(start.saturating_add(1))..) {
        match fold_run(rows, run, &mut context, &mut scratch) {
            Ok((root, mentions)) => {
                runs.roots.push(root);
                runs.mentions.extend(mentions);
            }
            Err(error) if runs.roots.is_empty() => return Err(error),
            Err(_comes_up_again_when_it_is_first) => break,
        }
    }
    runs.mentions.sort_unstable();
    Ok(runs)
}

type Mentions = Vec<(Mention, String, i64)>;

fn fold_run(rows: &[Raw], run: i64, context: &mut Context, scratch: &mut Vec<u8>) -> Result<(Hash, Mentions), Error> {
    let mut tree = Frontier::default();
    let mut mentions: HashMap<Mention, HashSet<String>> = HashMap::new();
    for (row, position) in rows.iter().zip(run.saturating_mul(RUN).saturating_add(1)..) {
        if row.position != position {
            return Err(Error::Misfit { position: row.position, what: "events before it are missing" });
        }
        let hash = row.leaf_hash(scratch);
        if leaf::check(&hash) != row.leaf_check {
            return Err(Error::Misfit { position, what: "the row was changed after it was appended" });
        }
        tree.push(hash);
        if let Some(command) = row.command()? {
            *context = command.meta.context;
        }
        for (kind, word) in words(context, &row.note()?) {
            let of_kind = mentions.entry(kind).or_default();
            // Most words come again and again: look before making a copy.
            if !of_kind.contains(word) {
                of_kind.insert(word.to_owned());
            }
        }
    }
    let mentions = mentions.into_iter().flat_map(|(kind, words)| words.into_iter().map(move |word| (kind, word, run)));
    Ok((tree.root(), mentions.collect()))
}

#[cfg(test)]
mod tests {
    use ledger_core::domain::catalogue::event::LocationDefinition;
    use ledger_core::domain::codec;
    use ledger_core::domain::event::{Event, Fact, Note};
    use ledger_core::domain::id::TenantId;
    use ledger_core::domain::time::Timestamp;
    use ledger_core::store::read::Meta;

    use super::*;

    /// A row with a reference; every third begins a command, of actor `a<position>`.
    fn row(position: Position) -> Raw {
        let definition = LocationDefinition {
            code: "A".parse().unwrap(),
            name: "Shop".parse().unwrap(),
            kind: Default::default(),
            retired: false,
            parent: None,
            x: None,
            y: None,
        };
        let note = Note { reference: Some(format!("R{}", position / 200).parse().unwrap()), reason: None };
        let fact = Fact { event: Event::LocationDefined(definition), effective_at: None, note };
        let context = Context { actor: Some(format!("a{position}").parse().unwrap()), ..Context::default() };
        let meta = Meta { events: 3, context, metadata: None };
        let is_first = position % 3 == 1;
        let mut row = Raw {
            tenant: TenantId(1),
            position,
            stream: position,
            stream_version: 1,
            recorded_at: Timestamp(0),
            effective_at: None,
            type_number: codec::type_number(&fact.event),
            schema_version: codec::SCHEMA_VERSION,
            leaf_check: 0,
            payload: codec::encode(&fact).unwrap(),
            command_id: is_first.then_some([0; 16]),
            fingerprint: is_first.then_some([0; 16]),
            stream_key: None,
            meta: is_first.then(|| minicbor::to_vec(meta).unwrap()),
        };
        row.leaf_check = leaf::check(&row.leaf_hash(&mut Vec::new()));
        row
    }

    fn rows(positions: impl IntoIterator<Item = Position>) -> Vec<Raw> {
        positions.into_iter().map(row).collect()
    }

    #[test]
    fn complete_runs_give_their_roots_and_each_word_once() {
        let runs = fold(&rows(1..=600), 0, Context::default()).unwrap();
        let leaves = |from, to| rows(from..=to).iter().map(|r| r.leaf_hash(&mut Vec::new())).collect::<Vec<_>>();
        assert_eq!(runs.roots, [root(leaves(1, 256)), root(leaves(257, 512))]);
        let of = |kind, run| -> Vec<&str> {
            runs.mentions.iter().filter(|(k, _, r)| (*k, *r) == (kind, run)).map(|(_, word, _)| word.as_str()).collect()
        };
        assert_eq!(of(Mention::Reference, 0), ["R0", "R1"]);
        assert_eq!(of(Mention::Reference, 1), ["R1", "R2"]);
        assert_eq!(of(Mention::Actor, 0).len(), 86);
        // Position 257 is the last event of the command that begins at 256 - 1.
        assert!(of(Mention::Actor, 0).contains(&"a256") && of(Mention::Actor, 1).contains(&"a256"));
        assert!(runs.mentions.is_sorted());
    }

    #[test]
    fn a_command_that_began_before_is_carried_into_the_run() {
        let begun = Context { actor: Some("begun".parse().unwrap()), ..Context::default() };
        let runs = fold(&rows(257..=512), 256, begun).unwrap();
        // 257 and 258 belong to the command at 256.
        assert!(runs.mentions.contains(&(Mention::Actor, "begun".to_owned(), 1)));
    }

    #[test]
    fn a_run_that_does_not_check_ends_the_page_before_it() {
        let mut changed = rows(1..=512);
        changed[300].recorded_at = Timestamp(1);
        assert_eq!(fold(&changed, 0, Context::default()).unwrap().roots.len(), 1);
        assert!(matches!(fold(&changed[256..], 256, Context::default()), Err(Error::Misfit { position: 301, .. })));
        let mut gap = rows(1..=256);
        gap.remove(9);
        gap.push(row(257));
        assert!(matches!(fold(&gap, 0, Context::default()), Err(Error::Misfit { position: 11, .. })));
    }

    #[test]
    fn what_is_no_complete_run_gives_nothing() {
        assert_eq!(fold(&rows(1..=255), 0, Context::default()).unwrap(), Runs::default());
    }
}
