"""Load a bundle, verified, to be evaluated: all that a driver, a calculator or a script needs.

>>> model = load_model("ethanol")
>>> prediction = model.evaluate(model.template_numbers, model.template_positions)
>>> prediction.forces.shape
(1, 9, 3)
"""

import ctypes
import io
import json
import logging
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.errors import BundleError, InputError
from densnet.export.contents import (
    BASIS,
    DOMAIN,
    MODEL,
    PROBES,
    WEIGHTS,
    find_bundle,
    read_contents,
)
from densnet.export.engine import Engine, EngineUnavailableError
from densnet.export.runtime import EvaluationPath, Model, Precision
from densnet.models.config import ModelConfig
from densnet.nn.precision import set_precision

logger = logging.getLogger(__name__)

WARM_UP_CALLS = 4
# Parameters of mallopt, and what they are set to, bytes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_IN_HEAP_BYTES = 1 << 30, 1 << 25
# Largest error of a probe, relative to the largest element of that output. float64: the bundle is
# made in float64, other machines differ in the order of sums. float32: 24 bits through some thirty
# products and, for energies, only the learned part is rounded.
PROBE_TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
# Where all elements are zero by symmetry (the dipole of H₂), as if the largest were this, a.u.
LEAST_PROBE = 1e-2
PROBED = ("energy", "forces", "virial", "dipole", "coefficients", "charges")
RESPONSE_PROBED = ("polarizability", "coefficient_response")


def load_model(
    name_or_path: str | Path,
    *,
    dtype: Precision = "float32",
    threads: int = 1,
    path: EvaluationPath = "auto",
) -> Model:
    """Load a bundle: verify its files, set its precision, check it against its probes, warm it up.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped model by name, or a bundle's folder or zip.
    dtype : "float32" or "float64"
        Precision of the networks; distances, sums, energies and moments are float64 in both.
    threads : int
        Threads of torch in this process, or of the engine, which shares the structures of a batch
        among them. On one small molecule one is fastest.
    path : "auto", "engine" or "torchscript"
        What evaluates the model. "auto": the compiled engine, or, with a warning that says why,
        TorchScript where there is no engine for the model or it misses the bundle's probes.

    Raises
    ------
    InputError
        If there is no such bundle.
    BundleError
        If it is damaged, does not reproduce its stored predictions, or the engine was asked for
        and cannot evaluate it.
    """
    if dtype not in PROBE_TOLERANCE:
        raise InputError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    if path not in ("auto", "engine", "torchscript"):
        raise InputError(f"path must be 'auto', 'engine' or 'torchscript', got {path!r}")
    torch.set_num_threads(threads)
    place = find_bundle(name_or_path)
    manifest, files, sha256 = read_contents(place)
    basis = DensityBasis.from_dict(json.loads(files[BASIS]))
    domain = files.get(DOMAIN)

    def model_on(engine: Engine | None) -> Model:
        # The response to a field is TorchScript's in any case.
        scripted = engine is None or manifest.get("polarizability", False)
        module = load_module(files[MODEL], dtype, place) if scripted else None
        model = Model(module, manifest, basis, sha256, domain, engine, threads)
        check_probes(model, files[PROBES], PROBE_TOLERANCE[dtype], place)
        return model

    model = None
    if path != "torchscript":
        try:
            model = model_on(load_engine(files, basis, dtype))
        except (EngineUnavailableError, BundleError) as error:
            if path == "engine":
                raise BundleError(
                    f"{place}: the compiled engine cannot be used: {error}"
                ) from error
            logger.warning("%s: evaluated by TorchScript, not the engine: %s", place.name, error)
    if model is None:
        model = model_on(None)
    for _ in range(WARM_UP_CALLS):
        model.evaluate(
            model.template_numbers,
            model.template_positions,
            polarizability=model.offers_polarizability,
        )
    return model


def load_module(archive: bytes, dtype: Precision, place: Path) -> torch.jit.ScriptModule:
    """Return the TorchScript of a bundle in a precision.

    Raises
    ------
    BundleError
        If this torch cannot read it.
    """
    try:
        module = torch.jit.load(io.BytesIO(archive), map_location="cpu")
    except RuntimeError as error:
        raise BundleError(
            f"{place}: torch {torch.__version__} cannot read {MODEL}: {error}"
        ) from error
    keep_freed_memory()
    module.eval()
    set_precision(module, torch.float32 if dtype == "float32" else torch.float64)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def keep_freed_memory() -> None:
    """Let the C library keep what is freed, for the next call.

    By default glibc returns the arrays of a batch to the system after every call and gets them back
    page by page: a fifth of the time of 32 structures in TorchScript. Other libraries than glibc
    are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(M_MMAP_THRESHOLD, LARGEST_IN_HEAP_BYTES)


def load_engine(files: Mapping[str, bytes], basis: DensityBasis, dtype: Precision) -> Engine:
    """Return the engine for the weights and the configuration of a bundle.

    Raises
    ------
    EngineUnavailableError
        If there is none, or it lacks a part of this model.
    """
    with zipfile.ZipFile(io.BytesIO(files[MODEL])) as archive:
        names = [name for name in archive.namelist() if name.endswith("/extra/config.json")]
        if len(names) != 1:
            raise EngineUnavailableError(f"{MODEL} holds no configuration of the model")
        config = ModelConfig.from_dict(json.loads(archive.read(names[0])))
    stored = np.load(io.BytesIO(files[WEIGHTS]), allow_pickle=False)
    return Engine(config, basis, {name: stored[name] for name in stored.files}, dtype)


def check_probes(model: Model, probes: bytes, tolerance: float, place: Path) -> None:
    """Compare the model with the predictions stored beside it.

    Raises
    ------
    BundleError
        If an output differs by more than the tolerance times its largest element (or times
        :data:`LEAST_PROBE`, where symmetry makes all elements zero).
    """
    stored = np.load(io.BytesIO(probes), allow_pickle=False)
    with_response = model.offers_polarizability
    prediction = model.evaluate(
        stored["numbers"], stored["positions"], polarizability=with_response
    )
    for quantity in PROBED + (RESPONSE_PROBED if with_response else ()):
        if quantity not in stored:
            raise BundleError(
                f"{place} has no stored {quantity} to be checked against; export again"
            )
        expected = stored[quantity]
        found = getattr(prediction, quantity)
        if quantity == "energy":
            expected, found = expected - stored["energy_origin"], found - stored["energy_origin"]
        scale = max(float(np.abs(expected).max()), LEAST_PROBE)
        error = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        if not error <= tolerance * scale:
            raise BundleError(
                f"{place} does not reproduce its stored {quantity}: off by {error:.2e}, allowed "
                f"{tolerance * scale:.2e}; the model or torch {torch.__version__} is broken"
            )
