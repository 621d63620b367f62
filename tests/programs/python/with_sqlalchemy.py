"""A SQLAlchemy program, its unit of work above all, whose mapping knows neither organization nor soft delete."""

from uuid import UUID

import psycopg
from sqlalchemy import Column, ForeignKey, Table, case, create_engine, delete, exists, func, insert, literal, select, text, union_all, update
from sqlalchemy.dialects.postgresql import insert as upserting
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, column_property, contains_eager, joinedload, mapped_column, relationship, selectinload, subqueryload

from steps import TENANT, URL, foreign, new, own, run

engine = create_engine(
    URL.replace("postgres://", "postgresql+psycopg://"), connect_args={"options": f"-c app.organization_id={TENANT}"}
)


class Base(DeclarativeBase):
    pass


product_tags = Table(
    "org_product_tags",
    Base.metadata,
    Column("product_id", ForeignKey("org_products.id"), primary_key=True),
    Column("tag_id", ForeignKey("org_tags.id"), primary_key=True),
)


class Customer(Base):
    __tablename__ = "org_customers"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    email: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", order_by="Order.note", cascade="all, delete-orphan")


class Product(Base):
    __tablename__ = "org_products"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    sku: Mapped[str]
    name: Mapped[str]
    price_cents: Mapped[int]
    stock: Mapped[int] = mapped_column(server_default="0")
    tags: Mapped[list["Tag"]] = relationship(secondary=product_tags, order_by="Tag.name", back_populates="products")


class Order(Base):
    __tablename__ = "org_orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("org_customers.id"))
    note: Mapped[str]
    total_cents: Mapped[int]
    customer: Mapped[Customer] = relationship(back_populates="orders")
    items: Mapped[list["Item"]] = relationship(back_populates="order", order_by="Item.label", cascade="all, delete-orphan")


class Item(Base):
    __tablename__ = "org_order_items"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("org_orders.id"))
    product_id: Mapped[UUID] = mapped_column(ForeignKey("org_products.id"))
    label: Mapped[str]
    quantity: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="items")
    product: Mapped[Product] = relationship()


class Tag(Base):
    __tablename__ = "org_tags"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    products: Mapped[list[Product]] = relationship(secondary=product_tags, back_populates="tags", viewonly=True)


Customer.order_count = column_property(
    select(func.count(Order.id)).where(Order.customer_id == Customer.id).scalar_subquery(), deferred=True
)

STEPS = []


def step(function):
    """A step that gets a session of its own, committed unless it fails."""

    def stepped():
        with Session(engine) as session, session.begin():
            return function(session)

    stepped.__name__ = function.__name__
    STEPS.append(stepped)
    return stepped


def names(session, statement):
    return list(session.scalars(statement))


@step
def every_product(s):
    return [(p.sku, p.name, p.price_cents, p.stock) for p in s.scalars(select(Product).order_by(Product.sku))]


@step
def get(s):
    return [s.get(Product, own(1, 1)).name, s.get(Product, foreign(1, 1))]


@step
def flush_inserts(s):
    nora = Customer(id=new(1), name="Nora", email="new@example.test")
    lamp = Product(id=new(2), sku="LAMP", name="Lamp", price_cents=700)
    order = Order(id=new(3), customer=nora, note="for Nora", total_cents=1400)
    order.items = [Item(id=new(4), product=lamp, label="two lamps", quantity=2), Item(id=new(5), product=lamp, label="one lamp", quantity=1)]
    s.add_all([nora, lamp, order])
    s.flush()
    return [nora.name, lamp.stock, [item.label for item in order.items]]


@step
def flush_many_inserts(s):
    """One statement with many rows; the stock that the server gives comes back by RETURNING."""
    boxes = [Product(id=new(10 + at), sku=f"BOX{at}", name=f"Box {at}", price_cents=at) for at in range(5)]
    s.add_all(boxes)
    s.flush()
    return [box.stock for box in boxes]


@step
def flush_updates(s):
    lamp = s.scalars(select(Product).where(Product.sku == "LAMP")).one()
    lamp.stock += 5
    lamp.name = "Desk lamp"
    s.flush()
    s.refresh(lamp)
    return [lamp.name, lamp.stock]


@step
def flush_many_updates(s):
    for at, box in enumerate(s.scalars(select(Product).where(Product.sku.like("BOX%")).order_by(Product.sku))):
        box.stock = 100 + at
    s.flush()
    return names(s, select(Product.stock).where(Product.sku.like("BOX%")).order_by(Product.sku))


@step
def update_by_keys(s):
    s.execute(update(Product), [{"id": new(10), "stock": 7}, {"id": new(11), "stock": 8}])
    return names(s, select(Product.stock).where(Product.sku.like("BOX%")).order_by(Product.sku))


@step
def update_of_a_foreign_row(s):
    """The flush finds that no row was changed."""
    s.execute(update(Product), [{"id": foreign(1, 1), "stock": 0}])


@step
def server_side_expression(s):
    lamp = s.get(Product, new(2))
    lamp.stock = Product.stock + 1
    s.flush()
    return lamp.stock


@step
def update_where(s):
    found = s.execute(update(Product).where(Product.stock > 50).values(stock=Product.stock - 1))
    return [found.rowcount, s.execute(update(Product).values(price_cents=Product.price_cents + 1)).rowcount]


@step
def update_returning(s):
    return sorted(s.execute(update(Product).where(Product.stock < 10).values(stock=9).returning(Product.sku, Product.stock)).all())


@step
def update_from(s):
    found = s.execute(
        update(Item).where(Item.order_id == Order.id, Order.note == "first", Product.id == Item.product_id)
        .values(label=Product.name + func.lower(" SOLD"))
    )
    return [found.rowcount, names(s, select(Item.label).order_by(Item.label))]


@step
def update_by_subquery(s):
    cheapest = select(func.min(Product.price_cents)).scalar_subquery()
    s.execute(update(Product).where(Product.price_cents == cheapest).values(stock=1).execution_options(synchronize_session="fetch"))
    return names(s, select(Product.sku).where(Product.stock == 1))


@step
def merge(s):
    merged = s.merge(Product(id=new(2), name="Floor lamp"))
    fresh = s.merge(Tag(id=new(20), name="merged"))
    s.flush()
    return [merged.sku, merged.name, fresh.name]


@step
def upsert(s):
    """A key that is taken by this tenant, and one that is free."""
    values = upserting(Tag).values([{"id": new(20), "name": "bright"}, {"id": new(21), "name": "dim"}])
    s.execute(values.on_conflict_do_update(index_elements=[Tag.id], set_={"name": values.excluded.name}))
    kept = upserting(Tag).values(id=new(21), name="dimmer").on_conflict_do_nothing()
    return [s.execute(kept).rowcount, names(s, select(Tag.name).order_by(Tag.name))]


@step
def upsert_over_a_foreign_key(s):
    values = upserting(Tag).values(id=foreign(4, 1), name="mine now")
    s.execute(values.on_conflict_do_update(index_elements=[Tag.id], set_={"name": values.excluded.name}))


@step
def insert_from_select(s):
    s.execute(insert(Tag).from_select(["id", "name"], select(func.gen_random_uuid(), Product.name).where(Product.sku == "LAMP")))
    return names(s, select(Tag.name).order_by(Tag.name))


@step
def insert_returning(s):
    return list(s.scalars(insert(Tag).returning(Tag.name), [{"id": new(30 + at), "name": f"tag {at}"} for at in range(3)]))


@step
def many_to_many(s):
    lamp = s.get(Product, new(2))
    lamp.tags = list(s.scalars(select(Tag).where(Tag.id.in_([new(20), new(21)]))))
    s.flush()
    lamp.tags.pop()
    s.flush()
    s.expire_all()
    return [[t.name for t in lamp.tags], [(p.sku, [t.name for t in p.tags]) for p in s.scalars(select(Product).options(selectinload(Product.tags)).order_by(Product.sku))]]


@step
def lazy(s):
    return [(o.note, o.customer and o.customer.name, [i.label for i in o.items]) for o in s.scalars(select(Order).order_by(Order.note))]


@step
def joined_load(s):
    found = s.scalars(select(Order).options(joinedload(Order.customer), joinedload(Order.items).joinedload(Item.product)).order_by(Order.note))
    return [(o.note, o.customer and o.customer.name, [(i.label, i.product and i.product.name) for i in o.items]) for o in found.unique()]


@step
def joined_load_inner(s):
    found = s.scalars(select(Order).options(joinedload(Order.customer, innerjoin=True)).order_by(Order.note))
    return [(o.note, o.customer.name) for o in found]


@step
def joined_load_limited(s):
    """A limit puts the order into a derived table and joins the items outside of it."""
    found = s.scalars(select(Order).options(joinedload(Order.items)).order_by(Order.note).limit(2).offset(1)).unique()
    return [(o.note, [i.label for i in o.items]) for o in found]


@step
def selectin_load(s):
    found = s.scalars(select(Customer).options(selectinload(Customer.orders).selectinload(Order.items)).order_by(Customer.name))
    return [(c.name, [(o.note, [i.label for i in o.items]) for o in c.orders]) for c in found]


@step
def subquery_load(s):
    found = s.scalars(select(Customer).options(subqueryload(Customer.orders)).order_by(Customer.name).limit(2))
    return [(c.name, [o.note for o in c.orders]) for c in found]


@step
def eager_from_join(s):
    found = s.scalars(select(Order).join(Order.items).options(contains_eager(Order.items)).order_by(Order.note, Item.label)).unique()
    return [(o.note, [i.label for i in o.items]) for o in found]


@step
def deferred_count(s):
    return [(c.name, c.order_count) for c in s.scalars(select(Customer).order_by(Customer.name))]


@step
def joins(s):
    inner = s.execute(select(Order.note, Customer.name).join(Order.customer).order_by(Order.note)).all()
    outer = s.execute(select(Customer.name, func.count(Order.id)).outerjoin(Customer.orders).group_by(Customer.id).order_by(Customer.name)).all()
    full = s.execute(select(Product.sku, Item.label).join(Item, Item.product_id == Product.id, full=True)).all()
    return [inner, outer, sorted(full, key=str)]


@step
def self_join(s):
    other = aliased(Order)
    return s.execute(select(Order.note, other.note).join(other, other.customer_id == Order.customer_id).where(Order.note < other.note).order_by(Order.note)).all()


@step
def exists_and_any(s):
    return [
        names(s, select(Customer.name).where(Customer.orders.any(Order.note == "third"))),
        names(s, select(Customer.name).where(~Customer.orders.any()).order_by(Customer.name)),
        names(s, select(Order.note).where(Order.customer.has(name="Ada")).order_by(Order.note)),
        s.scalar(select(exists().where(Product.sku == "DRILL"))),
    ]


@step
def common_table(s):
    spent = select(Order.customer_id, func.sum(Order.total_cents).label("spent")).group_by(Order.customer_id).cte("spent")
    return s.execute(select(Customer.name, spent.c.spent).outerjoin(spent, spent.c.customer_id == Customer.id).order_by(Customer.name)).all()


@step
def recursive(s):
    start = select(Order.id, Order.customer_id, literal(1).label("depth")).where(Order.note == "first").cte("chain", recursive=True)
    chain = start.union_all(select(Order.id, Order.customer_id, start.c.depth + 1).join(start, Order.customer_id == start.c.customer_id).where(start.c.depth < 3))
    return s.execute(select(chain.c.depth, func.count()).group_by(chain.c.depth).order_by(chain.c.depth)).all()


@step
def derived_and_lateral(s):
    latest = select(Order.note).where(Order.customer_id == Customer.id).order_by(Order.note.desc()).limit(1).lateral("latest")
    return s.execute(select(Customer.name, latest.c.note).outerjoin(latest, literal(True)).order_by(Customer.name)).all()


@step
def union(s):
    return sorted(names(s, union_all(select(Product.name), select(Customer.name), select(Tag.name).where(Tag.name == "heavy"))))


@step
def grouping(s):
    return s.execute(select(Product.name, func.sum(Item.quantity)).join(Item, Item.product_id == Product.id).group_by(Product.id).having(func.count() > 0).order_by(Product.name)).all()


@step
def window(s):
    place = func.row_number().over(order_by=Product.price_cents.desc())
    return s.execute(select(Product.sku, place, case((Product.stock > 50, "many"), else_="few")).order_by(Product.sku)).all()


@step
def count(s):
    return [s.scalar(select(func.count()).select_from(t)) for t in (Product, Customer, Order, Item, Tag, product_tags)]


@step
def streamed(s):
    found = s.execute(select(Product.sku).order_by(Product.sku).execution_options(yield_per=2))
    return [[sku for (sku,) in part] for part in found.partitions()]


@step
def for_update(s):
    lamp = s.get(Product, new(2), with_for_update=True)
    lamp.stock -= 1
    locked = names(s, select(Order.note).join(Order.customer).order_by(Order.note).with_for_update(of=Order, skip_locked=True))
    return [lamp.stock, locked]


@step
def savepoint(s):
    s.add(Tag(id=new(40), name="kept"))
    nested = s.begin_nested()
    s.add(Tag(id=new(41), name="lost"))
    s.flush()
    nested.rollback()
    return names(s, select(Tag.name).where(Tag.name.in_(["kept", "lost"])))


@step
def textual(s):
    return [
        s.execute(text("SELECT sku FROM org_products WHERE stock > :least ORDER BY sku"), {"least": 5}).all(),
        s.execute(text("SELECT o.note, c.name FROM org_orders o LEFT JOIN org_customers c ON c.id = o.customer_id ORDER BY o.note")).all(),
        s.execute(text("SELECT count(*) FROM org_orders o, org_customers c WHERE o.customer_id = c.id OR o.total_cents > 0")).scalar(),
    ]


@step
def delete_a_foreign_row(s):
    return s.execute(delete(Product).where(Product.id == foreign(1, 2))).rowcount


@step
def delete_orphan(s):
    order = s.get(Order, new(3))
    order.items.pop()
    s.flush()
    return names(s, select(Item.label).where(Item.order_id == order.id))


@step
def delete_cascade(s):
    """The session loads what hangs on the customer and deletes it first."""
    s.delete(s.get(Customer, new(1)))
    s.flush()
    return [names(s, select(Customer.name).order_by(Customer.name)), s.scalar(select(func.count()).select_from(Item))]


@step
def delete_with_secondary(s):
    s.delete(s.get(Product, new(2)))
    s.flush()
    return s.execute(select(product_tags.c.product_id)).all()


@step
def delete_using(s):
    found = s.execute(delete(Product).where(Product.sku.like("BOX%"), ~exists().where(Item.product_id == Product.id)).returning(Product.sku))
    return sorted(sku for (sku,) in found)


@step
def delete_the_rest(s):
    return s.execute(delete(Tag).where(Tag.name != "heavy").execution_options(synchronize_session="fetch")).rowcount


def sqlstate(error):
    return error.orig.sqlstate if isinstance(error, DBAPIError) and isinstance(error.orig, psycopg.Error) else None


run(STEPS, sqlstate)
