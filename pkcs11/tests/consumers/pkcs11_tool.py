"""pkcs11-tool of OpenSC."""

from harness import check, recipe

CHAPTER = "pkcs11-tool"
TOOL = "pkcs11-tool --module"


@check("pkcs11-tool")
def pkcs11_tool_lists(work):
    """All objects, without a warning about an attribute, and without a signature."""
    work.configure()
    said = work.signatures(0, lambda: work.run(recipe(CHAPTER, f'{TOOL} "$MODULE" --list-objects')))
    for part in ("Private Key Object; EC", "Private Key Object; RSA", "Certificate Object", "label:      web"):
        assert part in said, said
    assert "warning" not in said.lower() and "error" not in said.lower(), said
    said = work.run(f'{TOOL} "$MODULE" --list-mechanisms')
    for part in ("ECDSA, keySize={256,256}", "SHA256-RSA-PKCS, keySize={2048,2048}"):
        assert part in said, said


@check("pkcs11-tool", "openssl")
def pkcs11_tool_signs(work):
    """Each mechanism, verified by OpenSSL and by the tool."""
    commands = [
        ("web", recipe(CHAPTER, f'{TOOL} "$MODULE" --sign --mechanism ECDSA-SHA256'), ""),
        ("rsa", recipe(CHAPTER, f'{TOOL} "$MODULE" --sign --mechanism SHA256-RSA-PKCS'), ""),
        ("rsa", f'{TOOL} "$MODULE" --sign --mechanism SHA256-RSA-PKCS-PSS --salt-len 32 --id "$ID" -i file -o signature',
         "-sigopt rsa_padding_mode:pss"),
    ]
    for alias, command, options in commands:
        work.environment["ID"] = work.emulator.keys[alias].encode().hex()
        work.signatures(1, lambda: work.run(command))
        work.verify("signature", alias=alias, options=options)
        said = work.run(command.replace("--sign ", "--verify ").replace("-o signature", "--signature-file signature"))
        assert "Signature is valid" in said, said


@check("pkcs11-tool", "openssl")
def pkcs11_tool_decrypts(work):
    """PKCS#1 v1.5 and OAEP."""
    work.environment["ID"] = work.emulator.keys["decrypt"].encode().hex()
    work.run("openssl pkeyutl -encrypt -pubin -inkey decrypt.pub -in file -out ciphertext")
    work.run(recipe(CHAPTER, f'{TOOL} "$MODULE" --decrypt --mechanism RSA-PKCS --id'))
    assert work.read("plaintext") == work.read("file")
    for hash_name, tool_name in (("sha1", "SHA-1"), ("sha256", "SHA256")):
        work.run("openssl pkeyutl -encrypt -pubin -inkey decrypt.pub -in file -out ciphertext -pkeyopt rsa_padding_mode:oaep "
                 f"-pkeyopt rsa_oaep_md:{hash_name} -pkeyopt rsa_mgf1_md:{hash_name}")
        (work.folder / "plaintext").unlink()
        mgf = "MGF1-SHA1" if hash_name == "sha1" else "MGF1-SHA256"
        work.run(f'{TOOL} "$MODULE" --decrypt --mechanism RSA-PKCS-OAEP --hash-algorithm {tool_name} --mgf {mgf} '
                 '--id "$ID" -i ciphertext -o plaintext')
        assert work.read("plaintext") == work.read("file")


@check("pkcs11-tool")
def pkcs11_tool_digests_and_draws_random_numbers(work):
    work.run(f'{TOOL} "$MODULE" --hash --mechanism SHA256 -i file -o digest')
    assert work.run("sha256sum file").split()[0] == (work.folder / "digest").read_bytes().hex()
    work.run(f'{TOOL} "$MODULE" --generate-random 64 -o random')
    assert len((work.folder / "random").read_bytes()) == 64
