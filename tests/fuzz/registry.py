"""All parsers that are fuzzed, by name, the riskiest first."""

from __future__ import annotations

from .parser import Parser
from .parsers import classes, coco, folder, naming, networks, pictures, runs, server, tables, tools

FAMILIES = (tables, naming, classes, coco, tools, pictures, networks, runs, folder, server)

PARSERS: dict[str, Parser] = {parser.name: parser for family in FAMILIES for parser in family.PARSERS}
