//! The chart of accounts and the posting rules that a new tenant starts with.

use super::command::{AccountType, MovementKind};

/// Code, name, type.
pub(crate) const ACCOUNTS: [(&str, &str, AccountType); 21] = [
    ("1000", "Bank", AccountType::Asset),
    ("1100", "Trade receivables", AccountType::Asset),
    ("1200", "VAT recoverable", AccountType::Asset),
    ("1300", "Inventory", AccountType::Asset),
    ("1310", "Inventory in transit", AccountType::Asset),
    ("2000", "Trade payables", AccountType::Liability),
    ("2100", "Goods received, not invoiced", AccountType::Liability),
    ("2110", "Landed cost, not invoiced", AccountType::Liability),
    ("2200", "VAT payable", AccountType::Liability),
    ("3000", "Opening balance equity", AccountType::Equity),
    ("3100", "Retained earnings", AccountType::Equity),
    ("4000", "Sales", AccountType::Revenue),
    ("4100", "Other income", AccountType::Revenue),
    ("5000", "Cost of goods sold", AccountType::Expense),
    ("5100", "Inventory adjustment (shrinkage)", AccountType::Expense),
    ("5200", "Inventory cost settlement", AccountType::Expense),
    ("5300", "Inventory revaluation", AccountType::Expense),
    ("5400", "Purchase price variance", AccountType::Expense),
    ("5500", "Scrap", AccountType::Expense),
    ("5600", "Production clearing", AccountType::Expense),
    ("6000", "Operating expenses", AccountType::Expense),
];

/// Movement and account, for the class `default`.
pub(crate) const RULES: [(MovementKind, &str); 12] = [
    (MovementKind::Inventory, "1300"),
    (MovementKind::Receipt, "2100"),
    (MovementKind::Issue, "5000"),
    (MovementKind::Return, "5000"),
    (MovementKind::Adjustment, "5100"),
    (MovementKind::Revaluation, "5300"),
    (MovementKind::Settlement, "5200"),
    (MovementKind::Transit, "1310"),
    (MovementKind::Scrap, "5500"),
    (MovementKind::Production, "5600"),
    (MovementKind::PriceVariance, "5400"),
    (MovementKind::LandedCost, "2110"),
];
