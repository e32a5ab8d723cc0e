"""ssh-keygen, ssh-agent, ssh and sshd of OpenSSH."""

import getpass
import os

from harness import check, free_port, path_of, recipe

CHAPTER = "OpenSSH"


def public_keys(work):
    """Has ssh-keygen list the module's keys. Writes the line of each label into a file."""
    work.signatures(0, lambda: work.run(recipe(CHAPTER, "ssh-keygen -D")))
    lines = work.read("keys.pub").splitlines()
    for alias in ("web", "rsa"):
        line = next(line for line in lines if line.endswith(f" {alias}"))
        work.write(f"{alias}.ssh", line + "\n")


def start_agent(work):
    work.environment["SSH_AUTH_SOCK"] = str(work.folder / "agent.sock")
    work.environment["SSH_ASKPASS"] = str(work.write("askpass", "#!/bin/sh\necho 1\n"))
    work.environment["SSH_ASKPASS_REQUIRE"] = "force"
    (work.folder / "askpass").chmod(0o755)
    work.start(recipe(CHAPTER, "ssh-agent").replace("ssh-agent ", "ssh-agent -D "))
    work.run("until [ -S agent.sock ]; do sleep 0.05; done")
    said = work.run(recipe(CHAPTER, "ssh-add -s"))
    assert "Card added" in said, said


@check("ssh-keygen", "openssl")
def ssh_keygen_lists(work):
    """The same public keys as in KMS."""
    public_keys(work)
    for alias in ("web", "rsa"):
        exported = work.run(f"ssh-keygen -e -m PKCS8 -f {alias}.ssh")
        assert exported.split() == work.read(f"{alias}.pub").split(), exported


@check("ssh-agent", "ssh-add", "ssh-keygen")
def ssh_agent_signs(work):
    """A signature by the agent, which ssh-keygen verifies without it; and what the agent says of an RSA key."""
    public_keys(work)
    start_agent(work)
    assert work.read("web.ssh").split()[1] in work.run("ssh-add -L")
    work.signatures(1, lambda: work.run(recipe(CHAPTER, "ssh-keygen -Y sign")))
    work.write("allowed", f"me {work.read('web.ssh')}")
    said = work.run("ssh-keygen -Y verify -f allowed -I me -n file -s file.sig <file")
    assert 'Good "file" signature for me' in said, said
    assert "test" not in work.run("ssh-add -T web.ssh").lower()
    work.signatures(0, lambda: work.run("ssh-keygen -Y sign -f rsa.ssh -n file file", expect=255))
    assert "RSA with SHA-512" in work.log() and "P-256 key" in work.log(), work.log()


@check("ssh-keygen")
def ssh_certificate_authority_signs(work):
    """A user certificate, which OpenSSH verifies when it shows it."""
    public_keys(work)
    work.run("ssh-keygen -q -t ed25519 -N '' -f user")
    work.environment["SSH_ASKPASS"] = str(work.write("askpass", "#!/bin/sh\necho 1\n"))
    work.environment["SSH_ASKPASS_REQUIRE"] = "force"
    (work.folder / "askpass").chmod(0o755)
    work.signatures(1, lambda: work.run(recipe(CHAPTER, "ssh-keygen -s")))
    said = work.run("ssh-keygen -L -f user-cert.pub")
    fingerprint = work.run("ssh-keygen -l -f web.ssh").split()[1]
    assert f"Signing CA: ECDSA {fingerprint}" in said, said


def start_sshd(work, settings):
    """A server of our own; it needs root to log somebody in."""
    os.makedirs("/run/sshd", exist_ok=True)
    port = free_port()
    work.run("ssh-keygen -q -t ed25519 -N '' -f host")
    work.write("sshd_config", f"ListenAddress 127.0.0.1:{port}\nHostKey {work.folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
                              f"PasswordAuthentication no\nPermitRootLogin prohibit-password\n{settings}")
    work.start(f"{path_of('sshd')} -D -e -f {work.folder}/sshd_config", port)
    work.write("known_hosts", f"[127.0.0.1]:{port} {work.read('host.pub')}")
    return f"ssh -F /dev/null -o UserKnownHostsFile=known_hosts -o StrictHostKeyChecking=yes -o BatchMode=yes -p {port} "


@check("ssh", "sshd", "ssh-agent", "ssh-add")
def ssh_logs_in(work):
    """By the agent's key in KMS, and with a certificate that a key in KMS signed."""
    public_keys(work)
    start_agent(work)
    user = getpass.getuser()
    authorized = work.write("authorized", work.read("web.ssh") + f"cert-authority {work.read('web.ssh')}")
    ssh = start_sshd(work, f"AuthorizedKeysFile {authorized}\n")
    said = work.signatures(1, lambda: work.run(f"{ssh} -o IdentityFile=web.ssh -o IdentitiesOnly=yes {user}@127.0.0.1 echo in"))
    assert said == "in\n", said
    work.run("ssh-keygen -q -t ed25519 -N '' -f user")
    work.run(recipe(CHAPTER, "ssh-keygen -s").replace("-n user ", f"-n {user} "))
    options = "-o IdentityAgent=none -o IdentityFile=user -o CertificateFile=user-cert.pub -o IdentitiesOnly=yes"
    assert work.run(f"{ssh} {options} {user}@127.0.0.1 echo in") == "in\n"
