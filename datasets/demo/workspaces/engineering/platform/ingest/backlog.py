"""Watches how far the alert consumers are behind and decides whether somebody gets paged.

The rule is the one of the runbook "Alert backlog": page when the oldest unprocessed alert has been
older than 120 seconds for five minutes. Telemetry may lag for an hour before anyone is woken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Consumer(str, Enum):
    ALERTS = "ingest-alerts"
    TELEMETRY = "ingest-telemetry"


@dataclass(frozen=True)
class Limit:
    lag_s: float
    for_s: float


LIMITS = {
    Consumer.ALERTS: Limit(lag_s=120, for_s=300),
    Consumer.TELEMETRY: Limit(lag_s=3600, for_s=900),
}


@dataclass(frozen=True)
class Reading:
    """Age of the oldest unprocessed message of one consumer at one moment."""

    consumer: Consumer
    at: float
    lag_s: float


@dataclass
class BacklogWatch:
    """Keeps, per consumer, since when the lag has been above its limit."""

    above_since: dict[Consumer, float] = field(default_factory=dict)

    def feed(self, reading: Reading) -> str | None:
        """Returns the text of a page, or None while all is well."""
        limit = LIMITS[reading.consumer]
        if reading.lag_s <= limit.lag_s:
            self.above_since.pop(reading.consumer, None)
            return None
        since = self.above_since.setdefault(reading.consumer, reading.at)
        if reading.at - since < limit.for_s:
            return None
        return (
            f"{reading.consumer.value} is {reading.lag_s:.0f} s behind "
            f"(limit {limit.lag_s:.0f} s) for {(reading.at - since) / 60:.0f} min"
        )


def late_alerts(sent_after_s: Iterable[float], late_from_s: float = 120.0) -> int:
    """How many alerts were late in the sense of the incident reports (two minutes)."""
    return sum(1 for seconds in sent_after_s if seconds > late_from_s)


def share_within(sent_after_s: Iterable[float], bound_s: float = 60.0) -> float:
    """Share of alerts within the bound of the service level; 1.0 when there were none."""
    values = list(sent_after_s)
    if not values:
        return 1.0
    return sum(1 for seconds in values if seconds <= bound_s) / len(values)
