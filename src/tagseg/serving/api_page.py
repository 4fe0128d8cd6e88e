"""``/openapi.json`` as a page for people: without scripts, and without the network that the usual ones load from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any


def api_page(description: dict[str, Any]) -> str:
    """The HTML of an OpenAPI description."""
    schemas = description.get("components", {}).get("schemas", {})
    routes = [
        _route(method, path, operation, schemas)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{description['info']['title']} {description['info']['version']}")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="page/api.css">
</head>
<body>
<main>
<h1>{title}</h1>
<p>{escape(description["info"].get("description", ""))}
The same for programs: <a href="openapi.json">openapi.json</a>. <a href="./">Back to the page</a>.</p>
{"".join(routes)}
</main>
</body>
</html>
"""


def _route(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(where)}</td><td>{escape(text)}</td></tr>"
        for name, where, text in [*_parameters(operation), *_body(operation, schemas)]
    )
    table = f"<table><thead><tr><th>value<th>in<th>meaning</thead><tbody>{rows}</tbody></table>" if rows else ""
    answers = "".join(
        f"<li><b>{escape(status)}</b> {escape(_answer(status, answer, schemas))}</li>"
        for status, answer in sorted(operation["responses"].items())
    )
    return f"""<section>
<h2><span class="method">{escape(method.upper())}</span> <code>{escape(path)}</code></h2>
<p>{escape(operation.get("description", operation.get("summary", "")))}</p>
{table}
<ul>{answers}</ul>
</section>
"""


def _parameters(operation: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for one in operation.get("parameters", ()):
        yield one["name"], one["in"], "; ".join(_facts(one["schema"], one.get("description"), one.get("required")))


def _body(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(content["schema"], schemas)
        for name, one in schema.get("properties", {}).items():
            required = name in schema.get("required", ())
            yield name, kind, "; ".join(_facts(one, one.get("description"), required))


def _facts(schema: dict[str, Any], text: str | None, required: object) -> Iterator[str]:
    yield _kind(schema)
    if required:
        yield "required"
    elif schema.get("default") is not None:
        yield f"default {json.dumps(schema['default'])}"
    if text:
        yield text


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return "file" if schema.get("format") == "binary" else str(schema.get("type", "any"))


def _answer(status: str, answer: dict[str, Any], schemas: dict[str, Any]) -> str:
    """An answer in a few words; all errors are of one form, which is told once."""
    if status >= "4":
        return str(answer["description"])
    parts = []
    for kind, content in answer.get("content", {}).items():
        schema = content.get("schema", {})
        fields = ", ".join(
            f"{name}: {_kind(one)}" for name, one in _resolved(schema, schemas).get("properties", {}).items()
        )
        parts.append(f"{kind} {{{fields}}}" if fields else kind)
    told = answer.get("description", "")
    return "; ".join([*parts, *([told] if told and told != "Successful Response" else [])])


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return found
