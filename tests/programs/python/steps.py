"""What the two programs share: the tenant's own ids, and how a step's result is told."""

import datetime
import decimal
import json
import os
import traceback
from uuid import UUID

URL = os.environ["DATABASE_URL"]
TENANT = UUID(os.environ["TENANT"])

# Rows of schema.sql end in a1, a2 … for the one organization and in b1, b2 … for the other.
OWN, FOREIGN = ("a", "b") if str(TENANT).endswith("a") else ("b", "a")


def own(kind: int, number: int) -> UUID:
    """A row of this tenant: own(1, 1) is its first product (customer 0, product 1, order 2, item 3, tag 4)."""
    return _row(kind, OWN, number)


def foreign(kind: int, number: int) -> UUID:
    """The same of the other tenant."""
    return _row(kind, FOREIGN, number)


def new(number: int) -> UUID:
    """An id for a row that this program makes."""
    return UUID(f"01900000-0000-7000-9000-0000000{OWN}{number:04d}")


def _row(kind: int, whose: str, number: int) -> UUID:
    return UUID(f"01900000-0000-7000-8000-000000000{kind}{whose}{number}")


def plain(value):
    """A result as JSON has it."""
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (UUID, datetime.datetime, decimal.Decimal)):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return [plain(item) for item in value]


def run(steps, sqlstate) -> None:
    """Runs each step and prints its result, or the error that the program met, as one JSON line."""
    for step in steps:
        line = {"step": step.__name__}
        try:
            line["result"] = plain(step())
        except Exception as error:
            line["error"] = sqlstate(error) or type(error).__name__
            line["said"] = traceback.format_exception_only(error)[-1].strip()
        print(json.dumps(line), flush=True)
