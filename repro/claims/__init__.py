"""The paper's sentences, claim by claim: a statistic, its 95 % interval, and whether the claim holds.

`decide.judge` judges `tables.tables_of` Runs, or `tables.published_tables` of the paper's own numbers; `report.py`
makes it a document. Pure: the standard library alone. docs/claims.md says how a claim is decided.
"""
