//! Catalogue decisions.

use super::command::{DefineAccount, DefineItem, DefineLocation, DefinePostingRule, MovementKind, OpenTenant};
use super::event::{AccountDefinition, ItemDefinition, LocationDefinition, PostingRuleDefinition, TenantOpened};
use crate::domain::event::Event;
use crate::domain::id::{AccountCode, PostingClass, Text};
use crate::domain::limit::{CURRENCY_SCALE_MAX, SCALE_MAX};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Item, Ledger};

use super::chart;

/// The class of items that name none.
const DEFAULT_CLASS: &str = "default";

pub(crate) fn open_tenant(ledger: &Ledger, c: &OpenTenant) -> Result<Vec<Event>, Rejection> {
    if ledger.tenant().is_some() {
        return Err(Rejection::TenantAlreadyOpen);
    }
    if c.currency_scale > CURRENCY_SCALE_MAX {
        return Err(Rejection::ScaleOutOfRange { scale_max: CURRENCY_SCALE_MAX });
    }
    // After this point it must succeed.
    let opened = TenantOpened {
        code: c.code.clone(),
        name: c.name.clone(),
        currency: c.currency.clone(),
        currency_scale: c.currency_scale,
    };
    let accounts = chart::ACCOUNTS.iter().map(|(code, name, account_type)| {
        Event::AccountOpened(AccountDefinition {
            code: AccountCode::trusted(code),
            name: Text::trusted(name),
            account_type: *account_type,
            parent: None,
            retired: false,
        })
    });
    let rules = chart::RULES.iter().map(|(movement, account)| {
        Event::PostingRuleDefined(PostingRuleDefinition {
            movement: *movement,
            class: PostingClass::trusted(DEFAULT_CLASS),
            account: AccountCode::trusted(account),
        })
    });
    Ok(std::iter::once(Event::TenantOpened(opened)).chain(accounts).chain(rules).collect())
}

pub(crate) fn define_item(ledger: &Ledger, c: &DefineItem) -> Result<Vec<Event>, Rejection> {
    if c.scale > SCALE_MAX {
        return Err(Rejection::ScaleOutOfRange { scale_max: SCALE_MAX });
    }
    let new = ItemDefinition {
        sku: c.sku.clone(),
        name: c.name.clone(),
        unit: c.unit.clone(),
        scale: c.scale,
        method: c.method,
        posting_class: c.posting_class.clone().unwrap_or_else(|| PostingClass::trusted(DEFAULT_CLASS)),
        negative_stock: c.negative_stock,
        retired: c.retired,
    };
    let Some((_, item)) = ledger.item(c.sku.as_str()) else {
        return Ok(vec![Event::ItemDefined(new)]);
    };
    if *item.definition == new {
        return Ok(Vec::new());
    }
    if is_in_use(item)
        && let Some(field) = fixed_field_changed(&item.definition, &new)
    {
        return Err(Rejection::ItemInUse { sku: c.sku.clone(), field: Text::trusted(field) });
    }
    if new.negative_stock == super::command::NegativeStock::Forbid && item.balances.iter().any(|(_, b)| b.available() < 0) {
        return Err(Rejection::ItemInUse { sku: c.sku.clone(), field: Text::trusted("negative_stock") });
    }
    Ok(vec![Event::ItemChanged(new)])
}

fn is_in_use(item: &Item) -> bool {
    item.balances.iter().any(|(_, b)| b.on_hand != 0 || b.reserved != 0 || b.value != 0 || b.provisional != (0, 0))
}

/// The first field that may not change while there is stock or a hold.
fn fixed_field_changed(old: &ItemDefinition, new: &ItemDefinition) -> Option<&'static str> {
    [
        (old.scale != new.scale, "scale"),
        (old.method != new.method, "method"),
        (old.posting_class != new.posting_class, "posting_class"),
        (!old.retired && new.retired, "retired"),
    ]
    .into_iter()
    .find_map(|(changed, field)| changed.then_some(field))
}

pub(crate) fn define_location(ledger: &Ledger, c: &DefineLocation) -> Result<Vec<Event>, Rejection> {
    let new = LocationDefinition { code: c.code.clone(), name: c.name.clone(), kind: c.kind, retired: c.retired };
    let Some((at, location)) = ledger.location(c.code.as_str()) else {
        return Ok(vec![Event::LocationDefined(new)]);
    };
    if location.definition == new {
        return Ok(Vec::new());
    }
    let in_use =
        || (0_u32..).zip(ledger.items()).filter_map(|(i, _)| ledger.balance(i, at)).any(|b| b.on_hand != 0 || b.reserved != 0);
    if new.retired && !location.definition.retired && in_use() {
        return Err(Rejection::LocationInUse { location: c.code.clone() });
    }
    Ok(vec![Event::LocationChanged(new)])
}

pub(crate) fn define_account(ledger: &Ledger, c: &DefineAccount) -> Result<Vec<Event>, Rejection> {
    let mut above = c.parent.as_ref();
    for _ in 0..=ledger.accounts().len() {
        let Some(parent) = above else { break };
        if *parent == c.code {
            return Err(Rejection::AccountCycle { account: c.code.clone() });
        }
        let (_, account) =
            ledger.account(parent.as_str()).ok_or_else(|| Rejection::UnknownAccount { account: parent.clone() })?;
        above = account.definition.parent.as_ref();
    }
    let new = AccountDefinition {
        code: c.code.clone(),
        name: c.name.clone(),
        account_type: c.account_type,
        parent: c.parent.clone(),
        retired: c.retired,
    };
    let Some((_, account)) = ledger.account(c.code.as_str()) else {
        return Ok(vec![Event::AccountOpened(new)]);
    };
    if account.definition == new {
        return Ok(Vec::new());
    }
    let posted = account.debits != 0 || account.credits != 0;
    let retype = account.definition.account_type != new.account_type && posted;
    let retire = new.retired && !account.definition.retired && (account.debits != account.credits || account.holds_inventory);
    if retype || retire {
        return Err(Rejection::AccountInUse { account: c.code.clone() });
    }
    Ok(vec![Event::AccountChanged(new)])
}

pub(crate) fn define_posting_rule(ledger: &Ledger, c: &DefinePostingRule) -> Result<Vec<Event>, Rejection> {
    let unknown = || Rejection::UnknownAccount { account: c.account.clone() };
    let (_, account) = ledger.account(c.account.as_str()).filter(|(_, a)| !a.definition.retired).ok_or_else(unknown)?;
    if ledger.rule(c.movement, &c.class).is_some_and(|r| r.account == c.account) {
        return Ok(Vec::new());
    }
    if c.movement == MovementKind::Inventory {
        if !account.holds_inventory && (account.debits != 0 || account.credits != 0) {
            return Err(Rejection::AccountInUse { account: c.account.clone() });
        }
        let has_stock =
            |i: &Item| i.definition.posting_class == c.class && i.balances.iter().any(|(_, b)| b.value != 0 || b.on_hand != 0);
        if ledger.items().iter().any(has_stock) {
            return Err(Rejection::ClassHasStock { class: c.class.clone() });
        }
    } else if account.holds_inventory {
        return Err(Rejection::InventoryAccount { account: c.account.clone() });
    }
    Ok(vec![Event::PostingRuleDefined(PostingRuleDefinition {
        movement: c.movement,
        class: c.class.clone(),
        account: c.account.clone(),
    })])
}
