"""The types of single settings: their pattern, their bounds, and how a message describes them."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

Servers = Annotated[
    str,
    Meta(
        pattern=r"^[^\s,]+:\d{1,5}(\s*,\s*[^\s,]+:\d{1,5})*$",
        description="host:port, several separated by commas",
    ),
]
Text = Annotated[str, Meta(min_length=1, max_length=249)]
OptionalText = Annotated[str, Meta(max_length=249)]
UserName = Annotated[
    str,
    Meta(pattern=r"^[^:]{0,249}$", description="text of 0 to 249 characters without a colon"),
]
File = Annotated[str, Meta(max_length=4_096, description='the path of a file, or "" for none')]
Url = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[^\s/@]+(/[^\s@]*)?)?$",
        description='an address beginning with https:// (or http://), or "" for none',
    ),
]
_URL = r"https?://[^\s,@?#]+"
Urls = Annotated[
    str,
    Meta(
        pattern=rf"^({_URL}(\s*,\s*{_URL})*)?$",
        description='http://host:port or https://host:port, several separated by commas, or "" for '
        "none; user and password have settings of their own",
    ),
]
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*=[^,="\s]+'
Labels = Annotated[
    str,
    Meta(
        pattern=rf"^({_LABEL}(\s*,\s*{_LABEL})*)?$",
        description='name=value, several separated by commas, or "" for none',
    ),
]
Tenant = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9!_.*'()-]{0,150}$",
        description="""up to 150 letters, digits and !-_.*'(), or "" for none""",
    ),
]
_TOPIC = "a topic name: up to 249 letters, digits, dots, dashes and underscores"
Topic = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$", description=_TOPIC)]
OptionalTopic = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._-]{0,249}$", description=f'{_TOPIC}, or "" for none')
]
Budget = Annotated[float, Meta(ge=0.001, le=1_000)]
Symbols = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[^\s]{1,64}$")], ...],
    Meta(min_length=1, description='a list of symbols or patterns, such as ["BTC-*", "ETH-PERP"]'),
]
Patterns = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[^\s,]{1,64}$")], ...],
    Meta(
        max_length=1_000,
        description='a list of symbols or patterns, such as ["CL*", "NG-SPREAD"], or [] for none',
    ),
]
Detectors = Annotated[
    tuple[Text, ...],
    Meta(min_length=1, description="a list of detectors' names; leave it out for all"),
]
PlugInNames = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")], ...],
    Meta(max_length=100, description='a list of names, such as ["joint_stress"], or [] for none'),
]
Moment = Annotated[
    datetime, Meta(tz=True, description="a time with its offset, such as 2026-03-07T22:00:00Z")
]
TimeZone = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$",
        max_length=64,
        description='a time zone of the IANA database, such as "Europe/Berlin"',
    ),
]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Days = Annotated[
    tuple[Day, ...],
    Meta(
        min_length=1,
        description='a list of days out of "mon", "tue", "wed", "thu", "fri", "sat", "sun"',
    ),
]
TimeOfDay = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description='a time of day from "00:00" to "23:59"',
    ),
]

NameFormat = Annotated[
    str,
    Meta(
        pattern=r"^(?=.*%[yY])(?=.*%[mb])([^%]|%[yYmbd]){1,64}$",
        description='the date in a symbol\'s name, such as "-%d%b%y": a year (%y or %Y), a month '
        "(%m or %b) and perhaps a day (%d)",
    ),
]
