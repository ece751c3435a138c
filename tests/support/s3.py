"""S3 on this machine, by moto: it can be taken away and given back, and what it stores stays."""

import logging
from functools import cached_property
from typing import Any
from urllib.request import urlopen

import boto3  # type: ignore[import-untyped]
from moto.server import ThreadedMotoServer

# One line for each request is moto's web server's habit.
logging.getLogger("werkzeug").setLevel(logging.WARNING)

REGION = "eu-west-1"
#: What a client needs; moto takes any key.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}


class S3:
    """A moto server on a port of its own that can be stopped and started."""

    def __init__(self) -> None:
        self._server: ThreadedMotoServer | None = None
        self._port = 0
        self.start()
        self.url = f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        """Take it away: connections are refused. Nothing happens when it is away."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def start(self) -> None:
        """Give it back, on the same port. Nothing happens when it is there."""
        if self._server is None:
            self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
            self._server.start()
            _, self._port = self._server.get_host_and_port()

    def reset(self, bucket: str) -> None:
        """Forget everything, then make an empty bucket that keeps versions."""
        urlopen(f"{self.url}/moto-api/reset", data=b"").close()
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def versions(self, bucket: str) -> list[str]:
        """The key of each stored version: twice the same where a file was written twice."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Versions", [])]

    @cached_property
    def client(self) -> Any:
        """A client of it."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
