"""The commands of OpenSSL, with the engine of libp11 and with pkcs11-provider."""

import os
import re
import time
from pathlib import Path

from harness import NotRun, blocks, check, free_port, recipe

ENGINE = "OpenSSL by engine"
PROVIDER = "OpenSSL by pkcs11-provider"
ENGINE_FILE = "/usr/lib/*/engines-3/pkcs11.so"
INSTALLED_PROVIDER = "/usr/lib/x86_64-linux-gnu/ossl-modules/pkcs11.so"
RSA_SIGALGS = " -sigalgs ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256"


def use_engine(work):
    """Writes the openssl.cnf of the documentation and has programs read it."""
    work.environment["OPENSSL_CONF"] = str(work.write("openssl.cnf", blocks(ENGINE, "ini")[0]))


def provider():
    """Where pkcs11-provider is."""
    sources = os.environ.get("PKCS11_PROVIDER_SOURCE")
    found = f"{sources}/build/src/pkcs11.so" if sources else INSTALLED_PROVIDER
    if not Path(found).exists():
        raise NotRun(f"{found} does not exist; Debian 12 has no pkcs11-provider: build it, and name its folder with PKCS11_PROVIDER_SOURCE")
    return found


def use_provider(work):
    """The same for the provider."""
    text = blocks(PROVIDER, "ini")[0].replace(INSTALLED_PROVIDER, provider())
    work.environment["OPENSSL_CONF"] = str(work.write("openssl.cnf", text))


def key_file(work, name="web.pem.key"):
    """A file that names $KEY."""
    for command in ("printf 'asn1", "openssl asn1parse", "printf -- "):
        work.run(recipe("Programs that read keys from files only", command).replace("web.pem.key", name))


def requests(work, chapter, alias):
    """A certificate request, whose signature OpenSSL verifies without the module."""
    work.signatures(1, lambda: work.run(recipe(chapter, "openssl req")))
    said = work.run("OPENSSL_CONF= openssl req -in web.csr -noout -verify -pubkey")
    assert "verify OK" in said and work.read(f"{alias}.pub") in said, said


def signatures(work, chapter, alias):
    work.signatures(1, lambda: work.run(recipe(chapter, "openssl dgst")))
    work.verify("signature", alias=alias)
    work.write("file", "Something else.\n")
    said = work.run(f"OPENSSL_CONF= openssl dgst -sha256 -verify {alias}.pub -signature signature file", expect=1)
    assert "Verification failure" in said, said


def messages(work, chapter, alias):
    command = recipe(chapter, "openssl cms").replace("web.pem", f"{alias}.pem")
    work.signatures(1, lambda: work.run(command))
    said = work.run("OPENSSL_CONF= openssl cms -verify -in file.cms -CAfile ca.pem")
    assert "successful" in said and "What is signed." in said, said


def server(work, chapter, alias):
    """TLS 1.2 and 1.3, one signature in each handshake, and none when a session is resumed."""
    port = free_port()
    command = recipe(chapter, "openssl s_server").replace("4433", str(port)).replace("web.pem", f"{alias}.pem")
    # Ready when it prints so: a connection would be a handshake that fails.
    process = work.start(command + (RSA_SIGALGS if alias == "rsa" else ""))
    while "ACCEPT" not in work.read("output0"):
        assert process.poll() is None, work.read("output0")
        time.sleep(0.05)
    for version in ("-tls1_2", "-tls1_3"):
        said = work.signatures(1, lambda: work.handshake(port, alias, f"{version} -sess_out session"))
        kind = re.search(r"Peer signature type: (\S+)", said).group(1)
        assert kind == ("ECDSA" if alias == "web" else "RSA-PSS"), said
    if alias == "rsa":
        said = work.signatures(1, lambda: work.handshake(port, alias, "-tls1_2 -sigalgs RSA+SHA256"))
        assert "Peer signature type: RSA\n" in said, said
        # What KMS cannot do fails in the handshake, not in the middle of it.
        work.signatures(0, lambda: work.handshake(port, alias, "-tls1_2 -sigalgs RSA+SHA512", expect=1))
    work.stop(process)


def add(function, chapter, prepare, alias, *tools):
    """A check of its own for each way, command and kind of key."""
    way = "engine" if chapter == ENGINE else "provider"

    def run(work):
        prepare(work)
        work.use_key(alias)
        function(work, chapter, alias)

    run.__name__ = f"openssl_{way}_{function.__name__}_{alias}"
    check("openssl", *tools)(run)


for one in (requests, signatures, messages, server):
    for key in ("web", "rsa"):
        add(one, ENGINE, use_engine, key, ENGINE_FILE)
        add(one, PROVIDER, use_provider, key)


@check("openssl", ENGINE_FILE)
def openssl_says_what_to_change_for_an_rsa_key(work):
    """RSA with SHA-512 fails, and the log names the setting."""
    use_engine(work)
    work.use_key("rsa")
    work.run(recipe(ENGINE, "openssl dgst").replace("-sha256", "-sha512"), expect=1)
    assert "RSA with SHA-512, which KMS does not support; use -sha256" in work.log(), work.log()
