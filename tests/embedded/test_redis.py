# SPDX-License-Identifier: EUPL-1.2
"""The embedded Redis (embedded/redis.py)."""

from pathlib import Path

import psutil
import pytest
import redis

from verwijsindex.embedded import redis as embedded
from verwijsindex.embedded.process import ProcessError, free_port
from verwijsindex.embedded.redis import EmbeddedRedis


@pytest.fixture(autouse=True)
def _own_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_serves_restarts_empty_and_leaves_nothing() -> None:
    before = set(psutil.Process().children())
    with EmbeddedRedis() as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("bell", "rung")
            assert client.get("bell") == b"rung"
        server.kill()
        with pytest.raises(redis.ConnectionError), redis.Redis.from_url(server.url) as client:
            client.ping()
        server.restart()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("bell") is None
    assert set(psutil.Process().children()) == before
    with pytest.raises(redis.ConnectionError), redis.Redis.from_url(server.url) as client:
        client.ping()


def test_only_with_the_password_which_no_command_line_shows() -> None:
    with EmbeddedRedis() as server:
        password = server.url.split(":")[2].split("@")[0]
        with (
            pytest.raises(redis.AuthenticationError),
            redis.Redis.from_url(server.url.replace(password, "")) as client,
        ):
            client.ping()
        lines = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
        assert any("redis" in line for line in lines)
        assert not any(password in line for line in lines)


def test_redis_url_is_used_and_nothing_started(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedRedis() as given:
        monkeypatch.setenv("REDIS_URL", given.url)
        before = set(psutil.Process().children())
        with EmbeddedRedis() as server:
            assert server.url == given.url
            assert set(psutil.Process().children()) == before
            with pytest.raises(RuntimeError):
                server.kill()


def test_a_given_redis_that_does_not_answer_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(ProcessError, match=r"^the Redis of REDIS_URL does not answer \(ConnectionError\)$"):
        EmbeddedRedis().__enter__()


def test_no_redis_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "UNPACKED", tmp_path / "redis-server")
    with pytest.raises(ProcessError, match=r"^no Redis here: install it .* or set REDIS_URL$"):
        EmbeddedRedis().__enter__()
