"""SQLAlchemy's ORM over psycopg: casts on every parameter, and writes by primary key."""

import asyncio
from datetime import datetime
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import ForeignKey, and_, create_engine, event, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, make_transient_to_detached, mapped_column, relationship, selectinload, with_loader_criteria
from sqlalchemy.pool import NullPool, StaticPool

from shop import ACME, BOLT, Conversation, Forgotten, Honest, Refusal, Shop, as_sent, row

SENT: list[str] = []


class Base(DeclarativeBase):
    pass


class OfOrganization:
    """The columns of every table that belongs to an organization."""

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column()
    deleted_at: Mapped[datetime | None] = mapped_column()


class Product(OfOrganization, Base):
    __tablename__ = "org_products"
    sku: Mapped[str]
    name: Mapped[str]
    price_cents: Mapped[int]
    stock: Mapped[int] = mapped_column(server_default="0")


class Tag(OfOrganization, Base):
    __tablename__ = "org_tags"
    name: Mapped[str]


class Customer(OfOrganization, Base):
    __tablename__ = "org_customers"
    name: Mapped[str]


class Order(OfOrganization, Base):
    __tablename__ = "org_orders"
    note: Mapped[str]
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("org_customers.id"))
    customer: Mapped[Customer] = relationship()
    items: Mapped[list["Item"]] = relationship(order_by="Item.label")


class Item(OfOrganization, Base):
    __tablename__ = "org_order_items"
    label: Mapped[str]
    order_id: Mapped[UUID] = mapped_column(ForeignKey("org_orders.id"))


def of(table, organization=ACME):
    return and_(table.organization_id == organization, table.deleted_at.is_(None))


async def connect(url, tenant):
    options = {"options": f"-c app.organization_id={tenant}"} if tenant else {}
    engine = create_engine(
        url.replace("postgres://", "postgresql+psycopg://"), poolclass=StaticPool if tenant else NullPool, connect_args=options
    )

    @event.listens_for(engine, "before_cursor_execute")
    def record(_connection, _cursor, statement, *_rest):
        SENT.append(as_sent(statement))

    return engine


async def close(engine):
    engine.dispose()


def session(work, *, keep=False):
    """Runs `work(session)` in a transaction that is rolled back, off the event loop."""

    def run(engine):
        with Session(engine) as opened:
            found = work(opened)
            if keep:
                opened.commit()
            else:
                opened.rollback()
            return found

    async def away(engine):
        return await asyncio.to_thread(run, engine)

    return away


def refusal(error):
    origin = error.orig if isinstance(error, DBAPIError) else None
    if not isinstance(origin, psycopg.Error):
        return None
    diagnostics = origin.diag
    return Refusal(
        origin.sqlstate, str(origin), diagnostics.message_detail, diagnostics.message_hint, diagnostics.statement_position
    )


def loaded(opened):
    """Eager loading; the criteria put the filter into the statements that the library makes."""
    found = opened.scalars(
        select(Order)
        .where(of(Order), Order.customer_id == row("a1"))
        .order_by(Order.note)
        .options(selectinload(Order.items), with_loader_criteria(OfOrganization, lambda table: of(table), include_aliases=True))
    )
    return [(order.note, [item.label for item in order.items]) for order in found]


def unit_of_work_insert(opened):
    opened.add_all([Tag(id=uuid4(), organization_id=ACME, name=f"new {at}") for at in range(3)])
    opened.flush()
    return opened.scalar(select(func.count()).select_from(Tag).where(of(Tag)))


def savepoint(opened):
    opened.add(Tag(id=uuid4(), organization_id=ACME, name="kept"))
    nested = opened.begin_nested()
    opened.add(Tag(id=uuid4(), organization_id=ACME, name="lost"))
    opened.flush()
    nested.rollback()
    return list(opened.scalars(select(Tag.name).where(of(Tag)).order_by(Tag.name)))


def upsert(opened):
    values = insert(Product).values(id=uuid4(), organization_id=ACME, sku="ANVIL", name="Better anvil", price_cents=1)
    return opened.execute(
        values.on_conflict_do_update(
            index_elements=["organization_id", "sku"], set_={"name": values.excluded.name}, where=of(Product)
        ).returning(Product.id, Product.name)
    ).all()


def streamed(opened):
    found = opened.execute(select(Product.name).where(of(Product)).order_by(Product.name).execution_options(yield_per=2))
    return [[name for (name,) in part] for part in found.partitions()]


def derived(opened):
    spent = (
        select(Order.customer_id, func.count().label("orders")).where(of(Order)).group_by(Order.customer_id).subquery()
    )
    return opened.execute(
        select(Customer.name, spent.c.orders).join(spent, spent.c.customer_id == Customer.id).where(of(Customer)).order_by(Customer.name)
    ).all()


def lazy(opened):
    """A lazily loaded parent is fetched by its primary key alone."""
    return opened.scalars(select(Order).where(of(Order), Order.note == "fourth")).one().customer.name


def eager(opened):
    found = opened.scalars(select(Order).where(of(Order)).options(selectinload(Order.items)))
    return [[item.label for item in order.items] for order in found]


def unit_of_work_update(opened):
    """The flush updates by primary key, whatever the object's organization is."""
    drill = Product(id=row("1b1"), organization_id=BOLT, sku="DRILL", name="Foreign drill", price_cents=1, stock=5)
    make_transient_to_detached(drill)
    opened.add(drill)
    drill.stock = 0
    opened.flush()  # raises StaleDataError unless exactly one row was changed
    return drill.name


def aborted(opened):
    fates = []
    for statement in (select(Tag.name).where(of(Tag)), select(Customer.name), select(1)):
        try:
            fates.append(len(opened.connection().exec_driver_sql(str(statement.compile(
                opened.get_bind(), compile_kwargs={"literal_binds": True}))).all()))
        except DBAPIError as error:
            fates.append(error.orig.sqlstate)
    return fates


async def chosen_tenant(engine):
    def run():
        other = create_engine(engine.url, poolclass=NullPool)
        with Session(other) as opened:
            opened.execute(text("SELECT set_config('app.organization_id', :org, true)"), {"org": str(BOLT)})
            return list(opened.scalars(select(Product.name).where(of(Product, BOLT)).order_by(Product.name)))

    return await asyncio.to_thread(run)


SHOP = Shop(
    connect=connect,
    close=close,
    backend_pid=session(lambda s: s.scalar(select(func.pg_backend_pid()))),
    refusal=refusal,
    sent=SENT,
    honest=[
        Honest("select of one column", session(lambda s: list(s.scalars(select(Product.name).where(of(Product)).order_by(Product.name)))), ["Anvil", "Bellows", "Chisel"]),
        Honest("whole objects", session(lambda s: [p.name for p in s.scalars(select(Product).where(of(Product), Product.stock > 1).order_by(Product.name))]), ["Anvil", "Chisel"]),
        Honest("join, both sides filtered", session(lambda s: [tuple(r) for r in s.execute(
            select(Order.note, Customer.name).join(Order.customer).where(of(Order), of(Customer)).order_by(Order.note))]),
            [("first", "Ada"), ("second", "Ada"), ("third", "Alan")]),
        Honest("in_() of ids, limit and offset", session(lambda s: list(s.scalars(select(Product.name).where(
            of(Product), Product.id.in_([row("1a1"), row("1a2"), row("1b1")])).order_by(Product.name).limit(1).offset(1)))), ["Bellows"]),
        Honest("exists(), correlated", session(lambda s: list(s.scalars(select(Customer.name).where(
            of(Customer), exists().where(of(Order), Order.customer_id == Customer.id, Order.note == "third"))))), ["Alan"]),
        Honest("derived table", session(derived), [("Ada", 2), ("Alan", 1)]),
        Honest("selectinload with loader criteria", session(loaded), [
            ("first", ["one anvil", "one chisel"]), ("second", ["a drill of another shop"])]),
        Honest("unit of work inserts", session(unit_of_work_insert), 4),
        Honest("savepoint", session(savepoint), ["heavy", "kept"]),
        Honest("upsert with a guarded target", session(upsert), [(row("1a1"), "Better anvil")]),
        Honest("update by statement", session(lambda s: s.execute(update(Product).where(of(Product), Product.stock == 0).values(
            stock=1).execution_options(synchronize_session=False)).rowcount), 1),
        Honest("stream in partitions", session(streamed), [["Anvil", "Bellows"], ["Chisel"]]),
        Honest("text() and set_config(:org)", chosen_tenant, ["Foreign drill", "Foreign saw"]),
    ],
    forgotten=[
        Forgotten("session.get() by primary key", session(lambda s: s.get(Product, row("1b1")).name), "org_products"),
        Forgotten("no filter on a joined table", session(lambda s: [tuple(r) for r in s.execute(
            select(Order.note, Customer.name).join(Order.customer).where(of(Order)))]), "org_customers"),
        Forgotten("lazy loading of a parent", session(lazy), "org_customers"),
        Forgotten("selectinload without criteria", session(eager), "org_order_items"),
        Forgotten("unit of work updates by primary key", session(unit_of_work_update), "org_products"),
        Forgotten("soft delete ignored", session(lambda s: list(s.scalars(select(Product.name).where(Product.organization_id == ACME)))), "org_products", ("visible-deleted",)),
        Forgotten("another organization in the filter", session(lambda s: list(s.scalars(select(Product.name).where(of(Product, BOLT))))), "org_products", ("foreign-tenant",)),
    ],
    conversations=[
        Conversation("a refusal aborts the transaction", session(aborted), [1, 4, 1], [1, "42501", "25P02"]),
    ],
)
