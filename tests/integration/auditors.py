"""What Beancount makes of a ledger: balances at cost by our account codes, units by our SKUs, and open lots, as JSON.

Exit status 1, and what is wrong on standard error, when Beancount finds an error."""

import collections
import json
import sys

from beancount import loader
from beancount.core import convert, data, inventory

entries, errors, options = loader.load_file(sys.argv[1])
for error in errors[:20]:
    print(error.source, error.message, file=sys.stderr)
if errors:
    sys.exit(1)

codes, skus, currencies, prices, transactions = {}, {}, {}, 0, 0
accounts = collections.defaultdict(inventory.Inventory)
for entry in entries:
    if isinstance(entry, data.Open):
        # An account of ours, or one of its items' below it.
        known = (entry.meta["code"], entry.meta.get("sku"))
        assert known not in codes.values(), entry
        codes[entry.account] = known
    elif isinstance(entry, data.Commodity) and "sku" in entry.meta:
        assert entry.meta["sku"] not in skus.values(), entry
        skus[entry.currency] = entry.meta["sku"]
    elif isinstance(entry, data.Commodity) and "currency" in entry.meta:
        currencies[entry.currency] = entry.meta["currency"]
    elif isinstance(entry, data.Price):
        prices += 1
    elif isinstance(entry, data.Transaction):
        transactions += 1
        for posting in entry.postings:
            accounts[posting.account].add_position(posting)

[base] = options["operating_currency"]
at_cost, units, lots, foreign = collections.Counter(), collections.Counter(), [], collections.Counter()
for account, held in accounts.items():
    cost = held.reduce(convert.get_cost)
    assert set(cost.currencies()) <= {base}, (account, cost)
    code, own = codes[account]
    at_cost[code] += cost.get_currency_units(base).number
    for position in held:
        if position.units.currency in currencies:
            foreign[code + " " + currencies[position.units.currency]] += position.units.number
        elif position.units.currency != base:
            sku = skus[position.units.currency]
            assert sku == own, (account, position)
            units[sku] += position.units.number
            lots.append([sku, position.cost.label, str(position.units.number), str(position.cost.number)])
shown = lambda figures: {key: str(number) for key, number in figures.items()}
figures = {"accounts": shown(at_cost), "items": shown(units), "foreign": shown(foreign), "lots": lots}
json.dump(figures | {"prices": prices, "transactions": transactions}, sys.stdout)
