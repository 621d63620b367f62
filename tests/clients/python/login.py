"""Logs in once for each line of standard input, a JSON object with port, tls, password and the
statements of tests/support/tls_clients.rs; says what came of it in a line as described there. asyncpg
knows no channel binding."""

import asyncio
import json
import ssl
import sys

import asyncpg


def say(*fields):
    print("\t".join(" ".join(str(field).split()) for field in fields), flush=True)


def told(error):
    return getattr(error, "sqlstate", None) or "", f"{error} {getattr(error, 'detail', '') or ''}"


async def log_in(case):
    context = False
    if case["tls"]:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=case["port"],
        user="app",
        password=case["password"],
        database="postgres",
        ssl=context,
        command_timeout=60,
    )
    try:
        encrypted = await connection.fetchval(case["encrypted"])
        names = [row["name"] for row in await connection.fetch(case["admitted"])]
        try:
            await connection.fetch(case["refused"])
            refusal = "", "no error"
        except asyncpg.PostgresError as error:
            refusal = told(error)
        say("in", "t" if encrypted else "f", ",".join(names), *refusal)
    finally:
        await connection.close()


async def main():
    for line in sys.stdin:
        try:
            await log_in(json.loads(line))
        except Exception as error:
            say("out", *told(error))


asyncio.run(main())
