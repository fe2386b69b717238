"""Validation of messages against the schemas of an AsyncAPI document."""

from typing import Any

from jsonschema import Draft202012Validator


def problems(document: dict[str, Any], name: str, payload: Any) -> list[str]:
    """The errors of a message's payload."""
    return _errors(document, document["components"]["messages"][name]["payload"], payload)


def header_problems(document: dict[str, Any], name: str, headers: dict[str, str]) -> list[str]:
    """The errors of a message's headers."""
    return _errors(document, document["components"]["messages"][name]["headers"], headers)


def _errors(document: dict[str, Any], schema: dict[str, Any], instance: Any) -> list[str]:
    complete_schema = {**schema, "components": document["components"]}
    return [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(complete_schema).iter_errors(instance)
    ]
