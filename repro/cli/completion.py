"""The values that a shell offers after an option. Imports no torch and no numpy: it runs at every TAB."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from repro import artifacts, places, published
from repro.config import params
from repro.errors import ReproError


def offer(values: Callable[[], Iterable[str]] | Iterable[str]) -> Callable[[str], list[str]]:
    """What typer asks for values that begin with what is typed; a function's are looked up when it is asked."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [value for value in (values() if callable(values) else values) if value.startswith(incomplete)]
        except ReproError:  # of a params.yaml or claims.yaml: nothing to offer, and the command itself says why
            return []

    return complete


def profile_names() -> Iterable[str]:
    """Those of the params.yaml in use."""
    return params.load(places.params_file()).profiles


def artifact_names() -> Iterable[str]:
    """All that there are, those of ``$REPRO_ARTIFACTS`` included."""
    return artifacts.IMPLEMENTED


def claim_ids() -> Iterable[str]:
    """Those of the paper_tables/ in use."""
    return [claim.id for claim in published.claims()]
