"""``GET /docs``: the OpenAPI document as a page for people.

Made on the server from the document itself, so that it needs no script, nothing from elsewhere, and no exception from the
Content-Security-Policy. The whole page is text, made once a process.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from markupsafe import Markup, escape

from paywindow.front import openapi
from paywindow.front.context import FRONT
from paywindow.front.openapi_details import operations

_TEMPLATES = Path(__file__).parent / "templates"


async def show(request: web.Request) -> web.Response:
    """The page; public, as the interface is no secret."""
    text = page(request.app[FRONT].root, request.app[FRONT].public)
    return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "public, max-age=300"})


@cache
def page(root: str, public: str) -> str:
    """The HTML. ``root``: the path under which the front end is public; ``public``: its address, for the commands shown."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(code=_code, kind=_kind, pretty=_pretty)
    document = openapi.document()
    return environment.get_template("docs.html").render(
        root=root,
        info=document["info"],
        chapters=_chapters(document, public),
        schemas=document["components"]["schemas"],
        schemes=document["components"]["securitySchemes"],
    )


def _chapters(document: dict[str, Any], public: str) -> dict[str, list[dict[str, Any]]]:
    """The operations by tag, each with what the template shows of it."""
    chapters: dict[str, list[dict[str, Any]]] = {}
    for path, method, operation in operations(document["paths"]):
        answers = operation["responses"]
        shown = {
            **operation,
            "path": path,
            "method": method.upper(),
            "who": _who(operation["security"]),
            "body": _json(operation.get("requestBody", {})),
            "answers": {status: (each, _json(each)) for status, each in answers.items() if not _is_problem(each)},
            "problems": [
                (status, code, example["summary"])
                for status, each in answers.items()
                for code, example in _problem(each).items()
            ],
            "curl": _curl(path, method, operation, public),
        }
        chapters.setdefault(operation["tags"][0], []).append(shown)
    return chapters


def _json(body: dict[str, Any]) -> dict[str, Any] | None:
    content: dict[str, Any] | None = body.get("content", {}).get("application/json")
    return content


def _problem(answer: dict[str, Any]) -> dict[str, Any]:
    examples: dict[str, Any] = answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    return examples


def _is_problem(answer: dict[str, Any]) -> bool:
    return bool(_problem(answer)) and _json(answer) is None


def _who(security: list[dict[str, list[str]]]) -> list[str]:
    scopes = [scope for each in security for scope in each.get("serviceKey", ())]
    keys = [f"a service key with the scope {' or '.join(f'`{scope}`' for scope in scopes)}"] if scopes else []
    buyers = ["the buyer's token"] if any("buyerToken" in each for each in security) else []
    return [*keys, *buyers]


def _curl(path: str, method: str, operation: dict[str, Any], public: str) -> str:
    """A command that could be typed."""
    address = path
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            address = address.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    words = [f"curl {public}{address}"] if method == "get" else [f"curl -X {method.upper()} {public}{address}"]
    if operation["security"]:
        words.append('-H "Authorization: Bearer $KEY"')
    if any(each["name"] == "Idempotency-Key" for each in operation["parameters"]):
        words.append("-H 'Idempotency-Key: order-17'")
    if content := _json(operation.get("requestBody", {})):
        words += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(content['example'])}'"]
    return " \\\n  ".join(words)


def _code(text: str) -> Markup:
    """Text with `code` between backquotes."""
    return Markup(re.sub(r"`+([^`]+)`+", r"<code>\1</code>", str(escape(text)).replace("\n\n", "<br><br>")))  # noqa: S704 - escaped


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _kind(schema: dict[str, Any]) -> Markup:
    """A schema in a few words, with a link to the model that it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#model-{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(" or ").join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return Markup("list of {}").format(_kind(schema["items"]))
    if "const" in schema or "enum" in schema:
        choices: Iterable[Any] = schema.get("enum", [schema.get("const")])
        return Markup(", ").join(Markup("<code>{}</code>").format(choice) for choice in choices)
    limits = [f"{word} {schema[name]}" for name, word in _LIMITS.items() if name in schema]
    return Markup.escape(" ".join([str(schema.get("format") or schema.get("type", "any")), *limits]))


_LIMITS = {"minimum": "from", "maximum": "to", "maxLength": "of at most", "maxItems": "of at most"}
