# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Orders whose files the CA fetches by https: placard looks the same way."""

import pytest

import lab
import lab_order
from lab_order import order_world, sslstore  # noqa: F401

import sslstore_ca                      # noqa: E402

HOST = "secure.example.com"


@pytest.fixture
def secure(order_world, web, tmp_path):
    """A counter beside two web servers: plain, and one with TLS whose
    document root is another one."""
    pem = tmp_path / "tls.pem"
    pem.write_text(sslstore_ca.TlsAuthority().server_pem([HOST]))
    with lab.Nginx(tmp_path / "tls", pem=str(pem)) as tls, \
            sslstore.Store([order_world.where()], http=web.site,
                           https=tls.site, poll_interval=0.3) as store:
        one = lab_order.Counter(tmp_path, store, order_world, web)
        one.tls = tls
        one.account("tls", "file", root=tls.root)
        one.route(HOST, "tls", method="http-file")
        one.verify["https-servers"] = [tls.site]
        one.write()
        yield one
        assert lab.tree(tls.root) == {}


def test_https_file(secure):
    csr = secure.csr(HOST)
    done = secure.json(*secure.new_args("positivessl", csr, "https-file",
                                        "--wait"))
    assert done.status == 0, done
    order = done.objects[0]
    assert order["state"] == "issued"
    assert order["challenges"][0]["dcv"] == "https-file"
    assert order["challenges"][0]["dcvMethod"] == "HTTPS_CSR_HASH"
    body = secure.bodies("order/neworder")[0]
    assert body["HTTPSFileAuthDVIndicator"] is True
    assert body["FileAuthDVIndicator"] is False
    # Sectigo has no word that chooses https again: the CA is waited for.
    assert secure.count("order/changeapprovermethod") == 0
    seen = secure.tls.log()
    assert "GET /.well-known/pki-validation/" in seen
    assert ".well-known" not in secure.web.log()
    secure.all_good()


def test_http_does_not_do(secure):
    """A file that only http shows is not visible, whatever http says."""
    secure.routes = [r for r in secure.routes if r[0] != HOST]
    secure.route(HOST, "site", method="http-file")
    secure.write()
    done = secure.json(*secure.new_args(
        "positivessl", secure.csr(HOST), "https-file", "--wait",
        "--timeout", "2"))
    assert done.status in (5, 6), done
    order = done.objects[0]
    assert order["state"] == "pending" and order["step"] == "publish"
    assert secure.count("order/status") == 0
    assert ".well-known" not in secure.web.log()
    secure.ok("order", "cancel", order["id"])
    secure.all_good()


@pytest.mark.quick
def test_four_methods_in_one(secure):
    """CNAME, http, https and e-mail: each name is proven in its own way."""
    csr = secure.csr("www.example.com", "files.example.com", HOST,
                     "example.org")
    done = secure.json(*secure.new_args(
        "positivemdcssl", csr, "dns", "--dcv", "files.example.com=file",
        "--dcv", HOST + "=https-file", "--dcv", "example.org=email",
        "--approver-email", "admin@example.org"))
    assert done.status == 0, done
    order = done.objects[0]
    assert secure.bodies("order/neworder")[0]["ApproverEmail"] == \
        "DNS,HTTP,HTTPS,admin@example.org"
    secure.control("approve", order=order["id"], domain="example.org")
    done = secure.json("order", "refresh", order["id"], "--wait")
    assert done.status == 0, done
    assert done.objects[0]["state"] == "issued"
    names = lab_order.names(secure.leaf(order["id"]))
    assert set(names) == {"www.example.com", "files.example.com", HOST,
                          "example.org"}
    secure.all_good()
