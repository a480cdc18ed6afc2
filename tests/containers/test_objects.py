"""The object storage of the team profile, built and run as docker compose does: read-only, without privileges."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from include.ingestion import versions
from include.settings import REPOSITORY, get_settings
from tests.containers.seaweedfs import DOCKERFILE, seaweedfs_image
from tests.containers.test_serving_image import docker, engine

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: it is the client of these tests")
from botocore import UNSIGNED  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402

pytestmark = pytest.mark.container

TAG = "evergreen-objects:test"
KEY, SECRET = "evergreen", "not-a-real-secret/+=1"
BUCKETS = ("data", "mlflow")
STARTING = 60.0  # seconds


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image of this checkout; its base from EVERGREEN_DEBIAN_IMAGE where that is set."""
    if why := engine():
        pytest.skip(why)
    base = os.environ.get("EVERGREEN_DEBIAN_IMAGE", "")
    arguments = ["--build-arg", f"SEAWEEDFS_IMAGE={seaweedfs_image()}"]
    arguments += ["--build-arg", f"DEBIAN_IMAGE={base}"] if base else []
    docker("build", "--quiet", *arguments, "-t", TAG, "-f", str(DOCKERFILE), str(REPOSITORY))
    yield TAG
    docker("image", "rm", "--no-prune", TAG, check=False)


@dataclass(frozen=True)
class Storage:
    """A running container; its ports change when it is started again."""

    name: str
    key: str = KEY
    secret: str = SECRET

    def port(self, inner: int) -> int:
        return int(docker("port", self.name, str(inner)).splitlines()[0].rsplit(":", 1)[1])

    @property
    def endpoint(self) -> str:
        return f"http://localhost:{self.port(9000)}"

    def client(self, **config: Any) -> Any:
        settings = Config(retries={"max_attempts": 1}, connect_timeout=3, read_timeout=20, **config)
        names = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", config=settings, **names)

    def wait(self) -> None:
        deadline = time.monotonic() + STARTING
        while docker("inspect", "--format", "{{.State.Health.Status}}", self.name) != "healthy":
            assert time.monotonic() < deadline, docker("logs", "--tail", "50", self.name)
            time.sleep(0.5)


def start(image: str, name: str, **environment: str) -> Storage:
    variables = [option for pair in environment.items() for option in ("--env", "=".join(pair))]
    docker(
        "run", "--detach", "--name", name, "--init", "--read-only", "--tmpfs", "/tmp:mode=1777",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--volume", f"{name}:/data",
        "--publish", "127.0.0.1::9000", "--publish", "127.0.0.1::19000", *variables, image,
    )  # fmt: skip
    return Storage(name, environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])


@pytest.fixture(scope="module")
def storage(image: str) -> Iterator[Storage]:
    name = f"evergreen-objects-{uuid.uuid4().hex[:12]}"
    try:
        running = start(image, name, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
        running.wait()
        yield running
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("volume", "rm", "--force", name, check=False)


def put_until_refused(storage: Storage, key: str, bodies: Iterator[bytes]) -> dict[str, str]:
    """The digests of what was acknowledged, by name."""
    client, acknowledged = storage.client(), dict[str, str]()
    for number, body in enumerate(bodies):
        try:
            client.put_object(Bucket="data", Key=f"{key}/{number}", Body=body)
        except (BotoCoreError, ClientError):
            break
        acknowledged[f"{key}/{number}"] = hashlib.md5(body).hexdigest()
    return acknowledged


def test_the_buckets_are_there_and_no_others_are_made_by_the_way(storage: Storage) -> None:
    client = storage.client()
    assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == list(BUCKETS)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.put_object(Bucket="typo", Key="x", Body=b"")


@pytest.mark.parametrize("size", [0, 1000, 50 << 20])
def test_what_is_put_is_got(storage: Storage, tmp_path: Path, size: int) -> None:
    body, client = os.urandom(size), storage.client()
    (tmp_path / "out").write_bytes(body)
    client.upload_file(str(tmp_path / "out"), "mlflow", f"artifacts/{size} bytes")
    client.download_file("mlflow", f"artifacts/{size} bytes", str(tmp_path / "in"))
    assert (tmp_path / "in").read_bytes() == body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret": "another-secret"}, "SignatureDoesNotMatch"),
        ({"key": "somebody-else"}, "InvalidAccessKeyId"),
        ({}, "AccessDenied"),
    ],
)
def test_without_the_keys_nothing_is_given(storage: Storage, change: dict[str, str], code: str) -> None:
    storage.client().put_object(Bucket="data", Key="a secret", Body=b"x")
    stranger = replace(storage, **change)
    client = stranger.client() if change else stranger.client(signature_version=UNSIGNED)
    for request in (
        client.list_buckets,
        lambda: client.get_object(Bucket="data", Key="a secret"),
        lambda: client.put_object(Bucket="data", Key="a secret", Body=b"y"),
        lambda: client.delete_object(Bucket="data", Key="a secret"),
    ):
        with pytest.raises(ClientError, match=code):
            request()
    assert storage.client().get_object(Bucket="data", Key="a secret")["Body"].read() == b"x"


def test_nobody_adds_an_identity_beside_s3(storage: Storage) -> None:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    credential = field(1, b"intruder") + field(2, b"intruders-secret")
    identity = field(1, b"intruder") + field(2, credential) + field(3, b"Admin")
    with grpc.insecure_channel(f"127.0.0.1:{storage.port(19000)}") as channel:
        put_identity = channel.unary_unary("/messaging_pb.SeaweedS3IamCache/PutIdentity")
        with pytest.raises(grpc.RpcError) as refusal:
            put_identity(field(1, identity), timeout=10)
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        replace(storage, key="intruder", secret="intruders-secret").client().list_buckets()


def test_it_runs_without_privileges_and_only_s3_is_reached(storage: Storage) -> None:
    def shell(command: str) -> str:
        return docker("exec", storage.name, "sh", "-c", command, check=False)

    assert shell("id -u") == "10001"
    assert shell("touch /opt/x && echo written") == ""
    assert set(shell("cat /proc/[0-9]*/status | grep CapEff").split()) == {"CapEff:", "0" * 16}
    # State 0A: listening. What does not listen on the loopback address (0100007F) is S3 and its neighbour.
    listening = [line.split()[1] for line in shell("cat /proc/net/tcp /proc/net/tcp6 | grep ' 0A '").splitlines()]
    open_ports = {int(address.rsplit(":", 1)[1], 16) for address in listening if not address.startswith("0100007F")}
    assert open_ports == {9000, 19000}
    assert SECRET not in docker("logs", storage.name)


def test_what_was_acknowledged_survives_a_kill(storage: Storage) -> None:
    def bodies(count: int, kill_at: int) -> Iterator[bytes]:
        for number in range(count):
            if number == kill_at:
                killers.append(subprocess.Popen(["docker", "kill", "--signal", "KILL", storage.name]))
            yield os.urandom((1000, 200_000, 6_000_000)[number % 3])

    acknowledged, killers = dict[str, str](), list[subprocess.Popen[bytes]]()
    for attempt in range(2):
        acknowledged |= put_until_refused(storage, f"killed {attempt}", bodies(500, kill_at=12))
        assert killers.pop().wait(timeout=30) == 0
        docker("start", storage.name)
        storage.wait()
    client = storage.client()
    assert len(acknowledged) >= 24
    for key, digest in acknowledged.items():
        assert hashlib.md5(client.get_object(Bucket="data", Key=key)["Body"].read()).hexdigest() == digest
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="data", Prefix="killed")
    assert acknowledged.keys() <= {entry["Key"] for page in pages for entry in page["Contents"]}


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "EVERGREEN_BUCKETS"])
def test_a_missing_setting_stops_the_start_with_its_name(image: str, missing: str) -> None:
    given = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "EVERGREEN_BUCKETS": "data", missing: ""}
    assert f"{missing} is missing" in refusal_of(image, given)


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_SECRET_ACCESS_KEY", "short"), ("AWS_ACCESS_KEY_ID", 'quoted"key"'), ("EVERGREEN_BUCKETS", "data,No Bucket")],
)
def test_a_wrong_setting_stops_the_start_with_its_name(image: str, name: str, value: str) -> None:
    given = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, name: value}
    assert f"{name}: " in refusal_of(image, given)


def refusal_of(image: str, environment: dict[str, str]) -> str:
    variables = [option for pair in environment.items() for option in ("--env", "=".join(pair))]
    command = ["docker", "run", "--rm", *variables, image]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 64
    return done.stderr


@pytest.fixture
def remote(storage: Storage, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have the settings of the data repository name a remote."""
    if importlib.util.find_spec("dvc_s3") is None:
        pytest.skip("dvc-s3 is not installed: DVC cannot speak to S3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def ask_for(url: str) -> None:
        monkeypatch.setenv("EVERGREEN_DATA_REMOTE", url)
        get_settings.cache_clear()

    return ask_for


def staged(home: Path, content: bytes) -> dict[str, Path]:
    folder = home / "staged"
    (folder / "quarantine").mkdir(parents=True, exist_ok=True)
    (folder / "rows.parquet").write_bytes(content)
    (folder / "quarantine" / "rows.parquet").write_bytes(b"none")
    return {"2013-01-01": folder}


def forget_cache() -> None:
    for path in sorted(get_settings().dvc_cache.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def test_partitions_are_published_to_the_storage_and_read_from_it(
    storage: Storage, remote: Callable[[str], None], home: Path
) -> None:
    remote("s3://data/dvc")
    versions.initialize()
    first = versions.publish("shop", staged(home, b"one"), "one")
    large = os.urandom(20 << 20)
    second = versions.publish("shop", staged(home, large), "two")
    forget_cache()
    for revision, content in ((first, b"one"), (second, large)):
        files = versions.files("shop", revision)["2013-01-01"]
        assert files["rows.parquet"].read_bytes() == content
        assert set(files) == {"rows.parquet", "quarantine/rows.parquet"}

    docker("kill", "--signal", "KILL", storage.name)
    with pytest.raises(versions.VersionError, match=r"nothing is published.*s3://data/dvc"):
        versions.publish("shop", staged(home, b"three"), "three")
    assert versions.head() == second
    docker("start", storage.name)
    storage.wait()


def test_contents_move_to_the_storage_as_the_refusal_says(remote: Callable[[str], None], home: Path) -> None:
    remote("")
    versions.initialize()
    old = versions.publish("shop", staged(home, b"one"), "one")
    versions.publish("shop", staged(home, b"two"), "two")
    remote("s3://data/moved")
    with pytest.raises(versions.VersionError) as refusal:
        versions.initialize()
    clone = home / "clone"
    script = str(refusal.value).split("in a clone: ")[1].replace(", ", " && ")
    subprocess.run(["git", "clone", "--quiet", str(get_settings().data_repository), str(clone)], check=True)
    who = {"GIT_AUTHOR_NAME": "me", "GIT_AUTHOR_EMAIL": "me@localhost"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    environment = {**os.environ, **who, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    versions.initialize()
    forget_cache()
    assert versions.files("shop", old)["2013-01-01"]["rows.parquet"].read_bytes() == b"one"
