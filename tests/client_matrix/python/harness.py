"""Runs the steps of a program of the matrix, first as they are, then each of them again for every
place in it that must name the organization or `deleted_at`, with that one thing forgotten.

DATABASE_URL  the guard, or PostgreSQL itself, without a tenant
PART          honest: the steps as they are; forgotten: the steps without one of their filters

Prints one JSON object a line: the versions, then one for each run of a step.
"""

import json
import os
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

ACME = UUID("01900000-0000-7000-8000-00000000000a")
BOLT = UUID("01900000-0000-7000-8000-00000000000b")
URL = os.environ["DATABASE_URL"]


def row(tail: str) -> UUID:
    """An id of the tables by its last digits: row("1a1") is the anvil."""
    return UUID(f"01900000-0000-7000-8000-{tail.zfill(12)}")


def new_id() -> UUID:
    """A new id, as the application makes them: UUIDv7."""
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return UUID(int=bits & ~(0xF << 76) & ~(0b11 << 62) | 0x7 << 76 | 0b10 << 62)


words = 0


def fresh(word: str) -> str:
    """A word that no row has yet."""
    global words
    words += 1
    return f"{word}-{words}"


@dataclass(frozen=True)
class Kept:
    """What a filter names: an organization, and whether deleted rows are left out."""

    organization: UUID | None
    live: bool


# The uses that the running step has made, each with what can be forgotten there, and the one that
# is to be forgotten.
uses: list[tuple[str, ...]] = []
forgotten: tuple[int, str] | None = None


def use(*kinds: str) -> str | None:
    uses.append(kinds)
    return forgotten[1] if forgotten is not None and forgotten[0] == len(uses) - 1 else None


def kept() -> Kept:
    """What the next filter names."""
    kind = use("organization", "another organization", "deleted_at")
    organization = {"organization": None, "another organization": BOLT}.get(kind, ACME)
    return Kept(organization, kind != "deleted_at")


def kept_organization() -> UUID | None:
    """The same for a table without soft delete."""
    return {None: ACME, "organization": None, "another organization": BOLT}[use("organization", "another organization")]


def kept_live() -> bool:
    """Whether deleted rows are left out where the organization is bound by other means."""
    return use("deleted_at") is None


def organization() -> UUID:
    """The organization of a new row."""
    return ACME if use("another organization") is None else BOLT


def plain(value):
    """What JSON says of a value of a driver."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    return value


def tell(**line) -> None:
    print(json.dumps(line), flush=True)


async def run(versions, steps, pid, error_of) -> None:
    """Runs the steps. `pid` gives the process of the server that the connection has, `error_of` the
    SQLSTATE and text of an exception that is an error of the server, else None."""
    global forgotten
    tell(versions=versions)

    async def once(name):
        uses.clear()
        return plain(await steps[name]())

    def told(error):
        said = error_of(error)
        if said is None:
            raise error
        return {"code": said[0], "message": said[1]}

    control = await once("by_id")
    for name in steps:
        try:
            result = await once(name)
        except Exception as error:  # told to the test, and the next step is tried
            tell(step=name, error=told(error))
            continue
        if os.environ["PART"] == "honest":
            tell(step=name, result=result)
            continue
        for at, kinds in enumerate(list(uses)):
            for kind in kinds:
                before = await pid()
                forgotten = (at, kind)
                line = {"step": name, "forgotten": f"{kind}, place {at + 1}"}
                try:
                    line["result"] = await once(name)
                except Exception as error:  # told to the test
                    line["error"] = told(error)
                forgotten = None
                tell(**line, kept=await pid() == before and await once("by_id") == control)
