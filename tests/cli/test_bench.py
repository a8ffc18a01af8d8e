"""``densnet bench``: it runs, prints a table, and writes what it printed."""

import json
from pathlib import Path

import numpy as np
import pytest

from densnet.cli.bench_molecules import MOLECULES, alkane, oligothiophene
from densnet.cli.bench_timing import LEAST_TURNS, interleaved
from densnet.cli.main import main
from densnet.units import BOHR_ANGSTROM


def test_kernel_benchmark_reports_ratios(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kernel.json"
    words = "bench kernel --molecules ethanol --bases def2-universal-jfit --threads 1".split()
    options = ["--seconds", "0.1", "--quantities", "S", "J c + gradient", "--json", str(path)]
    assert main([*words, *options]) == 0
    rows = json.loads(path.read_text())["kernel"]["rows"]
    assert [row["quantity"] for row in rows] == ["S", "J c + gradient"]
    assert all(row["n_functions"] == 213 and row["cpu_ratio"] > 0.0 for row in rows)
    assert "ethanol, def2-universal-jfit, 213 functions" in capsys.readouterr().out


def test_model_benchmark_compares_the_engine_with_torchscript(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.json"
    words = "bench model --dtypes float32 --carbons 1 --seconds 0.1 --json".split()
    assert main([*words, str(path)]) == 0
    report = json.loads(path.read_text())["model"]
    assert set(report["batches"]) == {"batch 1", "batch 32"}
    for timings in (*report["batches"].values(), *report["alkanes"].values()):
        assert timings["torchscript float32"]["cpu_ms"] > timings["engine float32"]["cpu_ms"] > 0
    assert sum(stage["operations"] for stage in report["stages"]["float32"]) > 1e7
    assert "sphere products" in capsys.readouterr().out


def test_alkanes_are_chains_of_bonds_of_the_right_length() -> None:
    chain = alkane(4)
    assert sorted(chain.numbers.tolist()) == [1] * 10 + [6] * 4
    r = chain.positions * BOHR_ANGSTROM
    distances = np.linalg.norm(r[:, None] - r[None, :], axis=-1)
    carbon = chain.numbers == 6
    bonds = (distances > 0.0) & (distances < 1.6)
    assert bonds[carbon].sum(axis=1).tolist() == [4] * 4
    assert bonds[~carbon].sum(axis=1).tolist() == [1] * 10
    assert distances[distances > 0.0].min() > 1.0


def test_functions_take_turns() -> None:
    order: list[str] = []
    timings = interleaved({name: lambda name=name: order.append(name) for name in "ab"}, 0.0)  # type: ignore[misc]
    assert timings["a"].turns == LEAST_TURNS
    changes = sum(x != y for x, y in zip(order, order[1:], strict=False))
    assert changes >= 2 * LEAST_TURNS - 1


def test_molecules_have_their_formulas_and_no_short_contacts() -> None:
    sizes = {name: len(make().numbers) for name, make in MOLECULES.items()}
    assert sizes == {"ethanol": 9, "resorcinol": 14, "thiophene-12": 86}
    chain = oligothiophene(3)
    assert sorted(chain.numbers.tolist()) == [1] * 8 + [6] * 12 + [16] * 3
    sulphur = chain.positions[chain.numbers == 16] * BOHR_ANGSTROM
    assert ((sulphur[1] - sulphur[0]) ** 2).sum() > 4.0**2  # all trans: the sulphurs are apart
