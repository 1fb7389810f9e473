"""The commands that run, or look at, an installation: `serve`, `reconcile`, `xds`, `check`; and the demo of it all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from webhook.cli.options import Context, Kubeconfig, Output, SettingsFile, TemplatesFolder
from webhook.cli.report import Report

_PROBLEMS = 1


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


def xds(
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Serving certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
    port: Annotated[int | None, typer.Option(help="For sidecars, gRPC over TLS [default: 18000].")] = None,
    health_port: Annotated[int | None, typer.Option(help="Health and metrics, HTTP [default: 8080].")] = None,
    settings: SettingsFile = None,
) -> int:
    """Push endpoints to sidecars, and everything to gRPC clients without one, until a signal ends it."""
    # gRPC's own library would write every broken handshake to standard error, in a format of its own.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from webhook.compose.cluster import found_out
    from webhook.compose.runner import run
    from webhook.compose.xds import xds as pushing
    from webhook.settings import load_settings

    flags = {"tls_cert": tls_cert, "tls_key": tls_key, "sidecar.xds_port": port, "health_port": health_port}
    return run(pushing, load_settings(settings, os.environ, flags, found_out()))


def check(
    before: Annotated[
        bool, typer.Option("--pre", help="Look whether Evenkeel can be installed here, and by you.")
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="For people or for machines.")] = Output.TEXT,
    system_namespace: Annotated[
        str, typer.Option("--system-namespace", metavar="NS", help="Where Evenkeel is installed.")
    ] = "evenkeel-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="Of each single check.")] = 30.0,
    settings: SettingsFile = None,
    templates: TemplatesFolder = None,
) -> int:
    """Check a cluster, and name what is wrong with its remedy.

    Nothing is changed: the Pod at the end is a server-side dry run. The settings are those of the webhook found in
    the cluster, unless --settings or --templates say others. Exit code 1 if anything failed; warnings are no failure.
    """
    from webhook.cli.check import Wish, run_check
    from webhook.kube.api import Api

    wish = Wish(before, output is Output.JSON, system_namespace, settings, templates, timeout)
    return run_check(lambda: Api.connect(kubeconfig, context), wish)


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
        Report().problems([needs])
        return _PROBLEMS
    return run_demo(as_json=as_json, picture=picture)
