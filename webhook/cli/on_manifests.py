"""The commands that read manifests, and write manifests or what becomes of them; only `explain` may ask a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from webhook.cli.options import (
    Catalog,
    Context,
    DefaultNamespace,
    Files,
    Kubeconfig,
    Output,
    SettingsFile,
    TemplatesFolder,
)
from webhook.cli.report import Report


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


def eject(files: Files) -> int:
    """Write manifests to standard output with the sidecar taken out of every workload.

    The way back of `inject`: only what Evenkeel put in goes, and what is not changed is copied byte for byte. Manifests
    of live Pods will do as well. If anything is wrong, nothing is written.
    """
    from webhook.cli.eject import run_eject
    from webhook.cli.workloads import read_input

    return run_eject(read_input(files, (), None), Report())


def explain(
    workload: Annotated[
        str | None, typer.Argument(metavar="[KIND/NAME]", help="Such as deploy/web or Pod/client-0.")
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--filename", "-f", metavar="PATH", help="Explain these manifests instead of asking a cluster."),
    ] = None,
    catalog: Catalog = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NS", help="Where it is [default: the context's].")
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="For people or for machines.")] = Output.TEXT,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    settings: SettingsFile = None,
    templates: TemplatesFolder = None,
) -> int:
    """Say whether a workload gets a sidecar and why, where its calls go, and what its live Pods carry.

    Without --filename a cluster is asked, and the settings are those of the webhook found there. Exit code 1 if Pods
    would be refused.
    """
    from webhook.cli.config import read_target
    from webhook.cli.explain import Asked, run_explain

    target = None if workload is None else read_target(workload)
    asked = Asked(target, files or (), catalog or (), namespace, kubeconfig, context, settings, templates)
    return run_explain(asked, Report(), as_json=output is Output.JSON)
