"""How a command ends: an error is one line on stderr, ``--json`` one value on stdout; each has an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from typer.exceptions import TyperException

from repro import files
from repro.errors import Interrupted, MissingInput, NobodyReads, ReproError, UsageError
from repro.options import placed, ranked

_OUTPUT_GONE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)


@dataclass
class Asked:
    """Whether the command line has ``--json``: as far as its words say, then as they are understood."""

    json: bool


def run(command: Callable[[Asked], int | None], words: Sequence[str]) -> NoReturn:
    """Run ``command``, whose command line has ``words``, and end this process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the terminal's encoding, printing never fails
            stream.reconfigure(errors="backslashreplace")
    asked, printed = Asked("--json" in words), io.StringIO()

    def work() -> int | None:
        if sys.stdout is None:
            raise MissingInput("stdout is closed: redirect it, to /dev/null for instance")
        placed()
        kept = contextlib.redirect_stdout(printed) if asked.json else contextlib.nullcontext()
        with kept:
            code = command(asked)
        sys.stdout.flush()
        return code

    code, error = _outcome(work)
    if printed.getvalue() or asked.json:
        failed = {"error": error, "exit_code": code} if error and asked.json else {}
        before, answer = one_value(printed.getvalue(), failed)
        sys.stderr.write(before)
        unsaid = _outcome(lambda: print(answer, end="", flush=True)) if sys.stdout else (0, "")
        code, error = unsaid if unsaid[0] else (code, error)
    _say(code, error)
    _leave(code)


def _outcome(work: Callable[[], int | None]) -> tuple[int, str]:
    """The exit code of ``work`` and what is to be said, nothing where it went well."""
    try:
        return work() or 0, ""
    except ReproError as error:
        return error.exit_code, " ".join(str(error).split())
    except TyperException as error:  # of the words on the command line; empty where its help was shown instead
        said, place = " ".join(error.format_message().split()), getattr(error, "ctx", None)
        see = f"; `{place.command_path} --help` says more" if place and said else ""
        return error.exit_code, said.rstrip(".") + see
    except SystemExit as error:  # rich and typer end with 1 where nobody reads
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        _forget_stdout()
        return NobodyReads.exit_code, ""
    except Interrupted:
        return 130, "interrupted; run the same command again to resume"
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_GONE:
            return MissingInput.exit_code, str(files.of_the_site(error))
        _forget_stdout()
        if error.errno == errno.EPIPE:
            return NobodyReads.exit_code, ""
        return MissingInput.exit_code, f"stdout cannot be written: {error.strerror}"


def one_value(printed: str, failed: dict[str, Any]) -> tuple[str, str]:
    """What a command printed, as what came before its JSON and the JSON, to which ``failed`` is added.

    Modules of the user's own may print what they like; the command's own value comes last."""
    starts = [0, *(at + 1 for at, character in enumerate(printed) if character == "\n")]
    for start in starts if printed.strip() else []:
        try:
            value = files.parse_json(printed[start:])
        except ValueError:
            continue
        if not failed:
            return printed[:start], printed[start:]
        return printed[:start], json.dumps(value | failed if isinstance(value, dict) else failed) + "\n"
    return (printed, json.dumps(failed) + "\n") if failed else ("", printed)


def _say(code: int, error: str) -> None:
    """``error`` in one line, by rank 0; by another only what rank 0 may not know."""
    if not error:
        return
    try:
        rank = placed().rank
    except UsageError:  # which is what is to be said
        rank = 0
    with contextlib.suppress(OSError, AttributeError):  # stderr may be full, or closed
        if rank == 0:
            print(f"repro: {error}", file=sys.stderr)
        elif code == UsageError.exit_code:  # rank 0 says the same, before torchrun ends it on account of this one
            time.sleep(2)
        elif code != 130:
            print(f"repro, rank {rank}: {error}", file=sys.stderr)


def _forget_stdout() -> None:
    """What is still to be written there goes nowhere: Python would try, and fail, once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _leave(code: int) -> NoReturn:
    """End with ``code``. A rank ends at once: torn down in the middle of a Run, its connections to the others may
    wait for them for ever."""
    with contextlib.suppress(UsageError):
        if ranked():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)
