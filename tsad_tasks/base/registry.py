"""Variants of one concept by name: those of a folder's files, and those that a caller registers."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Generic, TypeVar

from tsad_tasks.base.errors import BadInput

Variant = TypeVar("Variant")


class Registry(Generic[Variant]):
    """Detectors, sources, channels or rules by name.

    Each file of `packages` registers its own when it is imported, which happens at the first look
    for a name: the file of that name alone where it registers it, else all of them. So such a file
    imports at its top nothing that is slow to load.

    Parameters
    ----------
    what : the concept's name, for messages.
    packages : folders, as dotted names, whose files hold variants.

    >>> greetings = Registry[str]("greeting")
    >>> greetings.register("plain")("hello")
    'hello'
    >>> greetings["plain"], list(greetings)
    ('hello', ['plain'])
    >>> greetings["loud"]
    Traceback (most recent call last):
    tsad_tasks.base.errors.BadInput: Expected a greeting: plain. Received: loud.
    """

    def __init__(self, what: str, *packages: str) -> None:
        self._what = what
        self._packages = list(packages)
        self._variants: dict[str, Variant] = {}
        self._asked: set[object] = set()

    def register(self, name: str) -> Callable[[Variant], Variant]:
        """A decorator, or plain call, that gives a variant its name; a known one is `BadInput`."""

        def named(variant: Variant) -> Variant:
            if name in self._variants:
                raise BadInput(f"Expected a new name of a {self._what}. Received: {name}, known.")
            self._variants[name] = variant
            return variant

        return named

    def __getitem__(self, name: str) -> Variant:
        if name not in self:
            raise BadInput(f"Expected a {self._what}: {', '.join(self)}. Received: {name}.")
        return self._variants[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._asked:
            self._asked.add(name)
            self._import_named(name)
        return name in self._variants or name in self._found()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._found()))

    def _import_named(self, name: object) -> None:
        for package in map(import_module, self._packages):
            for module in pkgutil.iter_modules(package.__path__):
                if module.name == name and not module.ispkg:
                    import_module(f"{package.__name__}.{module.name}")

    def _found(self) -> dict[str, Variant]:
        while self._packages:
            package = import_module(self._packages.pop())
            for module in pkgutil.iter_modules(package.__path__):
                if not module.ispkg:
                    import_module(f"{package.__name__}.{module.name}")
        return self._variants
