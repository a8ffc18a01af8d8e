"""What the documents tell a reader to type is understood by the program."""

import re
import shlex
from pathlib import Path

import pytest

from densnet.cli.main import available_verbs, load_verb
from ipi_driver.__main__ import build_parser as driver_parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md"))]


def commands() -> list[tuple[str, str]]:
    """Document and text of every ``densnet VERB …`` in a code block."""
    found = []
    for document in DOCUMENTS:
        blocks = re.findall(r"^```[a-z]*\n(.*?)^```", document.read_text("utf-8"), re.M | re.S)
        for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
            if line.strip().startswith("densnet "):
                found.append((document.name, line.strip()))
    return found


@pytest.mark.parametrize(("document", "line"), commands())
def test_every_command_of_the_documents_is_understood(document: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert words[0] in available_verbs(), f"{document} mentions {words[0]!r}"
    _, parser = load_verb(words[0])
    parser.parse_args(words[1:])


def test_every_driver_command_of_the_documents_is_understood() -> None:
    text = "\n".join(document.read_text("utf-8") for document in DOCUMENTS)
    lines = re.findall(r"^(?:i-pi \S+ & )?(densnet-driver .*)$", text, re.M)
    assert lines
    for line in lines:
        driver_parser().parse_args(shlex.split(line, comments=True)[1:])


def test_the_readme_has_commands_to_check() -> None:
    assert any(document == "README.md" for document, _ in commands())


def test_every_verb_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    missing = [verb for verb in available_verbs() if f"densnet {verb}" not in text]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    missing = [target for target in local if not (document.parent / target).exists()]
    assert not missing
