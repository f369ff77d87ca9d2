"""What goes wrong with registries."""

from __future__ import annotations

from envlock.errors import FetchError


class RegistryError(FetchError):
    """A registry could not be reached, or did not do what it was asked."""


class MissingError(RegistryError):
    """The registry answered, and it does not have this (404)."""


class DeniedError(RegistryError):
    """The registry wants another login, or lets this one not do it (401, 403)."""


class TransientError(RegistryError):
    """It may work when tried again: the connection broke, or the registry is busy (429, 5xx).

    wait: seconds that the registry asked to be left alone for.
    """

    wait: float | None = None


class RefusedError(RegistryError):
    """The registry understood and said no (4xx); status: its answer."""

    status = 0
