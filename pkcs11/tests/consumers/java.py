"""keytool and jarsigner, with SunPKCS11 of the Java runtime."""

import zipfile

from harness import blocks, check, recipe

CHAPTER = "Java"


def prepare(work):
    work.configure()
    work.write("tckms.cfg", blocks(CHAPTER, "ini")[0])


@check("keytool")
def keytool_lists(work):
    """A private key for each certificate, with its whole chain."""
    prepare(work)
    said = work.signatures(0, lambda: work.run(recipe(CHAPTER, "keytool -list")))
    for alias in ("web", "rsa"):
        assert f"Alias name: {alias}\n" in said, said
    assert said.count("Entry type: PrivateKeyEntry") == 2 and said.count("Certificate chain length: 2") == 2, said


@check("jarsigner", "keytool")
def jarsigner_signs(work):
    """The jar verifies against the authority's certificate, and its signature has the whole chain."""
    prepare(work)
    work.run("keytool -importcert -noprompt -alias ca -file ca.pem -keystore trusted.p12 -storepass changeit")
    for alias in ("web", "rsa"):
        with zipfile.ZipFile(work.folder / "app.jar", "w") as jar:
            jar.writestr("hello", "hello\n" * 100)
        command = recipe(CHAPTER, "jarsigner")
        if alias == "rsa":
            command = command.replace("SHA256withECDSA", "SHA256withRSA").replace("app.jar web", "app.jar rsa")
        said = work.signatures(1, lambda: work.run(command))
        # The authority is not one that Java knows; its warning about that names no other fault.
        assert "jar signed." in said and "unable to find valid certification path" in said, said
        said = work.run("jarsigner -verify -strict -verbose -certs -keystore trusted.p12 -storepass changeit app.jar")
        assert "jar verified." in said and "CN=localhost" in said and "CN=Test CA" in said, said
        with zipfile.ZipFile(work.folder / "app.jar", "a") as jar:
            jar.writestr("more", "not signed")
        said = work.run("jarsigner -verify -strict -keystore trusted.p12 -storepass changeit app.jar", expect=None)
        assert "unsigned entries" in said, said
