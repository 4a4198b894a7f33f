"""`repro claims` and `repro report`: judge claims, write page and README."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from repro import files, published
from repro.artifacts import Artifact
from repro.claims import decide
from repro.claims import report as claims_report
from repro.claims.tables import SeedTable, published_tables, tables_of
from repro.commands import hypotheses, priorities, results
from repro.config.recipe import CIFAR_ARCHS, IMAGENET_ARCHS
from repro.errors import UsageError
from repro.experiments import paper_epochs
from repro.options import Options
from repro.plan import cost
from repro.report import claims_table, document, metrics, terminal
from repro.report.document import Document
from repro.report.page import claims_markdown, page, readme
from repro.workspace import Workspace, reading

Verdicts = dict[str, Any]


def show_claims(options: Options, ids: Sequence[str] = (), *, of_published: bool, as_json: bool) -> None:
    """Judge all claims by finished Runs, or by the paper's own numbers alone, and print them; if ``ids`` are
    given, only these, in detail. Raises `UsageError` for an unknown id."""
    known = [claim.id for claim in published.claims()]
    for name in ids:
        if name not in known:
            close = difflib.get_close_matches(name, known)
            hint = f"did you mean {' or '.join(close)}?" if close else "`repro claims --json` lists all"
            raise UsageError(f"there is no claim '{name}'; {hint}")
    found = published_claims(Workspace(options)) if of_published else decided(reading(options))
    if ids:
        chosen = [claim for claim in found["claims"] if claim["id"] in ids]
        verdicts = [claim["verdict"] for claim in chosen]
        counts = {verdict: verdicts.count(verdict) for verdict in found["counts"]}
        found |= {"counts": counts, "claims": chosen, "contradictions": [], "untested": []}
    if as_json:
        print(json.dumps(found))
        return
    out = terminal.console()
    out.print(claims_table.table(found))
    for line in claims_table.lines(found, options.overrides, in_detail=bool(ids)):
        out.print(line, markup=False)


def report(options: Options, as_json: bool) -> None:
    """Write and print what `write_report` does."""
    write_report(reading(options), as_json)


def write_report(work: Workspace, as_json: bool = False) -> list[Document]:
    """Write ``index.html``, ``README.md`` and the JSON that they are made from; first bring all artifacts up to
    date, and return their documents. Print what was written, ``as_json`` as one JSON object."""
    files.check_lockable(work.out)
    documents = [_up_to_date(work, artifact) for artifact in work.artifacts]
    found, others = decided(work), hypotheses.around(work)
    values = {"claims.json": found, "diff.json": results.compared(work, documents), "hypotheses.json": others}
    written = {
        "index.html": page(documents, found, published_claims(work), others),
        "README.md": readme(documents, found, others),
        "claims.md": claims_markdown(found),
        **{name: json.dumps(value, indent=1) + "\n" for name, value in values.items() if value},
    }
    for name, text in written.items():
        files.write_text(work.out / name, text)
    metrics.put(work.out / metrics.FOLDER / "claims.json", metrics.of_claims(found["counts"]))
    if as_json:
        summary = {
            "profile": work.settings.name,
            "written": [str(work.out / name) for name in written],
            "artifacts": {made.artifact: str(work.out / f"{made.artifact}.json") for made in documents},
            "claims": found["counts"],
        }
        print(json.dumps(summary))
    else:
        print(f"written: {work.out / 'index.html'}, {', '.join([*written][1:])} beside it")
    return documents


def decided(work: Workspace) -> Verdicts:
    """Return the claims' document from all Runs and seeds in the store."""
    tables = tables_of(work.study, work.results(), work.all_seeds)
    found = decide.judge(tables, work.settings.profile.replicate_sd)
    return claims_report.document(
        found,
        profile=work.settings.name,
        comparable=work.study.comparable,
        source="runs",
        seeds=work.all_seeds,
        waits=_waits(work, tables, [j.claim.id for j in found if j.verdict == decide.NOT_RUN]),
        schedules=[
            (images, paper_epochs(arch), work.study.schedule_of(arch))
            for images, arch in (("CIFAR-10", CIFAR_ARCHS[0]), ("ImageNet", IMAGENET_ARCHS[0]))
        ],
    )


def _waits(work: Workspace, tables: Sequence[SeedTable], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """For each claim that a part of a sprint completes, return that part, and Runs and images until its end.

    Assumes that all images and checkpoints exist and no Run is unfinished, so that results rendered on another
    machine are the same."""
    found: dict[str, dict[str, Any]] = {}
    if not ids:
        return found
    everywhere = work.changed(without=()) if work.options.without else work
    parts = priorities.parts(everywhere, anywhere=True)
    runs = images = 0
    completed = priorities.decided(everywhere, parts.values(), tables, ids)
    for (part, of_part), names in zip(parts.items(), completed, strict=True):
        price = cost(of_part)
        runs, images = runs + price.runs, images + price.images
        found |= {name: {"part": part, "runs": runs, "images": images} for name in names}
    return found


def published_claims(work: Workspace) -> Verdicts:
    """Return the claims' document from the paper's own numbers, as if they were one seed's results."""
    found = decide.judge([published_tables()], work.settings.published_sd)
    return claims_report.document(found, profile="published", comparable=True, source="published", seeds=[0])


def _up_to_date(work: Workspace, artifact: Artifact) -> Document:
    """Return the artifact's document; write its files if one is missing or has another content."""
    made = work.render(artifact, write=False)
    path, picture = (work.out / f"{artifact.name}.{kind}" for kind in ("json", "png"))
    if not path.exists() or not picture.exists() or path.read_text() != document.as_json(made):
        document.write(made, work.out)
    metrics.write(made, work.out)
    return made
