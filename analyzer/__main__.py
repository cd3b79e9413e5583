"""The `perpscope` command. Exit codes: 0 nothing found, 1 findings, 2 did not run, 130 stopped.

141: whoever read the output had enough of it, as shells say of other tools.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from traceback import extract_tb, format_list


def main(arguments: Sequence[str] | None = None, now: datetime | None = None) -> None:
    """Run the command line and exit with its code; a known error is one sentence.

    ``now`` is the time of the run, for whoever fixes it: the machine's clock unless given.
    """
    _open_closed_streams()
    try:
        code = _run(arguments, now)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        if arguments is None:
            _stop_at_once()
        code = 130
    except Exception:  # noqa: BLE001  a bug must not look like "findings found" (1)
        _report_bug(is_asked="--traceback" in (sys.argv if arguments is None else arguments))
        code = 2
    sys.exit(code)


def _run(arguments: Sequence[str] | None, now: datetime | None) -> int:
    """The code of a run that met no bug; modules are imported where Ctrl-C is ours already."""
    import click  # noqa: PLC0415

    from analyzer.cli.app import ReaderGoneError, cli  # noqa: PLC0415
    from analyzer.errors import AnalyzerError  # noqa: PLC0415

    try:
        code = cli.main(arguments, standalone_mode=False, prog_name="perpscope", obj=now)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as shown:
        shown.show()
    except click.ClickException as error:
        error.show()
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except (BrokenPipeError, ReaderGoneError):
        return _had_enough()
    except AnalyzerError as error:
        click.echo(f"error: {error}", err=True)
    except OSError as error:
        if type(error).__module__ != "builtins" or not error.strerror:
            raise
        click.echo(f"error: {error.strerror}: check paths, permissions, free space", err=True)
    else:
        return code if isinstance(code, int) else 0
    return 2


def _open_closed_streams() -> None:
    """What is written to a stream that the caller closed goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(_nowhere(), "w", encoding="utf-8"))


def _had_enough() -> int:
    """Nobody reads the rest: let nothing that is still buffered fail at exit."""
    nowhere = _nowhere()
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(nowhere)
    return 141


def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)


def _stop_at_once() -> None:
    """End without taking the interpreter apart around threads that may still hang in a request."""
    with suppress(OSError, ValueError):  # nobody reads it any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(130)


def _report_bug(*, is_asked: bool) -> None:
    """A traceback of ours without the values in it: they may hold what a user keeps secret."""
    kind, error, trace = sys.exc_info()
    frames = extract_tb(trace)
    name = kind.__name__ if kind else "error"
    if is_asked:
        notes = getattr(error, "__notes__", [])  # those of another process of ours
        sys.stderr.write("\n".join(["".join(format_list(frames)) + name, *notes, ""]))
        return
    last = frames[-1]
    sys.stderr.write(
        f"error: perpscope has met a case it does not know ({name} in {last.name}, line "
        f"{last.lineno}): run again with --traceback and report it\n"
    )


if __name__ == "__main__":
    main()
