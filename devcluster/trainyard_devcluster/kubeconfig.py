"""Kubeconfig files: where the API server is and how to prove who we are."""

import base64
import os
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class KubeconfigError(Exception):
    """The kubeconfig names something that is not there or that this client cannot use."""


@dataclass(frozen=True, slots=True)
class Access:
    """Everything a connection needs: the server's URL, its TLS settings and our credentials."""

    server: str
    token: str | None
    tls: ssl.SSLContext | None
    tls_server_name: str | None
    namespace: str
    authority: str = ""
    """The certificate (PEM) that the server's own is checked by."""


def load(path: str | Path, context: str | None = None) -> Access:
    """Read the file's current (or the named) context. Relative file names in it are relative to its folder."""
    file = Path(path)
    try:
        config = yaml.safe_load(file.read_text())
    except FileNotFoundError as error:
        raise KubeconfigError(f"{file}: expected a kubeconfig, found no such file") from error
    chosen = _entry(config, "contexts", "context", context or config.get("current-context", ""))
    cluster = _entry(config, "clusters", "cluster", chosen["cluster"])
    user = _entry(config, "users", "user", chosen["user"]) if chosen.get("user") else {}
    if "exec" in user or "auth-provider" in user:
        raise KubeconfigError(
            f"{file}: expected a token or a client certificate, found a credential plugin: "
            "write a token into the kubeconfig instead, for instance of `kubectl create token`"
        )
    return Access(
        server=cluster["server"].rstrip("/"),
        token=_token(user, file.parent),
        tls=_tls(cluster, user, file.parent) if cluster["server"].startswith("https") else None,
        tls_server_name=cluster.get("tls-server-name"),
        namespace=chosen.get("namespace", "default"),
        authority=(_material(cluster, "certificate-authority", file.parent) or b"").decode(),
    )


def _entry(config: dict[str, Any], section: str, field: str, name: str) -> dict[str, Any]:
    entries: Iterable[dict[str, Any]] = config.get(section) or ()
    for entry in entries:
        if entry.get("name") == name:
            value: dict[str, Any] = entry.get(field) or {}
            return value
    raise KubeconfigError(
        f"expected {name!r} among the kubeconfig's {section}, found {[e.get('name') for e in entries]}"
    )


def _token(user: dict[str, Any], folder: Path) -> str | None:
    if token := user.get("token"):
        return str(token)
    return (folder / user["tokenFile"]).read_text().strip() if user.get("tokenFile") else None


def _tls(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _material(cluster, "certificate-authority", folder)
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate, key = (_material(user, field, folder) for field in ("client-certificate", "client-key"))
    if certificate and key:
        _load_client_certificate(tls, certificate + b"\n" + key)
    return tls


def _material(entry: dict[str, Any], field: str, folder: Path) -> bytes | None:
    if inline := entry.get(f"{field}-data"):
        return base64.b64decode(inline)
    return (folder / entry[field]).read_bytes() if entry.get(field) else None


def _load_client_certificate(tls: ssl.SSLContext, pem: bytes) -> None:
    # The ssl module reads client keys from files only.
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        tls.load_cert_chain(name)
    finally:
        os.unlink(name)
