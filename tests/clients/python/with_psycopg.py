"""psycopg 3: parameters in binary, statements prepared from the sixth run, pipelines, COPY."""

from uuid import uuid4

import psycopg
from psycopg import AsyncConnection

from shop import ACME, BOLT, Conversation, Forgotten, Honest, Refusal, Shop, as_sent, row

SENT: list[str] = []


async def connect(url, tenant):
    options = f"-c app.organization_id={tenant}" if tenant else ""
    connection = await AsyncConnection.connect(url, options=options, application_name="psycopg", autocommit=True)
    connection.url = url
    return connection


async def rows(connection, text, parameters=None):
    SENT.append(as_sent(text) if parameters is not None else text)
    cursor = await connection.execute(text, parameters)
    while cursor.nextset():
        pass
    return await cursor.fetchall() if cursor.description else cursor.rowcount


async def backend_pid(connection):
    return (await rows(connection, "SELECT pg_backend_pid()"))[0][0]


async def names(connection, text, parameters=None):
    return [found[0] for found in await rows(connection, text, parameters)]


def refusal(error):
    if not isinstance(error, psycopg.Error):
        return None
    diagnostics = error.diag
    return Refusal(
        error.sqlstate, str(error), diagnostics.message_detail, diagnostics.message_hint, diagnostics.statement_position
    )


async def fate(awaitable):
    try:
        result = await awaitable
    except psycopg.Error as error:
        return error.sqlstate
    return result if isinstance(result, int) else len(result)


BY_SKU = "SELECT name FROM org_products WHERE organization_id = %s AND deleted_at IS NULL AND sku = %s"
ALL = "SELECT name FROM org_products WHERE organization_id = %s AND deleted_at IS NULL ORDER BY name"


async def ten_times(connection):
    return [await names(connection, BY_SKU, (ACME, sku)) for sku in ["ANVIL", "HAMMER"] * 5]


async def in_transaction(connection):
    async with connection.transaction(force_rollback=True):
        await rows(connection, "INSERT INTO org_tags (id, organization_id, name) VALUES (%s, %s, %s)", (uuid4(), ACME, "kept"))
        async with connection.transaction(force_rollback=True):
            await rows(connection, "INSERT INTO org_tags (id, organization_id, name) VALUES (%s, %s, %s)", (uuid4(), ACME, "lost"))
        return await names(
            connection, "SELECT name FROM org_tags WHERE organization_id = %s AND deleted_at IS NULL ORDER BY name", (ACME,)
        )


async def server_cursor(connection):
    async with connection.transaction(), connection.cursor("org_cursor") as cursor:
        await cursor.execute(ALL, (ACME,))
        return [len(await cursor.fetchmany(2)), len(await cursor.fetchmany(2))]


async def many(connection):
    async with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO org_tags (id, organization_id, name) VALUES (%s, %s, %s)", [(uuid4(), ACME, str(at)) for at in range(5)]
        )
        return cursor.rowcount


async def pipeline(connection):
    async with connection.pipeline():
        cursors = [await connection.execute(BY_SKU, (ACME, sku)) for sku in ("ANVIL", "CHISEL", "DRILL")]
        return [len(await cursor.fetchall()) for cursor in cursors]


async def copy_out(connection):
    async with connection.cursor().copy(
        f"COPY (SELECT name FROM org_products WHERE organization_id = '{ACME}' AND deleted_at IS NULL ORDER BY name) TO STDOUT"
    ) as copy:
        return [found async for (found,) in copy.rows()]


async def chosen_tenant(connection):
    """A connection without a startup tenant takes one for a transaction."""
    async with await connect(connection.url, None) as other, other.transaction():
        await rows(other, "SELECT set_config('app.organization_id', %s, true)", (str(BOLT),))
        return await names(other, ALL, (BOLT,))


async def change(connection, text, parameters):
    async with connection.transaction(force_rollback=True):
        return await rows(connection, text, parameters)


async def sixth_run_foreign(connection):
    for _ in range(6):
        await names(connection, ALL, (ACME,))
    return await names(connection, ALL, (BOLT,))


async def planted(connection):
    return await rows(
        connection, "DELETE FROM org_tags WHERE organization_id = %s AND deleted_at IS NULL AND name = 'planted'", (ACME,)
    )


async def refused_in_pipeline(connection):
    """One Sync group: what ran before the refusal goes with it."""

    async def group():
        async with connection.pipeline():
            await connection.execute("INSERT INTO org_tags (id, organization_id, name) VALUES (%s, %s, 'planted')", (uuid4(), ACME))
            cursor = await connection.execute("SELECT name FROM org_customers WHERE name <> %s", ("",))
            return len(await cursor.fetchall())

    return [await fate(group()), await planted(connection), await names(connection, BY_SKU, (ACME, "ANVIL"))]


async def refused_in_transaction(connection):
    fates = []
    for text in (
        "BEGIN",
        f"INSERT INTO org_tags (id, organization_id, name) VALUES (gen_random_uuid(), '{ACME}', 'planted')",
        "SELECT name FROM org_customers",
        "SELECT 1",
    ):
        fates.append(await fate(rows(connection, text)))
    status = connection.info.transaction_status.name
    await rows(connection, "COMMIT")
    return [fates, status, await planted(connection)]


SHOP = Shop(
    connect=connect,
    close=lambda connection: connection.close(),
    backend_pid=backend_pid,
    refusal=refusal,
    sent=SENT,
    honest=[
        Honest("parameters in binary", lambda c: names(c, ALL, (ACME,)), ["Anvil", "Bellows", "Chisel"]),
        Honest("the same text ten times: prepared from the sixth", ten_times, [["Anvil"], []] * 5),
        Honest(
            "simple query with a literal",
            lambda c: names(c, f"SELECT name FROM org_tags WHERE organization_id = '{ACME}' AND deleted_at IS NULL"),
            ["heavy"],
        ),
        Honest(
            "join, both sides filtered",
            lambda c: rows(
                c,
                """SELECT o.note, c.name FROM org_orders o JOIN org_customers c
                   ON c.organization_id = o.organization_id AND c.id = o.customer_id AND c.deleted_at IS NULL
                   WHERE o.organization_id = %(org)s AND o.deleted_at IS NULL AND o.status = %(status)s ORDER BY o.note""",
                {"org": ACME, "status": "shipped"},
            ),
            [("third", "Alan")],
        ),
        Honest(
            "= ANY of an array of ids",
            lambda c: names(
                c,
                "SELECT name FROM org_products WHERE organization_id = %s AND deleted_at IS NULL AND id = ANY(%s)",
                (ACME, [row("1a1"), row("1b1")]),
            ),
            ["Anvil"],
        ),
        Honest("transaction and savepoint", in_transaction, ["heavy", "kept"]),
        Honest("executemany", many, 5),
        Honest("pipeline of three", pipeline, [1, 1, 0]),
        Honest("server cursor (DECLARE, FETCH)", server_cursor, [2, 1]),
        Honest("COPY of a filtered query", copy_out, ["Anvil", "Bellows", "Chisel"]),
        Honest(
            "update returning",
            lambda c: change(
                c,
                "UPDATE org_products SET stock = stock + %s WHERE organization_id = %s AND deleted_at IS NULL AND sku = %s RETURNING stock",
                (1, ACME, "CHISEL"),
            ),
            [(41,)],
        ),
        Honest("organization by set_config(%s) in a transaction", chosen_tenant, ["Foreign drill", "Foreign saw"]),
    ],
    forgotten=[
        Forgotten("by primary key alone", lambda c: names(c, "SELECT name FROM org_products WHERE id = %s", (row("1b1"),)), "org_products"),
        Forgotten(
            "soft delete ignored",
            lambda c: names(c, "SELECT name FROM org_customers WHERE organization_id = %s", (ACME,)),
            "org_customers",
            ("visible-deleted",),
        ),
        Forgotten("another organization as the parameter", lambda c: names(c, ALL, (BOLT,)), "org_products", ("foreign-tenant",)),
        Forgotten("another organization at the seventh run", sixth_run_foreign, "org_products", ("foreign-tenant",)),
        Forgotten(
            "join, one side not filtered",
            lambda c: rows(
                c,
                """SELECT i.label, p.name FROM org_order_items i JOIN org_products p ON p.id = i.product_id
                   WHERE i.organization_id = %s AND i.deleted_at IS NULL""",
                (ACME,),
            ),
            "org_products",
        ),
        Forgotten(
            "update by primary key alone",
            lambda c: change(c, "UPDATE org_customers SET email = %s WHERE id = %s RETURNING name", ("x", row("b1"))),
            "org_customers",
        ),
    ],
    conversations=[
        Conversation("a refusal in a pipeline", refused_in_pipeline, [4, 1, ["Anvil"]], ["42501", 0, ["Anvil"]]),
        Conversation(
            "a refusal aborts the transaction",
            refused_in_transaction,
            [[-1, 1, 4, 1], "INTRANS", 1],
            [[-1, 1, "42501", "25P02"], "INERROR", 0],
        ),
    ],
)
