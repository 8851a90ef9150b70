"""Every check of this project, one session for each question; ``nox -l`` lists them.

``nox`` runs the suite on one Python, lint and types, within five minutes on two cores. ``nox -t all`` runs everything
else: every Python, the oldest dependencies, coverage, kills, and whatever takes long.
"""

import os
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False  # a Python that is not on this machine is skipped, and said so

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
OLDEST, NEWEST = PYTHONS[0], PYTHONS[-1]
EXTRAS = ".[cli,emulator,postgres,farm,otel]"


def _find_pythons() -> None:
    """Put the Pythons that pyenv installed before its shims, which only find the selected ones."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [str(path.parent) for version in PYTHONS for path in root.glob(f"{version}.*/bin/python{version}")]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", "")])


_find_pythons()


def _group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PYPROJECT, name)


def _test(session: nox.Session, *runner: str) -> None:
    """Run the suite on the installed package: the working tree is kept off the path."""
    env = {"PYTHONSAFEPATH": "1", "COVERAGE_FILE": f".coverage.{session.name}"}
    session.run(*runner, "pytest", "--numprocesses=auto", *session.posargs, env=env)


def _needs(session: nox.Session, **programs: str) -> None:
    """Stop where a program of the system is missing, and say which package of Debian has it."""
    for program, package in programs.items():
        if shutil.which(program) is None:
            session.error(f"{program} is missing; on Debian and Ubuntu: apt-get install {package}")


@nox.session(python=NEWEST)
def tests(session: nox.Session) -> None:
    """Run the tests on the newest Python."""
    session.install(EXTRAS, *_group("test"))
    _test(session)


@nox.session(python=PYTHONS[:-1], default=False, tags=["all"])
def pythons(session: nox.Session) -> None:
    """Run the tests on each Python but the newest, which ``tests`` has, and note what they cover."""
    session.install(EXTRAS, *_group("test"))
    _test(session, "coverage", "run", "-m")


@nox.session(python=NEWEST, default=False, tags=["all"])
def uvloop(session: nox.Session) -> None:
    """Run the tests that need no virtual clock on uvloop, whose clock nothing can move."""
    session.install(EXTRAS, *_group("test"), *_group("uvloop"))
    session.run("pytest", "--numprocesses=auto", "-m", "real_clock and not slow", env={"FOXVIDEO_TEST_UVLOOP": "1"})


@nox.session(python=NEWEST, default=False, tags=["all"])
def crash(session: nox.Session) -> None:
    """Kill a client some two thousand times, and watch with strace what is on the disk when; takes minutes."""
    _needs(session, strace="strace")
    session.install(EXTRAS, *_group("test"))
    session.run("pytest", "--numprocesses=auto", "tests/crash/durability.py", "tests/crash/rounds.py", *session.posargs)


@nox.session(python=NEWEST, default=False, tags=["all"])
def farm(session: nox.Session) -> None:
    """Kill and stop three workers that share a journal in PostgreSQL; takes some minutes."""
    session.install(EXTRAS, *_group("test"))
    session.run("pytest", "--numprocesses=auto", "--timeout=300", "tests/crash/farm.py", *session.posargs)


@nox.session(python=OLDEST, default=False, tags=["all"])
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that pyproject.toml promises to work with."""
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"].values()
    promised = [*project["dependencies"], *(requirement for extra in extras for requirement in extra)]
    pinned = [re.sub(r">=([\w.]+).*", r"==\1", requirement) for requirement in promised]
    session.install(EXTRAS, *_group("test"), *pinned)
    _test(session)


@nox.session(python=NEWEST, default=False, tags=["all"])
def bare(session: nox.Session) -> None:
    """Import the package with nothing but its four dependencies, and see the command line say what it lacks."""
    session.install(".")
    session.run("python", "-P", "-c", "import foxvideo; foxvideo.Client('sk-1')")
    session.run("foxvideo", success_codes=[2])


@nox.session(python=NEWEST, default=False, tags=["all"])
def endurance(session: nox.Session) -> None:
    """Bring a gigabyte down through cuts and kills, and 200 MB up, in little memory; and try each benchmark once."""
    session.install(EXTRAS, *_group("test"), *_group("report"))
    session.run("pytest", "-m", "slow", "--timeout=900", *session.posargs, env={"PYTHONSAFEPATH": "1"})


@nox.session(python=NEWEST, default=False, tags=["all"])
def batch(session: nox.Session) -> None:
    """Kill a batch of 300 rows three times, and see it end whole; takes some minutes."""
    session.install(EXTRAS, *_group("test"))
    session.run("pytest", "--capture=no", "--timeout=900", "tests/batch/killed.py", *session.posargs)


@nox.session(python=NEWEST, default=False, tags=["all"])
def examples(session: nox.Session) -> None:
    """Run the notebooks among the examples in a kernel, and check their types; the other examples are in the suite."""
    session.install(EXTRAS, *_group("typing"))
    session.run("pytest", "tests/examples/notebooks.py", *session.posargs)


@nox.session(python=NEWEST, default=False)
def sheet(session: nox.Session) -> None:
    """Look at a contact sheet in headless Chromium: Debian's packages chromium and chromium-driver."""
    _needs(session, chromium="chromium", chromedriver="chromium-driver")
    session.install(EXTRAS, *_group("test"), *_group("browser"))
    session.run("pytest", "tests/browser/sheet.py", *session.posargs)


@nox.session(python=NEWEST, default=False, tags=["all"])
def docs(session: nox.Session) -> None:
    """Build the documentation into build/docs, and stop at dead links and at names without a docstring."""
    session.install(EXTRAS, ".[testing]", *_group("docs"))
    session.run("python", "-W", "error::UserWarning", ".github/docs/build.py", "build/docs")


@nox.session(python=NEWEST, default=False)
def pictures(session: nox.Session) -> None:
    """Draw the pictures of the README anew: a batch of the emulator, on a terminal and in headless Chromium."""
    _needs(session, chromium="chromium")
    session.install(EXTRAS)
    session.run("python", ".github/docs/pictures.py", ".github")


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*_group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(python=NEWEST, default=False)
def peers(session: nox.Session) -> None:
    """Measure other clients of video services beside foxvideo; takes the options of ``python -m benchmarks peers``."""
    session.install(".", *_group("peers"))
    session.run("python", "-m", "benchmarks", "peers", *session.posargs)


@nox.session(python=NEWEST, default=False, tags=["all"])
def audit(session: nox.Session) -> None:
    """Look the dependencies up among known vulnerabilities; what the index does not know is named and passed over."""
    session.install(EXTRAS, *_group("audit"))
    session.run("pip-audit", "--progress-spinner=off", "--skip-editable")


@nox.session(python=OLDEST)
def typing(session: nox.Session) -> None:
    """Check types: of everything, of the README's examples, and how much of the public face has one."""
    session.install(EXTRAS, *_group("typing"))
    session.run("mypy")
    folder = session.create_tmp()
    session.run("python", "tests/typing/snippets.py", folder)
    with session.chdir(folder):  # beside the installed package, not above its sources
        session.run("mypy", "--strict", ".")
        session.run("pyright", ".")
        session.run("pyright", "--verifytypes", "foxvideo", "--ignoreexternal")


@nox.session(python=NEWEST, default=False, tags=["all"])
def coverage(session: nox.Session) -> None:
    """Combine what the tests covered: next to every branch of the client, and of the command line and the emulator."""
    session.install(*_group("test"))
    session.run("coverage", "combine")
    session.run("coverage", "report", "--omit=*/cli/*,*/emulator/*,*/__main__.py", "--fail-under=99")
    session.run("coverage", "report", "--include=*/cli/*,*/emulator/*,*/__main__.py", "--fail-under=99")
