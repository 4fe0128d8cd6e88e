"""``tagseg demo``."""

from __future__ import annotations

from tagseg.verbs.parser import as_dict, make_parser, switches


def run(arguments: list[str]) -> None:
    """Run the verb."""
    from tagseg.app.demo import demo

    parser = make_parser("demo", "Draw scenes, train on their tags on the CPU, score, and make pictures.")
    parser.add_function_arguments(demo)
    demo(**as_dict(parser.parse_args(switches(arguments, parser))))
