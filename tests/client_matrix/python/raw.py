"""Steps of the programs that write SQL themselves (STATEMENTS), over the connection of any driver."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from harness import ACME, BOLT, fresh, new_id, row, use


@dataclass(frozen=True)
class Statement:
    name: str
    shape: str
    parameters: list[str]
    text: str


def read_statements() -> dict[str, Statement]:
    blocks = Path(os.environ["STATEMENTS"]).read_text().split("\n\n")[1:]
    found = {}
    for block in blocks:
        head, text = block.strip().split("\n", 1)
        _, name, shape, *parameters = head.split()
        found[name] = Statement(name, shape, parameters, text)
    return found


STATEMENTS = read_statements()


def filters(text: str) -> str:
    """The text with its filters written out, but for the one that is forgotten."""

    def written(mark: re.Match[str]) -> str:
        table, _, part = mark[1].partition(".")
        kinds = {"": ("organization", "deleted_at"), "live": ("deleted_at",), "organization": ("organization",)}[part]
        lost = use(*kinds)
        predicates = {"organization": f"{table}.organization_id = $1", "deleted_at": f"{table}.deleted_at IS NULL"}
        return " AND ".join(predicates[kind] for kind in kinds if kind != lost) or "true"

    return re.sub(r"\{([a-z_.]+)\}", written, text)


def value(parameter: str):
    kind, _, text = parameter.partition(":")
    return {
        "new": lambda: new_id(),
        "fresh": lambda: fresh(text),
        "uuid": lambda: row(text),
        "new_ids": lambda: [new_id() for _ in range(int(text))],
        "fresh_texts": lambda: [fresh(word) for word in text.split(",")],
        "uuids": lambda: [row(one) for one in text.split(",")],
        "text": lambda: text,
        "int": lambda: int(text),
        "numeric": lambda: Decimal(text),
        "time": lambda: datetime.fromisoformat(text),
    }[kind]()


class Undo(Exception):
    """Rolls a transaction back."""


class Shop:
    """The repository's functions. `connection` has `run(text, values)`, which gives rows and the
    count of rows, and `transaction()`; `another(tenant)` opens one more; `error_of` reads errors."""

    def __init__(self, connection, another, error_of):
        self.connection, self.another, self.error_of = connection, another, error_of

    async def ask(self, name: str, *values, on=None):
        """Rows and count of a statement; without values, with those of its block."""
        statement = STATEMENTS[name]
        text = filters(statement.text)
        values = values or [value(parameter) for parameter in statement.parameters]
        whose = ACME
        if "org_" in text and use("another organization") is not None:
            whose = BOLT
        return await (on or self.connection).run(text, [whose, *values])

    async def one(self, name: str, *values, on=None):
        rows, _ = await self.ask(name, *values, on=on)
        return rows[0][0]

    async def changed(self, name: str, *values):
        _, count = await self.ask(name, *values)
        return count

    def plain_step(self, statement: Statement):
        async def step():
            rows, count = await self.ask(statement.name)
            return {
                "rows": lambda: rows,
                "column": lambda: [found[0] for found in rows],
                "row": lambda: rows[0],
                "value": lambda: rows[0][0],
                "count": lambda: count,
            }[statement.shape]()

        return step

    def steps(self):
        own = {
            name: getattr(self, name)
            for name in (
                "for_update prepared pool organization_in_transaction insert soft_delete delete_junction"
                " transaction rollback savepoint server_error"
            ).split()
        }
        plain = {name: self.plain_step(one) for name, one in STATEMENTS.items() if one.shape != "part"}
        # Reads come first: later steps change what they see.
        reads = {name: step for name, step in plain.items() if not STATEMENTS[name].text.startswith(("INSERT", "UPDATE", "WITH moved"))}
        first = {name: own.pop(name) for name in ("for_update", "prepared", "pool", "organization_in_transaction")}
        return reads | first | plain | own

    async def for_update(self):
        async with self.connection.transaction():
            rows, _ = await self.ask("for_update")
            return [found[0] for found in rows]

    async def prepared(self):
        """The same text with other values, often enough for every driver to prepare it."""
        text, whose = filters(STATEMENTS["by_sku"].text), ACME
        if use("another organization") is not None:
            whose = BOLT
        return [len((await self.connection.run(text, [whose, sku]))[0]) for sku in ["ANVIL", "HAMMER"] * 6]

    async def pool(self):
        counts = []
        connections = [await self.another(ACME) for _ in range(4)]
        try:
            for table in ("customers", "orders", "products"):
                text = filters(STATEMENTS[f"count_{table}"].text)
                whose = ACME if use("another organization") is None else BOLT
                for connection in connections:
                    counts.append(f"{table} {(await connection.run(text, [whose]))[0][0][0]}")
        finally:
            for connection in connections:
                await connection.close()
        return list(dict.fromkeys(counts))

    async def organization_in_transaction(self):
        other = await self.another(None)
        try:
            async with other.transaction():
                await other.run("SELECT set_config('app.organization_id', $1, true)", [str(ACME)])
                rows, _ = await self.ask("list", on=other)
                return [found[0] for found in rows]
        finally:
            await other.close()

    async def insert(self):
        lamp = new_id()
        await self.ask("insert_product", lamp, fresh("LAMP"), "Lamp")
        rows, _ = await self.ask("product_name", lamp)
        return [found[0] for found in rows]

    async def soft_delete(self):
        gone, name = new_id(), fresh("gone")
        await self.ask("insert_tag", gone, name)
        return [await self.changed("delete_tag", gone), await self.one("count_tags", name)]

    async def delete_junction(self):
        await self.ask("insert_link")
        return await self.changed("delete_link")

    async def transaction(self):
        async with self.connection.transaction():
            alan = await self.one("customer_id")
            order, chisel = new_id(), row("1a3")
            status = await self.one("insert_order", order, alan)
            await self.ask("insert_items", new_id(), order, chisel, new_id())
            await self.ask("take_stock")
            return [status, await self.one("count_items", order)]

    async def rollback(self):
        name = fresh("lost")
        try:
            async with self.connection.transaction():
                await self.ask("insert_tag", new_id(), name)
                raise Undo
        except Undo:
            return await self.one("count_tags", name)

    async def savepoint(self):
        kept, lost = fresh("kept"), fresh("lost")
        async with self.connection.transaction():
            await self.ask("insert_tag", new_id(), kept)
            try:
                async with self.connection.transaction():
                    await self.ask("insert_tag", new_id(), lost)
                    raise Undo
            except Undo:
                pass
            return [await self.one("count_tags", kept), await self.one("count_tags", lost)]

    async def server_error(self):
        try:
            await self.ask("insert_tag", row("4a1"), "twin")
        except Exception as error:
            said = self.error_of(error)
            if said is None or said[0] != "23505":
                raise
            return said[0]
