"""``densnet sweep``: lists on the command line, settings in a file, and both."""

import argparse
from pathlib import Path

import pytest

from densnet.cli import sweep
from densnet.errors import InputError
from densnet.plots.spectrum import Line
from densnet.plots.sweep import SweepBar, plot_sweep
from densnet.simulate.sweep import SweepSettings


def settings(*words: str) -> SweepSettings:
    parser = argparse.ArgumentParser()
    sweep.add_arguments(parser)
    return sweep.sweep_settings(parser.parse_args(words))


def test_lists_are_read_from_the_command_line() -> None:
    found = settings("ethanol", "--thermostat", "svr, gle", "--temperature", "300,500")
    assert found.thermostats == ("svr", "gle")
    assert found.temperatures_kelvin == (300.0, 500.0)
    assert found.seeds == (1,)


def test_the_command_line_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("model: ethanol\nthermostats: [svr]\nsteps: 500\nseeds: [1, 2]\n")
    found = settings(str(path), "--steps", "100")
    assert (found.steps, found.seeds, found.thermostats) == (100, (1, 2), ("svr",))


def test_words_in_place_of_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="--temperature warm"):
        settings("ethanol", "--temperature", "warm")


@pytest.mark.parametrize("with_spectra", [True, False])
def test_a_sweep_is_drawn(tmp_path: Path, with_spectra: bool) -> None:
    import numpy as np

    bars = [SweepBar(f"{t}-{k}", t, 3.0 - k, 2.0, 0.1) for t in ("svr", "gle") for k in range(3)]
    x = np.linspace(400.0, 4000.0, 200)
    y = np.exp(-(((x - 1000.0) / 50.0) ** 2))
    spectra = [Line("svr", x, y, 0.1 * y), Line("gle", x, y)] if with_spectra else []
    path = plot_sweep(bars, spectra, tmp_path / "sweep.png")
    assert path.stat().st_size > 10_000
