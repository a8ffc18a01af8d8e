"""The entry point: help that costs nothing, errors in one line, exit statuses."""

import argparse
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import densnet
from densnet.cli import main as entry
from densnet.cli.main import SUMMARIES, available_verbs, main
from densnet.errors import InputError


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[argparse.Namespace], int]], None]:
    """Install a verb ``doctor`` whose ``run`` is the given function."""

    def install(run: Callable[[argparse.Namespace], int]) -> None:
        module = types.ModuleType("densnet.cli.doctor")
        module.HELP = "a verb of the tests"
        module.add_arguments = lambda parser: parser.add_argument("--steps", type=int)
        module.run = run
        monkeypatch.setitem(sys.modules, "densnet.cli.doctor", module)

    return install


def python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, timeout=120
    )


def test_help_lists_the_verbs_and_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name in available_verbs():
        assert f"  {name} " in text
        assert SUMMARIES[name] in text
    assert "densnet md ethanol --ensemble" in text


def test_no_verb_prints_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "verbs:" in capsys.readouterr().out


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"densnet {densnet.__version__}"


def test_an_unknown_verb_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docter"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "there is no verb 'docter'; did you mean 'doctor'?" in captured.err


def test_a_verb_gets_the_words_after_its_name(verb: Callable) -> None:
    seen = []
    verb(lambda args: seen.append(args.steps) or 0)
    assert main(["-v", "doctor", "--steps", "7"]) == 0
    assert seen == [7]


def test_the_status_of_a_verb_is_the_status_of_the_program(verb: Callable) -> None:
    verb(lambda args: 1)
    assert main(["doctor"]) == 1


def test_a_densnet_error_is_one_line_and_status_2(
    verb: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(args: argparse.Namespace) -> int:
        raise InputError("the file x.xyz\nholds no frame;\n  write one")

    verb(run)
    assert main(["doctor"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "densnet doctor: the file x.xyz holds no frame; write one\n"
    assert captured.out == ""


def test_debug_shows_the_traceback(verb: Callable) -> None:
    def run(args: argparse.Namespace) -> int:
        raise InputError("wrong")

    verb(run)
    with pytest.raises(InputError, match="wrong"):
        main(["--debug", "doctor"])


def test_an_unexpected_error_is_not_hidden(verb: Callable) -> None:
    def run(args: argparse.Namespace) -> int:
        raise ZeroDivisionError

    verb(run)
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_ctrl_c_is_status_130(verb: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    def run(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    verb(run)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "densnet doctor: interrupted\n"


@pytest.mark.parametrize(
    ("package", "hint"),
    [("pyscf", "pip install 'densnet[label]'"), ("colour", "pip install colour")],
)
def test_a_missing_package_is_named_with_its_remedy(
    verb: Callable, capsys: pytest.CaptureFixture[str], package: str, hint: str
) -> None:
    def run(args: argparse.Namespace) -> int:
        raise ModuleNotFoundError(f"No module named '{package}.x'", name=f"{package}.x")

    verb(run)
    assert main(["doctor"]) == 2
    assert hint in capsys.readouterr().err


def test_a_missing_module_of_densnet_itself_is_a_bug_and_not_hidden(verb: Callable) -> None:
    def run(args: argparse.Namespace) -> int:
        raise ModuleNotFoundError("No module named 'densnet.lost'", name="densnet.lost")

    verb(run)
    with pytest.raises(ModuleNotFoundError):
        main(["doctor"])


def test_a_closed_pipe_ends_quietly() -> None:
    code = (
        "import sys, types\n"
        "verb = types.ModuleType('densnet.cli.doctor')\n"
        "verb.HELP, verb.add_arguments = '', lambda parser: None\n"
        "verb.run = lambda args: [print('x' * 100) for _ in range(10000)] and 0\n"
        "sys.modules['densnet.cli.doctor'] = verb\n"
        "from densnet.cli.main import main\n"
        "sys.exit(main(['doctor']))"
    )
    pipe = 'set -o pipefail; "$0" -c "$1" | head -n 1'
    finished = subprocess.run(
        ["bash", "-c", pipe, sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.stderr == ""
    assert finished.stdout == "x" * 100 + "\n"
    assert finished.returncode == 0


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from densnet.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'e3nn', 'rich', 'pyscf'} & set(sys.modules)))"
    )
    finished = python("-c", code)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", available_verbs())
def test_every_verb_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"densnet {name}" in capsys.readouterr().out


def test_every_verb_is_in_the_table_of_summaries() -> None:
    """A verb that is not in the table would never be found."""
    import importlib
    import pkgutil

    import densnet.cli

    for module in pkgutil.iter_modules(densnet.cli.__path__):
        is_verb = hasattr(importlib.import_module(f"densnet.cli.{module.name}"), "add_arguments")
        # `bench_kernel` is a part of the verb `bench`.
        known = module.name in SUMMARIES or module.name.partition("_")[0] in SUMMARIES
        assert known or not is_verb, module.name


def test_python_m_densnet_is_densnet() -> None:
    finished = python("-m", "densnet", "--version")
    assert finished.stdout.strip() == f"densnet {densnet.__version__}"
    assert entry.main is main


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("3", "3")])
def test_one_thread_unless_the_user_says_otherwise(
    before: str | None, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    if before is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert os.environ["OMP_NUM_THREADS"] == after


def test_a_place_that_cannot_be_written_is_one_line_and_status_2(
    verb: Callable, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()

    def run(args: argparse.Namespace) -> int:
        (tmp_path / "file" / "folder").mkdir()
        return 0

    verb(run)
    assert main(["doctor"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"densnet doctor: {tmp_path}/file/folder: Not a directory")
    assert len(error.splitlines()) == 1
