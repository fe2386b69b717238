"""What the documentation says of the settings is what the settings are."""

from pathlib import Path

import msgspec

from service.describe import expected
from service.lists import LISTS

ROOT = Path(__file__).parents[2]


def test_the_documentation_lists_exactly_the_fields_of_an_entry_with_their_range():
    text = (ROOT / "docs/configuration.md").read_text("utf-8")
    for name, kind in LISTS.items():
        section = text.partition(f"\n## [[{name}]]\n")[2].partition("\n## ")[0]
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        told = {row[0].strip("| `"): row[1] for row in rows}
        fields = msgspec.structs.fields(kind)
        assert told == {field.encode_name: expected(field.type) for field in fields}
