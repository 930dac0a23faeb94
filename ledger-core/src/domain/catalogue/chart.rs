//! The charts of accounts and the posting rules that a new tenant may start with.

use super::command::{AccountType, ChartTemplate, MovementKind};

/// Code, name, type, parent ("" for none).
type Row = (&'static str, &'static str, AccountType, &'static str);

use AccountType::{Asset, Equity, Expense, Liability, Revenue};

/// What every business that trades has; the rules name these.
const COMMON: [Row; 23] = [
    ("1000", "Bank", Asset, ""),
    ("1100", "Trade receivables", Asset, ""),
    ("1200", "VAT recoverable", Asset, ""),
    ("1300", "Inventory", Asset, ""),
    ("1310", "Inventory in transit", Asset, ""),
    ("2000", "Trade payables", Liability, ""),
    ("2100", "Goods received, not invoiced", Liability, ""),
    ("2110", "Landed cost, not invoiced", Liability, ""),
    ("2200", "VAT payable", Liability, ""),
    ("3000", "Opening balance equity", Equity, ""),
    ("3100", "Retained earnings", Equity, ""),
    ("4000", "Sales", Revenue, ""),
    ("4100", "Other income", Revenue, ""),
    ("5000", "Cost of goods sold", Expense, ""),
    ("5100", "Inventory adjustment (shrinkage)", Expense, ""),
    ("5200", "Inventory cost settlement", Expense, ""),
    ("5300", "Inventory revaluation", Expense, ""),
    ("5400", "Purchase price variance", Expense, ""),
    ("5500", "Scrap", Expense, ""),
    ("5600", "Production clearing", Expense, ""),
    ("6000", "Operating expenses", Expense, ""),
    ("6900", "Exchange differences", Expense, ""),
    ("6910", "Unrealised exchange differences", Expense, "6900"),
];

const RETAIL: [Row; 9] = [
    ("1010", "Cash in tills", Asset, "1000"),
    ("1020", "Card payments under way", Asset, "1000"),
    ("2300", "Gift cards outstanding", Liability, ""),
    ("2310", "Refunds owed", Liability, ""),
    ("4010", "Sales in shops", Revenue, "4000"),
    ("4020", "Sales online", Revenue, "4000"),
    ("4090", "Returns and allowances", Revenue, "4000"),
    ("6200", "Card fees", Expense, "6000"),
    ("6210", "Cash differences", Expense, "6000"),
];

const MANUFACTURING: [Row; 8] = [
    ("1320", "Work in progress", Asset, ""),
    ("1500", "Plant and machinery", Asset, ""),
    ("1590", "Accumulated depreciation", Asset, "1500"),
    ("5610", "Direct labour", Expense, ""),
    ("5620", "Manufacturing overhead", Expense, ""),
    ("5630", "Overhead absorbed", Expense, "5620"),
    ("6300", "Depreciation", Expense, "6000"),
    ("6310", "Maintenance", Expense, "6000"),
];

const SERVICES: [Row; 7] = [
    ("1110", "Unbilled revenue", Asset, "1100"),
    ("2400", "Deferred revenue", Liability, ""),
    ("2500", "Payroll payable", Liability, ""),
    ("4200", "Services", Revenue, ""),
    ("6400", "Salaries", Expense, "6000"),
    ("6410", "Subcontractors", Expense, "6000"),
    ("6420", "Travel", Expense, "6000"),
];

const MARKETPLACE: [Row; 7] = [
    ("1030", "Client money at bank", Asset, "1000"),
    ("2600", "Client money", Liability, ""),
    ("2610", "Wallets", Liability, "2600"),
    ("2620", "Escrow", Liability, "2600"),
    ("2630", "Payouts under way", Liability, "2600"),
    ("4300", "Fees", Revenue, ""),
    ("6500", "Payment costs", Expense, "6000"),
];

/// Movement and account, for the class `default`.
const RULES: [(MovementKind, &str); 15] = [
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
    (MovementKind::Exchange, "6900"),
    (MovementKind::UnrealisedExchange, "6910"),
    (MovementKind::RetainedEarnings, "3100"),
];

/// The accounts, parents first, and the rules of a template.
pub(super) fn of(template: ChartTemplate) -> (impl Iterator<Item = &'static Row>, &'static [(MovementKind, &'static str)]) {
    let (common, more, rules): (&[Row], &[Row], &[_]) = match template {
        ChartTemplate::Trading => (&COMMON, &[], &RULES),
        ChartTemplate::Retail => (&COMMON, &RETAIL, &RULES),
        ChartTemplate::Manufacturing => (&COMMON, &MANUFACTURING, &RULES),
        ChartTemplate::Services => (&COMMON, &SERVICES, &RULES),
        ChartTemplate::Marketplace => (&COMMON, &MARKETPLACE, &RULES),
        ChartTemplate::Empty => (&[], &[], &[]),
    };
    (common.iter().chain(more), rules)
}
