"""What would disappoint a reader of the documentation: a name without a docstring, a dead link, a name that is none."""

import ast
import asyncio
import builtins
import inspect
import keyword
import pkgutil
import pydoc
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pdoc.doc

import foxvideo
from foxvideo import catalogue, testing

ROOT = Path(__file__).resolve().parent.parent.parent
REPOSITORY = "https://github.com/foxvideo/foxvideo/blob/main/"
NOT_PAGES = {"foxvideo.cli": "a command, which `foxvideo --help` describes"}
FILES = ("csv", "db", "html", "jsonl", "mp4", "part", "png", "toml")  # names of a user's files, as examples
PLAYERS: dict[str, object] = {  # what the guides call an object of a class
    "client": foxvideo.Client,
    "error": foxvideo.FoxError,
    "foxapi": testing.FoxAPI,
    "model": catalogue.Model,
    "prices": foxvideo.Prices,
    "record": foxvideo.TaskRecord,
    "request": foxvideo.Request,
    "saved": foxvideo.SavedFile,
    "state": foxvideo.TaskState,
    "task": foxvideo.VideoTask,
    "video": foxvideo.Video,
}
EXTRAS = ("cli", "emulator", "testing", "postgres", "farm", "otel", "null")  # and a word of JSON
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_SHELL = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_NAME = re.compile(r"(@?)([A-Za-z_]\w*(?:\.\w+)*)(\(.*\))?", re.DOTALL)
_COMMAND = re.compile(r"foxvideo ([a-z]+)")
_KEYWORD = re.compile(r"(?<![\w.-])([a-z_]\w*)=(?!=)")
_DESCRIBED = re.compile(r"^ *(\w+): ", re.MULTILINE)

Modules = Mapping[str, pdoc.doc.Module]


def missing_pages(pages: Mapping[str, str]) -> Iterator[str]:
    """Name the public modules that have no page."""
    for module in pkgutil.iter_modules(foxvideo.__path__, "foxvideo."):
        if not module.name.startswith("foxvideo._") and module.name not in {*pages, *NOT_PAGES}:
            yield f"{module.name}: no page of the documentation"


def members(module: pdoc.doc.Module) -> Iterator[pdoc.doc.Doc[Any]]:
    """Return the public names of a module, and those of its classes."""
    for doc in module.own_members if module.modulename != "foxvideo" else module.members.values():
        if not doc.name.startswith("_") and doc.kind != "module":
            yield doc
            if isinstance(doc, pdoc.doc.Class):
                yield from (member for member in doc.own_members if not member.name.startswith("_"))


def docstrings(modules: Modules, homes: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Name what has no docstring; an attribute may be described in that of its class."""
    for module in modules.values():
        if not module.docstring:
            yield f"{module.modulename}: no docstring"
        for doc in members(module):
            at_home = homes[module.modulename, doc.qualname.partition(".")[0]] == module.modulename
            if at_home and not doc.docstring.strip() and not _described(doc, module):
                yield f"{module.modulename}: {doc.qualname} has no docstring"


def _described(doc: pdoc.doc.Doc[Any], module: pdoc.doc.Module) -> bool:
    if doc.kind != "variable":
        return False
    of = module.get(doc.qualname.rpartition(".")[0])
    return of is not None and doc.name in _described_in(of.obj)


def _described_in(kind: object) -> set[str]:
    """Return what the docstrings of a class and its bases describe."""
    texts = (inspect.getdoc(base) or "" for base in (kind.__mro__ if inspect.isclass(kind) else ()))
    return {name for text in texts for name in _DESCRIBED.findall(text)}


def names(modules: Modules) -> Iterator[str]:
    """Name what stands in backticks like a name of foxvideo and is none."""
    known, options = _known(), _options()
    for module in modules.values():
        shown: list[pdoc.doc.Doc[Any]] = [module]
        shown += members(module) if module.modulename != "foxvideo" else ()
        for doc in shown:
            shell = [line for lines in _SHELL.findall(doc.docstring) for line in lines.splitlines()]
            for code in (*shell, *(code for _, code in _CODE.findall(_FENCED.sub("", doc.docstring)))):
                plain = " ".join(code.split())
                if not (options.issuperset(_KEYWORD.findall(plain)) and _exists(plain, doc, module, known)):
                    yield f"{module.modulename}: {doc.qualname or 'the module'} speaks of `{code}`, which is nowhere"


def _nodes() -> Iterator[ast.AST]:
    for path in (ROOT / "foxvideo").rglob("*.py"):
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def _known() -> set[str]:
    """Return every word that may stand alone: those of the package's code, of the catalogue, and Python's own."""
    known = {*EXTRAS, *dir(builtins), *dir(asyncio), *keyword.kwlist}
    for model in catalogue.models():
        known |= {model.kind, *model.parameters}
    for node in _nodes():
        words = (getattr(node, slot, None) for slot in ("id", "attr", "arg", "name", "value", "module"))
        known |= {word for word in words if isinstance(word, str)}
    return known


def _options() -> set[str]:
    """Return every word that may stand before ``=``: parameters, attributes of values, and fields of requests."""
    options = {"ssl"} | {field for model in catalogue.models() for field in model.parameters}
    for node in _nodes():
        match node:
            case ast.arg(arg=name) | ast.AnnAssign(target=ast.Name(id=name)):
                options.add(name.lstrip("_"))
            case ast.keyword(arg="alias", value=ast.Constant(value=str(name))):
                options.add(name)
    return options


def _exists(code: str, doc: pdoc.doc.Doc[Any], module: pdoc.doc.Module, known: set[str]) -> bool:
    if re.fullmatch(r"[\w./-]+/[\w.-]*", code) and not code.startswith("/"):
        return any((folder / code).exists() for folder in (ROOT, ROOT / "foxvideo")) or not code.endswith((".py", "/"))
    if command := _COMMAND.match(code):
        return (ROOT / f"foxvideo/cli/commands/{command[1]}.py").exists()
    name = _NAME.fullmatch(code)
    if name is None or code.rpartition(".")[2] in FILES:
        return True  # a value, an expression, a header, a user's file
    if code.endswith((".py", ".json", ".css")):
        return any((ROOT / "foxvideo").rglob(code)) or code == "conftest.py"
    if "." not in name[2]:
        return name[2] in known or bool(name[1]) or name[2].isupper()
    return _resolves(name[2], doc, module)


def _resolves(name: str, doc: pdoc.doc.Doc[Any], module: pdoc.doc.Module) -> bool:
    """Whether a name with dots leads somewhere, from its class, its module, or what the guides call an object."""
    head, _, rest = name.partition(".")
    namespace = module.get(doc.qualname.partition(".")[0]) if doc.qualname else None
    named = (PLAYERS.get(head), getattr(module.obj, head, None), getattr(foxvideo, head, None))
    if any(root is not None and _has(root, rest) for root in named):
        return True
    if namespace is not None and (_has(namespace.obj, name) or _has(namespace.obj, rest)):
        return True
    return pydoc.locate(name) is not None


def _has(root: object, path: str) -> bool:
    for part in path.split("."):
        if part in _described_in(root):
            return True  # of what it is an attribute, types alone know
        if not hasattr(root, part):
            return False
        root = getattr(root, part)
    return True


class _Page(HTMLParser):
    """The anchors and links of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()  # what a browser fetches without a click

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given["id"]} if "id" in given else set()
        self.links |= {given["href"]} if tag == "a" and "href" in given else set()
        self.loaded |= {given[name] for name in ("src", "href", "srcset") if name in given and tag != "a"}


def links(folder: Path) -> Iterator[str]:
    """Name links that lead nowhere, and whatever a page would load from another host."""
    pages = {}
    for path in folder.rglob("*.html"):
        pages[path.resolve()] = page = _Page()
        page.feed(text := path.read_text(encoding="utf-8"))
        page.loaded |= set(re.findall(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", text))
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        yield from (f"{where}: loads {url}" for url in page.loaded if "//" in url.partition(",")[0])
        for link in page.links:
            if link.startswith(REPOSITORY):
                dead = not (ROOT / unquote(urldefrag(link).url.removeprefix(REPOSITORY))).exists()
            elif "//" in link or link.startswith("mailto:"):
                dead = False  # another host, which is not asked here
            else:
                target, anchor = urldefrag(link)
                there = pages.get((path.parent / target).resolve() if target else path)
                dead = there is None or (bool(anchor) and unquote(anchor) not in there.anchors)
            if dead:
                yield f"{where}: {link} leads nowhere"
