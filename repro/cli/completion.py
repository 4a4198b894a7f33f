"""Values for shell completion. Imports neither torch nor numpy, since it runs at every TAB."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from repro import artifacts, places, published
from repro.config import params
from repro.errors import ReproError


def offer(values: Callable[[], Iterable[str]] | Iterable[str]) -> Callable[[str], list[str]]:
    """Return a function for typer that lists the ``values`` (or those that a function returns) with a prefix."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [value for value in (values() if callable(values) else values) if value.startswith(incomplete)]
        except ReproError:  # from params.yaml or claims.yaml: the command itself reports it
            return []

    return complete


def profile_names() -> Iterable[str]:
    """Return the profiles of the params.yaml in use."""
    return params.load(places.params_file()).profiles


def artifact_names() -> Iterable[str]:
    """Return all artifacts, including those of ``$REPRO_ARTIFACTS``."""
    return artifacts.IMPLEMENTED


def claim_ids() -> Iterable[str]:
    """Return the claims of the paper_tables/ in use."""
    return [claim.id for claim in published.claims()]
