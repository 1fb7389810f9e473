"""The options that several commands share, and what they accept."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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

Kubeconfig = Annotated[
    Path | None, typer.Option(metavar="FILE", help="How to reach the cluster [default: as kubectl does].")
]
Context = Annotated[
    str | None, typer.Option(metavar="NAME", help="The kubeconfig's context [default: its current one].")
]


class Output(StrEnum):
    """How a result is told."""

    TEXT = "text"
    JSON = "json"
