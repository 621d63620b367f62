"""asyncpg: every statement named and cached, parameters and rows in binary, pools that reset."""

from uuid import uuid4

import asyncpg

from shop import ACME, BOLT, Conversation, Forgotten, Honest, Refusal, Shop, row

SENT: list[str] = []
SETTINGS = {"app.organization_id": str(ACME), "application_name": "asyncpg"}


async def connect(url, tenant):
    connection = await asyncpg.connect(url, server_settings=SETTINGS if tenant else {"application_name": "asyncpg"})
    URLS[connection] = url
    return connection


URLS: dict[asyncpg.Connection, str] = {}


async def names(connection, text, *parameters):
    SENT.append(text)
    return [found["name"] for found in await connection.fetch(text, *parameters)]


async def tuples(connection, text, *parameters):
    return [tuple(found) for found in await connection.fetch(text, *parameters)]


def refusal(error):
    if not isinstance(error, asyncpg.PostgresError):
        return None
    return Refusal(error.sqlstate, str(error), error.detail, error.hint, error.position)


ALL = "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL ORDER BY name"
BY_SKU = "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL AND sku = $2"
TAG = "INSERT INTO org_tags (id, organization_id, name) VALUES ($1, $2, $3)"
TAGS = "SELECT name FROM org_tags WHERE organization_id = $1 AND deleted_at IS NULL ORDER BY name"


class Undo(Exception):
    """Thrown to roll a transaction back."""


async def undone(connection, work):
    found = None
    try:
        async with connection.transaction():
            found = await work()
            raise Undo
    except Undo:
        return found


async def prepared(connection):
    statement = await connection.prepare(BY_SKU)
    return [[found["name"] for found in await statement.fetch(ACME, sku)] for sku in ("ANVIL", "HAMMER", "CHISEL")]


async def savepoint(connection):
    async def work():
        await connection.execute(TAG, uuid4(), ACME, "kept")
        await undone(connection, lambda: connection.execute(TAG, uuid4(), ACME, "lost"))
        return await names(connection, TAGS, ACME)

    return await undone(connection, work)


async def many(connection):
    async def work():
        await connection.executemany(TAG, [(uuid4(), ACME, f"tag {at}") for at in range(5)])
        return len(await connection.fetch(TAGS, ACME))

    return await undone(connection, work)


async def cursor(connection):
    async with connection.transaction():
        return [found["name"] async for found in connection.cursor(ALL, ACME, prefetch=2)]


async def pool(connection):
    """A released connection runs RESET ALL, which must bring the startup tenant back."""
    async with asyncpg.create_pool(URLS[connection], min_size=1, max_size=1, server_settings=SETTINGS) as of_one:
        seen = []
        for _ in range(3):
            async with of_one.acquire() as leased:
                seen.append(len(await leased.fetch(ALL, ACME)))
        return seen


async def copy_query(connection):
    lines = []

    async def write(data):
        lines.append(data)

    await connection.copy_from_query(ALL, ACME, output=write)
    return b"".join(lines).decode().split()


async def enumeration(connection):
    return await tuples(
        connection,
        "SELECT note, status FROM org_orders WHERE organization_id = $1 AND deleted_at IS NULL AND status = $2 ORDER BY note",
        ACME,
        "shipped",
    )


async def chosen_tenant(connection):
    other = await connect(URLS[connection], None)
    try:
        async with other.transaction():
            await other.execute("SELECT set_config('app.organization_id', $1, true)", str(BOLT))
            return await names(other, ALL, BOLT)
    finally:
        await other.close()


async def cached_foreign(connection):
    await names(connection, ALL, ACME)
    return await names(connection, ALL, BOLT)


async def many_foreign(connection):
    async def work():
        SENT.append(TAG)
        await connection.executemany(TAG, [(uuid4(), ACME, "ours"), (uuid4(), BOLT, "Foreign planted")])
        return "Foreign planted"

    return await undone(connection, work)


async def forgotten_cursor(connection):
    text = "SELECT name FROM org_products WHERE stock > $1"
    SENT.append(text)
    async with connection.transaction():
        return [found["name"] async for found in connection.cursor(text, 0)]


async def refused_in_transaction(connection):
    fates = []
    transaction = connection.transaction()
    await transaction.start()
    for text in (f"SELECT name FROM org_tags WHERE organization_id = '{ACME}' AND deleted_at IS NULL", "SELECT name FROM org_customers", "SELECT 1"):
        try:
            fates.append(len(await connection.fetch(text)))
        except asyncpg.PostgresError as error:
            fates.append(error.sqlstate)
    await transaction.rollback()
    return [fates, await names(connection, TAGS, ACME)]


SHOP = Shop(
    connect=connect,
    close=lambda connection: connection.close(),
    backend_pid=lambda connection: connection.fetchval("SELECT pg_backend_pid()"),
    refusal=refusal,
    sent=SENT,
    honest=[
        Honest("fetch with a binary uuid", lambda c: names(c, ALL, ACME), ["Anvil", "Bellows", "Chisel"]),
        Honest("prepared statement, several values", prepared, [["Anvil"], [], ["Chisel"]]),
        Honest(
            "simple query with a literal",
            lambda c: c.execute(f"SELECT name FROM org_tags WHERE organization_id = '{ACME}' AND deleted_at IS NULL"),
            "SELECT 1",
        ),
        Honest("array of ids", lambda c: names(
            c, "SELECT name FROM org_products WHERE organization_id = $1 AND deleted_at IS NULL AND id = ANY($2::uuid[])",
            ACME, [row("1a1"), row("1b1")],
        ), ["Anvil"]),
        Honest("array of one organization", lambda c: names(
            c, "SELECT name FROM org_tags WHERE organization_id = ANY($1::uuid[]) AND deleted_at IS NULL", [ACME],
        ), ["heavy"]),
        Honest("enum parameter (type introspection)", enumeration, [("fourth", "shipped"), ("third", "shipped")]),
        Honest("transaction and savepoint", savepoint, ["heavy", "kept"]),
        Honest("executemany", many, 6),
        Honest("cursor", cursor, ["Anvil", "Bellows", "Chisel"]),
        Honest("pool of one, released three times", pool, [3, 3, 3]),
        Honest("copy_from_query", copy_query, ["Anvil", "Bellows", "Chisel"]),
        Honest("organization by set_config($1) in a transaction", chosen_tenant, ["Foreign drill", "Foreign saw"]),
    ],
    forgotten=[
        Forgotten("by primary key alone", lambda c: names(c, "SELECT name FROM org_products WHERE id = $1", row("1b1")), "org_products"),
        Forgotten("soft delete ignored", lambda c: names(c, "SELECT name FROM org_customers WHERE organization_id = $1", ACME), "org_customers", ("visible-deleted",)),
        Forgotten("cached statement, another organization", cached_foreign, "org_products", ("foreign-tenant",)),
        Forgotten("second row of executemany for another organization", many_foreign, "org_tags", ("foreign-insert", "foreign-tenant")),
        Forgotten("cursor without a filter", forgotten_cursor, "org_products"),
        Forgotten("array of two organizations", lambda c: names(
            c, "SELECT name FROM org_products WHERE organization_id = ANY($1::uuid[]) AND deleted_at IS NULL", [ACME, BOLT],
        ), "org_products", ("unbound-tenant", "foreign-tenant", "mixed-tenants")),
    ],
    conversations=[
        Conversation(
            "a refusal aborts the transaction", refused_in_transaction, [[1, 4, 1], ["heavy"]], [[1, "42501", "25P02"], ["heavy"]]
        ),
    ],
)
