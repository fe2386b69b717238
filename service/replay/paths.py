"""The files of a directory that a replay reads: those of streams and of topics of the mappings."""

from pathlib import Path

from service.errors import OperatorError
from service.mapping.topics import entries_of, input_name, mapped_streams
from service.pipeline.wire import REQUIRED_STREAMS, STREAMS
from service.replay.files import stream_path, topic_name
from service.settings.types import Settings


def stream_paths(directory: Path, settings: Settings) -> dict[str, Path]:
    """Return the file of each input that is there.

    Inputs are those of ``service.settings.assembly.input_topics``.

    Raises
    ------
    OperatorError
        If a required stream or every topic of the mappings is missing, or one has several files.
    """
    if not directory.is_dir():
        raise OperatorError(f"{directory} is not a directory; name one with orders.ndjson …")
    try:
        mapped = mapped_streams(settings.mappings)
        found = {name: stream_path(directory, name) for name in STREAMS if name not in mapped}
    except ValueError as error:
        raise OperatorError(str(error)) from error
    missing = [f"{name}.ndjson" for name in REQUIRED_STREAMS if found.get(name, name) is None]
    if missing:
        raise OperatorError(
            f"{directory} lacks {', '.join(missing)} (each may also be .ndjson.gz or .ndjson.zst);"
            " orders, cancels and trades are required"
        )
    return {name: path for name, path in found.items() if path is not None} | _topic_paths(
        directory, settings
    )


def _topic_paths(directory: Path, settings: Settings) -> dict[str, Path]:
    """Return the files of topics of the mappings: named after the topic."""
    if not settings.mappings:
        return {}
    entries = [entry for entry in settings.mappings if entry.stream in STREAMS]
    found: dict[str, Path] = {}
    for path in sorted(directory.iterdir()):
        topic = topic_name(path)
        if topic is None or not entries_of(topic, entries):
            continue
        if input_name(topic) in found:
            raise OperatorError(f"{directory} holds two files of the topic {topic}; keep one")
        found[input_name(topic)] = path
    if not found:
        topics = ", ".join(dict.fromkeys(its for entry in entries for its in entry.topics))
        raise OperatorError(
            f"{directory} has no file of the topics of the mappings: {topics}; name a file "
            "TOPIC.ndjson or TOPIC.csv (each may also end in .gz or .zst)"
        )
    return found
