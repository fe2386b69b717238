"""The audit as text for a terminal, and as JUnit XML for a build server."""

from xml.etree import ElementTree as ET

from service.audit import windows
from service.audit.result import OUTCOMES, Audit, Row
from service.describe import printable
from service.presentation.phrases import duration

SHOWN_CASES = 3
"""Cases of a failed check on the terminal; the other outputs have them all."""


def text(audit: Audit) -> str:
    """Return the audit as text: a line a check, the worst cases of those that fail, the counts."""
    seconds = (audit.last_ns - audit.first_ns) / 1e9
    title = f"audit of {audit.directory}"
    if audit.venue:
        title = f"audit of {audit.venue}, {audit.directory}"
    lines = [
        (
            f"{title}: {duration(seconds)}, {sum(audit.events.values()):,} events, "
            f"{audit.liquidations:,} liquidations"
        ),
        "",
    ]
    for row in audit.rows:
        lines.append(f"{row.number:>4}  {OUTCOMES[row.outcome]:<12} {row.name}: {row.sentence}")
        if row.outcome == "fail":
            low, high = row.breach_ratio.low, row.breach_ratio.high
            lines.append(f"{'':20}rate {low:.2%} to {high:.2%}, at stake {row.money:,.2f}")
            lines += [f"{'':20}{_case(row, place)}" for place in range(_few(row))]
            if len(row.cases) > SHOWN_CASES:
                lines.append(f"{'':20}… {row.breaches - SHOWN_CASES:,} more")
    refused = sum(file.refused for file in audit.files)
    if refused:
        lines += ["", f"{refused:,} records are no events and were left out"]
    lines += plan(audit)
    if audit.mark_windows is not None:
        lines += ["", *windows.lines(audit.mark_windows)]
    lines += ["", summary(audit)]
    return "\n".join(printable(line) if not line.isascii() else line for line in lines)


def plan(audit: Audit) -> list[str]:
    """Return what was not tested: the missing input, the streams, and the small experiment."""
    rows = [row for row in audit.rows if row.outcome == "not_tested"]
    if not rows:
        return []
    lines = ["", "test plan: what was not tested, and the small experiment that shows it"]
    for row in rows:
        lines.append(f"{row.number:>4}  {row.name} needs {', '.join(row.inputs)}")
        lines.append(f"{'':6}missing {row.missing}")
        lines.append(f"{'':6}{row.plan}")
    return lines


def summary(audit: Audit) -> str:
    """Return the number of findings of each outcome, in one line."""
    counts = audit.counts()
    return ", ".join(f"{counts[name]} {called}" for name, called in OUTCOMES.items())


def junit(audit: Audit) -> bytes:
    """Return the audit as JUnit XML: a test case a check.

    What is inferred or not tested is skipped, with the reason as its message.
    """
    counts = audit.counts()
    suite = ET.Element(
        "testsuite",
        name=f"foreshock audit of {printable(audit.venue or audit.directory)}",
        tests=str(len(audit.rows)),
        failures=str(counts["fail"]),
        errors="0",
        skipped=str(counts["inferred"] + counts["not_tested"]),
        time="0",
    )
    for row in audit.rows:
        case = ET.SubElement(
            suite, "testcase", classname="audit", name=f"{row.number} {row.name}", time="0"
        )
        sentence = printable(row.sentence)
        if row.outcome == "fail":
            failure = ET.SubElement(case, "failure", message=sentence, type="breach")
            failure.text = "\n".join(
                [printable(row.claim or row.rule)]
                + [_case(row, place) for place in range(len(row.cases))]
            )
        elif row.outcome in ("inferred", "not_tested"):
            plan = f"; to see it: {row.plan}" if row.plan else ""
            ET.SubElement(case, "skipped", message=printable(sentence + plan))
        else:
            ET.SubElement(case, "system-out").text = sentence
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _few(row: Row) -> int:
    return min(len(row.cases), SHOWN_CASES)


def _case(row: Row, place: int) -> str:
    case = row.cases[place]
    whose = " ".join(name for name in (case.symbol, case.account) if name)
    return printable(f"{case.ts_event} {whose}: {case.story}")
