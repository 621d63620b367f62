"""Django wants an application for the models of with_django.py: without one it sees no reverse relations."""

from django.apps import AppConfig


class Shop(AppConfig):
    name = "shop_app"
    label = "shop"
