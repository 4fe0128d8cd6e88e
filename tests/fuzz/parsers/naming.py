"""Which file a name in a list means: by paths, URLs, percent escapes, other cases, prefixes of uploads."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from urllib.parse import quote

from tagseg.data.resolver import Resolver
from tagseg.data.tools.label_studio_images import is_image, without_query
from tagseg.errors import TagsegError

from ..parser import Case, Parser
from .values import names

_WORDS = (
    *(b'"name": "http://[', b'"name": "http://a]/', b"http://", b"file:///", b"%2e%2e%2f", b"%", b"%zz", b"\\\\", b"."),
    *(b"C:\\\\", b"?d=", b"?d=a&d=b", b"../", b"/data/local-files/?d=", b"8f3a2b1c-", b".jpg", b".rf.", b"\\u0000"),
    *(b"\\ud800", b"//"),
)


def _written(name: str, rng: Random) -> str:
    """The name as another tool or machine writes it."""
    ways = (
        name,
        name.replace("/", "\\"),
        f"C:\\data\\{name}".replace("/", "\\"),
        f"https://host.example/bucket/{quote(name)}?sig=x%2Fy",
        f"http://[host/{quote(name)}",
        f"/data/local-files/?d={quote(name)}",
        f"/data/upload/1/8f3a2b1c-{name}",
        quote(name),
        f"./{name}",
        f"/somewhere/else/{name}",
        name.upper(),
        name.rpartition("/")[2],
        name.rpartition(".")[0] or name,
    )
    return rng.choice(ways)


def _case(rng: Random) -> Case:
    files = [name if "." in name else f"{name}.jpg" for name in names(rng)]
    meant = rng.choice(files)
    content = {"files": files, "name": _written(meant, rng)}
    return Case("names.json", json.dumps(content).encode(), meant, refusable=True)


def _read(path: Path) -> str:
    """The file; the name itself where none is meant, which counts as a refusal."""
    try:
        content = json.loads(path.read_bytes())
        files, name = [str(each) for each in content["files"]], str(content["name"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    is_image(name), without_query(name)
    match = Resolver(files, "the data").find(name)
    if match is None:
        raise TagsegError(f"no file is called {name}")
    return match.file


PARSERS = (Parser("image_names", _case, _read, _WORDS, changed=0.5),)
