"""`evenkeel`: its commands and options. Each command loads what it needs only when it runs, so that help is quick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from webhook import __version__
from webhook.cli import on_clusters, on_manifests
from webhook.cli.report import Report
from webhook.core.errors import EvenkeelError, ManifestError, SettingsError

_DONE, _PROBLEMS, _USAGE, _INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="evenkeel",
    help="Even load on every gRPC backend: gives Pods an Envoy sidecar that balances headless Services.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code: 0 done, 1 problems found, 2 usage or settings."""
    report = Report()
    try:
        code = app(args=arguments, prog_name="evenkeel", standalone_mode=False)
    except SettingsError as error:
        return _told(report, error.problems, _USAGE)
    except ManifestError as error:
        return _told(report, error.problems, _PROBLEMS)
    except EvenkeelError as error:
        return _told(report, [str(error)], _PROBLEMS)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a wrong call is told, all else is raised again
        return _usage(error, report)
    return code if isinstance(code, int) else _DONE


def _told(report: Report, problems: Sequence[str], code: int) -> int:
    report.problems(problems)
    return code


def _usage(error: Exception, report: Report) -> int:
    """Tell a wrong call; anything else is a bug and passes."""
    told: Callable[[], str] | None = getattr(error, "format_message", None)
    if told is None:
        raise error
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "evenkeel"
    report.problems([told(), f"try `{command} --help`"])
    return int(getattr(error, "exit_code", _USAGE))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evenkeel {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _evenkeel(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None and not version:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(_USAGE)


for command in (
    on_manifests.inject,
    on_manifests.eject,
    on_manifests.config,
    on_manifests.explain,
    on_clusters.check,
    on_clusters.serve,
    on_clusters.reconcile,
    on_clusters.xds,
    on_clusters.demo,
):
    app.command()(command)
