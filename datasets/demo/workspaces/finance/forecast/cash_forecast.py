"""Cash forecast from assumptions.toml, month by month, with the lender's minimum cash covenant.

Usage: python cash_forecast.py [assumptions.toml]
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class Month:
    name: str
    income: float
    costs: float
    one_off: float
    cash: float
    below_covenant: bool


def month_names(start: date, count: int) -> list[str]:
    """`2026-03`, `2026-04`, … beginning with the month of `start`."""
    first = start.year * 12 + start.month - 1
    return [f"{(first + i) // 12}-{(first + i) % 12 + 1:02d}" for i in range(count)]


def forecast(plan: dict) -> list[Month]:
    """Simple on purpose: what a month earns counts as collected in it, `collected_after_days` is ignored."""
    income, costs = plan["income"], plan["costs"]
    cash = float(plan["opening_cash"])
    mrr = float(income["mrr_start"])
    months = []
    for name in month_names(plan["opening_date"], plan["months"]):
        earned = income["hardware"] + income["installation"] + mrr
        spent = (
            costs["payroll"]
            + costs["rent_and_rates"]
            + costs["other"]
            + costs["material_share"] * income["hardware"]
            + costs["installation_share"] * income["installation"]
        )
        extra = plan.get("one_off", {}).get(name, {})
        one_off = sum(value for value in extra.values() if isinstance(value, (int, float)))
        cash += earned - spent + one_off
        months.append(
            Month(name, earned, spent, one_off, cash, cash < plan["covenant"]["minimum_cash"])
        )
        mrr *= 1 + income["mrr_growth"]
    return months


def main() -> int:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("assumptions.toml"))
    plan = tomllib.loads(path.read_text(encoding="utf-8"))
    breached = False
    for month in forecast(plan):
        mark = "  BELOW COVENANT" if month.below_covenant else ""
        print(f"{month.name}  {month.income:>10,.0f}  {month.costs:>10,.0f}  {month.one_off:>9,.0f}  {month.cash:>11,.0f}{mark}")
        breached |= month.below_covenant
    return 1 if breached else 0


if __name__ == "__main__":
    raise SystemExit(main())
