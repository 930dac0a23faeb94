//! SIE type 4, the Swedish standard for moving books between programs (files `.se`, `.si`, `.sie`): bytes → [`Book`].
//!
//! **Shape**: text → lines → records; `#VER { … }` gathers rows into a voucher.
//! **Correctness**: what is wrong with a line is said with its number, and spoils what it belongs to (the voucher, the
//! opening balances), never more. Labels that are not known are skipped with their blocks, as the standard asks.
//! `#RTRANS` and `#BTRANS` tell of corrections: the standard repeats a row that counts as `#TRANS`.

mod command;
mod text;

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, ensure};
use ledger_core::domain::amount::Number;
use ledger_core::domain::catalogue::command::AccountType;

pub(super) use command::{Plan, drafts};
pub(super) use text::Fault;

use super::entry::{self, Day};
use text::Fields;

/// Bytes of a book: a year of a large company has some tens of millions.
pub(super) const BOOK_BYTES_MAX: usize = 256 << 20;
/// Accounts of a book: the standard's numbers have four digits, some programs' six.
const ACCOUNTS_MAX: usize = 100_000;
/// Dimensions of a book.
const DIMENSIONS_MAX: usize = 1_000;
/// Vouchers of a book.
const VOUCHERS_MAX: usize = 1_000_000;
/// Rows of a voucher, those of nothing among them; an entry takes fewer.
const VOUCHER_ROWS_MAX: usize = 10_000;

/// What the file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct About {
    pub(super) company: Option<String>,
    pub(super) organisation: Option<String>,
    pub(super) program: Option<String>,
    pub(super) written: Option<String>,
    /// The chart of accounts it follows.
    pub(super) chart: Option<String>,
    /// ISO 4217; SEK where the file does not say.
    pub(super) currency: Option<String>,
}

/// A fiscal year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Year {
    pub(super) start: Day,
    pub(super) end: Day,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) account_type: AccountType,
}

/// What postings are told apart by, beside the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dimension {
    pub(super) line: usize,
    pub(super) name: String,
    /// Declared objects: number and name.
    pub(super) objects: BTreeMap<String, String>,
}

/// An account's balance at the beginning or the end of the year; debit +, credit −.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Balance {
    pub(super) account: String,
    pub(super) amount: Number,
}

/// Rows of this year's opening.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Opening {
    pub(super) line: usize,
    pub(super) rows: Vec<Balance>,
    /// The first line of it that cannot be read.
    pub(super) fault: Option<Fault>,
}

/// A voucher's row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trans {
    pub(super) account: String,
    pub(super) amount: Number,
    /// Dimension's number and object's number.
    pub(super) objects: Vec<(String, String)>,
    pub(super) text: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Voucher {
    pub(super) line: usize,
    pub(super) series: String,
    pub(super) number: String,
    pub(super) date: Option<Day>,
    pub(super) text: Option<String>,
    pub(super) rows: Vec<Trans>,
    /// The first line of it that cannot be read.
    pub(super) fault: Option<Fault>,
}

/// The books of one year, as far as they are posted or checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Book {
    pub(super) about: About,
    pub(super) year: Option<Year>,
    pub(super) accounts: BTreeMap<String, Account>,
    /// By number.
    pub(super) dimensions: BTreeMap<String, Dimension>,
    pub(super) opening: Option<Opening>,
    /// What the file says this year closes with: `#UB`.
    pub(super) closing: Vec<Balance>,
    /// What the file says of this year's result: `#RES`.
    pub(super) results: Vec<Balance>,
    pub(super) vouchers: Vec<Voucher>,
    /// Lines that cannot be read and belong to no opening and no voucher.
    pub(super) faults: Vec<Fault>,
}

/// A closing balance that is not what its account opened with and was posted to.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Difference {
    pub(super) account: String,
    pub(super) declared: String,
    pub(super) computed: String,
}

impl Book {
    /// Where the file contradicts itself: closing balances that its own opening and vouchers do not lead to.
    pub(super) fn differences(&self) -> Vec<Difference> {
        let mut moved: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
        for row in self.opening.iter().flat_map(|opening| &opening.rows) {
            moved.entry(&row.account).or_default().0 += entry::nano(row.amount);
        }
        for row in self.vouchers.iter().flat_map(|voucher| &voucher.rows) {
            moved.entry(&row.account).or_default().1 += entry::nano(row.amount);
        }
        let of = |account: &str| moved.get(account).copied().unwrap_or_default();
        // A result account opens at zero; where a program writes an opening all the same, it may or may not count it.
        let closing = self.closing.iter().map(|b| (b, false)).chain(self.results.iter().map(|b| (b, true)));
        let differs = |(balance, is_result): (&Balance, bool)| {
            let (opening, posted) = of(&balance.account);
            let (declared, computed) = (entry::nano(balance.amount), opening.saturating_add(posted));
            let is_same = declared == computed || (is_result && declared == posted);
            (!is_same).then(|| Difference {
                account: balance.account.clone(),
                declared: balance.amount.to_string(),
                computed: entry::shown(computed).unwrap_or_default(),
            })
        };
        closing.filter_map(differs).collect()
    }
}

/// Reads a book.
///
/// # Errors
/// A file that is no SIE file of type 4, or beyond a limit. Anything smaller is a [`Fault`] in the book.
pub(super) fn parse(bytes: &[u8]) -> Result<Book> {
    ensure!(bytes.len() <= BOOK_BYTES_MAX, "the file is larger than {BOOK_BYTES_MAX} bytes");
    let (text, is_utf8) = text::decode(bytes);
    let lines = || text.lines().map(text::trimmed).zip(1_usize..).filter(|(line, _)| !line.is_empty());
    let is_sie = lines().next().is_some_and(|(first, _)| first.starts_with("#FLAGGA"));
    ensure!(is_sie, "this is no SIE file: its first line is not #FLAGGA");
    let mut reader = Reader { is_utf8, ..Reader::default() };
    for (line, number) in lines() {
        reader.line(number, line)?;
    }
    Ok(reader.finish())
}

/// Where the reader is.
#[derive(Debug, Default)]
enum State {
    #[default]
    Between,
    /// After `#VER`, before its brace.
    Announced(Voucher),
    Inside(Voucher),
    /// After a label that is not known: a block may follow.
    Unknown,
    UnknownBlock,
}

#[derive(Debug, Default)]
struct Reader {
    book: Book,
    state: State,
    types: HashMap<String, AccountType>,
    is_utf8: bool,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<()> {
        match (std::mem::take(&mut self.state), line) {
            (State::Announced(voucher), "{") => self.state = State::Inside(voucher),
            (State::Unknown, "{") => self.state = State::UnknownBlock,
            (State::Inside(voucher), "}") => self.push(voucher)?,
            (State::UnknownBlock, "}") => {}
            (State::UnknownBlock, _) => self.state = State::UnknownBlock,
            (State::Inside(voucher), _) => self.inside(number, line, voucher)?,
            (State::Announced(mut voucher), _) => {
                spoil(&mut voucher.fault, number, "a { was due: no rows follow the #VER before it".to_owned());
                self.push(voucher)?;
                self.between(number, line)?;
            }
            (State::Between | State::Unknown, _) => self.between(number, line)?,
        }
        Ok(())
    }

    fn fault(&mut self, line: usize, why: String) {
        self.book.faults.push(Fault { line, why });
    }

    fn push(&mut self, voucher: Voucher) -> Result<()> {
        ensure!(self.book.vouchers.len() < VOUCHERS_MAX, "the book has more than {VOUCHERS_MAX} vouchers");
        self.book.vouchers.push(voucher);
        Ok(())
    }

    /// A line between `{` and `}`.
    fn inside(&mut self, number: usize, line: &str, mut voucher: Voucher) -> Result<()> {
        match text::record(line) {
            Ok(("#VER", _)) => {
                spoil(&mut voucher.fault, number, "a } was due: the voucher before this one is open".to_owned());
                self.push(voucher)?;
                return self.between(number, line);
            }
            Ok(("#TRANS", fields)) => match trans(&fields) {
                Ok(_) if voucher.rows.len() >= VOUCHER_ROWS_MAX => {
                    spoil(&mut voucher.fault, number, format!("the voucher has more than {VOUCHER_ROWS_MAX} rows"));
                }
                Ok(row) => voucher.rows.push(row),
                Err(why) => spoil(&mut voucher.fault, number, why),
            },
            Ok((label, _)) if is_known(label) => {
                spoil(&mut voucher.fault, number, format!("{label} stands inside of a voucher"));
            }
            // What was taken out or put in later, and what a later version of the standard may add.
            Ok(_) => {}
            Err(why) => spoil(&mut voucher.fault, number, why),
        }
        self.state = State::Inside(voucher);
        Ok(())
    }

    /// A line outside of blocks.
    fn between(&mut self, number: usize, line: &str) -> Result<()> {
        match line {
            "{" => self.fault(number, "a { that follows no #VER".to_owned()),
            "}" => self.fault(number, "a } that no { opened".to_owned()),
            _ => match text::record(line) {
                Ok((label, fields)) => self.record(number, label, &fields)?,
                // A voucher's head that cannot be read has rows all the same, which belong to nothing else.
                Err(why) if line.starts_with("#VER") => self.state = State::Announced(unread(number, why)),
                Err(why) if line.starts_with("#IB") => self.spoil_opening(number, why),
                Err(why) => self.fault(number, why),
            },
        }
        Ok(())
    }

    fn record(&mut self, number: usize, label: &str, fields: &Fields) -> Result<()> {
        let read = match label {
            "#VER" => {
                let voucher = voucher(number, fields).unwrap_or_else(|why| unread(number, why));
                self.state = State::Announced(voucher);
                Ok(())
            }
            "#SIETYP" => return sie_type(fields),
            "#FORMAT" => return self.format(fields),
            "#IB" => {
                self.opening(number, fields);
                Ok(())
            }
            "#KONTO" => return self.account(number, fields),
            "#DIM" | "#UNDERDIM" => return self.dimension(number, fields),
            "#OBJEKT" => self.object(number, fields),
            "#KTYP" => self.account_type(fields),
            "#RAR" => self.year(fields),
            "#UB" => balance(fields).map(|(year, row)| self.book.closing.extend((year == 0).then_some(row))),
            "#RES" => balance(fields).map(|(year, row)| self.book.results.extend((year == 0).then_some(row))),
            "#TRANS" | "#RTRANS" | "#BTRANS" => Err(format!("{label} stands outside of a voucher")),
            _ if is_known(label) => self.about(label, fields),
            _ => {
                self.state = State::Unknown;
                Ok(())
            }
        };
        if let Err(why) = read {
            self.fault(number, why);
        }
        Ok(())
    }

    fn format(&self, fields: &Fields) -> Result<()> {
        let format = fields.text(0, "the format").ok().flatten().unwrap_or("unknown");
        // Letters that are the same in every character set are UTF-8 too.
        let is_read = self.is_utf8 || format.eq_ignore_ascii_case("PC8");
        ensure!(is_read, "the file is neither UTF-8 nor, by its #FORMAT, PC8 (code page 437) but {format}");
        Ok(())
    }

    fn about(&mut self, label: &str, fields: &Fields) -> Result<(), String> {
        let text = |at, name| fields.text(at, name).map(|text| text.map(str::to_owned));
        let about = &mut self.book.about;
        match label {
            "#FLAGGA" => match fields.needed(0, "the flag")? {
                "0" | "1" => {}
                other => return Err(format!("the flag is `{other}`, not 0 or 1")),
            },
            "#PROGRAM" => about.program = text(0, "the program")?,
            "#GEN" => about.written = Some(day(fields.needed(0, "the date")?)?.to_string()),
            "#FNAMN" => about.company = text(0, "the company's name")?,
            "#ORGNR" => about.organisation = text(0, "the organisation's number")?,
            "#VALUTA" => about.currency = Some(fields.needed(0, "the currency")?.to_owned()),
            "#KPTYP" => about.chart = Some(fields.needed(0, "the chart's type")?.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn year(&mut self, fields: &Fields) -> Result<(), String> {
        let year = year_number(fields)?;
        let (start, end) = (day(fields.needed(1, "the first day")?)?, day(fields.needed(2, "the last day")?)?);
        if end < start {
            return Err(format!("the year ends {end}, before it starts"));
        }
        if year == 0 {
            self.book.year = Some(Year { start, end });
        }
        Ok(())
    }

    fn account(&mut self, number: usize, fields: &Fields) -> Result<()> {
        let account = fields.needed(0, "the account").and_then(|code| Ok((code, fields.text(1, "the name")?)));
        let (code, name) = match account {
            Ok(account) => account,
            Err(why) => {
                self.fault(number, why);
                return Ok(());
            }
        };
        if let Some(before) = self.book.accounts.get(code) {
            let why = format!("account {code} was defined on line {}", before.line);
            self.fault(number, why);
            return Ok(());
        }
        ensure!(self.book.accounts.len() < ACCOUNTS_MAX, "the book has more than {ACCOUNTS_MAX} accounts");
        let account = Account { line: number, name: name.unwrap_or(code).to_owned(), account_type: by_convention(code) };
        self.book.accounts.insert(code.to_owned(), account);
        Ok(())
    }

    fn account_type(&mut self, fields: &Fields) -> Result<(), String> {
        let code = fields.needed(0, "the account")?;
        let account_type = match fields.needed(1, "the type")? {
            "T" => AccountType::Asset,
            // The standard has one letter for both.
            "S" if by_convention(code) == AccountType::Equity => AccountType::Equity,
            "S" => AccountType::Liability,
            "K" => AccountType::Expense,
            "I" => AccountType::Revenue,
            other => return Err(format!("the type is `{other}`, not T, S, K or I")),
        };
        self.types.insert(code.to_owned(), account_type);
        Ok(())
    }

    fn dimension(&mut self, number: usize, fields: &Fields) -> Result<()> {
        let dimension = fields.needed(0, "the dimension").and_then(|code| Ok((code, fields.needed(1, "the name")?)));
        match dimension {
            Ok((code, name)) => {
                let name = name.to_owned();
                self.dimension_at(code, number).map_err(anyhow::Error::msg)?.name = name;
            }
            Err(why) => self.fault(number, why),
        }
        Ok(())
    }

    /// A dimension, new if need be. The standard names some that a file need not declare.
    fn dimension_at(&mut self, code: &str, line: usize) -> Result<&mut Dimension, String> {
        let dimensions = &mut self.book.dimensions;
        if dimensions.len() >= DIMENSIONS_MAX && !dimensions.contains_key(code) {
            return Err(format!("the book has more than {DIMENSIONS_MAX} dimensions"));
        }
        let new = || Dimension { line, name: reserved(code), objects: BTreeMap::new() };
        Ok(dimensions.entry(code.to_owned()).or_insert_with(new))
    }

    fn object(&mut self, number: usize, fields: &Fields) -> Result<(), String> {
        let (dimension, object) = (fields.needed(0, "the dimension")?, fields.needed(1, "the object")?);
        let name = fields.text(2, "the name")?.unwrap_or(object).to_owned();
        self.dimension_at(dimension, number)?.objects.insert(object.to_owned(), name);
        Ok(())
    }

    fn opening(&mut self, number: usize, fields: &Fields) {
        let read = balance(fields);
        if matches!(read, Ok((year, _)) if year != 0) {
            return;
        }
        match read {
            Ok((_, row)) => self.opening_at(number).rows.push(row),
            Err(why) => self.spoil_opening(number, why),
        }
    }

    fn opening_at(&mut self, line: usize) -> &mut Opening {
        self.book.opening.get_or_insert_with(|| Opening { line, rows: Vec::new(), fault: None })
    }

    /// A row that cannot be read is missing from the sum: nothing may be balanced over it.
    fn spoil_opening(&mut self, line: usize, why: String) {
        spoil(&mut self.opening_at(line).fault, line, why);
    }

    fn finish(mut self) -> Book {
        let open = match std::mem::take(&mut self.state) {
            State::Announced(voucher) | State::Inside(voucher) => Some(voucher),
            State::Between | State::Unknown | State::UnknownBlock => None,
        };
        if let Some(mut voucher) = open {
            let line = voucher.line;
            spoil(&mut voucher.fault, line, "the voucher is still open at the end of the file".to_owned());
            self.book.vouchers.push(voucher);
        }
        for (code, account_type) in self.types {
            if let Some(account) = self.book.accounts.get_mut(&code) {
                account.account_type = account_type;
            }
        }
        if let (Some(opening), None) = (&mut self.book.opening, &self.book.year) {
            spoil(&mut opening.fault, opening.line, "no #RAR 0 says when the year starts that #IB 0 opens".to_owned());
        }
        self.book
    }
}

fn sie_type(fields: &Fields) -> Result<()> {
    let found = fields.text(0, "the type").ok().flatten().unwrap_or("unknown");
    ensure!(found == "4", "this is a SIE file of type {found}; only type 4 holds vouchers");
    Ok(())
}

fn is_known(label: &str) -> bool {
    const KNOWN: [&str; 16] = [
        "#FLAGGA",
        "#FORMAT",
        "#SIETYP",
        "#PROGRAM",
        "#GEN",
        "#FNAMN",
        "#ORGNR",
        "#RAR",
        "#VALUTA",
        "#KPTYP",
        "#KONTO",
        "#KTYP",
        "#DIM",
        "#UNDERDIM",
        "#OBJEKT",
        "#IB",
    ];
    KNOWN.contains(&label) || matches!(label, "#UB" | "#RES" | "#VER")
}

/// The first fault is the one that is told.
fn spoil(fault: &mut Option<Fault>, line: usize, why: String) {
    fault.get_or_insert(Fault { line, why });
}

fn unread(line: usize, why: String) -> Voucher {
    Voucher { line, fault: Some(Fault { line, why }), ..Voucher::default() }
}

/// The type of an account by its number in the BAS charts. Class 0 and 9 are the company's own: they close with the year.
fn by_convention(code: &str) -> AccountType {
    match code.as_bytes() {
        [b'1', ..] => AccountType::Asset,
        [b'2', b'0', ..] => AccountType::Equity,
        [b'2', ..] => AccountType::Liability,
        [b'3', ..] => AccountType::Revenue,
        _ => AccountType::Expense,
    }
}

/// Names that the standard itself gives.
fn reserved(dimension: &str) -> String {
    match dimension {
        "1" => "Kostnadsställe".to_owned(),
        "2" => "Kostnadsbärare".to_owned(),
        "6" => "Projekt".to_owned(),
        "7" => "Anställd".to_owned(),
        "8" => "Kund".to_owned(),
        "9" => "Leverantör".to_owned(),
        "10" => "Faktura".to_owned(),
        other => format!("Dimension {other}"),
    }
}

fn day(text: &str) -> Result<Day, String> {
    let wrong = || format!("`{text}` is no day such as 20260131");
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let ((year, rest), wrong) = (text.split_at(4), wrong);
    let (month, day) = rest.split_at(2);
    format!("{year}-{month}-{day}").parse().map_err(|_| wrong())
}

/// 0 is the year of the file, −1 the one before.
fn year_number(fields: &Fields) -> Result<i32, String> {
    let text = fields.needed(0, "the year")?;
    text.parse().map_err(|_| format!("the year is `{text}`, not 0, -1, …"))
}

fn balance(fields: &Fields) -> Result<(i32, Balance), String> {
    let year = year_number(fields)?;
    let account = fields.needed(1, "the account")?.to_owned();
    Ok((year, Balance { account, amount: amount(fields, 2)? }))
}

fn amount(fields: &Fields, at: usize) -> Result<Number, String> {
    entry::amount(fields.needed(at, "the amount")?).map_err(|error| format!("{error:#}"))
}

fn voucher(line: usize, fields: &Fields) -> Result<Voucher, String> {
    let text = |at, name| Ok::<_, String>(fields.text(at, name)?.map(str::to_owned));
    let (series, number) = (text(0, "the series")?, text(1, "the number")?);
    let date = day(fields.needed(2, "the date")?)?;
    Ok(Voucher {
        line,
        series: series.unwrap_or_default(),
        number: number.unwrap_or_default(),
        date: Some(date),
        text: text(3, "the text")?,
        ..Voucher::default()
    })
}

fn trans(fields: &Fields) -> Result<Trans, String> {
    let account = fields.needed(0, "the account")?.to_owned();
    let (list, after) = fields.list(1).map_or(([].as_slice(), 1), |list| (list, 2));
    let (pairs, rest) = list.as_chunks::<2>();
    if !rest.is_empty() || list.iter().any(String::is_empty) {
        return Err("the object list is not pairs of a dimension and an object".to_owned());
    }
    let mut objects: Vec<(String, String)> =
        pairs.iter().map(|[dimension, object]| (dimension.clone(), object.clone())).collect();
    objects.sort();
    if objects.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err("the object list names a dimension twice".to_owned());
    }
    let amount = amount(fields, after)?;
    let text = fields.text(after.saturating_add(2), "the text")?.map(str::to_owned);
    Ok(Trans { account, amount, objects, text })
}

#[cfg(test)]
mod tests;
