"""Each trap of i-PI's inputs is found; our own templates are free of all of them."""

from pathlib import Path

import pytest

from densnet.errors import InputError
from densnet.simulate.check_input import check_input
from densnet.simulate.plan import Settings, plan_stages
from tests.simulate.test_plan import MOLECULE

TEMPLATES = sorted((Path(__file__).parents[2] / "densnet" / "simulate" / "inputs").glob("*.xml"))


def changed(tmp_path: Path, old: str, new: str, template: str = "nve") -> Path:
    """A template in a folder of its own, with one change."""
    source = TEMPLATES[0].parent
    text = (source / f"{template}.xml").read_text()
    assert old in text
    path = tmp_path / "input.xml"
    path.write_text(text.replace(old, new))
    (tmp_path / "ethanol.xyz").write_text((source / "ethanol.xyz").read_text())
    return path


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_the_templates_are_sound(path: Path) -> None:
    findings = check_input(path)
    meant = {
        # It starts from a checkpoint that another template writes.
        "ir-segment": "nvt-langevin.checkpoint does not exist",
        # It is for an i-PI that has no batches.
        "connections": "32 structures a step travel one by one",
    }.get(path.stem, "no finding at all")
    assert [f for f in findings if f.severity != "note" and meant not in f.message] == []


@pytest.mark.parametrize(
    ("old", "new", "severity", "words"),
    [
        ("safe_stride='100' ", "", "slow", "safe_stride='100'"),
        ("threading='False'", "threading='True'", "slow", "threading='False'"),
        ("flush='250'", "flush='1'", "slow", "flush='250'"),
        ("flush='250'", "flush='2000'", "dangerous", "leaves a gap"),
        ("<timeout>600</timeout>", "", "dangerous", "waits for ever"),
        ("<latency>1e-4<", "<latency>0.02<", "slow", "0.02 s are lost"),
        ("pbc='False'", "pbc='True'", "dangerous", "folds molecules"),
        ("extra_type='dipole'", "", "wrong", "extra_type='dipole'"),
        ("stride='4'", "stride='20'", "note", "O–H stretch"),
        ("femtosecond'>0.5<", "femtosecond'>2.0<", "dangerous", "use 0.5 fs"),
        ("femtosecond'>0.5<", "picosecond'>0.002<", "dangerous", "2 fs is too long"),
        ("<prng><seed>329</seed></prng>", "", "dangerous", "seed"),
        ("floatformat='%24.16e'", "", "note", "nine digits"),
        ("mode='nve'", "mode='nvt'", "wrong", "needs a <temperature>"),
        ("ethanol.xyz", "water.xyz", "wrong", "does not exist"),
        ("<total_steps>", "<total_stepps>20</total_stepps><total_steps>", "wrong", "i-PI refuses"),
        ("nbeads='1'", "nbeads='8'", "slow", "<batch_size>8</batch_size>"),
        ("thermal' units='kelvin'", "thermal'", "wrong", "300 hartree; write units='kelvin'"),
        ("timestep units='femtosecond'", "timestep", "wrong", "write units='femtosecond'"),
        ("<total_steps>", "<total_steps>-", "wrong", "nothing would be run"),
    ],
)
def test_a_trap_is_found(tmp_path: Path, old: str, new: str, severity: str, words: str) -> None:
    findings = check_input(changed(tmp_path, old, new))
    assert any(f.severity == severity and words in f.message for f in findings), findings


@pytest.mark.parametrize(
    "settings",
    [
        Settings("elastic", replicas=3, velocity_stride=4, polarizability_stride=4),
        Settings("elastic", ensemble="trpmd-gle", beads=32, polarizability_stride=4),
        Settings("elastic", ensemble="pimd", beads=32, committee=("other",)),
    ],
    ids=lambda settings: settings.ensemble,
)
def test_inputs_that_densnet_md_writes_are_sound(tmp_path: Path, settings: Settings) -> None:
    ((_, stage),) = plan_stages(settings, MOLECULE, tmp_path)
    for name in ("init.xyz", *stage.input.checkpoints):
        (tmp_path / name).write_text((TEMPLATES[0].parent / "ethanol.xyz").read_text())
    (tmp_path / "input.xml").write_text(stage.input.xml())
    assert check_input(tmp_path / "input.xml") == []


def test_a_thermostat_that_is_too_hot_is_found(tmp_path: Path) -> None:
    found = check_input(changed(tmp_path, "<flip>soft</flip>", "", "nvt-ffl"))
    assert [(f.severity, f.where) for f in found] == [("wrong", "<thermostat>")]
    fixed = "<motion mode='dynamics'>", "<motion mode='dynamics'><fixcom>False</fixcom>"
    text = (tmp_path / "input.xml").read_text()
    (tmp_path / "input.xml").write_text(text.replace(*fixed))
    assert check_input(tmp_path / "input.xml") == []


def test_a_missing_checkpoint_is_found(tmp_path: Path) -> None:
    path = changed(
        tmp_path, "<checkpoint filename='checkpoint' stride='1000' overwrite='True'/>", ""
    )
    assert any("no <checkpoint>" in f.message for f in check_input(path))


def test_a_structure_without_cell_is_found(tmp_path: Path) -> None:
    path = changed(tmp_path, "seed", "seed")
    lines = (tmp_path / "ethanol.xyz").read_text().split("\n")
    lines[1] = "ethanol"
    (tmp_path / "ethanol.xyz").write_text("\n".join(lines))
    assert any("no cell" in f.message for f in check_input(path))


def test_what_is_no_input_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "input.xml"
    with pytest.raises(InputError, match="cannot be read"):
        check_input(path)
    path.write_text("<simulation>")
    with pytest.raises(InputError, match="not XML"):
        check_input(path)
    path.write_text("<html/>")
    assert check_input(path)[0].severity == "wrong"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\nO ", "\nS ", "masses from the one"),
        ("\n9\n", "\n10\n", "not a whole xyz file"),
    ],
)
def test_a_start_structure_that_does_not_fit_is_found(tmp_path, old, new, words) -> None:
    path = changed(tmp_path, "nve", "nve")
    start = tmp_path / "ethanol.xyz"
    text = "\n" + start.read_text()
    assert old in text
    start.write_text(text.replace(old, new, 1)[1:])
    assert any(f.severity == "wrong" and words in f.message for f in check_input(path))


@pytest.mark.parametrize("content", ["", "9\n", "1\n# CELL\nO nan 0 0\n"])
def test_a_damaged_start_structure_is_found(tmp_path, content) -> None:
    path = changed(tmp_path, "nve", "nve")
    (tmp_path / "ethanol.xyz").write_text(content)
    assert any(f.severity == "wrong" and f.where == "<file>" for f in check_input(path))
