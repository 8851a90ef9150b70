"""The command line of the benchmarks: picks one by its name, runs it, prints a table or JSON.

What belongs here: the table of benchmarks, and what they have in common on the command line. What must not: measuring.
"""

import argparse
import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

NAMES = (
    "connections",
    "fanout",
    "farm",
    "imports",
    "journal",
    "overhead",
    "peers",
    "pending",
    "profile",
    "report",
    "schedule",
    "transfer",
)


class Benchmark(Protocol):
    """What a module of this package offers to be run by its name; its docstring is the help text."""

    __doc__: str | None

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the benchmark's own options."""

    def run(self, options: argparse.Namespace) -> Mapping[str, object]:
        """Measure, and return all figures as JSON can carry them.

        Raises:
            RuntimeError: What was compared was not the same, so the figures would mean nothing.
        """

    def show(self, figures: Mapping[str, object]) -> str:
        """Return the figures as a person reads them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark that the command line names and print what it measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what foxvideo costs.")
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    benchmarks = {name: cast("Benchmark", importlib.import_module(f"benchmarks.{name}")) for name in NAMES}
    for name, benchmark in benchmarks.items():
        text = benchmark.__doc__ or ""
        command = commands.add_parser(
            name,
            help=text.partition("\n")[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
        benchmark.configure(command)
    options = parser.parse_args(arguments)
    benchmark = benchmarks[options.name]
    figures = benchmark.run(options)
    print(json.dumps(figures, indent=2) if options.json else benchmark.show(figures))


if __name__ == "__main__":
    main()
