"""SQLAlchemy's ORM over psycopg with its own pool, which rolls back whenever a connection comes back."""

import asyncio
from uuid import uuid4

from sqlalchemy import create_engine, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from with_sqlalchemy import Order, Product, Tag, of


async def open_pool(url, tenant, size):
    options = {"options": f"-c app.organization_id={tenant}"} if tenant else {}
    return create_engine(
        url.replace("postgres://", "postgresql+psycopg://"), pool_size=size, max_overflow=0, pool_timeout=60, connect_args=options
    )


async def close_pool(engine):
    engine.dispose()


def sqlstate(error):
    return error.orig.sqlstate if isinstance(error, DBAPIError) else None


async def in_tenant(engine, form, tenant, work, *, fails=False):
    def run():
        # The session's commit would give an engine's connection back, and its SET with it.
        with engine.connect() as connection, Session(connection) as session:
            if form == "set":
                session.execute(text("SELECT set_config('app.organization_id', :tenant, false)"), {"tenant": str(tenant)})
                session.commit()
            elif form == "local":
                session.execute(text("SELECT set_config('app.organization_id', :tenant, true)"), {"tenant": str(tenant)})
            # The work has no await that waits, so this thread can run it to its end.
            asyncio.run(work(session))
            session.rollback() if fails else session.commit()

    await asyncio.to_thread(run)


async def products(session, tenant):
    return list(session.scalars(select(Product.name).where(of(Product, tenant)).order_by(Product.name)))


async def products_by_setting(session):
    return list(
        session.scalars(
            text(
                "SELECT name FROM org_products WHERE organization_id = current_setting('app.organization_id')::uuid "
                "AND deleted_at IS NULL ORDER BY name"
            )
        )
    )


async def add_tag(session, tenant, name):
    session.add(Tag(id=uuid4(), organization_id=tenant, name=name))
    session.flush()


async def tags(session, tenant):
    return [tag.name for tag in session.scalars(select(Tag).where(of(Tag, tenant)))]


async def remove_tag(session, tenant, name):
    found = session.execute(delete(Tag).where(of(Tag, tenant), Tag.name == name).execution_options(synchronize_session=False))
    assert found.rowcount == 1, found.rowcount


async def errors(_url, engine, form, tenant):
    async def work(session):
        session.execute(insert(Tag), [{"id": uuid4(), "organization_id": tenant, "name": f"{str(tenant)[-1]}:lost"} for _ in range(3)])
        for failing in ("SELECT 1 / 0", "SELECT nothing FROM plans"):
            try:
                with session.begin_nested():
                    session.execute(text(failing))
            except DBAPIError as error:
                assert error.orig.sqlstate in ("22012", "42703"), error

    await in_tenant(engine, form, tenant, work, fails=True)


async def streams(_url, engine, form, tenant):
    async def work(session):
        found = session.execute(select(Product.name).where(of(Product, tenant)).execution_options(yield_per=1))
        found.fetchmany(1)
        found.close()
        joined = select(Order.note, func.count()).where(of(Order, tenant)).group_by(Order.note)
        assert session.execute(joined).all()

    await in_tenant(engine, form, tenant, work)


async def prepared(_url, engine, form, tenant):
    async def work(session):
        for at in range(20):
            session.execute(select(Product.name).where(of(Product, tenant), Product.stock > at).limit(at)).all()

    await in_tenant(engine, form, tenant, work)


mischief = [errors, streams, prepared]
