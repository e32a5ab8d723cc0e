"""p11tool and gnutls-serv of GnuTLS."""

from harness import check, free_port, recipe

CHAPTER = "GnuTLS"


@check("p11tool")
def p11tool_lists(work):
    """Every object, with its certificate."""
    work.configure()
    said = work.signatures(0, lambda: work.run(recipe(CHAPTER, 'p11tool --provider "$MODULE" --list-all')))
    for alias in ("web", "rsa", "decrypt"):
        assert f"Label: {alias}" in said, said
    assert "Type: Private key" in said or "type=private" in said, said
    assert "type=cert" in said, said


@check("p11tool")
def p11tool_signs(work):
    """Its own test of a key: it signs, and verifies with the public key."""
    command = recipe(CHAPTER, 'p11tool --provider "$MODULE" --login --set-pin=1 --test-sign')
    said = work.signatures(1, lambda: work.run(command))
    assert "Verifying against public key in the token... ok" in said, said
    work.use_key("rsa")
    said = work.signatures(1, lambda: work.run(command + " --sign-params=rsa-pss --hash=sha256"))
    assert "ok" in said, said


@check("gnutls-serv", "openssl")
def gnutls_serves(work):
    """TLS 1.2 and 1.3. It signs once when it loads the key."""
    for alias in ("web", "rsa"):
        work.use_key(alias)
        port = free_port()
        command = recipe(CHAPTER, "gnutls-serv").replace("4433", str(port)).replace("web.pem", f"{alias}.pem")
        if alias == "rsa":
            command += " --priority NORMAL:-SIGN-ALL:+SIGN-RSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA256"
        process = work.start(f"{command} --http", port)
        for version in ("-tls1_2", "-tls1_3"):
            work.signatures(1, lambda: work.handshake(port, alias, version))
        work.stop(process)
