"""What is said to contributors is true: files, names, sessions and Pythons exist."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"
GUIDE = (GITHUB / "CONTRIBUTING.md").read_text()
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", *sorted(GITHUB.rglob("*.md")), *sorted(GITHUB.rglob("*.yml")))
}
QUESTIONS = dict(re.findall(r"^\| ([^|]+\?) \| (.+) \|$", GUIDE, re.MULTILINE))
ROOMS = re.findall(r"^    (\w+(?:\.py|/)) ", GUIDE, re.MULTILINE)
SESSIONS = {
    function.name
    for function in ast.parse((ROOT / "noxfile.py").read_text()).body
    if isinstance(function, ast.FunctionDef) and "nox.session" in ast.unparse(function.decorator_list)  # type: ignore[arg-type]
}


def defined(path: Path) -> set[str]:
    """Return the names that a module defines."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    return names


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_answer_to_a_newcomers_question_is_where_the_guide_says(question: str) -> None:
    """Each answer names a file, and the names in it to begin with."""
    answers = re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", QUESTIONS[question])

    assert answers
    for file, names in answers:
        assert set(re.findall(r"\w+", names)) <= defined(ROOT / file)


def test_the_guide_answers_what_newcomers_ask() -> None:
    """The test above has something to look at."""
    assert len(QUESTIONS) >= 10


def test_the_map_of_the_guide_is_the_package() -> None:
    """Every folder and every public module is drawn, and none that is gone."""
    package = {
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "foxvideo").iterdir()
        if (path / "__init__.py").exists() or re.fullmatch(r"[a-z]\w+\.py", path.name)
    }

    assert set(ROOMS) == package


@pytest.mark.parametrize("where", TEXTS)
def test_every_path_and_session_that_a_text_names_exists(where: str) -> None:
    """A reader who follows a text comes to something."""
    text = TEXTS[where]
    paths = re.findall(r"`((?:foxvideo|tests|benchmarks|\.github)/[\w./-]*)`|\]\((\.github[\w./-]*)\)", text)
    sessions = re.findall(r"nox -s ([a-z]+)", text)

    assert [path for either in paths for path in either if path and not (ROOT / path).exists()] == []
    assert set(sessions) <= SESSIONS


def test_the_workflow_runs_the_pythons_that_the_package_promises() -> None:
    """A Python that is promised is tried, and in the session that has it."""
    workflow = (GITHUB / "workflows" / "nox.yml").read_text()
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    promised = [name.rpartition(" ")[2] for name in classifiers if re.search(r":: 3\.\d+$", name)]

    (matrix,) = re.findall(r"session: \[(.*)\]", workflow)
    assert matrix.split(", ") == [*(f"pythons-{version}" for version in promised[:-1]), "tests"]
    for block in re.findall(r"python-version: \|\n((?: +3\.\d+\n)+)", workflow):
        assert block.split() == promised
    assert set(re.findall(r"-s ([a-z ]+)$", workflow, re.MULTILINE)) <= {"lint typing"}
