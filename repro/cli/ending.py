"""End of a command: an error is one line on stderr, ``--json`` one value on stdout, and each has an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

try:
    from typer.exceptions import TyperException
except ImportError:  # an older typer raises those of click
    from click import ClickException as TyperException  # type: ignore[assignment]

from repro import files
from repro.errors import INTERRUPTED, NOBODY_READS, Interrupted, MissingInput, ReproError, UsageError
from repro.options import Placed, placed

_OUTPUT_GONE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)


def run(command: Callable[[], int | None], words: Sequence[str]) -> NoReturn:
    """Run ``command`` on the command line's ``words``, and end this process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # printing never fails, whatever the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    as_json, printed = "--json" in words, io.StringIO()

    def work() -> int | None:
        if sys.stdout is None:
            raise MissingInput("stdout is closed: redirect it, to /dev/null for instance")
        placed()
        with contextlib.redirect_stdout(printed) if as_json else contextlib.nullcontext():
            code = command()
        sys.stdout.flush()
        return code

    code, error = _outcome(work)
    try:
        place = placed()
    except UsageError:  # this is the error
        place = Placed()
    if as_json:
        failed = {"error": error, "exit_code": code} if error and place.rank == 0 else {}
        before, answer = one_value(printed.getvalue(), failed)
        sys.stderr.write(before)
        writing = _outcome(lambda: print(answer, end="", flush=True)) if sys.stdout else (0, "")
        code, error = writing if writing[0] else (code, error)
    _leave(code, error, place)


def _outcome(work: Callable[[], int | None]) -> tuple[int, str]:
    """Return the exit code of ``work`` and its error message, empty if there is none."""
    try:
        return work() or 0, ""
    except ReproError as error:
        return error.exit_code, " ".join(str(error).split())
    except TyperException as error:  # about the command line; empty if help was shown instead
        message, context = " ".join(error.format_message().split()), getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context and message else ""
        return error.exit_code, message.rstrip(".") + hint
    except SystemExit as error:  # rich and typer exit with 1 if the reader closed the pipe
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        _forget_stdout()
        return NOBODY_READS, ""
    except Interrupted:
        return INTERRUPTED, "interrupted; run the same command again to resume"
    except OSError as error:
        if error.filename is not None:
            return MissingInput.exit_code, f"{error.filename}: {error.strerror}"
        if error.errno not in _OUTPUT_GONE:
            raise
        _forget_stdout()
        if error.errno == errno.EPIPE:
            return NOBODY_READS, ""
        return MissingInput.exit_code, f"stdout cannot be written: {error.strerror}"


def one_value(printed: str, failed: dict[str, Any]) -> tuple[str, str]:
    """Split what a command printed into the text before its JSON, and the JSON with ``failed`` added.

    A user's modules may print anything; the command's own value comes last."""
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


def _forget_stdout() -> None:
    """Discard pending output: Python would try again at exit, and fail again."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _leave(code: int, error: str, place: Placed) -> NoReturn:
    """Print ``error`` in one line, unless rank 0 prints it, and exit with ``code``. A rank exits at once: closing
    its connections within a Run could block for ever."""
    with contextlib.suppress(OSError, AttributeError):  # stderr may be full, or closed
        if error and place.rank == 0:
            print(f"repro: {error}", file=sys.stderr)
        elif error and code == UsageError.exit_code:  # rank 0 says it, before torchrun ends it because of this one
            time.sleep(2)
        elif error and code != INTERRUPTED:
            print(f"repro, rank {place.rank}: {error}", file=sys.stderr)
    if place.ranks > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
