"""SQLAlchemy 2 over psycopg: mapped classes, select(), insert(), update() and the session."""

import asyncio
from datetime import datetime, timezone
from decimal import Decimal
from uuid import UUID

import sqlalchemy
from sqlalchemy import (
    ForeignKey, Numeric, Text, and_, any_, create_engine, delete, exists, func, insert, literal, or_, select, text, tuple_,
    union, update,
)
from sqlalchemy.dialects.postgresql import ARRAY, ENUM, JSONB
from sqlalchemy.dialects.postgresql import insert as upsert_into
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

import harness
from harness import ACME, URL, fresh, kept, kept_live, kept_organization, new_id, organization, row


class Base(DeclarativeBase):
    type_annotation_map = {str: Text, datetime: sqlalchemy.DateTime(timezone=True)}


class OfOrganization:
    id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]


class Plan(Base):
    __tablename__ = "plans"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]


class Organization(Base):
    __tablename__ = "organizations"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plans.id"))


class Customer(OfOrganization, Base):
    __tablename__ = "org_customers"
    name: Mapped[str]
    email: Mapped[str]


class Product(OfOrganization, Base):
    __tablename__ = "org_products"
    sku: Mapped[str]
    name: Mapped[str]
    price_cents: Mapped[int]
    stock: Mapped[int] = mapped_column(server_default=text("0"))
    attributes: Mapped[dict] = mapped_column(JSONB, server_default=text("'{}'"))


class Order(OfOrganization, Base):
    __tablename__ = "org_orders"
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("org_customers.id"))
    status: Mapped[str] = mapped_column(ENUM("draft", "placed", "shipped", name="org_order_status", create_type=False))
    note: Mapped[str]
    total_cents: Mapped[int]
    items: Mapped[list["Item"]] = relationship(order_by="Item.label")


class Item(OfOrganization, Base):
    __tablename__ = "org_order_items"
    order_id: Mapped[UUID] = mapped_column(ForeignKey("org_orders.id"))
    product_id: Mapped[UUID] = mapped_column(ForeignKey("org_products.id"))
    label: Mapped[str]
    quantity: Mapped[int]


class Tag(OfOrganization, Base):
    __tablename__ = "org_tags"
    name: Mapped[str]


class ProductTag(Base):
    __tablename__ = "org_product_tags"
    organization_id: Mapped[UUID]
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    tag_id: Mapped[UUID] = mapped_column(primary_key=True)


class Invoice(OfOrganization, Base):
    __tablename__ = "org_invoices"
    number: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    terms: Mapped[dict] = mapped_column(JSONB)
    issued_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    memo: Mapped[str | None]


def engine_for(tenant, size=1):
    options = f"-c app.organization_id={tenant}" if tenant else ""
    url = URL.replace("postgres://", "postgresql+psycopg://")
    return create_engine(url, connect_args={"options": options, "application_name": "shop"}, pool_size=size, max_overflow=0)


ENGINE = engine_for(ACME)
STEPS = {}


def within(model):
    """Rows of the organization that are not soft-deleted."""
    of = kept()
    clauses = [model.organization_id == of.organization] if of.organization else []
    return and_(True, *clauses, *([model.deleted_at.is_(None)] if of.live else []))


def alive(model):
    return model.deleted_at.is_(None) if kept_live() else sqlalchemy.true()


def session():
    return Session(ENGINE, expire_on_commit=False)


def step(function):
    """A step that is given a session in a transaction, which is committed unless it fails."""

    async def run():
        with session() as opened, opened.begin():
            return function(opened)

    STEPS[function.__name__] = run


def alone(function):
    """A step that opens its own sessions."""

    async def run():
        return function()

    STEPS[function.__name__] = run


def rows(found):
    return [list(one) for one in found]


@step
def list_(db):
    return [[one.sku, one.name] for one in db.scalars(select(Product).where(within(Product)).order_by(Product.sku))]


@step
def by_id(db):
    found = db.scalars(select(Product).where(within(Product), Product.id == row("1a1"))).one()
    return [found.sku, found.price_cents]


@step
def by_foreign_id(db):
    return db.scalars(select(Product.sku).where(within(Product), Product.id == row("1b1"))).all()


@step
def join_three(db):
    return rows(db.execute(
        select(Item.label, Order.note, Customer.name).join(Order, Order.id == Item.order_id)
        .join(Customer, and_(Customer.organization_id == Order.organization_id, Customer.id == Order.customer_id, alive(Customer)))
        .where(within(Item), within(Order)).order_by(Item.label)
    ))


@step
def left_join(db):
    return rows(db.execute(
        select(Order.note, Customer.name).outerjoin(Customer, and_(Customer.id == Order.customer_id, within(Customer)))
        .where(within(Order)).order_by(Order.note)
    ))


@step
def count(db):
    return db.scalar(select(func.count()).select_from(Order).where(within(Order)))


@step
def aggregate(db):
    return rows(db.execute(
        select(Customer.name, func.count(), func.sum(Order.total_cents)).join(Order, Order.customer_id == Customer.id)
        .where(within(Order), within(Customer)).group_by(Customer.id, Customer.name).having(func.count() > 0).order_by(Customer.name)
    ))


@step
def scalar_subquery(db):
    orders = select(func.count()).select_from(Order).where(within(Order), Order.customer_id == Customer.id).scalar_subquery()
    return rows(db.execute(select(Customer.name, orders).where(within(Customer)).order_by(Customer.name)))


@step
def derived_table(db):
    spent = (
        select(Order.customer_id, func.sum(Order.total_cents).label("total")).where(within(Order)).group_by(Order.customer_id).subquery()
    )
    return rows(db.execute(
        select(Customer.name, spent.c.total).join(spent, spent.c.customer_id == Customer.id).where(within(Customer)).order_by(Customer.name)
    ))


@step
def in_list(db):
    ids = [row(tail) for tail in ("1a1", "1b1", "1a3")]
    return db.scalars(select(Product.sku).where(within(Product), Product.id.in_(ids)).order_by(Product.sku)).all()


@step
def any_array(db):
    ids = literal([row(tail) for tail in ("1a1", "1b1", "1a3")], ARRAY(sqlalchemy.Uuid))
    return db.scalars(select(Product.sku).where(within(Product), Product.id == any_(ids)).order_by(Product.sku)).all()


@step
def exists_(db):
    popular = exists().where(within(Item), Item.product_id == Product.id, Item.quantity > 1)
    return db.scalars(select(Product.sku).where(within(Product), popular).order_by(Product.sku)).all()


@step
def not_exists(db):
    drafts = exists().where(
        Order.organization_id == Customer.organization_id, Order.customer_id == Customer.id, Order.status == "draft", alive(Order)
    )
    return db.scalars(select(Customer.name).where(within(Customer), ~drafts)).all()


@step
def in_subquery(db):
    ordered = select(Item.product_id).where(within(Item), Item.order_id == row("2a1"))
    return db.scalars(select(Product.sku).where(within(Product), Product.id.in_(ordered)).order_by(Product.sku)).all()


@step
def cte(db):
    waiting = select(Order.id, Order.note).where(within(Order), Order.status.in_(["draft", "placed"])).cte("waiting")
    lines = select(Item.order_id, Item.label).where(within(Item)).cte("lines")
    return rows(db.execute(select(waiting.c.note, lines.c.label).join(lines, lines.c.order_id == waiting.c.id).order_by(lines.c.label)))


@step
def union_(db):
    both = union(select(Product.name).where(within(Product)), select(Customer.name).where(within(Customer)))
    return db.scalars(both.order_by("name")).all()


@step
def page(db):
    return db.scalars(select(Product.sku).where(within(Product)).order_by(Product.price_cents.desc()).limit(2).offset(1)).all()


@step
def keyset(db):
    return db.scalars(
        select(Product.sku).where(within(Product), tuple_(Product.price_cents, Product.id) < tuple_(4500, row("1a2")))
        .order_by(Product.price_cents.desc(), Product.id.desc()).limit(10)
    ).all()


@step
def window(db):
    place = func.row_number().over(order_by=Product.price_cents.desc())
    return rows(db.execute(select(Product.sku, place).where(within(Product)).order_by(Product.sku)))


@step
def search(db):
    return db.scalars(
        select(Product.sku).where(within(Product), or_(Product.name.ilike("%chi%"), Product.stock == 0)).order_by(Product.sku)
    ).all()


@step
def distinct(db):
    return db.scalars(select(Order.status).distinct().where(within(Order)).order_by(Order.status)).all()


@step
def json_filter(db):
    return db.scalars(select(Invoice.number).where(within(Invoice), Invoice.terms["pay"]["days"].astext == "30")).all()


@step
def json_value(db):
    return db.scalars(select(Product.attributes).where(within(Product), Product.sku == "ANVIL")).one()["kilos"]


@step
def timestamps(db):
    first, last = (datetime(2026, *day, tzinfo=timezone.utc) for day in ((1, 15), (3, 10)))
    return rows(db.execute(
        select(Invoice.number, Invoice.issued_at).where(within(Invoice), Invoice.issued_at >= first, Invoice.issued_at < last)
        .order_by(Invoice.issued_at)
    ))


@step
def numeric(db):
    return rows(db.execute(
        select(Invoice.number, Invoice.amount).where(within(Invoice), Invoice.amount > Decimal("100.25")).order_by(Invoice.number)
    ))


@step
def nulls(db):
    return rows(db.execute(
        select(Invoice.number, Invoice.memo).where(within(Invoice), Invoice.paid_at.is_(None)).order_by(Invoice.number)
    ))


@step
def text_array(db):
    return rows(db.execute(
        select(Invoice.number, Invoice.labels).where(within(Invoice), Invoice.labels.contains(["eu"])).order_by(Invoice.number)
    ))


@step
def report(db):
    month = func.date_trunc("month", Invoice.issued_at, "UTC")
    opened = func.coalesce(func.sum(Invoice.amount).filter(Invoice.paid_at.is_(None)), 0).cast(Numeric(12, 2))
    found = db.execute(
        select(month.label("month"), func.count(), opened).where(within(Invoice)).group_by(text("month")).order_by(text("month"))
    )
    return rows(found)


@step
def shared_table(db):
    found = db.execute(select(Organization.name, Plan.code).join(Plan, Plan.id == Organization.plan_id).where(Organization.id == ACME))
    return rows(found)[0]


@step
def for_update(db):
    return db.scalars(select(Product.sku).where(within(Product), Product.id == row("1a1")).with_for_update()).all()


@step
def prepared(db):
    """The same compiled text twelve times: psycopg prepares it at the sixth."""
    clause = within(Product)
    return [len(db.scalars(select(Product.sku).where(clause, Product.sku == sku)).all()) for sku in ["ANVIL", "HAMMER"] * 6]


@step
def relation_many(db):
    orders = db.scalars(
        select(Order).where(within(Order), Order.customer_id == row("a1")).order_by(Order.note)
        .options(selectinload(Order.items.and_(within(Item))))
    )
    return [[order.note, [item.label for item in order.items]] for order in orders]


@step
def stream(db):
    """Rows in two batches from a cursor of the server."""
    found = db.execute(select(Product.sku).where(within(Product)).order_by(Product.sku).execution_options(yield_per=2))
    return [[one[0] for one in batch] for batch in found.partitions()]


@alone
def pool():
    engine = engine_for(ACME, 4)
    counts = []
    try:
        opened = [Session(engine) for _ in range(4)]
        for name, model in (("customers", Customer), ("orders", Order), ("products", Product)):
            counting = select(func.count()).select_from(model).where(within(model))
            counts.extend(f"{name} {db.scalar(counting)}" for db in opened)
        for db in opened:
            db.close()
    finally:
        engine.dispose()
    return [*dict.fromkeys(counts)]


@alone
def organization_in_transaction():
    engine = engine_for(None)
    try:
        with Session(engine) as db, db.begin():
            db.execute(text("SELECT set_config('app.organization_id', :organization, true)"), {"organization": str(ACME)})
            return db.scalars(select(Product.sku).where(within(Product)).order_by(Product.sku)).all()
    finally:
        engine.dispose()


@step
def insert_(db):
    lamp = Product(id=new_id(), organization_id=organization(), sku=fresh("LAMP"), name="Lamp", price_cents=100)
    db.add(lamp)
    db.flush()
    return db.scalars(select(Product.name).where(within(Product), Product.id == lamp.id)).all()


@step
def insert_returning(db):
    rope = {"id": new_id(), "organization_id": organization(), "sku": fresh("ROPE"), "name": "Rope", "price_cents": 100}
    found = db.execute(insert(Product).values(rope).returning(Product.name, Product.stock)).one()
    return [*found]


@step
def insert_batch(db):
    db.add_all([Tag(id=new_id(), organization_id=organization(), name=fresh(name)) for name in ("red", "green", "blue")])
    added = len(db.new)
    db.flush()
    return added


@step
def upsert(db):
    adding = upsert_into(Product).values(
        id=new_id(), organization_id=organization(), sku="ANVIL", name="Anvil", price_cents=9900, stock=1
    )
    return db.scalar(
        adding.on_conflict_do_update(
            index_elements=["organization_id", "sku"],
            set_={"name": adding.excluded.name, "stock": Product.stock + adding.excluded.stock},
            where=alive(Product),
        ).returning(Product.stock)
    )


@step
def upsert_nothing(db):
    adding = upsert_into(Product).values(id=new_id(), organization_id=organization(), sku="ANVIL", name="Second anvil", price_cents=1)
    adding = adding.on_conflict_do_nothing(index_elements=["organization_id", "sku"])
    return len(db.scalars(adding.returning(Product.id)).all())


@step
def update_(db):
    return db.execute(
        update(Product).where(within(Product), Product.sku == "CHISEL").values(stock=39, updated_at=func.now())
    ).rowcount


@step
def update_returning(db):
    changing = update(Product).where(within(Product), Product.id == row("1a2")).values(price_cents=4600)
    return [*db.execute(changing.returning(Product.sku, Product.price_cents)).one()]


@step
def update_from(db):
    changing = update(Item).where(within(Item), within(Product), Product.id == Item.product_id, Item.quantity == 2)
    return db.scalars(changing.values(label=Product.name).returning(Item.label), execution_options={"synchronize_session": False}).all()


def count_tags(db, name):
    return db.scalar(select(func.count()).select_from(Tag).where(within(Tag), Tag.name == name))


@step
def soft_delete(db):
    gone = Tag(id=new_id(), organization_id=organization(), name=fresh("gone"))
    db.add(gone)
    db.flush()
    changed = db.execute(update(Tag).where(within(Tag), Tag.id == gone.id).values(deleted_at=func.now())).rowcount
    return [changed, count_tags(db, gone.name)]


@step
def delete_junction(db):
    link = {"organization_id": organization(), "product_id": row("1a3"), "tag_id": row("4a1")}
    db.execute(upsert_into(ProductTag).values(link).on_conflict_do_nothing())
    of = kept_organization()
    owned = [ProductTag.organization_id == of] if of else []
    return db.execute(delete(ProductTag).where(*owned, ProductTag.product_id == row("1a3"))).rowcount


@step
def insert_select(db):
    source = select(literal(new_id()), Product.organization_id, Product.name).where(within(Product), Product.sku == "ANVIL")
    return len(db.scalars(insert(Tag).from_select(["id", "organization_id", "name"], source).returning(Tag.id)).all())


@step
def modifying_cte(db):
    moved = update(Order).where(within(Order), Order.note == "first").values(status="shipped").returning(Order.note).cte("moved")
    return db.scalars(select(moved.c.note)).all()


@step
def transaction(db):
    alan = db.scalars(select(Customer).where(within(Customer), Customer.name == "Alan")).one()
    order = Order(
        id=new_id(), organization_id=organization(), customer_id=alan.id, status="placed", note="new", total_cents=300
    )
    db.add(order)
    db.flush()
    db.add_all([
        Item(id=new_id(), organization_id=organization(), order_id=order.id, product_id=row("1a3"), label=label, quantity=1)
        for label in ("left", "right")
    ])
    db.flush()
    db.execute(update(Product).where(within(Product), Product.id == row("1a3")).values(stock=Product.stock - 2))
    return [order.status, db.scalar(select(func.count()).select_from(Item).where(within(Item), Item.order_id == order.id))]


@alone
def rollback():
    name = fresh("lost")
    with session() as db:
        db.add(Tag(id=new_id(), organization_id=organization(), name=name))
        db.flush()
        db.rollback()
        return count_tags(db, name)


@step
def savepoint(db):
    names = fresh("kept"), fresh("lost")
    db.add(Tag(id=new_id(), organization_id=organization(), name=names[0]))
    db.flush()
    nested = db.begin_nested()
    db.add(Tag(id=new_id(), organization_id=organization(), name=names[1]))
    db.flush()
    nested.rollback()
    return [count_tags(db, name) for name in names]


@alone
def server_error():
    with session() as db:
        try:
            db.execute(insert(Tag).values(id=row("4a1"), organization_id=organization(), name="twin"))
        except IntegrityError as error:
            return error.orig.sqlstate


def error_of(error):
    return (error.orig.sqlstate, str(error.orig).split("\n")[0]) if isinstance(error, DBAPIError) else None


async def main():
    async def pid():
        with session() as db:
            return db.scalar(text("SELECT pg_backend_pid()"))

    import psycopg

    versions = [f"SQLAlchemy {sqlalchemy.__version__}", f"psycopg {psycopg.__version__}"]
    await harness.run(versions, {name.strip("_"): run for name, run in STEPS.items()}, pid, error_of)
    ENGINE.dispose()


asyncio.run(main())
