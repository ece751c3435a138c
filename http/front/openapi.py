"""The OpenAPI 3.1 document, generated from the request and response models."""

from functools import cache
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from paywindow import __version__, jsons
from paywindow.front import openapi_details, openapi_paths, requests, responses
from paywindow.front import openapi_parts as parts
from paywindow.front.answers import json_text


@cache
def document() -> dict[str, Any]:
    """The whole document, as plain JSON values. The same object each time: copy before changing it."""
    paths, schemas = openapi_paths.paths(), _schemas()
    openapi_details.add_outcomes(paths)
    openapi_details.complete(paths, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paywindow",
            "version": __version__,
            "description": parts.DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": parts.SECURITY_SCHEMES},
    }


async def show(_: web.Request) -> web.Response:
    """``GET /openapi.json``."""
    return json_text(jsons.dumps(document()), headers={"Cache-Control": "public, max-age=300"})


def _schemas() -> dict[str, Any]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (requests.CreateCheckout, "validation"),
        (requests.CancelCheckout, "validation"),
        (requests.Override, "validation"),
        (requests.MoveDeadline, "validation"),
        (requests.RetryPayment, "validation"),
        (requests.LinkSeller, "validation"),
        (requests.ResolveHold, "validation"),
        (requests.RefundPayment, "validation"),
        (requests.StripeEvent, "validation"),
        *((model, "serialization") for model in responses.MODELS),
    ]
    _, schema = models_json_schema(wanted, ref_template=parts.REFERENCE)
    return dict(sorted(schema["$defs"].items()))
