"""From a path or URI to the file system that holds it."""

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import pyarrow.fs as pa_fs

from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.uri import ATTEMPTS, Uri, endpoint, parse

CONNECT_SECONDS, SILENCE_SECONDS = 10, 30
"""How long a store may take to take a connection, and to send the next byte."""
_google = threading.Lock()


def open_location(location: str, access: Access) -> tuple[pa_fs.FileSystem, str]:
    """Return the file system of a path or URI, and the path inside of it.

    Raises:
        BadInput: the URI is not one of a store we know, or credentials are missing.
        OSError: the store does not answer.
    """
    if "://" not in location:
        return pa_fs.LocalFileSystem(), os.path.abspath(location)
    uri = parse(location)
    opener = _OPENERS.get(uri.scheme)
    if opener is None:
        raise BadInput(f"cannot open {uri}: expected a path, or a URI that starts with {', '.join(_OPENERS)}")
    return opener(uri, access)


def _file(uri: Uri, access: Access) -> tuple[pa_fs.FileSystem, str]:
    return pa_fs.LocalFileSystem(), unquote(uri.path)


def _s3(uri: Uri, access: Access) -> tuple[pa_fs.FileSystem, str]:
    key, secret = access.get("AWS_ACCESS_KEY_ID"), access.get("AWS_SECRET_ACCESS_KEY")
    if bool(key) != bool(secret):
        missing = "AWS_SECRET_ACCESS_KEY" if key else "AWS_ACCESS_KEY_ID"
        raise BadInput(f"{missing} is missing for {uri}: credentials come from {access.describe()}")
    scheme, host = endpoint(access.get("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL")
    region = access.get("AWS_REGION", "AWS_DEFAULT_REGION")
    proxies = getproxies() if not proxy_bypass((host or "s3.amazonaws.com").partition(":")[0]) else {}
    return pa_fs.S3FileSystem(
        access_key=key,
        secret_key=secret,
        session_token=access.get("AWS_SESSION_TOKEN"),
        region=region or ("us-east-1" if host else pa_fs.resolve_s3_region(uri.host)),
        scheme=scheme or "https",
        endpoint_override=host,
        force_virtual_addressing=access.get("AWS_S3_ADDRESSING_STYLE") == "virtual",
        tls_ca_file_path=access.file("AWS_CA_BUNDLE"),
        proxy_options=proxies.get(scheme or "https"),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=SILENCE_SECONDS,
        retry_strategy=pa_fs.AwsStandardS3RetryStrategy(max_attempts=_attempts(access)),
        # Small files are then one request, which the store takes as a whole or not at all.
        allow_delayed_open=True,
    ), _join(uri.host, uri.path)


def _attempts(access: Access) -> int:
    text = access.get("AWS_MAX_ATTEMPTS") or str(ATTEMPTS)
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise BadInput(f"expected AWS_MAX_ATTEMPTS to be a number from 1 to 100, got {text!r}")
    return int(text)


def _gcs(uri: Uri, access: Access) -> tuple[pa_fs.FileSystem, str]:
    # The emulator's variable is that of Google's own libraries.
    scheme, host = endpoint(access.get("STORAGE_EMULATOR_HOST"), "STORAGE_EMULATOR_HOST")
    variable = "GOOGLE_APPLICATION_CREDENTIALS"
    with _google:  # the library takes the file's name from the environment only, once
        kept, wanted = os.environ.get(variable), access.file(variable)
        try:
            if wanted:
                os.environ[variable] = wanted
            filesystem = pa_fs.GcsFileSystem(
                anonymous=host is not None,
                scheme=scheme,
                endpoint_override=host,
                retry_time_limit=timedelta(seconds=SILENCE_SECONDS),
            )
        finally:
            if kept is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = kept
    return filesystem, _join(uri.host, uri.path)


def _azure(uri: Uri, access: Access) -> tuple[pa_fs.FileSystem, str]:
    # abfss://container@account.dfs.core.windows.net/path
    container, account = (uri.user, uri.host.partition(".")[0]) if uri.user else (uri.host, None)
    account = account or access.get("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
    if not account:
        raise BadInput(
            f"{uri} names no storage account: write abfss://container@account.dfs.core.windows.net/path, "
            "or set AZURE_STORAGE_ACCOUNT_NAME"
        )
    scheme, host = endpoint(access.get("AZURE_STORAGE_BLOB_ENDPOINT"), "AZURE_STORAGE_BLOB_ENDPOINT")
    key = access.get("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY")
    filesystem = pa_fs.AzureFileSystem(
        account,
        account_key=key,
        sas_token=None if key else access.get("AZURE_STORAGE_SAS_TOKEN"),
        tenant_id=access.get("AZURE_TENANT_ID") if access.get("AZURE_CLIENT_SECRET") else None,
        client_id=access.get("AZURE_CLIENT_ID"),
        client_secret=access.get("AZURE_CLIENT_SECRET"),
        blob_storage_scheme=scheme,
        blob_storage_authority=host,
        dfs_storage_scheme=scheme,
        dfs_storage_authority=host,
    )
    return filesystem, _join(container, uri.path)


def _hdfs(uri: Uri, access: Access) -> tuple[pa_fs.FileSystem, str]:
    host, _, port = uri.host.partition(":")
    try:
        # A name without a port is a logical one, of a cluster with two name nodes: the configuration knows it.
        return pa_fs.HadoopFileSystem(
            host,
            int(port or 0),
            user=uri.user or access.get("HADOOP_USER_NAME"),
            kerb_ticket=access.file("KRB5CCNAME"),
        ), uri.path or "/"
    except (OSError, ValueError) as error:
        if not isinstance(error, ValueError) and "libhdfs" not in str(error) and "libjvm" not in str(error):
            raise
        raise BadInput(
            f"cannot open {uri}: hdfs:// needs a JVM and Hadoop's client library in the image (JAVA_HOME, HADOOP_HOME, "
            f"CLASSPATH), which the trainer's does not have; use webhdfs://, which needs neither ({one_line(error)})"
        ) from error


def _http(uri: Uri, access: Access) -> tuple[pa_fs.FileSystem, str]:
    from trainyard_trainer.stores.http_files import HttpFiles  # few trainings need urllib3, which all would wait for

    return pa_fs.PyFileSystem(HttpFiles(f"{uri.scheme}://{uri.host}", uri.query, access)), uri.path or "/"


def _webhdfs(uri: Uri, access: Access) -> tuple[pa_fs.FileSystem, str]:
    from trainyard_trainer.stores.web_hdfs import WebHdfs  # as above

    scheme = "https" if uri.scheme == "swebhdfs" else "http"
    user = uri.user or access.get("HADOOP_USER_NAME")
    return pa_fs.PyFileSystem(WebHdfs(f"{scheme}://{uri.host}", user, access)), uri.path or "/"


def _join(bucket: str, path: str) -> str:
    return (bucket + path).rstrip("/")


_OPENERS: dict[str, Callable[[Uri, Access], tuple[pa_fs.FileSystem, str]]] = {
    "file": _file,
    "s3": _s3,
    "gs": _gcs,
    "abfs": _azure,
    "abfss": _azure,
    "http": _http,
    "https": _http,
    "hdfs": _hdfs,
    "webhdfs": _webhdfs,
    "swebhdfs": _webhdfs,
}
