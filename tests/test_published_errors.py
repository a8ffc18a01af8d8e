"""The tables of errors in the documents say what the stored evaluations of the models say."""

import json
import re
from pathlib import Path

import pytest

from densnet.export.contents import find_bundle, read_contents

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
EVALUATIONS = sorted(EXAMPLES.glob("*/results/errors*.json"))
# Each row of a table of errors: where its number is in an evaluation.
ROWS = {
    "energy MAE, meV": ("properties", "energy_mae_mev"),
    "forces MAE, meV/Å": ("properties", "forces_mae_mev_angstrom"),
    "forces MAE (RMSE), meV/Å": ("properties", "forces_mae_mev_angstrom"),
    "dipole vector MAE, mD": ("properties", "dipole_vector_mae_millidebye"),
    "density, L1, % of all electrons": ("density_percent", "predicted"),
    "density, % of valence electrons": ("density_percent", "predicted_valence"),
    "– floor of the density basis": ("density_percent", "floor"),
    "– superposed free atoms": ("density_percent", "baseline"),
}
# The models in the order of the columns of each table: 300 K, 500 K and beads of each.
TABLES = {
    "README.md": ["01_ethanol", "02_ethanethiol", "03_resorcinol"],
    "examples/02_ethanethiol/README.md": ["02_ethanethiol"],
    "examples/03_resorcinol/README.md": ["03_resorcinol"],
    "examples/04_ethanol_b3lyp/README.md": ["04_ethanol_b3lyp", "01_ethanol"],
    "examples/05_ethanol_b3pw91/README.md": ["05_ethanol_b3pw91", "01_ethanol"],
    "examples/06_ethanethiol_b3pw91/README.md": ["06_ethanethiol_b3pw91", "02_ethanethiol"],
    "examples/07_ethanol_fast/README.md": ["07_ethanol_fast", "01_ethanol"],
}


def published(document: str) -> dict[str, list[str]]:
    """Return the cells of each row of ``ROWS`` that the document's tables have."""
    rows = {}
    for line in (ROOT / document).read_text("utf-8").splitlines():
        title, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if title in ROWS:
            assert title not in rows, f"{document} has two rows {title!r}"
            rows[title] = cells
    return rows


def evaluated(example: str) -> list[dict]:
    """Return the errors of an example's model at 300 K, at 500 K and on beads."""
    results = EXAMPLES / example / "results"
    classical = json.loads((results / "errors.json").read_text("utf-8"))["errors"]
    beads = json.loads((results / "errors_quantum.json").read_text("utf-8"))["errors"]
    return [classical["300 K"], classical["500 K"], beads["300 K"]]


@pytest.mark.parametrize("document", TABLES)
def test_tables_of_errors_say_what_the_evaluations_say(document: str) -> None:
    columns = [errors for example in TABLES[document] for errors in evaluated(example)]
    rows = published(document)
    assert rows
    for title, cells in rows.items():
        group, key = ROWS[title]
        for cell, errors in zip(cells, columns, strict=False):
            number = re.search(r"[\d.]+", cell)
            assert number is not None, (title, cells)
            digits = len(number[0].partition(".")[2])
            assert f"{errors[group][key]:.{digits}f}" == number[0], (title, cells)


@pytest.mark.parametrize("path", EVALUATIONS, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_evaluations_are_of_the_models_that_are_shipped(path: Path) -> None:
    report = json.loads(path.read_text("utf-8"))
    place = path.parents[1] / "bundle"
    manifest, _, sha256 = read_contents(place if place.exists() else find_bundle(report["model"]))
    assert manifest["name"] == report["model"]
    assert sha256 == report["bundle_sha256"]
