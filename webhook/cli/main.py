"""`evenkeel`: its commands and options. Each command loads what it needs only when it runs, so that help is quick."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from webhook import __version__
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

Files = Annotated[
    list[str],
    typer.Option("--filename", "-f", metavar="PATH", help="Manifests: a file, a folder, or - for standard input."),
]
Catalog = Annotated[
    list[str] | None,
    typer.Option("--catalog", metavar="PATH", help="More manifests, for their Services and Namespaces only."),
]
DefaultNamespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NS", help="Namespace of objects that name none [default: default]."),
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", metavar="FILE", help="The operator's settings, YAML.")]
TemplatesFolder = Annotated[
    Path | None, typer.Option("--templates", metavar="DIR", help="Replaces files of sidecar_templates/.")
]


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


@app.command()
def inject(
    files: Files,
    catalog: Catalog = None,
    namespace: DefaultNamespace = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Inject as if every namespace were labelled evenkeel.dev/inject=enabled.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if a workload that asks for a sidecar cannot have one.")
    ] = False,
    settings: SettingsFile = None,
    templates: TemplatesFolder = None,
) -> int:
    """Write manifests to standard output with the sidecar in every selected workload.

    The same documents in the same order; what is not changed is copied byte for byte. Reasons go to standard
    error. If anything is wrong, nothing is written. Kustomization files in folders are passed over.
    """
    from webhook.cli.inject import run_inject
    from webhook.cli.workloads import load_injector, read_input

    injector = load_injector(settings, templates)
    given = read_input(files, catalog or (), namespace)
    return run_inject(given, injector, Report(), everything=everything, strict=strict)


@app.command()
def config(
    workload: Annotated[str, typer.Argument(metavar="KIND/NAME", help="Such as deploy/web or Pod/client.")],
    files: Files,
    catalog: Catalog = None,
    namespace: DefaultNamespace = None,
    static: Annotated[
        bool, typer.Option("--static", help="One self-contained bootstrap, for `envoy --mode validate`.")
    ] = False,
    output_folder: Annotated[
        Path | None, typer.Option("--output-folder", metavar="DIR", help="Write files there instead of printing.")
    ] = None,
    settings: SettingsFile = None,
    templates: TemplatesFolder = None,
) -> int:
    """Show what Envoy would run for one workload, as if its namespace were labelled."""
    from webhook.cli.config import read_target, run_config
    from webhook.cli.workloads import load_injector, read_input

    target = read_target(workload)
    injector = load_injector(settings, templates)
    given = read_input(files, catalog or (), namespace)
    return run_config(given, injector, Report(), target, static=static, folder=output_folder)


@app.command()
def serve(
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Serving certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
    port: Annotated[int | None, typer.Option(help="For admissions, HTTPS [default: 10250].")] = None,
    catalog: Annotated[
        list[Path] | None, typer.Option("--catalog", metavar="PATH", help="Manifests that hold the Services.")
    ] = None,
    client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer only clients that this CA signed, PEM.")
    ] = None,
    health_port: Annotated[int | None, typer.Option(help="Health and metrics, HTTP [default: 8080].")] = None,
    settings: SettingsFile = None,
    templates: TemplatesFolder = None,
) -> int:
    """Serve the admission webhook until a signal ends it.

    Services are discovered in the cluster, or with --catalog read from files.
    """
    from webhook.compose.cluster import found_out
    from webhook.compose.runner import run
    from webhook.compose.serve import serve as serving
    from webhook.settings import load_settings

    flags = {
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "port": port,
        "catalog": tuple(catalog or ()),
        "client_ca": client_ca,
        "health_port": health_port,
        "templates": templates,
    }
    return run(serving, load_settings(settings, os.environ, flags, found_out()))


@app.command()
def reconcile(
    health_port: Annotated[int | None, typer.Option(help="Health and metrics, HTTP [default: 8080].")] = None,
    settings: SettingsFile = None,
    templates: TemplatesFolder = None,
) -> int:
    """Keep the configuration of running Pods true while Services come, change and go."""
    from webhook.compose.cluster import found_out
    from webhook.compose.reconcile import reconcile as reconciling
    from webhook.compose.runner import run
    from webhook.settings import load_settings

    flags = {"health_port": health_port, "templates": templates}
    return run(reconciling, load_settings(settings, os.environ, flags, found_out()))


@app.command()
def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as one JSON document.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Write the picture of the spread there, SVG.")
    ] = None,
) -> int:
    """Show the whole path on this machine: webhook, admitted Pods, real Envoys, real gRPC."""
    try:
        from webhook.demo.main import run_demo
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "webhook":
            raise
        needs = f"the demo needs the module {error.name}, which is not installed: pip install 'evenkeel[demo]'"
        return _told(Report(), [needs], _PROBLEMS)
    return run_demo(as_json=as_json, picture=picture)
