"""The few functions of ours that statements call: the calendar, and the buckets of the histograms."""

import sqlite3

from farthing.ledger.cost_buckets import cost_bucket
from farthing.ledger.grains import month_of_day


def add_functions(connection: sqlite3.Connection) -> None:
    """Let statements on a connection call them."""
    connection.create_function("cost_bucket", 1, cost_bucket, deterministic=True)
    connection.create_function("month_of_day", 1, month_of_day, deterministic=True)
