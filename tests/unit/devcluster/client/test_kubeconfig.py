import base64
import ssl
from pathlib import Path

import pytest
import trustme
import yaml

from trainyard_devcluster import kubeconfig


def a_kubeconfig(folder: Path, cluster: dict[str, object], user: dict[str, object]) -> Path:
    file = folder / "config"
    file.write_text(
        yaml.safe_dump(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "ml"}}],
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return file


def test_a_token_and_the_namespace_are_read(tmp_path: Path) -> None:
    access = kubeconfig.load(a_kubeconfig(tmp_path, {"server": "http://x:1/"}, {"token": "t"}))
    assert (access.server, access.token, access.namespace, access.tls) == ("http://x:1", "t", "ml", None)


def test_a_token_file_is_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    access = kubeconfig.load(a_kubeconfig(tmp_path, {"server": "http://x"}, {"tokenFile": "token"}))
    assert access.token == "from-file"


@pytest.mark.parametrize("inline", [True, False])
def test_authority_and_client_certificate_come_inline_or_from_files(tmp_path: Path, inline: bool) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("admin@example.com")
    pems = {
        "certificate-authority": authority.cert_pem.bytes(),
        "client-certificate": b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
        "client-key": certificate.private_key_pem.bytes(),
    }
    for name, pem in pems.items():
        (tmp_path / name).write_bytes(pem)
    fields = {
        (f"{name}-data" if inline else name): (base64.b64encode(pem).decode() if inline else name)
        for name, pem in pems.items()
    }
    cluster = {"server": "https://x"} | {k: v for k, v in fields.items() if k.startswith("certificate-authority")}
    user = {k: v for k, v in fields.items() if k.startswith("client")}
    access = kubeconfig.load(a_kubeconfig(tmp_path, cluster, user))
    assert access.tls is not None
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert len(access.tls.get_ca_certs()) == 1


def test_verification_is_off_only_where_the_file_says_so(tmp_path: Path) -> None:
    access = kubeconfig.load(a_kubeconfig(tmp_path, {"server": "https://x", "insecure-skip-tls-verify": True}, {}))
    assert access.tls is not None
    assert access.tls.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("user", "message"),
    [({"exec": {"command": "aws"}}, "credential plugin"), ({"auth-provider": {}}, "credential plugin")],
)
def test_credentials_we_cannot_use_are_named(tmp_path: Path, user: dict[str, object], message: str) -> None:
    with pytest.raises(kubeconfig.KubeconfigError, match=message):
        kubeconfig.load(a_kubeconfig(tmp_path, {"server": "https://x"}, user))


def test_a_context_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(kubeconfig.KubeconfigError, match=r"'other'.*contexts.*\['here'\]"):
        kubeconfig.load(a_kubeconfig(tmp_path, {"server": "http://x"}, {}), context="other")
