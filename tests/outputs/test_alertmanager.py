"""Incidents are pushed to every Alertmanager: at once, again while they last, whatever fails."""

import asyncio
import shutil
import ssl
import subprocess
import time
from base64 import b64encode
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from deploy.kafka.kafka import free_port
from service.errors import ConfigurationError
from service.outputs.alertmanager import Notifier
from service.settings.types import AlertmanagerSettings
from tests.kafka_server import unavailable
from tests.outputs.alertmanagers import SECOND, alert, ended, fake_alertmanager, until


class Market:
    """What is open in the partitions that are owned; at first it is not known."""

    def __init__(self) -> None:
        self.open = {0: None, 1: None}

    def __call__(self):
        return self.open


@asynccontextmanager
async def notifying(*urls, market=None, **settings):
    """A running notifier that tells again once an hour, unless it is asked to."""
    settings = {"resend_seconds": 3_600.0, **settings}
    its = Notifier(AlertmanagerSettings(urls=", ".join(urls), **settings), market or Market())
    async with its.running():
        yield its


def seconds(text):
    return datetime.fromisoformat(text).timestamp()


async def test_an_alert_is_posted_at_once_with_all_that_a_person_needs():
    async with (
        fake_alertmanager() as manager,
        notifying(
            manager.url, labels="venue=north", runbook_base_url="https://wiki.example/"
        ) as notifier,
    ):
        fired = alert()
        notifier.notify(0, fired)
        (sent,) = await until(lambda: manager.alerts)
    assert sent["labels"] == {
        "alertname": "ForeshockIncident",
        "symbol": "BTC-PERP",
        "detector": "cancel_burst",
        "severity": "warning",
        "venue": "north",
    }
    annotations = sent["annotations"]
    assert annotations["summary"] == fired.summary
    assert "inputs" not in annotations
    assert annotations["description"] == (
        "net_withdrawal_1s: 12.3, expected 0.4 (cancel_burst, 81% of the score)"
    )
    assert annotations["runbook_url"] == "https://wiki.example/docs/runbook.md#cancel_burst"
    assert annotations["alert_id"] == fired.alert_id
    assert seconds(sent["startsAt"]) == pytest.approx(fired.starts_at / 1e9, abs=1e-5)
    # Held for five intervals, should nobody tell it again.
    assert seconds(sent["endsAt"]) == pytest.approx(time.time() + 5 * 3_600, abs=30)
    delivery = notifier.deliveries[manager.url]
    assert (delivery.sent, delivery.up, sum(delivery.delays.counts)) == (1, True, 1)
    assert 2.0 <= delivery.delays.sum_seconds <= time.time() - fired.ts_event / 1e9


async def test_what_an_alert_rests_on_is_told_where_it_is_not_to_be_trusted():
    against = ["cancels frozen for 7 s", "3 events missing by their numbers, 40 s ago"]
    async with fake_alertmanager() as manager, notifying(manager.url) as notifier:
        notifier.notify(0, alert(inputs=against))
        (sent,) = await until(lambda: manager.alerts)
    assert sent["annotations"]["inputs"] == (
        "cancels frozen for 7 s; 3 events missing by their numbers, 40 s ago"
    )


async def test_an_escalation_leaves_the_warning_and_the_end_ends_both():
    async with fake_alertmanager() as manager, notifying(manager.url) as notifier:
        notifier.notify(0, alert())
        await until(lambda: len(manager.alerts) == 1)
        critical = alert(severity="critical")
        notifier.notify(0, critical)
        await until(lambda: len(manager.alerts) == 3)
        assert [a["labels"]["severity"] for a in manager.alerts[1:]] == ["warning", "critical"]
        over = ended(critical)
        notifier.notify(0, over)
        await until(lambda: len(manager.alerts) == 5)
    ends = {a["labels"]["severity"]: seconds(a["endsAt"]) for a in manager.alerts[3:]}
    expected = pytest.approx(over.ends_at / 1e9, abs=1e-5)
    assert ends == {"warning": expected, "critical": expected}


async def test_an_update_changes_the_annotations_and_no_label():
    async with fake_alertmanager() as manager, notifying(manager.url) as notifier:
        critical = alert(severity="critical")
        notifier.notify(0, critical)
        await until(lambda: len(manager.alerts) == 2)
        update = replace(
            critical,
            update=1,
            reason="worse",
            summary="BTC-PERP: the book is empty near the touch",
            alarming=["thin_book", "cancel_burst"],
            opening="liquidity is being withdrawn",
        )
        notifier.notify(0, update)
        await until(lambda: len(manager.alerts) == 4)
    before, after = manager.alerts[:2], manager.alerts[2:]
    assert [a["labels"] for a in after] == [a["labels"] for a in before], "else it would page"
    for sent in after:
        said = sent["annotations"]
        assert said["summary"] == "BTC-PERP: the book is empty near the touch"
        assert said["alarming"] == "thin_book, cancel_burst"
        assert (said["reason"], said["opening"]) == ("worse", "liquidity is being withdrawn")


async def test_event_time_that_is_ahead_of_the_clock_is_no_reason_to_refuse():
    async with fake_alertmanager() as manager, notifying(manager.url) as notifier:
        ahead = time.time_ns() + 60 * SECOND
        over = alert(status="resolved", starts_at=ahead, ends_at=ahead + SECOND, ts_event=ahead)
        notifier.notify(0, over)
        (sent,) = await until(lambda: manager.alerts)
    assert seconds(sent["startsAt"]) <= seconds(sent["endsAt"]) <= time.time()


async def test_what_is_open_is_told_again_and_what_is_open_no_more_has_ended():
    market = Market()
    # Nobody told of this one: it was open before a restart.
    market.open = {0: [alert("A")], 1: None, 2: []}
    async with (
        fake_alertmanager() as manager,
        notifying(manager.url, market=market) as notifier,
    ):
        await until(lambda: len(manager.alerts) == 1)
        notifier.resend()
        await until(lambda: len(manager.alerts) == 2)
        assert all(seconds(a["endsAt"]) > time.time() for a in manager.alerts)
        market.open = {0: []}
        notifier.resend()
        await until(lambda: len(manager.alerts) == 3)
        assert seconds(manager.alerts[2]["endsAt"]) <= time.time()
        # An end is told again as well: an Alertmanager that restarts forgets.
        notifier.resend()
        await until(lambda: len(manager.alerts) == 4)
    assert manager.alerts[3] == manager.alerts[2]
    assert sum(notifier.deliveries[manager.url].delays.counts) == 0


async def test_a_token_that_is_replaced_and_the_tenant_are_sent_along(tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    settings = {"bearer_token_file": str(token), "tenant": "desk-1"}
    async with fake_alertmanager() as manager, notifying(manager.url, **settings) as notifier:
        notifier.notify(0, alert("A"))
        await until(lambda: len(manager.alerts) == 1)
        token.write_text("second\n")
        notifier.notify(0, alert("B"))
        await until(lambda: len(manager.alerts) == 2)
    sent = {(h["Authorization"], h["X-Scope-OrgID"]) for h in manager.headers}
    assert sent == {("Bearer first", "desk-1"), ("Bearer second", "desk-1")}


async def test_what_is_not_known_or_not_owned_is_not_told():
    market = Market()
    async with (
        fake_alertmanager() as manager,
        notifying(manager.url, market=market) as notifier,
    ):
        notifier.notify(0, alert("A"))
        notifier.notify(1, alert("B"))
        await until(lambda: len(manager.alerts) == 2)
        market.open = {0: None}  # the state of 0 is being made again, 1 has another owner
        before = len(manager.requests)
        notifier.resend()
        await until(lambda: len(manager.requests) > before)
    assert len(manager.alerts) == 2


async def test_with_nothing_to_tell_it_still_asks_whether_somebody_answers():
    async with fake_alertmanager() as manager:
        async with notifying(manager.url) as notifier:
            await until(lambda: manager.requests)
        assert manager.alerts == []
        assert notifier.deliveries[manager.url].up is True


async def test_one_that_does_not_answer_holds_up_nobody_and_is_told_when_it_does():
    port = free_port()
    gone = f"http://127.0.0.1:{port}"
    async with fake_alertmanager() as manager, notifying(gone, manager.url) as notifier:
        notifier.notify(0, alert())
        await until(lambda: manager.alerts)
        absent = notifier.deliveries[gone]
        await until(lambda: absent.failures >= 2)
        assert (absent.up, absent.sent, absent.waiting) == (False, 0, 1)
        over = ended(alert())
        notifier.notify(0, over)
        async with fake_alertmanager(port) as late:
            (told,) = await until(lambda: late.alerts)
            # Only the last word counts.
            assert seconds(told["endsAt"]) == pytest.approx(over.ends_at / 1e9, abs=1e-5)
            assert absent.up is True


async def test_one_that_never_answers_costs_nobody_else_anything():
    released = asyncio.Event()

    async def hang(_reader, writer):
        await released.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as hanging:
        port = hanging.sockets[0].getsockname()[1]
        silent = f"http://127.0.0.1:{port}"
        async with (
            fake_alertmanager() as manager,
            notifying(silent, manager.url, timeout_seconds=0.2) as notifier,
        ):
            notifier.notify(0, alert())
            await until(lambda: manager.alerts)
            delivery = notifier.deliveries[silent]
            await until(lambda: delivery.failures >= 2)
            assert (delivery.up, delivery.waiting) == (False, 1)
        released.set()


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
async def test_an_answer_that_may_be_better_next_time_is_tried_again(status: int):
    async with fake_alertmanager() as manager, notifying(manager.url) as notifier:
        manager.status = status
        notifier.notify(0, alert())
        delivery = notifier.deliveries[manager.url]
        await until(lambda: delivery.failures)
        assert (delivery.up, delivery.refused) == (False, 0)
        manager.status = 200
        await until(lambda: manager.alerts)


async def test_an_alert_that_is_refused_is_counted_and_takes_no_other_with_it():
    market = Market()
    market.open = {0: [alert(symbol) for symbol in "ABC"]}
    async with fake_alertmanager() as manager:
        manager.refuses = lambda sent: sent["labels"]["symbol"] == "B"
        async with notifying(manager.url, market=market) as notifier:
            await until(lambda: len(manager.alerts) == 2)
            delivery = notifier.deliveries[manager.url]
            await until(lambda: delivery.refused == 1)
    assert [a["labels"]["symbol"] for a in manager.alerts] == ["A", "C"]
    assert delivery.up is True


async def test_a_queue_has_its_bound_and_what_falls_out_is_counted():
    gone = f"http://127.0.0.1:{free_port()}"
    async with notifying(gone, queue_size=3) as notifier:
        delivery = notifier.deliveries[gone]
        await until(lambda: delivery.failures)
        for number in range(5):
            notifier.notify(0, alert(f"S{number}"))
        assert (delivery.waiting, delivery.dropped) == (3, 2)
        for _ in range(5):  # the same again needs no more room
            notifier.notify(0, alert("S4"))
        assert (delivery.waiting, delivery.dropped) == (3, 2)


async def test_more_alerts_than_a_request_holds_all_arrive():
    market = Market()
    market.open = {0: [alert(f"S{number}") for number in range(600)]}
    async with fake_alertmanager() as manager, notifying(manager.url, market=market):
        await until(lambda: len(manager.alerts) == 600)
    assert len({a["labels"]["symbol"] for a in manager.alerts}) == 600
    assert len(manager.requests) == 3


async def test_what_is_told_while_it_stops_still_arrives():
    async with fake_alertmanager() as manager:
        async with notifying(manager.url) as notifier:
            await until(lambda: manager.requests)
            notifier.notify(0, alert())
        assert len(manager.alerts) == 1


async def test_without_an_alertmanager_nothing_is_kept():
    async with notifying() as notifier:
        notifier.notify(0, alert())
    assert notifier.deliveries == {}


async def test_basic_authentication(tmp_path: Path):
    secret = tmp_path / "password"
    secret.write_text("pässword\n", "utf-8")
    async with (
        fake_alertmanager() as manager,
        notifying(manager.url, username="foreshock", password_file=str(secret)),
    ):
        await until(lambda: manager.headers)
    (authorization, *_) = [h["Authorization"] for h in manager.headers]
    assert authorization == "Basic " + b64encode("foreshock:pässword".encode()).decode()


@pytest.mark.parametrize("setting", ["password_file", "ca_file"])
def test_a_file_that_cannot_be_read_is_named(setting: str, tmp_path: Path):
    missing = tmp_path / "missing"
    settings = AlertmanagerSettings(urls="http://alertmanager:9093", **{setting: str(missing)})
    with pytest.raises(
        ConfigurationError, match=rf"alertmanager\.{setting}: cannot read .*missing: No su"
    ):
        Notifier(settings, Market())


async def test_tls_trusts_the_authority_that_it_is_given_and_no_other(tmp_path: Path):
    if shutil.which("openssl") is None:
        unavailable("openssl is not installed")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    await asyncio.to_thread(
        subprocess.run,
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with fake_alertmanager(context=context) as manager:
        async with notifying(manager.url, ca_file=str(certificate)) as notifier:
            notifier.notify(0, alert())
            await until(lambda: manager.alerts)
        async with notifying(manager.url) as distrustful:
            delivery = distrustful.deliveries[manager.url]
            await until(lambda: delivery.failures)
            assert delivery.up is False
