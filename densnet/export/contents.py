"""The files of a bundle, in a folder or in a zip, and the check that none was altered."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from densnet.errors import BundleError, InputError

FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
MODEL: Final = "model.pt"
PROBES: Final = "probes.npz"
BASIS: Final = "basis.json"
WEIGHTS: Final = "weights.npz"
# Where the training set lies; ``ipi_driver.domain`` knows the content. Not in every bundle.
DOMAIN: Final = "domain.npz"


def find_bundle(name_or_path: str | Path) -> Path:
    """Return the path of a shipped bundle by name, or of any other by path.

    Raises
    ------
    InputError
        If there is neither.
    """
    shipped = shipped_folder()
    for candidate in (
        shipped / str(name_or_path),
        shipped / f"{name_or_path}.zip",
        Path(name_or_path),
    ):
        if candidate.is_file() or (candidate / MANIFEST).is_file():
            return candidate
    names = ", ".join(shipped_bundles()) or "none"
    raise InputError(
        f"no model {str(name_or_path)!r}: neither a bundle (a folder with {MANIFEST}, or a zip) "
        f"nor one of the shipped models ({names})"
    )


def name_from_anywhere(name_or_path: str) -> str:
    """Return the name of a shipped bundle as it is, the path of any other made absolute.

    Raises
    ------
    InputError
        If there is neither.
    """
    place = find_bundle(name_or_path)
    return name_or_path if place.parent == shipped_folder() else str(place.resolve())


def shipped_folder() -> Path:
    """Return where the bundles of the package lie."""
    return Path(str(resources.files("densnet.export"))) / "bundles"


def shipped_bundles() -> tuple[str, ...]:
    """Return the names of the models that come with the package."""
    folder = shipped_folder()
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(
            path.stem if path.suffix == ".zip" else path.name
            for path in folder.iterdir()
            if path.suffix == ".zip" or (path / MANIFEST).is_file()
        )
    )


def read_contents(path: Path) -> tuple[dict[str, Any], dict[str, bytes], str]:
    """Read every file of a bundle and verify it against the manifest.

    Returns
    -------
    manifest : dict
    files : dict of str to bytes
        The other files.
    sha256 : str
        Of the manifest, which holds the hashes of all the others: the identity of the bundle.

    Raises
    ------
    BundleError
        If a file is missing, altered or truncated, or the format is unknown.
    """
    try:
        if path.is_file():
            with zipfile.ZipFile(path) as archive:
                everything = {entry: archive.read(entry) for entry in archive.namelist()}
        else:
            everything = {f.name: f.read_bytes() for f in path.iterdir() if f.is_file()}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError) as error:
        raise BundleError(f"{path} cannot be read: {error}; fetch the bundle again") from error
    text = everything.pop(MANIFEST, None)
    if text is None:
        raise BundleError(f"{path} has no {MANIFEST}: it is not a model bundle")
    try:
        manifest = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {MANIFEST} is not JSON ({error}); fetch it again") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files", {}), dict):
        raise BundleError(f"{path}: {MANIFEST} is not that of a bundle; fetch it again")
    if manifest.get("format") != FORMAT_VERSION:
        raise BundleError(
            f"{path} has bundle format {manifest.get('format')!r}; this version of DenSNet reads "
            f"format {FORMAT_VERSION}"
        )
    files = {}
    for name, expected in manifest.get("files", {}).items():
        if name not in everything:
            raise BundleError(f"{path} lacks {name}, which its manifest lists; fetch it again")
        found = hashlib.sha256(everything[name]).hexdigest()
        if found != expected:
            raise BundleError(
                f"{path}: {name} was altered or damaged: its SHA-256 is {found[:12]}…, the "
                f"manifest says {expected[:12]}…; fetch the bundle again"
            )
        files[name] = everything[name]
    return manifest, files, hashlib.sha256(text).hexdigest()


def write_contents(path: Path, manifest: dict[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a bundle as a folder, or as a zip if the path ends in ``.zip``.

    The manifest, completed with format and hashes, is written last.
    """
    content = {
        "format": FORMAT_VERSION,
        **manifest,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    text = (json.dumps(content, indent=1) + "\n").encode()
    if path.suffix == ".zip":
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in (*files.items(), (MANIFEST, text)):
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        return
    path.mkdir(parents=True, exist_ok=True)
    (path / MANIFEST).unlink(missing_ok=True)
    for name, data in (*files.items(), (MANIFEST, text)):
        (path / name).write_bytes(data)
