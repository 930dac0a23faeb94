//! Which views there are, and which version of each this program's fold makes.
//!
//! **Correctness**: whoever changes what a fold writes raises the number of the views it changes. The table `view_version`
//! says which version the rows in the database are: a program that knows only an older one does not write to them, and one
//! that knows a newer one goes on with them as they are and says that `ledgerd rebuild` is due.

/// Views by name, with the version of their rows. All of them move with `view_cursor`.
pub const VIEWS: [(&str, i16); 16] = [
    ("view_account", 1),
    ("view_account_balance", 1),
    ("view_definition", 1),
    ("view_document", 1),
    ("view_entry", 1),
    ("view_hold", 1),
    ("view_item", 1),
    ("view_location", 1),
    ("view_lot", 1),
    ("view_pending", 1),
    ("view_posting", 1),
    ("view_reservation", 1),
    ("view_serial", 1),
    ("view_stock_card", 1),
    ("view_stock_cell", 1),
    ("view_stock_level", 1),
];

/// Names and versions, as a query takes them.
#[must_use]
pub fn columns() -> (Vec<&'static str>, Vec<i16>) {
    VIEWS.iter().copied().unzip()
}
