"""What the README and the pages it links tell people to type is valid, setting by setting."""

import re
import shlex
from pathlib import Path

import pytest

from workbench import cli

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text()
PAGES = README + "".join(page.read_text() for page in sorted((REPO / "docs").rglob("*.md")))
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", PAGES, re.DOTALL)).replace("\\\n", " ")
COMMANDS = [shlex.split(line, comments=True) for line in BLOCKS.splitlines() if line.startswith("workbench ")]


def test_there_are_commands_for_the_whole_job():
    told = {command[1] for command in COMMANDS}
    assert told >= {"cohort", "split", "prepare", "pretrain", "segment", "classify", "embed", "attend", "explore"}


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c[1] in cli.JOBS and c[2] not in ("status", "collect")], ids=" ".join
)
def test_the_command_is_accepted(command, monkeypatch):
    monkeypatch.chdir(REPO)
    cli.config_from(command[1], command[2:])


def test_the_make_targets_it_names_exist():
    makefile = (REPO / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_it_is_short():
    assert len(README.splitlines()) <= 125  # what a postdoc needs in five minutes; the rest is in docs/


def test_its_table_of_contents_leads_to_its_headings():
    headings = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^## (.+)$", README, re.MULTILINE)
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", README))
    assert links and links <= headings


def test_files_it_shows_exist():
    for path in re.findall(r"\]\((docs/[^)]+)\)", README):
        assert (REPO / path).is_file(), path


def test_it_says_what_it_is_not():
    assert "not for diagnosis" in README
