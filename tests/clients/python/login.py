"""Logs in once for each line of standard input, a JSON object with port and tls; says what the server
knows of its connection, or what went wrong."""

import asyncio
import json
import os
import ssl
import sys

import asyncpg


async def log_in(port, tls):
    context = False
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=port,
        user="app",
        password=os.environ["PGPASSWORD"],
        database="postgres",
        ssl=context,
    )
    try:
        return "t" if await connection.fetchval("SELECT ssl FROM wire") else "f"
    finally:
        await connection.close()


async def main():
    for line in sys.stdin:
        case = json.loads(line)
        try:
            print(await log_in(case["port"], case["tls"]), flush=True)
        except Exception as error:
            print(f"error: {error}".replace("\n", " "), flush=True)


asyncio.run(main())
