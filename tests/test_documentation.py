"""What the documents tell a reader to type is understood by the program."""

import re
import shlex
from pathlib import Path

import pytest

from densnet.cli.main import available_verbs, load_verb
from densnet.configuration import load_yaml
from densnet.reference.run_label import LabelConfig
from densnet.reference.run_sample import SampleConfig
from densnet.training.config import CentroidTrainingConfig, ResponseTrainingConfig, TrainingConfig
from ipi_driver.__main__ import build_parser as driver_parser

ROOT = Path(__file__).parents[1]
COMMAND = re.compile(r"densnet [a-z]")
CONFIGURATIONS = sorted((ROOT / "examples").rglob("*.yaml"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md"))]


def commands() -> list[tuple[str, str]]:
    """Document and text of every ``densnet VERB …`` in a code block, and of those with arguments
    in a sentence or a table."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text("utf-8")
        blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.M | re.S)
        lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
        prose = re.sub(r"^```[a-z]*\n.*?^```", "", text, flags=re.M | re.S)
        lines += re.findall(r"`(densnet [a-z]+ [^`]+)`", prose)
        found += [(document.name, line.strip()) for line in lines if COMMAND.match(line.strip())]
    return found


@pytest.mark.parametrize(("document", "line"), commands())
def test_every_command_of_the_documents_is_understood(document: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert words[0] in available_verbs(), f"{document} mentions {words[0]!r}"
    _, parser = load_verb(words[0])
    parser.parse_args(words[1:])


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_every_configuration_of_the_examples_is_valid(path: Path) -> None:
    kinds = {
        "sample": SampleConfig,
        "label": LabelConfig,
        "response": ResponseTrainingConfig,
        "centroid": CentroidTrainingConfig,
    }
    # sample.yaml and sample_quantum.yaml are of one kind.
    load_yaml(path, kinds.get(path.stem.split("_")[0], TrainingConfig))


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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_headings_lead_to_headings(document: Path) -> None:
    text = document.read_text("utf-8")
    for place, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
        target = document.parent / place if place else document
        assert anchor in anchors(target), f"{document} links to {place}#{anchor}"


def anchors(document: Path) -> set[str]:
    """Return the anchors that a page gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.M)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in words}
