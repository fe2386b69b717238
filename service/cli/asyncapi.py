"""The AsyncAPI document: all topics, their records, and whether Foreshock reads or writes them.

It is generated from the types that decode and encode the records, with the names of topics and
fields from the settings. AsyncAPI 3.0.0, Kafka bindings 0.5.0.
"""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
import yaml
from msgspec import Struct

from detectors.closing import Signal
from detectors.conduct.liquidation_record import LiquidationRecord
from detectors.conduct.parameter_change import ParameterChange
from detectors.incidents.alerts import Alert
from detectors.kill_switch.switch import KillSwitch
from detectors.risk_watch.records import RiskRecord
from service import __version__
from service.kafka.cluster.topics import RequiredTopic, wanted_topics
from service.mapping.topics import mapped_streams
from service.outputs.journal import JournalEntry
from service.pipeline.commands import Command
from service.pipeline.feedback import Feedback
from service.pipeline.rejection import Reason
from service.pipeline.snapshots import Header
from service.pipeline.wire import ALL_STREAMS, AUDIT_STREAMS, RISK_STREAMS, event_class
from service.settings.types import Settings

BINDING = "0.5.0"
"""Version of the Kafka bindings for AsyncAPI."""

_AS_TEXT = {
    "integer": r"^-?\d+$",
    "number": r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$",
}

_OUTPUTS: Mapping[str, type[Struct]] = {
    "alerts": Alert,
    "signals": Signal,
    "killswitch": KillSwitch,
    "switchlog": KillSwitch,
    "commands": Command,
    "feedback": Feedback,
    "journal": JournalEntry,
    "risk": RiskRecord,
    "liquidation_records": LiquidationRecord,
    "parameter_changes": ParameterChange,
}
_KEYS = {
    "feedback": "the alert_id, UTF-8",
    "journal": "the instance, UTF-8",
    "accounts": "the account, UTF-8",
    "insurance": "the symbol, or * for the fund of the whole venue, UTF-8",
    "risk": "the symbol and the side, UTF-8, as in BTC-PERP|long",
    "liquidation_records": "the liquidation_id, UTF-8",
    "parameter_changes": "the change_id, UTF-8",
}
_SUMMARIES = {
    "alerts": "One record each time an incident opens, changes materially, escalates or resolves. "
    "At least once: the same alert_id, status, severity and update are the same alert.",
    "signals": "One record per symbol and bar with events: each detector's result, and the "
    "features behind it. After a crash some records are sent again, with the same symbol and "
    "ts_event.",
    "killswitch": "Compacted: the last record of a symbol is its state. It ends at `until`, and "
    "can be relied on until the latest `valid_until` of its partition: the owner of a partition "
    "sends heartbeats.",
    "switchlog": "Every record of every kill switch except heartbeats. Each has the hash of the "
    "one before it.",
    "commands": "Commands of operators to kill switches, by `foreshock killswitch` or other "
    "programs. The owner of the symbol answers with a record on the topic killswitch.",
    "feedback": "Compacted: the last record of an alert is its verdict. Operators write it with "
    "`foreshock feedback` or on the console, and other programs may. Every instance reads it.",
    "journal": "When the service ran, and with which settings: one record at each start, change of "
    "the settings and stop, and every five minutes.",
    "risk": "Compacted: the last record of a symbol and side says how near it is to a run of "
    "liquidations. One record every ten seconds in which something changed, and with each alert. "
    "Leave out records whose key ends in |memory: they are internal, and their format changes.",
    "liquidation_records": "One record for each liquidation, 300 s after its first slice or at its "
    "end: what it needed and took, and what other mark prices would have made of it.",
    "parameter_changes": "One record for each change of a symbol's margin parameters, once it is "
    "known: what differs, the notice, and what it would liquidate as things stand.",
    "orders": "New orders, and replacements of resting orders. All orders except market orders "
    "have a price.",
    "cancels": "Cancels of resting orders.",
    "trades": "Executions.",
    "references": "Prices and rates that the venue computes.",
    "margins": "The venue's margin parameters.",
    "positions": "Positions of accounts after a change.",
    "statuses": "Trading states of symbols. A symbol is judged only while it is open.",
    "accounts": "Collateral, equity and margin mode of accounts after a change.",
    "liquidations": "Steps of the liquidation of positions, with the mark price of the decision.",
    "insurance": "Balances of the insurance funds after a change.",
    "acks": "The venue's answers to orders and cancels: accepted, or rejected with a reason.",
    "fees": "Fees of symbols as ratios to notional.",
}
_DEAD_LETTER_HEADERS: dict[str, Any] = {
    "foreshock.topic": {"type": "string", "description": "topic of the original record"},
    "foreshock.partition": {"type": "string", "pattern": r"^\d+$"},
    "foreshock.offset": {
        "type": "string",
        "pattern": r"^-?\d+$",
        "description": "-1 for an event that was read before its symbol was set aside; the value "
        "is then the event as JSON",
    },
    "foreshock.timestamp_ms": {
        "type": "string",
        "pattern": r"^-?\d+$",
        "description": "timestamp of the original record",
    },
    "foreshock.reason": {"type": "string", "enum": list(get_args(Reason))},
    "foreshock.detail": {"type": "string", "description": "the error and the valid values"},
    "foreshock.size": {
        "type": "string",
        "pattern": r"^\d+$",
        "description": "size of the original value in bytes; a value that is too large is cut",
    },
    "foreshock.key_size": {
        "type": "string",
        "pattern": r"^\d+$",
        "description": "size of the original key in bytes; present only if the key is cut",
    },
}
_DEAD_LETTER_REQUIRED = [name for name in _DEAD_LETTER_HEADERS if name != "foreshock.key_size"]


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return the document as YAML, with its keys in their order."""
    text: str = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=100)
    return text


def asyncapi(settings: Settings) -> dict[str, Any]:
    """Return the document with the topics, names and units of the settings."""
    # What a mapping reads has the venue's own shape: it is not described here.
    mapped = mapped_streams(settings.mappings)
    wanted = [its for its in wanted_topics(settings) if not its.key.startswith("mappings")]
    topics = {topic.key.partition(".")[2]: topic for topic in wanted}
    wire = settings.wire
    events = {
        name: event_class(name, getattr(wire.fields, name), wire.time_unit)
        for name in ALL_STREAMS
        if name in topics and name not in mapped
    }
    outputs = {name: kind for name, kind in _OUTPUTS.items() if name in topics}
    _, schemas = msgspec.json.schema_components(
        [*outputs.values(), Header], ref_template="#/components/schemas/{name}"
    )
    # As JSON has them: a default may be a tuple.
    schemas = msgspec.json.decode(msgspec.json.encode(schemas))
    for name, event in events.items():
        schemas |= _lenient(name, event)
    for name, schema in schemas.items():
        schemas[name] = {**schema, "description": " ".join(schema["description"].split())}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Foreshock",
            "version": __version__,
            "description": "The topics that Foreshock reads and writes. All topics but accounts, "
            "liquidations, insurance, acks and fees have the same number of partitions. A symbol "
            "has the same partition number in each topic. Times are whole nanoseconds since "
            "1970, UTC, unless stated otherwise.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(settings),
        "channels": {name: _channel(name, topic) for name, topic in topics.items()},
        "operations": {
            f"{'read' if topic.is_input else 'write'}_{name}": {
                "action": "receive" if topic.is_input else "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
            }
            for name, topic in topics.items()
        },
        "components": {
            "messages": {
                **{name: _message(name, ALL_STREAMS[name]) for name in events},
                **{name: _message(name, kind) for name, kind in outputs.items()},
                "deadletters": _dead_letter(),
                "snapshots": _snapshot(),
            },
            "schemas": schemas,
        },
    }


def _servers(settings: Settings) -> dict[str, Any]:
    kafka = settings.kafka
    protocol = "kafka" if kafka.security_protocol == "PLAINTEXT" else "kafka-secure"
    hosts = [host.strip() for host in kafka.bootstrap_servers.split(",")]
    return {
        f"kafka{number}": {
            "host": host,
            "protocol": protocol,
            "description": f"security.protocol={kafka.security_protocol}",
        }
        for number, host in enumerate(hosts)
    }


def _channel(name: str, topic: RequiredTopic) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": topic.name,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }
    if topic.is_input and not topic.is_required:
        channel["description"] = _optional(name)
    if name == "snapshots":
        channel["description"] = "Internal to Foreshock; the format changes between versions."
        channel["x-internal"] = True
    configuration: dict[str, Any] = {}
    if policy := topic.configs.get("cleanup.policy"):
        configuration["cleanup.policy"] = [policy]
    if retention := topic.configs.get("retention.ms"):
        configuration["retention.ms"] = int(retention)
    if configuration:
        channel["bindings"] = {
            "kafka": {"topicConfiguration": configuration, "bindingVersion": BINDING}
        }
    return channel


def _optional(name: str) -> str:
    if name in AUDIT_STREAMS:
        return "Optional. Only `foreshock audit` reads it. Any number of partitions."
    if name in RISK_STREAMS:
        return "Optional. Only the risk of positions needs it. Any number of partitions."
    return 'Optional. Without it, the detectors that need it report "no_input".'


def _message(name: str, kind: type[Struct]) -> dict[str, Any]:
    key = {"type": "string", "description": _KEYS.get(name, "the symbol, UTF-8")}
    return {
        "title": kind.__name__,
        "summary": _SUMMARIES[name],
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{kind.__name__}"},
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}},
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "title": "DeadLetter",
        "summary": "A record that could not be decoded, with its original bytes and key. The "
        "headers give its position and the reason.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": _DEAD_LETTER_REQUIRED,
            "properties": _DEAD_LETTER_HEADERS,
        },
        "payload": {"type": "string", "format": "binary"},
    }


def _snapshot() -> dict[str, Any]:
    return {
        "title": "Snapshot",
        "summary": "A part of a symbol's state, in MessagePack. Only Foreshock writes it.",
        "contentType": "application/msgpack",
        "headers": {
            "type": "object",
            "required": ["foreshock.snapshot"],
            "properties": {
                "foreshock.snapshot": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "description": "JSON, as in the schema Header",
                }
            },
        },
        "payload": {"type": "string", "format": "binary"},
    }


def _lenient(stream: str, event: type[Struct]) -> dict[str, Any]:
    """Return the schemas of an input event: a number may also be a text that contains it."""
    _, components = msgspec.json.schema_components(
        [event], ref_template="#/components/schemas/{name}"
    )
    for name, schema in components.items():
        schema["properties"] = {key: _or_text(its) for key, its in schema["properties"].items()}
        if name == event.__name__:  # a class with mapped field names has no docstring
            schema["description"] = ALL_STREAMS[stream].__doc__ or ""
    return components


def _or_text(schema: dict[str, Any]) -> dict[str, Any]:
    options: list[dict[str, Any]] = schema.get("anyOf", [schema])
    texts = [
        {"type": "string", "pattern": _AS_TEXT[option["type"]]}
        for option in options
        if option.get("type") in _AS_TEXT
    ]
    if not texts:
        return schema
    rest = {"default": schema["default"]} if "default" in schema else {}
    return {"anyOf": [*options, *texts], **rest}
