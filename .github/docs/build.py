"""Build the documentation: one page for each public module, into the folder that is named on the command line.

The guides are the docstrings of the modules, so that ``help()`` has them too. pdoc renders; what is here decides which
pages there are and in which order, and refuses what would disappoint a reader (``check.py``).
"""

import inspect
import re
import sys
from pathlib import Path

import check
import pdoc.doc
import pdoc.render
import pdoc.render_helpers
from markupsafe import Markup

import foxvideo.farm  # noqa: F401 - now: pdoc forbids what its dependencies run as they are imported

HERE = Path(__file__).parent
PAGES = {  # in the order of the menu: what a newcomer needs first stands first
    "foxvideo": "First steps",
    "foxvideo.requests": "What to make",
    "foxvideo.client": "Journal and keys",
    "foxvideo.task": "Handles",
    "foxvideo.errors": "Errors and money",
    "foxvideo.video": "Saving and files",
    "foxvideo.batch": "Batches",
    "foxvideo.farm": "Many machines",
    "foxvideo.progress": "A line of progress",
    "foxvideo.events": "Events and metrics",
    "foxvideo.otel": "OpenTelemetry",
    "foxvideo.schedule": "When to poll",
    "foxvideo.testing": "Testing your own code",
    "foxvideo.emulator": "The emulator",
    "foxvideo.state": "States and results",
    "foxvideo.media": "Files in and out",
    "foxvideo.account": "Balance and prices",
    "foxvideo.catalogue": "Documented models",
    "foxvideo.sheet": "Contact sheet",
}
_ATTRIBUTE = re.compile(r"<li><strong>([\w.]+):</strong>")
_WORD = r'<span class=(\\?")n\1>{}</span>'  # as pygments writes it; the search index escapes the quotes
_DOT, _OR = r"<span class=\1o\1>\.</span>", r" <span class=\1o\1>\|</span> "
_NEXT = r"<span class=\1n\1>{}</span>"
_LONG = (
    (_WORD.format("foxvideo") + f"(?:{_DOT}{_NEXT.format('[a-z_]+')})*{_DOT}(?={_NEXT.format('[A-Z].*?')})", ""),
    (
        _WORD.format("GrokTextToVideo") + f"(?:{_OR}{_NEXT.format('Grok[A-Za-z]+')})*{_OR}{_NEXT.format('Request')}",
        r"<span class=\1n\1>VideoRequest</span>",
    ),
    (_WORD.format("ellipsis") + _OR, ""),
    (r'<span class=(\\?")bp\1>Ellipsis</span>', r"<span class=\1n\1>...</span>"),
    (r'(<a href="[^"]*">)foxvideo\.(?:[a-z_]+\.)*([A-Z]\w*</a>)', r"\1\2"),
    (
        r'<a href="([^"]*)#GrokTextToVideo">GrokTextToVideo</a>(?: \| <a [^>]*>Grok\w+</a>)* \| <a [^>]*>Request</a>',
        r'<a href="\1#VideoRequest">VideoRequest</a>',
    ),
)


def anchored(html: str, qualname: str) -> Markup:
    """Give each described attribute of a class an anchor, and wrap tables so that they scroll by themselves."""
    html = _ATTRIBUTE.sub(rf'<li id="{qualname}.\1"><code>\1</code>:', str(html))
    return Markup(html.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>"))  # noqa: S704 - it is our own text


def short(html: str) -> str:
    """Write the types of a signature as a reader writes them: ``VideoRequest``, not its parts with their modules."""
    for long, plain in _LONG:
        html = re.sub(long, plain, html)
    return html


def signature(value: inspect.Signature, *, colon: bool) -> Markup:
    """Return a signature as HTML."""
    return Markup(short(str(pdoc.render_helpers.format_signature(value, colon=colon))))  # noqa: S704 - it is our own text


def constructor(kind: pdoc.doc.Class) -> inspect.Signature | None:
    """Return how a class is made by its users; None for one that only foxvideo makes."""
    init = kind.members.get("__init__")
    if not isinstance(init, pdoc.doc.Function):
        return None
    value = init.signature_without_self
    private = {field.alias for field in getattr(kind.obj, "__attrs_attrs__", ()) if field.name.startswith("_")}
    shown = [parameter for name, parameter in value.parameters.items() if name not in private]
    varied = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    if not shown or all(parameter.kind in varied for parameter in shown):
        return None
    return value.replace(parameters=shown)


def of_page(name: str, modules: dict[str, pdoc.doc.Module]) -> str | None:
    """Return the page that a module belongs to, None for none."""
    return max((page for page in modules if f"{name}.".startswith(f"{page}.")), key=len, default=None)


def describe(module: pdoc.doc.Module) -> None:
    """Give constants that a package takes from its modules the text that stands below them there."""
    below = [pdoc.doc.Module(obj) for name, obj in sys.modules.items() if name.startswith(f"{module.modulename}.")]
    for name, doc in module.members.items() if module.modulename != "foxvideo" else ():
        if doc.kind == "variable" and not doc.docstring:
            there = (other.members[name].docstring for other in below if name in other.members)
            doc.docstring = next(filter(None, there), "")


def homes_of(modules: dict[str, pdoc.doc.Module]) -> dict[tuple[str, str], str]:
    """Return for each page and public name of it the one page that has the name in full."""
    homes = {}
    for page, module in modules.items():
        for name, doc in module.members.items():
            others = [other for other in modules if other != page and name in modules[other].members]
            same = [other for other in others if not doc.docstring and modules[other].members[name].obj is doc.obj]
            taken = of_page(doc.taken_from[0], modules)
            homes[page, name] = taken if taken in others else (*same, page)[0]
    return homes


def linked(html: str, here: str, homes: dict[tuple[str, str], str], modules: dict[str, pdoc.doc.Module]) -> str:
    """Let every link to a name, and every name in backticks, lead to the page that has it in full."""
    top = "../" * here.count(".")

    def url(page: str, qualname: str) -> str:
        doc = modules[page].get(qualname)
        if doc is not None and "." in qualname and doc.taken_from[1] != qualname:  # inherited
            page, qualname = of_page(doc.taken_from[0], modules) or page, doc.taken_from[1]
        page = homes.get((page, qualname.partition(".")[0]), page)
        return f"{'' if page == here else top + page.replace('.', '/') + '.html'}#{qualname}"

    def moved(link: re.Match[str]) -> str:
        path = link[1].removesuffix(".html").replace("../", "").replace("./", "").replace("/", ".")
        page = path if path.startswith("foxvideo") else f"foxvideo.{path}" if path else here
        return f'href="{url(page, link[2])}"'

    def named(code: re.Match[str]) -> str:
        if code[1]:  # a link already
            return code[0]
        head, _, member = code[2].partition(".")
        player = check.PLAYERS.get(head) if member else None
        qualname = ".".join(filter(None, (getattr(player, "__name__", head), member)))
        home = homes.get(("foxvideo", qualname.partition(".")[0]))
        doc = modules[home].get(qualname) if home else None
        known = doc is not None and (doc.docstring or doc.kind == "variable")
        return f'<a href="{url("foxvideo", qualname)}">{code[0]}</a>' if known else code[0]

    html = re.sub(r'href="([\w./]*)#([A-Za-z_][\w.]*)"', moved, html)
    html = re.sub(r'(<a [^>]*>)?<span class="n">([A-Z]\w+)</span>', named, short(html))
    return re.sub(r"(<a [^>]*>)?<code>([A-Za-z][\w.]*)(?:\([^<]*\))?</code>", named, html)


def build(folder: Path) -> list[str]:
    """Write all pages, and return what is wrong with them."""
    modules = {name: pdoc.doc.Module.from_name(name) for name in PAGES}
    for module in modules.values():
        describe(module)
    pdoc.render.configure(docformat="google", template_directory=HERE, show_source=False)
    pdoc.render.env.filters["format_signature"] = signature
    pdoc.render.env.filters["constructor"] = constructor
    pdoc.render.env.filters["anchored"] = anchored
    pdoc.render.env.globals["pages"] = PAGES
    pdoc.render.env.globals["version"] = modules["foxvideo"].obj.__version__
    pdoc.render.env.globals["homes"] = homes = homes_of(modules)
    for name, module in modules.items():
        path = folder / f"{name.replace('.', '/')}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(linked(pdoc.render.html_module(module, modules), name, homes, modules), encoding="utf-8")
    (folder / "index.html").write_text('<!doctype html><meta http-equiv="refresh" content="0; url=foxvideo.html">')
    pdoc.render.env.globals["searching"] = True  # a name is found once, at its home
    (folder / "search.js").write_text(short(pdoc.render.search_index(modules)), encoding="utf-8")
    return [*check.missing_pages(PAGES), *check.docstrings(modules, homes), *check.names(modules), *check.links(folder)]


if __name__ == "__main__":
    faults = build(Path(sys.argv[1]))
    sys.exit("\n".join(faults) if faults else 0)
