"""Where the files that ship with the package are: in an installed wheel, or in a checkout."""

from pathlib import Path


def data_folder(name: str) -> Path:
    """Give the folder `sidecar_templates`, `examples` or `deploy`.

    Raises FileNotFoundError where the package was installed without it.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "_data" / name, here.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{name}: not shipped with this installation of evenkeel")
