"""A Django program whose models know neither organization nor soft delete."""

import os

import django
from django.conf import settings
from django.db import models, transaction

from steps import URL, TENANT, foreign, new, own, run

server = URL.removeprefix("postgres://")
user, address = server.split("@")
place, database = address.split("/")
host, port = place.split(":")
settings.configure(
    USE_TZ=True,
    INSTALLED_APPS=["shop_app.Shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database,
            "USER": user,
            "HOST": host,
            "PORT": port,
            "OPTIONS": {
                "options": f"-c app.organization_id={TENANT}",
                # Django's other way to run a statement: parameters bound by the server.
                "server_side_binding": os.environ.get("FORM") == "bound",
            },
        }
    },
)
django.setup()

from django.db.models import Avg, Case, Count, Exists, F, OuterRef, Prefetch, Q, Subquery, Sum, Value, When, Window  # noqa: E402
from django.db.models.functions import Coalesce, RowNumber, Upper  # noqa: E402
from django.db.utils import DatabaseError  # noqa: E402


class Shop(models.Model):
    class Meta:
        abstract = True
        app_label = "shop"


class Customer(Shop):
    id = models.UUIDField(primary_key=True)
    name = models.TextField()
    email = models.TextField()

    class Meta(Shop.Meta):
        db_table = "org_customers"


class Product(Shop):
    id = models.UUIDField(primary_key=True)
    sku = models.TextField()
    name = models.TextField()
    price_cents = models.IntegerField()
    stock = models.IntegerField(default=0)
    attributes = models.JSONField(default=dict)

    class Meta(Shop.Meta):
        db_table = "org_products"


class Order(Shop):
    id = models.UUIDField(primary_key=True)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
    note = models.TextField()
    total_cents = models.IntegerField()

    class Meta(Shop.Meta):
        db_table = "org_orders"


class Item(Shop):
    id = models.UUIDField(primary_key=True)
    order = models.ForeignKey(Order, models.CASCADE, related_name="items")
    product = models.ForeignKey(Product, models.PROTECT, related_name="items")
    label = models.TextField()
    quantity = models.IntegerField()

    class Meta(Shop.Meta):
        db_table = "org_order_items"


class Tag(Shop):
    id = models.UUIDField(primary_key=True)
    name = models.TextField()
    products = models.ManyToManyField(Product, through="ProductTag", related_name="tags")

    class Meta(Shop.Meta):
        db_table = "org_tags"


class ProductTag(Shop):
    pk = models.CompositePrimaryKey("product_id", "tag_id")
    product = models.ForeignKey(Product, models.CASCADE)
    tag = models.ForeignKey(Tag, models.CASCADE)

    class Meta(Shop.Meta):
        db_table = "org_product_tags"


STEPS = []


def step(function):
    STEPS.append(function)
    return function


@step
def every_product():
    return [(p.sku, p.name, p.price_cents, p.stock, p.attributes) for p in Product.objects.order_by("sku")]


@step
def one_by_key():
    return Product.objects.get(pk=own(1, 1)).name


@step
def one_of_another_tenant():
    return Product.objects.get(pk=foreign(1, 1)).name


@step
def first_and_last():
    return [Product.objects.order_by("sku").first().sku, Product.objects.order_by("sku").last().sku]


@step
def create():
    return Product.objects.create(id=new(1), sku="LAMP", name="Lamp", price_cents=700, stock=2).sku


@step
def save_what_is_not_there():
    """With a key of its own Django updates first, and inserts if no row was changed."""
    Tag(id=new(2), name="bright").save()
    return list(Tag.objects.order_by("name").values_list("name", flat=True))


@step
def save():
    lamp = Product.objects.get(sku="LAMP")
    lamp.stock += 5
    lamp.attributes = {"volts": 230}
    lamp.save()
    lamp.name = "Desk lamp"
    lamp.save(update_fields=["name"])
    lamp.refresh_from_db()
    return [lamp.name, lamp.stock, lamp.attributes]


@step
def save_over_a_foreign_row():
    """The key belongs to the other tenant: nothing is updated, and the insert meets its key."""
    with transaction.atomic():
        Tag(id=foreign(4, 1), name="mine now").save()


@step
def update_a_foreign_row():
    return Product.objects.filter(pk=foreign(1, 1)).update(stock=0)


@step
def delete_a_foreign_row():
    return Product.objects.filter(pk=foreign(1, 2)).delete()


@step
def update_all():
    return Product.objects.update(stock=F("stock") + 1)


@step
def update_by_subquery():
    popular = Item.objects.values("product_id")
    return Product.objects.filter(pk__in=popular).update(price_cents=F("price_cents") + 10)


@step
def bulk_create():
    Product.objects.bulk_create(
        [Product(id=new(10 + at), sku=f"BOX{at}", name=f"Box {at}", price_cents=100 * at, stock=at) for at in range(5)]
    )
    return Product.objects.filter(sku__startswith="BOX").count()


@step
def bulk_update():
    boxes = list(Product.objects.filter(sku__startswith="BOX").order_by("sku"))
    for at, box in enumerate(boxes):
        box.stock = 100 + at
        box.name = f"Crate {at}"
    changed = Product.objects.bulk_update(boxes, ["stock", "name"])
    return [changed, list(Product.objects.filter(sku__startswith="BOX").order_by("sku").values_list("name", "stock"))]


@step
def upsert():
    Tag.objects.bulk_create(
        [Tag(id=new(2), name="brighter"), Tag(id=new(3), name="dim")],
        update_conflicts=True, unique_fields=["id"], update_fields=["name"],
    )
    return list(Tag.objects.order_by("name").values_list("name", flat=True))


@step
def ignore_conflicts():
    Tag.objects.bulk_create([Tag(id=new(3), name="dimmer"), Tag(id=new(4), name="warm")], ignore_conflicts=True)
    return list(Tag.objects.order_by("name").values_list("name", flat=True))


@step
def get_or_create():
    found, made = Customer.objects.get_or_create(email="new@example.test", defaults={"id": new(20), "name": "Nora"})
    again, made_again = Customer.objects.get_or_create(email="new@example.test", defaults={"id": new(21), "name": "Nobody"})
    return [found.name, made, again.name, made_again]


@step
def update_or_create():
    found, made = Customer.objects.update_or_create(email="new@example.test", defaults={"name": "Nora B."})
    return [found.name, made]


@step
def related_insert():
    nora = Customer.objects.get(email="new@example.test")
    order = nora.orders.create(id=new(30), note="for Nora", total_cents=1400)
    lamp = Product.objects.get(sku="LAMP")
    order.items.create(id=new(31), product=lamp, label="two lamps", quantity=2)
    order.items.create(id=new(32), product=lamp, label="one lamp", quantity=1)
    return [order.items.count(), nora.orders.exists()]


@step
def select_related():
    return [(o.note, o.customer.name) for o in Order.objects.select_related("customer").order_by("note")]


@step
def select_related_twice():
    found = Item.objects.select_related("order__customer", "product").order_by("label")
    return [(i.label, i.order.note, i.order.customer.name, i.product.name) for i in found]


@step
def lazy():
    told = []
    for order in Order.objects.order_by("note"):
        try:
            told.append((order.note, order.customer.name))
        except Customer.DoesNotExist:
            told.append((order.note, None))
    return told


@step
def prefetch_related():
    found = Customer.objects.order_by("name").prefetch_related(
        Prefetch("orders", Order.objects.order_by("note")), "orders__items__product"
    )
    return [
        (c.name, [(o.note, sorted((i.label, i.product_id) for i in o.items.all())) for o in c.orders.all()]) for c in found
    ]


@step
def many_to_many():
    lamp = Product.objects.get(sku="LAMP")
    lamp.tags.add(Tag.objects.get(pk=new(2)), Tag.objects.get(pk=new(3)))
    before = list(lamp.tags.order_by("name").values_list("name", flat=True))
    lamp.tags.remove(Tag.objects.get(pk=new(3)))
    return [before, list(lamp.tags.values_list("name", flat=True)), [(p.sku, [t.name for t in p.tags.all()]) for p in Product.objects.order_by("sku").prefetch_related("tags")]]


@step
def annotate():
    found = Customer.objects.annotate(count=Count("orders"), spent=Coalesce(Sum("orders__total_cents"), 0)).order_by("name")
    return [(c.name, c.count, c.spent) for c in found]


@step
def annotate_two_steps():
    found = Customer.objects.annotate(
        items=Count("orders__items", distinct=True, filter=Q(orders__items__quantity__gt=0))
    ).filter(items__gt=0).order_by("name")
    return list(found.values_list("name", "items"))


@step
def group_by():
    return list(Item.objects.values("product__name").annotate(sold=Sum("quantity")).order_by("product__name"))


@step
def aggregate():
    return Order.objects.aggregate(orders=Count("pk"), total=Sum("total_cents"), mean=Avg("total_cents"))


@step
def count_and_exists():
    return [Order.objects.count(), Product.objects.filter(stock=0).exists(), Tag.objects.filter(name="heavy").exists()]


@step
def filter_across():
    return list(Customer.objects.filter(orders__items__product__sku="LAMP").distinct().values_list("name", flat=True))


@step
def exclude_across():
    return list(Customer.objects.exclude(orders__items__quantity__gt=1).order_by("name").values_list("name", flat=True))


@step
def either():
    found = Product.objects.filter(Q(stock=0) | Q(price_cents__gt=1000) | ~Q(items=None)).distinct().order_by("sku")
    return list(found.values_list("sku", flat=True))


@step
def exists_subquery():
    found = Customer.objects.annotate(busy=Exists(Order.objects.filter(customer=OuterRef("pk")))).order_by("name")
    return list(found.values_list("name", "busy"))


@step
def not_exists():
    found = Product.objects.filter(~Exists(Item.objects.filter(product=OuterRef("pk")))).order_by("sku")
    return list(found.values_list("sku", flat=True))


@step
def scalar_subquery():
    latest = Order.objects.filter(customer=OuterRef("pk")).order_by("-note").values("note")[:1]
    return list(Customer.objects.annotate(latest=Subquery(latest)).order_by("name").values_list("name", "latest"))


@step
def window():
    found = Product.objects.annotate(place=Window(RowNumber(), order_by=F("price_cents").desc())).order_by("sku")
    return list(found.values_list("sku", "place"))


@step
def filter_over_window():
    found = Product.objects.annotate(place=Window(RowNumber(), order_by=[F("price_cents").desc(), F("sku")])).filter(place__lte=3)
    return sorted(found.values_list("sku", "place"))


@step
def union():
    names = Product.objects.values_list("name").union(Customer.objects.values_list("name"), Tag.objects.values_list("name"))
    return sorted(names)


@step
def difference():
    return sorted(Product.objects.values_list("sku").difference(Product.objects.filter(stock__gt=50).values_list("sku")))


@step
def conditional():
    found = Product.objects.annotate(size=Case(When(stock__gt=50, then=Value("many")), default=Value("few")), loud=Upper("name"))
    return list(found.order_by("sku").values_list("size", "loud"))


@step
def json_key():
    return list(Product.objects.filter(attributes__volts=230).values_list("sku", flat=True))


@step
def pages():
    return [list(Product.objects.order_by("sku").values_list("sku", flat=True)[at:at + 3]) for at in (0, 3, 6)]


@step
def in_bulk():
    return sorted(p.sku for p in Product.objects.in_bulk([own(1, 1), own(1, 2), foreign(1, 1), new(1)]).values())


@step
def iterator():
    """A cursor of the server, inside and outside of a transaction."""
    outside = [p.sku for p in Product.objects.order_by("sku").iterator(chunk_size=2)]
    with transaction.atomic():
        inside = [p.sku for p in Product.objects.order_by("sku").iterator(chunk_size=2)]
    return [outside, inside]


@step
def select_for_update():
    with transaction.atomic():
        locked = Product.objects.select_for_update().get(sku="LAMP")
        locked.stock -= 1
        locked.save()
        joined = Order.objects.select_related("customer").select_for_update(of=("self",)).order_by("note")
        return [locked.stock, [o.note for o in joined]]


@step
def savepoints():
    with transaction.atomic():
        Tag.objects.create(id=new(40), name="kept")
        try:
            with transaction.atomic():
                Tag.objects.create(id=new(41), name="lost")
                raise LookupError
        except LookupError:
            pass
    return list(Tag.objects.filter(name__in=["kept", "lost"]).values_list("name", flat=True))


@step
def raw():
    return [(o.note, o.who) for o in Order.objects.raw(
        "SELECT o.*, c.name AS who FROM org_orders o LEFT JOIN org_customers c ON c.id = o.customer_id ORDER BY o.note"
    )]


@step
def cursor():
    from django.db import connection

    with connection.cursor() as opened:
        opened.execute("SELECT count(*), max(price_cents) FROM org_products WHERE stock > %s", [0])
        return opened.fetchall()


@step
def delete_queryset():
    """Related rows are looked for and deleted first."""
    return Customer.objects.filter(email="new@example.test").delete()


@step
def delete():
    lamp = Product.objects.get(sku="LAMP")
    told = lamp.delete()
    return [told, Product.objects.filter(sku="LAMP").exists()]


@step
def delete_many():
    return [Product.objects.filter(sku__startswith="BOX").delete(), Tag.objects.exclude(name="heavy").delete()]


@step
def what_is_left():
    return [Product.objects.count(), Order.objects.count(), Item.objects.count(), Tag.objects.count(), ProductTag.objects.count()]


def sqlstate(error):
    return getattr(error.__cause__, "sqlstate", None) if isinstance(error, DatabaseError) else None


run(STEPS, sqlstate)
