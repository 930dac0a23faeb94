//! Journals and opening balances as CSV.
//!
//! **Shape**: heading → [`Column`] per cell → [`Line`]s, gathered into entries: those of one `entry` that stand together,
//! or all of them as one opening.
//! **Correctness**: an entry with a row that cannot be read is refused whole; so is one whose rows do not stand together.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use ledger_core::domain::amount::Number;
use serde_json::{Map, Value};

use super::entry::{self, Day, Entry, Line};
use super::row::{Draft, Unsent};

/// What a column says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Entry,
    Account,
    Debit,
    Credit,
    /// Debit +, credit −.
    Amount,
    /// A day or an instant.
    When,
    Description,
    Reference,
    Series,
    /// A field of the posting.
    Detail(&'static str),
    Dimension(String),
}

/// Fields of a posting that a column may name.
const DETAILS: [&str; 7] = ["currency", "base", "party", "item", "due_at", "tax", "memo"];
const DIMENSION: &str = "dimension:";

/// Which file it is: what makes an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Journal,
    Opening,
}

impl Column {
    fn named(name: &str, kind: Kind) -> Result<Self> {
        let dimension = |name: &str| name.strip_prefix(DIMENSION).filter(|d| !d.is_empty()).map(str::to_owned);
        Ok(match (name, kind) {
            ("account", _) => Self::Account,
            ("debit", _) => Self::Debit,
            ("credit", _) => Self::Credit,
            ("amount", Kind::Journal) | ("balance", Kind::Opening) => Self::Amount,
            ("entry", Kind::Journal) => Self::Entry,
            ("date" | "effective_at", Kind::Journal) => Self::When,
            ("description", Kind::Journal) => Self::Description,
            ("reference", Kind::Journal) => Self::Reference,
            ("series", Kind::Journal) => Self::Series,
            _ => match (DETAILS.into_iter().find(|d| *d == name), dimension(name)) {
                (Some(detail), _) => Self::Detail(detail),
                (None, Some(dimension)) => Self::Dimension(dimension),
                (None, None) => bail!("the heading has a column `{name}`, which is not known here"),
            },
        })
    }
}

fn columns(reader: &mut csv::Reader<&[u8]>, kind: Kind) -> Result<Vec<Column>> {
    let columns = reader.headers()?.iter().map(|name| Column::named(name, kind)).collect::<Result<Vec<_>>>()?;
    let once: BTreeSet<_> = columns.iter().collect();
    ensure!(once.len() == columns.len(), "the heading says one thing in two columns");
    let has = |column| once.contains(&column);
    ensure!(has(Column::Account), "the heading has no column `account`");
    let signed = if kind == Kind::Opening { "balance" } else { "amount" };
    let two_sided = has(Column::Debit) && has(Column::Credit);
    ensure!(two_sided != has(Column::Amount), "the heading needs either `debit` and `credit` or `{signed}`");
    Ok(columns)
}

/// What all rows of an entry say together.
#[derive(Debug, Default, PartialEq)]
struct Head {
    entry: String,
    when: Option<String>,
    description: Option<String>,
    reference: Option<String>,
    series: Option<String>,
}

impl Head {
    /// Each row may repeat it or leave it out.
    fn join(&mut self, other: Self) -> Result<()> {
        let Self { entry: _, when, description, reference, series } = other;
        for (name, first, again) in [
            ("date", &mut self.when, when),
            ("description", &mut self.description, description),
            ("reference", &mut self.reference, reference),
            ("series", &mut self.series, series),
        ] {
            match (&first, again) {
                (Some(first), Some(again)) if *first != again => {
                    bail!("{name} is `{again}`, the same entry had `{first}`; what one row says goes into `memo`")
                }
                (None, again) => *first = again,
                (Some(_), _) => {}
            }
        }
        Ok(())
    }
}

/// A day as its first instant; anything else as it stands.
fn instant(text: &str) -> String {
    text.parse::<Day>().map_or_else(|_| text.to_owned(), |day| day.midnight())
}

fn read(columns: &[Column], record: csv::Result<csv::StringRecord>) -> Result<(Head, Line)> {
    let (mut head, mut account, mut detail, mut dimensions) = (Head::default(), None, Map::new(), Map::new());
    let (mut debit, mut credit, mut signed) = (None, None, None);
    for (column, text) in columns.iter().zip(record?.iter()).filter(|(_, text)| !text.is_empty()) {
        let said = || Some(text.to_owned());
        match column {
            Column::Entry => text.clone_into(&mut head.entry),
            Column::Account => account = said(),
            Column::Debit => debit = Some(entry::amount(text)?),
            Column::Credit => credit = Some(entry::amount(text)?),
            Column::Amount => signed = Some(entry::amount(text)?),
            Column::When => head.when = Some(instant(text)),
            Column::Description => head.description = said(),
            Column::Reference => head.reference = said(),
            Column::Series => head.series = said(),
            Column::Detail("due_at") => _ = detail.insert("due_at".to_owned(), instant(text).into()),
            Column::Detail(field) => _ = detail.insert((*field).to_owned(), text.into()),
            Column::Dimension(dimension) => _ = dimensions.insert(dimension.clone(), text.into()),
        }
    }
    if !dimensions.is_empty() {
        detail.insert("dimensions".to_owned(), Value::Object(dimensions));
    }
    let amount = signed.map_or_else(|| one_side(debit, credit), Ok)?;
    Ok((head, Line { account: account.context("the account is empty")?, amount, detail }))
}

/// One of the two, signed. Programs write a zero on the other side, or nothing.
fn one_side(debit: Option<Number>, credit: Option<Number>) -> Result<Number> {
    ensure!(![debit, credit].into_iter().flatten().any(Number::is_negative), "a debit or credit is below zero");
    match (debit.filter(|d| !d.is_zero()), credit.filter(|c| !c.is_zero())) {
        (Some(_), Some(_)) => bail!("a row has a debit and a credit"),
        (Some(debit), None) => Ok(debit),
        (None, Some(credit)) => Ok(Number::parse(&format!("-{credit}"))?),
        (None, None) => debit.or(credit).context("a row has no amount"),
    }
}

/// Rows of one entry that stand together.
struct Group {
    number: usize,
    head: Head,
    lines: Vec<Line>,
    fault: Option<anyhow::Error>,
}

impl Group {
    fn add(&mut self, number: usize, head: Head, line: Line) {
        match self.head.join(head) {
            Ok(()) => self.lines.push(line),
            Err(why) => self.spoil(why.context(format!("row {number}"))),
        }
    }

    fn spoil(&mut self, why: anyhow::Error) {
        self.fault.get_or_insert(why);
    }

    fn into_draft(self, prefix: &str, repeated: &BTreeMap<String, usize>) -> Draft {
        let Self { number, head, lines, fault } = self;
        let fault = match repeated.get(&head.entry) {
            Some(2..) => Some(anyhow::anyhow!("the rows of entry `{}` do not stand together", head.entry)),
            Some(_) | None => fault,
        };
        let Head { entry: id, when: effective_at, description, reference, series } = head;
        let entry = Entry { id: format!("{prefix}{id}"), effective_at, description, reference, series, lines };
        match fault {
            Some(why) => Draft { entry: Some(entry.id), ..Draft::new(number, Err(Unsent::Malformed(why))) },
            None => Draft::of_entry(number, entry),
        }
    }
}

/// The entries of a journal: a table with a column `entry`.
pub(super) fn entries(mut reader: csv::Reader<&[u8]>, prefix: &str) -> Result<Vec<Draft>> {
    let columns = columns(&mut reader, Kind::Journal)?;
    let mut groups: Vec<Group> = Vec::new();
    // A row that cannot be read may belong to the entry before it or after it: neither is whole without it.
    let mut unread: Option<String> = None;
    for (number, record) in (1_usize..).zip(reader.records()) {
        let named =
            record.as_ref().ok().and_then(|r| r.get(columns.iter().position(|c| *c == Column::Entry)?)).map(str::to_owned);
        let row = read(&columns, record);
        let row = row.and_then(|row| if row.0.entry.is_empty() { bail!("the entry is empty") } else { Ok(row) });
        let named = named.filter(|name| !name.is_empty());
        let is_next = |last: &Group| named.as_ref().is_some_and(|name| *name != last.head.entry);
        if groups.last().is_none_or(is_next) {
            let entry = named.clone().unwrap_or_default();
            let fault = unread.take().map(|why| anyhow::anyhow!(why));
            groups.push(Group { number, head: Head { entry, ..Head::default() }, lines: Vec::new(), fault });
        }
        let Some(group) = groups.last_mut() else { continue };
        match row {
            Ok((head, line)) => group.add(number, head, line),
            Err(why) => {
                let why = why.context(format!("row {number}"));
                unread = named.is_none().then(|| format!("{why:#}"));
                group.spoil(why);
                continue;
            }
        }
        unread = None;
    }
    let mut times = BTreeMap::<String, usize>::new();
    for group in &groups {
        *times.entry(group.head.entry.clone()).or_default() += 1;
    }
    Ok(groups.into_iter().map(|group| group.into_draft(prefix, &times)).collect())
}

/// Opening balances: one entry out of every row.
pub(super) fn opening(mut reader: csv::Reader<&[u8]>, prefix: &str, day: &Day, balance_to: Option<&str>) -> Result<Vec<Draft>> {
    let columns = columns(&mut reader, Kind::Opening)?;
    let lines = (1_usize..).zip(reader.records());
    let lines = lines.map(|(number, record)| Ok(read(&columns, record).with_context(|| format!("row {number}"))?.1));
    let entry = lines.collect::<Result<Vec<_>>>().and_then(|lines| Entry::opening(prefix, day, lines, balance_to));
    let draft = entry.map_or_else(|why| Draft::new(1, Err(why.into())), |entry| Draft::of_entry(1, entry));
    Ok(vec![Draft { key: opening_key(day, balance_to), ..draft }])
}

/// Refused once, an opening may be tried again with an account that balances it: that is another command.
pub(super) fn opening_key(day: &Day, balance_to: Option<&str>) -> String {
    balance_to.map_or_else(|| format!("opening-{day}"), |account| format!("opening-{day}:{account}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::row::table;
    use super::*;

    fn journal(text: &str) -> Vec<Draft> {
        entries(table(text.as_bytes()), "").unwrap()
    }

    fn command(draft: &Draft) -> &Value {
        draft.content.as_ref().unwrap()
    }

    fn fault(draft: &Draft) -> String {
        match &draft.content {
            Err(Unsent::Malformed(why)) => format!("{why:#}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_of_one_entry_make_one_command() {
        let drafts = journal(
            "entry,date,account,debit,credit,description,reference,memo,dimension:cost_centre,party,due_at\n\
             1,2026-01-31,1000,12.50,0.00,Sale,INV 1,,,,\n\
             1,,4000,,12.50,,,a row's own,100,,\n\
             2,2026-02-01T10:00:00+01:00,1100,5,,,,,,ACME,2026-03-01\n\
             2,,4000,,5,,,,,,\n",
        );
        let second = json!({"account": "4000", "credit": "12.50", "memo": "a row's own", "dimensions": {"cost_centre": "100"}});
        let first = json!({
            "type": "post_entry", "id": "1", "effective_at": "2026-01-31T00:00:00Z", "description": "Sale",
            "reference": "INV 1", "postings": [{"account": "1000", "debit": "12.50"}, second],
        });
        assert_eq!(drafts.len(), 2);
        assert_eq!((drafts[0].number, command(&drafts[0])), (1, &first));
        assert_eq!((drafts[1].number, drafts[1].key.as_str()), (3, "3"));
        let second = command(&drafts[1]);
        assert_eq!(second["effective_at"], "2026-02-01T10:00:00+01:00");
        let posting = json!({"account": "1100", "debit": "5", "party": "ACME", "due_at": "2026-03-01T00:00:00Z"});
        assert_eq!(second["postings"][0], posting);
    }

    #[test]
    fn amounts_may_be_signed() {
        let drafts = journal("entry,account,amount\nA,1,7.00\nA,2,-7.00\nA,3,0\n");
        let postings = json!([{"account": "1", "debit": "7.00"}, {"account": "2", "credit": "7.00"}]);
        assert_eq!(command(&drafts[0])["postings"], postings);
    }

    #[test]
    fn an_entry_with_a_bad_row_is_refused_whole() {
        for (row, why) in [
            ("A,2,much,", "row 2: the amount `much`"),
            ("A,2,1,1", "row 2: a row has a debit and a credit"),
            ("A,2,,", "row 2: a row has no amount"),
            ("A,,,1", "row 2: the account is empty"),
            ("A,2,-1,", "row 2: a debit or credit is below zero"),
        ] {
            let drafts = journal(&format!("entry,account,debit,credit\nA,1,1,\n{row}\nA,3,,1\nB,1,2,\nB,2,,2\n"));
            assert!(fault(&drafts[0]).starts_with(why), "{row}: {}", fault(&drafts[0]));
            assert_eq!((drafts.len(), command(&drafts[1])["id"].as_str()), (2, Some("B")), "{row}");
        }
    }

    #[test]
    fn a_row_of_no_known_entry_spoils_both_neighbours() {
        for row in ["A,1", ",2,,1"] {
            let text = format!("entry,account,debit,credit\nA,1,1,\nA,2,,1\n{row}\nB,1,2,\nB,2,,2\nC,1,3,\nC,2,,3\n");
            let drafts = journal(&text);
            assert!(fault(&drafts[0]).starts_with("row 3") && fault(&drafts[1]).starts_with("row 3"), "{row}");
            assert_eq!((drafts.len(), command(&drafts[2])["id"].as_str()), (3, Some("C")));
        }
    }

    #[test]
    fn rows_that_do_not_stand_together_or_disagree_are_refused() {
        let drafts = journal("entry,account,amount\nA,1,1\nA,2,-1\nB,1,1\nB,2,-1\nA,1,1\nA,2,-1\n");
        let apart = "the rows of entry `A` do not stand together";
        assert_eq!((drafts.len(), fault(&drafts[0]).as_str(), fault(&drafts[2]).as_str()), (3, apart, apart));
        let drafts = journal("entry,date,account,amount\nA,2026-01-01,1,1\nA,2026-01-02,2,-1\n");
        assert!(fault(&drafts[0]).starts_with("row 2: date is"), "{}", fault(&drafts[0]));
    }

    #[test]
    fn a_heading_is_checked() {
        for (heading, why) in [
            ("entry,account,debit,credit,colour", "column `colour`"),
            ("entry,debit,credit", "no column `account`"),
            ("entry,account,debit", "either `debit` and `credit` or `amount`"),
            ("entry,account,debit,credit,amount", "either `debit`"),
            ("entry,account,amount,date,effective_at", "one thing in two columns"),
            ("entry,account,balance", "column `balance`"),
            ("entry,account,amount,dimension:", "column `dimension:`"),
        ] {
            let found = entries(table(heading.as_bytes()), "").unwrap_err().to_string();
            assert!(found.contains(why), "{heading}: {found}");
        }
    }

    #[test]
    fn opening_balances_make_one_entry() {
        let day: Day = "2026-01-01".parse().unwrap();
        let read = |text: &str, to| opening(table(text.as_bytes()), "", &day, to).unwrap().remove(0);
        let draft = read("account,debit,credit\n1000,10,\n2000,,4.00\n", None);
        let postings = json!([{"account": "1000", "debit": "10"}, {"account": "2000", "credit": "4.00"}]);
        assert_eq!(command(&draft)["postings"], postings);
        assert_eq!(command(&draft)["id"], "opening-2026-01-01");
        let balanced = read("account,balance\n1000,10\n2000,-4.00\n", Some("3000"));
        assert_eq!(command(&balanced)["postings"][2], json!({"account": "3000", "credit": "6"}));
        assert_ne!(draft.key, balanced.key);
        assert!(fault(&read("account,balance\n1000,10\n2000,x\n", Some("3000"))).starts_with("row 2"));
    }
}
