"""The `perpscope` command. Exit codes: 0 nothing found, 1 findings, 2 did not run, 130 stopped."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; a known error is one sentence."""
    import click  # noqa: PLC0415  after the interpreter is up, so that Ctrl-C is ours

    from analyzer.cli.app import cli  # noqa: PLC0415
    from analyzer.errors import AnalyzerError  # noqa: PLC0415

    try:
        code = cli.main(arguments, standalone_mode=False, prog_name="perpscope")
    except click.exceptions.NoArgsIsHelpError as shown:
        shown.show()
        code = 2
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except AnalyzerError as error:
        click.echo(f"error: {error}", err=True)
        code = 2
    except Exception:  # noqa: BLE001  a bug must not look like "findings found" (1)
        _report_bug(is_asked="--traceback" in (sys.argv if arguments is None else arguments))
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


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
