"""What a server keeps in its folder, so that a kubeconfig outlives restarts: authority, keys and tokens."""

import base64
import os
import secrets
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme
import yaml

from trainyard_devcluster.apiserver.auth.identity import MASTERS

_HOSTS = ("127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
          "kubernetes.default.svc.cluster.local")  # fmt: skip
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
"""The user that the server is to nodes."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the server is, and how it knows others."""

    authority: bytes
    admin_token: str
    signing_key: bytes
    tls: ssl.SSLContext
    kubelet_tls: ssl.SSLContext
    """How it calls nodes: with a client certificate of its authority."""


def prepare(folder: Path, *hosts: str) -> Credentials:
    """Return the folder's credentials, made on first use; every file is readable by its owner alone."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = _authority(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*_HOSTS, *hosts).configure_cert(tls)
    return Credentials(
        authority=authority.cert_pem.bytes(),
        admin_token=_token(folder / "admin-token"),
        signing_key=_token(folder / "signing-key").encode(),
        tls=tls,
        kubelet_tls=_kubelet_tls(authority),
    )


def _kubelet_tls(authority: trustme.CA) -> ssl.SSLContext:
    # Nodes serve with certificates of their own making, which an API server does not check unless it is told to.
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    certificate = authority.issue_cert(common_name=KUBELET_CLIENT, organization_name=MASTERS)
    certificate.configure_cert(tls)
    return tls


def _authority(folder: Path) -> trustme.CA:
    certificate, key = folder / "ca.crt", folder / "ca.key"
    if certificate.exists() and key.exists():
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    authority = trustme.CA(organization_name="Trainyard devcluster")
    write_private(key, authority.private_key_pem.bytes())
    write_private(certificate, authority.cert_pem.bytes())
    return authority


def _token(file: Path) -> str:
    if not file.exists():
        write_private(file, secrets.token_hex(32).encode())
    return file.read_text().strip()


def write_private(file: Path, content: bytes) -> None:
    """Write a file for its owner alone, so that readers see all of it or nothing."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    os.replace(name, file)


def write_kubeconfig(file: Path, server: str, credentials: Credentials) -> None:
    """Write the administrator's kubeconfig."""
    name = "trainyard-devcluster"
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(credentials.authority).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": credentials.admin_token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "admin", "namespace": "default"}}],
        "current-context": name,
    }
    write_private(file, yaml.safe_dump(config, sort_keys=False).encode())
