"""Messages against the schemas of an AsyncAPI document."""

from typing import Any

from jsonschema import Draft202012Validator


def problems(document: dict[str, Any], name: str, payload: Any) -> list[str]:
    """What is wrong with the payload of a message."""
    return _wrong(document, document["components"]["messages"][name]["payload"], payload)


def header_problems(document: dict[str, Any], name: str, headers: dict[str, str]) -> list[str]:
    """What is wrong with the headers of a message."""
    return _wrong(document, document["components"]["messages"][name]["headers"], headers)


def _wrong(document: dict[str, Any], schema: dict[str, Any], instance: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(whole).iter_errors(instance)
    ]
