"""Django over psycopg, which sends literals: querysets that name the organization and `deleted_at`."""

import asyncio
import os
from datetime import datetime, timezone
from decimal import Decimal
from urllib.parse import urlsplit

import django
from django.conf import settings

import harness
from harness import ACME, URL, fresh, kept, kept_live, kept_organization, new_id, organization, row

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the steps run one after the other


def database(tenant):
    url = urlsplit(URL)
    return {
        "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username, "HOST": url.hostname, "PORT": url.port,
        "OPTIONS": {"options": f"-c app.organization_id={tenant}" if tenant else "", "application_name": "shop"},
    }


settings.configure(
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.postgres", "shop_app.Shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": database(ACME), "unbound": database(None)} | {f"pool{at}": database(ACME) for at in range(4)},
)
django.setup()

from django.contrib.postgres.fields import ArrayField  # noqa: E402
from django.db import Error, IntegrityError, connection, connections, models, transaction  # noqa: E402
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import Coalesce, Now, RowNumber, TruncMonth  # noqa: E402


class OfOrganization(models.Model):
    id = models.UUIDField(primary_key=True, default=new_id)
    organization_id = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        app_label = "shop"


class Plan(models.Model):
    id = models.UUIDField(primary_key=True)
    code = models.TextField()

    class Meta:
        app_label, db_table = "shop", "plans"


class Organization(models.Model):
    id = models.UUIDField(primary_key=True)
    name = models.TextField()
    plan = models.ForeignKey(Plan, models.PROTECT)

    class Meta:
        app_label, db_table = "shop", "organizations"


class Customer(OfOrganization):
    name = models.TextField()
    email = models.TextField()

    class Meta(OfOrganization.Meta):
        db_table = "org_customers"


class Product(OfOrganization):
    sku = models.TextField()
    name = models.TextField()
    price_cents = models.IntegerField()
    stock = models.IntegerField(db_default=0)
    attributes = models.JSONField(default=dict)

    class Meta(OfOrganization.Meta):
        db_table = "org_products"


class Order(OfOrganization):
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    status = models.TextField(default="draft")
    note = models.TextField()
    total_cents = models.IntegerField()

    class Meta(OfOrganization.Meta):
        db_table = "org_orders"


class Item(OfOrganization):
    order = models.ForeignKey(Order, models.CASCADE, related_name="items")
    product = models.ForeignKey(Product, models.PROTECT, related_name="items")
    label = models.TextField()
    quantity = models.IntegerField()

    class Meta(OfOrganization.Meta):
        db_table = "org_order_items"


class Tag(OfOrganization):
    name = models.TextField()

    class Meta(OfOrganization.Meta):
        db_table = "org_tags"


class Invoice(OfOrganization):
    customer = models.ForeignKey(Customer, models.PROTECT)
    number = models.TextField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    labels = ArrayField(models.TextField())
    terms = models.JSONField()
    issued_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    memo = models.TextField(null=True)

    class Meta(OfOrganization.Meta):
        db_table = "org_invoices"


STEPS = {}


def step(function):
    async def run():
        return function()

    STEPS[function.__name__.strip("_")] = run


def within(path=""):
    """Rows of the organization that are not soft-deleted, over a relation if its path is given."""
    of = kept()
    clause = Q(**{f"{path}organization_id": of.organization}) if of.organization else Q()
    return clause & Q(**{f"{path}deleted_at__isnull": True}) if of.live else clause


def alive(path=""):
    return Q(**{f"{path}deleted_at__isnull": True}) if kept_live() else Q()


def rows(found):
    return [list(one) for one in found]


def skus(found):
    return list(found.values_list("sku", flat=True))


def execute(text, parameters):
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def written(table, of):
    """The filter as text, for what querysets do not have."""
    clauses = [f"{table}.organization_id = '{of.organization}'"] if of.organization else []
    return " AND ".join(clauses + ([f"{table}.deleted_at IS NULL"] if of.live else [])) or "true"


@step
def list_():
    return [[one.sku, one.name] for one in Product.objects.filter(within()).order_by("sku")]


@step
def by_id():
    found = Product.objects.get(within(), pk=row("1a1"))
    return [found.sku, found.price_cents]


@step
def by_foreign_id():
    return skus(Product.objects.filter(within(), pk=row("1b1")))


@step
def join_three():
    found = Item.objects.filter(within(), within("order__"), within("order__customer__")).order_by("label")
    return [[one.label, one.order.note, one.order.customer.name] for one in found.select_related("order__customer")]


@step
def left_join():
    """Django has no condition on a join: the customer is prefetched."""
    orders = Order.objects.filter(within()).order_by("note")
    alive_customers = {one.pk: one.name for one in Customer.objects.filter(within(), pk__in=[one.customer_id for one in orders])}
    return [[one.note, alive_customers.get(one.customer_id)] for one in orders]


@step
def count():
    return Order.objects.filter(within()).count()


@step
def aggregate():
    found = Order.objects.filter(within(), within("customer__")).values("customer_id", "customer__name")
    found = found.annotate(n=Count("*"), total=Sum("total_cents")).filter(n__gt=0).order_by("customer__name")
    return rows(found.values_list("customer__name", "n", "total"))


@step
def scalar_subquery():
    orders = Order.objects.filter(within(), customer=OuterRef("pk")).order_by().values("customer").annotate(n=Count("*")).values("n")
    return rows(Customer.objects.filter(within()).order_by("name").annotate(count=Subquery(orders)).values_list("name", "count"))


@step
def derived_table():
    """The statement that querysets do not have."""
    orders, customers = written("o", kept()), written("c", kept())
    return rows(execute(
        f"""SELECT c.name, spent.total FROM org_customers c JOIN (
            SELECT o.customer_id, sum(o.total_cents) AS total FROM org_orders o WHERE {orders} GROUP BY o.customer_id
        ) spent ON spent.customer_id = c.id WHERE {customers} ORDER BY c.name""",
        [],
    ))


@step
def in_list():
    return skus(Product.objects.filter(within(), pk__in=[row(tail) for tail in ("1a1", "1b1", "1a3")]).order_by("sku"))


@step
def any_array():
    ids = [row(tail) for tail in ("1a1", "1b1", "1a3")]
    found = execute(f"SELECT p.sku FROM org_products p WHERE {written('p', kept())} AND p.id = ANY(%s) ORDER BY p.sku", [ids])
    return [one[0] for one in found]


@step
def exists():
    popular = Item.objects.filter(within(), product=OuterRef("pk"), quantity__gt=1)
    return skus(Product.objects.filter(within(), Exists(popular)).order_by("sku"))


@step
def not_exists():
    drafts = Order.objects.filter(alive(), organization_id=OuterRef("organization_id"), customer=OuterRef("pk"), status="draft")
    return list(Customer.objects.filter(within(), ~Exists(drafts)).values_list("name", flat=True))


@step
def in_subquery():
    ordered = Item.objects.filter(within(), order=row("2a1")).values("product_id")
    return skus(Product.objects.filter(within(), pk__in=ordered).order_by("sku"))


@step
def cte():
    orders, items = written("o", kept()), written("i", kept())
    return rows(execute(
        f"""WITH waiting AS (SELECT o.id, o.note FROM org_orders o WHERE {orders} AND o.status IN ('draft', 'placed')),
                 lines AS (SELECT i.order_id, i.label FROM org_order_items i WHERE {items})
            SELECT waiting.note, lines.label FROM waiting JOIN lines ON lines.order_id = waiting.id ORDER BY lines.label""",
        [],
    ))


@step
def union():
    products, customers = (model.objects.filter(within()).values_list("name", flat=True) for model in (Product, Customer))
    return list(products.union(customers).order_by("name"))


@step
def page():
    return skus(Product.objects.filter(within()).order_by("-price_cents")[1:3])


@step
def keyset():
    after = Q(price_cents__lt=4500) | Q(price_cents=4500, id__lt=row("1a2"))
    return skus(Product.objects.filter(within(), after).order_by("-price_cents", "-id")[:10])


@step
def window():
    place = Window(RowNumber(), order_by=F("price_cents").desc())
    return rows(Product.objects.filter(within()).annotate(place=place).order_by("sku").values_list("sku", "place"))


@step
def search():
    return skus(Product.objects.filter(within(), Q(name__icontains="chi") | Q(stock=0)).order_by("sku"))


@step
def distinct():
    return list(Order.objects.filter(within()).order_by("status").values_list("status", flat=True).distinct())


@step
def json_filter():
    return list(Invoice.objects.filter(within(), terms__pay__days=30).values_list("number", flat=True))


@step
def json_value():
    return Product.objects.filter(within(), sku="ANVIL").values_list("attributes", flat=True)[0]["kilos"]


@step
def timestamps():
    first, last = (datetime(2026, *day, tzinfo=timezone.utc) for day in ((1, 15), (3, 10)))
    found = Invoice.objects.filter(within(), issued_at__gte=first, issued_at__lt=last).order_by("issued_at")
    return rows(found.values_list("number", "issued_at"))


@step
def numeric():
    return rows(Invoice.objects.filter(within(), amount__gt=Decimal("100.25")).order_by("number").values_list("number", "amount"))


@step
def nulls():
    return rows(Invoice.objects.filter(within(), paid_at__isnull=True).order_by("number").values_list("number", "memo"))


@step
def text_array():
    return rows(Invoice.objects.filter(within(), labels__contains=["eu"]).order_by("number").values_list("number", "labels"))


@step
def report():
    opened = Coalesce(Sum("amount", filter=Q(paid_at__isnull=True)), Decimal("0.00"))
    found = Invoice.objects.filter(within()).annotate(month=TruncMonth("issued_at", tzinfo=timezone.utc)).values("month")
    return rows(found.annotate(n=Count("*"), open=opened).order_by("month").values_list("month", "n", "open"))


@step
def shared_table():
    found = Organization.objects.select_related("plan").get(pk=ACME)
    return [found.name, found.plan.code]


@step
def for_update():
    with transaction.atomic():
        return skus(Product.objects.select_for_update().filter(within(), pk=row("1a1")))


@step
def prepared():
    clause = within()
    return [len(Product.objects.filter(clause, sku=sku)) for sku in ["ANVIL", "HAMMER"] * 6]


@step
def pool():
    counts = []
    for name, model in (("customers", Customer), ("orders", Order), ("products", Product)):
        clause = within()
        counts.extend(f"{name} {model.objects.using(f'pool{at}').filter(clause).count()}" for at in range(4))
    return list(dict.fromkeys(counts))


@step
def organization_in_transaction():
    with transaction.atomic(using="unbound"):
        with connections["unbound"].cursor() as cursor:
            cursor.execute("SELECT set_config('app.organization_id', %s, true)", [str(ACME)])
        return skus(Product.objects.using("unbound").filter(within()).order_by("sku"))


@step
def relation_many():
    items = Prefetch("items", Item.objects.filter(within()).order_by("label"))
    orders = Order.objects.filter(within(), customer=row("a1")).order_by("note").prefetch_related(items)
    return [[order.note, [item.label for item in order.items.all()]] for order in orders]


@step
def stream():
    """A cursor of the server (DECLARE, FETCH), two rows at a time."""
    with transaction.atomic():
        found = list(Product.objects.filter(within()).order_by("sku").values_list("sku", flat=True).iterator(chunk_size=2))
    return [found[:2], found[2:]]


@step
def insert():
    lamp = Product.objects.create(organization_id=organization(), sku=fresh("LAMP"), name="Lamp", price_cents=100)
    return list(Product.objects.filter(within(), pk=lamp.pk).values_list("name", flat=True))


@step
def insert_returning():
    rope = Product.objects.create(organization_id=organization(), sku=fresh("ROPE"), name="Rope", price_cents=100)
    return [rope.name, rope.stock]


@step
def insert_batch():
    tags = [Tag(organization_id=organization(), name=fresh(name)) for name in ("red", "green", "blue")]
    return len(Tag.objects.bulk_create(tags))


@step
def upsert():
    """bulk_create(update_conflicts=True) has no WHERE, which soft delete needs."""
    live = "org_products.deleted_at IS NULL" if kept_live() else "true"
    return execute(
        f"""INSERT INTO org_products (id, organization_id, sku, name, price_cents, stock) VALUES (%s, %s, 'ANVIL', 'Anvil', 9900, 1)
            ON CONFLICT (organization_id, sku) DO UPDATE SET name = excluded.name, stock = org_products.stock + excluded.stock
            WHERE {live} RETURNING stock""",
        [new_id(), organization()],
    )[0][0]


@step
def upsert_nothing():
    twin = Product(organization_id=organization(), sku="ANVIL", name="Second anvil", price_cents=1)
    Product.objects.bulk_create([twin], ignore_conflicts=True)
    return Product.objects.filter(within(), pk=twin.pk).count()


@step
def update():
    return Product.objects.filter(within(), sku="CHISEL").update(stock=39, updated_at=Now())


@step
def update_returning():
    found = execute(f"UPDATE org_products p SET price_cents = %s WHERE {written('p', kept())} AND p.id = %s RETURNING p.sku, p.price_cents", [4600, row("1a2")])
    return list(found[0])


@step
def update_from():
    name = Product.objects.filter(within(), pk=OuterRef("product_id")).values("name")
    Item.objects.filter(within(), quantity=2).update(label=Subquery(name))
    return list(Item.objects.filter(within(), quantity=2).values_list("label", flat=True))


@step
def soft_delete():
    gone = Tag.objects.create(organization_id=organization(), name=fresh("gone"))
    changed = Tag.objects.filter(within(), pk=gone.pk).update(deleted_at=Now())
    return [changed, Tag.objects.filter(within(), pk=gone.pk).count()]


@step
def delete_junction():
    execute(
        "INSERT INTO org_product_tags (organization_id, product_id, tag_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [organization(), row("1a3"), row("4a1")],
    )
    of = kept_organization()
    owned = f"l.organization_id = '{of}'" if of else "true"
    return execute(f"DELETE FROM org_product_tags l WHERE {owned} AND l.product_id = %s", [row("1a3")])


@step
def insert_select():
    return execute(
        f"INSERT INTO org_tags (id, organization_id, name) SELECT %s::uuid, p.organization_id, p.name FROM org_products p WHERE {written('p', kept())} AND p.sku = 'ANVIL'",
        [new_id()],
    )


@step
def modifying_cte():
    found = execute(
        f"WITH moved AS (UPDATE org_orders o SET status = 'shipped' WHERE {written('o', kept())} AND o.note = %s RETURNING o.note) SELECT note FROM moved",
        ["first"],
    )
    return [one[0] for one in found]


@step
def transaction_():
    with transaction.atomic():
        alan = Customer.objects.get(within(), name="Alan")
        order = Order.objects.create(organization_id=organization(), customer=alan, status="placed", note="new", total_cents=300)
        Item.objects.bulk_create([
            Item(organization_id=organization(), order=order, product_id=row("1a3"), label=label, quantity=1) for label in ("left", "right")
        ])
        Product.objects.filter(within(), pk=row("1a3")).update(stock=F("stock") - 2)
        return [order.status, Item.objects.filter(within(), order=order).count()]


class Undo(Exception):
    """Rolls a transaction back."""


@step
def rollback():
    name = fresh("lost")
    try:
        with transaction.atomic():
            Tag.objects.create(organization_id=organization(), name=name)
            raise Undo
    except Undo:
        return Tag.objects.filter(within(), name=name).count()


@step
def savepoint():
    names = fresh("kept"), fresh("lost")
    with transaction.atomic():
        Tag.objects.create(organization_id=organization(), name=names[0])
        try:
            with transaction.atomic():
                Tag.objects.create(organization_id=organization(), name=names[1])
                raise Undo
        except Undo:
            pass
        return [Tag.objects.filter(within(), name=name).count() for name in names]


@step
def server_error():
    try:
        Tag.objects.create(id=row("4a1"), organization_id=organization(), name="twin")
    except IntegrityError as error:
        return error.__cause__.sqlstate


def error_of(error):
    if not isinstance(error, Error) or error.__cause__ is None:
        return None
    return error.__cause__.sqlstate, str(error).split("\n")[0]


async def main():
    async def pid():
        return execute("SELECT pg_backend_pid()", [])[0][0]

    import psycopg

    versions = [f"Django {django.__version__}", f"psycopg {psycopg.__version__}"]
    await harness.run(versions, STEPS, pid, error_of)
    connections.close_all()


asyncio.run(main())
