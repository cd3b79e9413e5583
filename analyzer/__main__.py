"""The `perpscope` command. Exit codes: 0 nothing found, 1 findings, 2 did not run, 130 stopped.

141: whoever read the output had enough of it, as shells say of other tools.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; a known error is one sentence."""
    import click  # noqa: PLC0415  after the interpreter is up, so that Ctrl-C is ours

    from analyzer.cli.app import ReaderGoneError, cli  # noqa: PLC0415
    from analyzer.errors import AnalyzerError  # noqa: PLC0415

    _open_closed_streams()
    try:
        code = cli.main(arguments, standalone_mode=False, prog_name="perpscope")
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as shown:
        shown.show()
        code = 2
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        if arguments is None:
            _stop_at_once()
        code = 130
    except (BrokenPipeError, ReaderGoneError):
        code = _had_enough()
    except AnalyzerError as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    except OSError as error:
        if type(error).__module__ == "builtins" and error.strerror:
            click.echo(f"error: {error.strerror}: check paths, permissions, free space", err=True)
        else:
            _report_bug(is_asked=_asks_for_trace(arguments))
        code = 2
    except Exception:  # noqa: BLE001  a bug must not look like "findings found" (1)
        _report_bug(is_asked=_asks_for_trace(arguments))
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


def _open_closed_streams() -> None:
    """What is written to a stream that the caller closed goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _had_enough() -> int:
    """Nobody reads the rest: let nothing that is still buffered fail at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(nowhere)
    return 141


def _stop_at_once() -> None:
    """End without taking the interpreter apart around threads that may still hang in a request."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(130)


def _asks_for_trace(arguments: Sequence[str] | None) -> bool:
    return "--traceback" in (sys.argv if arguments is None else arguments)


def _report_bug(*, is_asked: bool) -> None:
    """A traceback of ours without the values in it: they may hold what a user keeps secret."""
    import traceback  # noqa: PLC0415

    import click  # noqa: PLC0415

    kind, _, trace = sys.exc_info()
    frames = traceback.extract_tb(trace)
    name = kind.__name__ if kind else "error"
    if is_asked:
        click.echo("".join(traceback.format_list(frames)) + name, err=True)
        return
    last = frames[-1]
    click.echo(
        f"error: perpscope has met a case it does not know ({name} in {last.name}, line "
        f"{last.lineno}): run again with --traceback and report it",
        err=True,
    )


if __name__ == "__main__":
    main()
