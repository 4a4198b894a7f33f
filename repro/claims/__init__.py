"""The paper's sentences, claim by claim: a statistic, its 95 % interval, and whether the claim holds.

``judge(tables_of(study, results, seeds), noise)`` judges Runs, ``judge([published_tables()], noise)`` the paper's
own numbers. Pure: the standard library alone. docs/claims.md says how a claim is decided.
"""

from repro.claims.decide import (
    FAILS,
    HOLDS,
    NOT_COMPARABLE,
    NOT_RUN,
    UNDECIDED,
    UNPUBLISHED,
    VERDICTS,
    Judgement,
    judge,
    wanted,
)  # fmt: skip
from repro.claims.report import document
from repro.claims.tables import SeedTable, Setting, made_anew, published_tables, tables_of

__all__ = [
    "FAILS", "HOLDS", "NOT_COMPARABLE", "NOT_RUN", "UNDECIDED", "UNPUBLISHED", "VERDICTS", "Judgement",
    "SeedTable", "Setting", "document", "judge", "made_anew", "published_tables", "tables_of", "wanted",
]  # fmt: skip
