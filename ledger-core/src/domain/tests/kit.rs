//! Kits: reserved as their components, assembled and taken apart at cost. Values in cents.

use serde_json::json;

use super::*;

/// K is 2 P and 1 Q, M is 1 P and 3 R.
fn shelf(p: &str, q: &str, r: &str) -> Book {
    let mut book = Book::new("fifo", "forbid");
    for (sku, quantity) in [("P", p), ("Q", q), ("R", r)] {
        book.ok(json!({"type": "define_item", "sku": sku, "method": "fifo"}));
        book.ok(json!({"type": "receive", "sku": sku, "location": "A", "quantity": quantity, "unit_cost": "1.00"}));
    }
    for (sku, other, quantity, of_p) in [("K", "Q", "1", "2"), ("M", "R", "3", "1")] {
        let components = json!([{"sku": "P", "quantity": of_p}, {"sku": other, "quantity": quantity}]);
        book.ok(json!({"type": "define_item", "sku": sku, "method": "fifo", "components": components}));
    }
    book
}

fn shortages(rejection: Rejection) -> Vec<(u32, String, String, String)> {
    match rejection {
        Rejection::InsufficientStock { shortages } => {
            shortages.into_iter().map(|s| (s.line, s.sku.to_string(), s.requested.to_string(), s.available.to_string())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_kits_sharing_a_component() {
    let mut book = shelf("5", "2", "3");
    // 2 K and 2 M need 4 + 2 P of 5, and 6 R of 3: both are reported, and nothing is held.
    let short = shortages(book.refused(reserve("R1", 60, &[("K", "2"), ("M", "2")])));
    let row = |line, sku: &str, requested: &str, available: &str| (line, sku.into(), requested.into(), available.into());
    assert_eq!(short, [row(0, "P", "6", "5"), row(1, "R", "6", "3")]);
    assert_eq!(book.level("P", "A").1, 0);
    // 2 K and 1 M fit exactly.
    book.ok(reserve("R1", 60, &[("K", "2"), ("M", "1")]));
    assert_eq!((book.level("P", "A").1, book.level("Q", "A").1, book.level("R", "A").1), (5, 2, 3));
    assert_eq!(shortages(book.refused(reserve("R2", 60, &[("P", "1")]))), [row(0, "P", "1", "0")]);
    book.ok(json!({"type": "commit_reservation", "id": "R1"}));
    assert_eq!((book.level("P", "A"), book.account("5000")), ((0, 0, 0), 1_000));
}

#[test]
fn a_kit_and_its_component_in_one_reserve_are_summed() {
    let mut book = shelf("5", "2", "3");
    let short = shortages(book.refused(reserve("R1", 60, &[("K", "2"), ("P", "2")])));
    assert_eq!(short, [(0, "P".into(), "6".into(), "5".into())]);
    book.ok(reserve("R1", 60, &[("K", "2"), ("P", "1")]));
}

#[test]
fn all_components_of_a_kit_or_none() {
    let mut book = shelf("5", "1", "3");
    let mut partial = reserve("R1", 60, &[("K", "2"), ("M", "1")]);
    partial["allow_partial"] = true.into();
    book.ok(partial);
    // K lacks a Q, so its P are free again for M.
    let held: Vec<_> = book.held("R1").into_iter().map(|(sku, _, units, _, _)| (sku, units)).collect();
    assert_eq!(held, [("P".to_owned(), 1), ("R".to_owned(), 3)]);
}

#[test]
fn kits_cost_what_their_components_cost() {
    let mut book = shelf("5", "2", "3");
    book.ok(json!({"type": "receive", "sku": "Q", "location": "A", "quantity": "1", "unit_cost": "7.00"}));
    // 2 × (2 P at 1.00 + 1 Q at 1.00).
    book.ok(json!({"type": "assemble", "sku": "K", "location": "A", "quantity": "2"}));
    assert_eq!((book.level("K", "A"), book.level("P", "A"), book.level("Q", "A")), ((2, 0, 600), (1, 0, 100), (1, 0, 700)));
    assert_eq!(book.account("5600"), 0);
    let short = shortages(book.refused(json!({"type": "assemble", "sku": "K", "location": "A", "quantity": "2"})));
    assert_eq!(short, [(0, "P".into(), "4".into(), "1".into()), (1, "Q".into(), "2".into(), "1".into())]);
    // Taken apart: 3.00 by what 2 P and 1 Q cost now, 2.00 to 7.00: 0.67 and the rest.
    book.ok(json!({"type": "disassemble", "sku": "K", "location": "A", "quantity": "1"}));
    assert_eq!((book.level("K", "A"), book.level("P", "A"), book.level("Q", "A")), ((1, 0, 300), (3, 0, 167), (2, 0, 933)));
    // With nothing else to go by, by their number: 3.00 over 2 and 1.
    book.ok(json!({"type": "issue", "sku": "P", "location": "A", "quantity": "3", "stated_cost": "0"}));
    book.ok(json!({"type": "issue", "sku": "Q", "location": "A", "quantity": "2"}));
    for (sku, value) in [("P", "2"), ("Q", "1")] {
        book.ok(json!({"type": "receive", "sku": sku, "location": "A", "quantity": value, "total_cost": "0"}));
    }
    book.ok(json!({"type": "disassemble", "sku": "K", "location": "A", "quantity": "1"}));
    assert_eq!((book.level("P", "A").2, book.level("Q", "A").2, book.account("5600")), (200, 100, 0));
}

#[test]
fn a_kit_is_no_component_and_no_fraction_of_a_piece() {
    let mut book = shelf("5", "2", "3");
    let define = |sku: &str, part: &str| json!({"type": "define_item", "sku": sku, "scale": 1, "components": [{"sku": part, "quantity": "1"}]});
    assert_eq!(book.code(define("N", "K")), "component_invalid");
    assert_eq!(book.code(define("N", "N")), "component_invalid");
    // P is a part of K already, so it cannot become a kit.
    assert_eq!(
        book.code(json!({"type": "define_item", "sku": "P", "method": "fifo", "components": [{"sku": "Q", "quantity": "1"}]})),
        "component_invalid"
    );
    book.ok(define("N", "P"));
    assert_eq!(book.code(json!({"type": "assemble", "sku": "N", "location": "A", "quantity": "0.5"})), "component_inexact");
    assert_eq!(book.code(json!({"type": "assemble", "sku": "P", "location": "A", "quantity": "1"})), "not_a_kit");
    book.ok(json!({"type": "define_item", "sku": "S", "method": "fifo", "tracking": "serial"}));
    book.ok(json!({"type": "define_item", "sku": "O", "components": [{"sku": "S", "quantity": "1"}]}));
    assert_eq!(book.code(json!({"type": "assemble", "sku": "O", "location": "A", "quantity": "1"})), "serials_required");
}
