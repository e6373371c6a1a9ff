"""moto's server on loopback: CloudWatch Logs and Secrets Manager as AWS answers, in this process."""

from collections.abc import Generator
from contextlib import contextmanager
from logging import getLogger
from typing import Any


@contextmanager
def moto_server() -> Generator[str]:
    """Its address for the block; what was stored in it is forgotten at the end."""
    from moto.server import ThreadedMotoServer

    getLogger("werkzeug").setLevel("WARNING")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        yield url
    finally:
        _reset(url)
        server.stop()


def client(service: str, url: str, *, region: str = "us-east-1") -> Any:
    """A plain boto3 client of that service there."""
    import boto3

    return boto3.client(service, region_name=region, endpoint_url=url)


def _reset(url: str) -> None:
    from urllib.request import Request, urlopen

    with urlopen(Request(f"{url}/moto-api/reset", b"", method="POST"), timeout=10) as reply:
        reply.read()
