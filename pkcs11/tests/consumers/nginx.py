"""nginx in the background with two workers."""

import os
import re
import signal
import time

from harness import blocks, check, free_port, path_of, wait_for
from openssl import ENGINE_FILE, key_file, use_engine, use_provider


class Nginx:
    """nginx with the configuration of the documentation."""

    def __init__(self, work, alias, by_provider=False):
        self.work, self.alias, self.port = work, alias, free_port()
        folder = work.folder
        text = blocks("nginx", "nginx")[0]
        for written, wanted in (("443 ssl", f"127.0.0.1:{self.port} ssl"), ("web.pem", f"{folder}/{alias}.pem"),
                                ("object=web", f"object={alias}")):
            assert written in text
            text = text.replace(written, wanted)
        if by_provider:
            key_file(work, f"{alias}.pem.key")
            text = text.replace("ssl_engine pkcs11;\n", "")
            text = re.sub(r'"engine:.*"', f"{folder}/{alias}.pem.key", text)
        variables = "".join(f"env {name};\n" for name in work.environment if name.startswith(("TCKMS_ENDPOINT", "TENCENTCLOUD_")))
        places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = f"user nobody {self.group()};\n" if os.getuid() == 0 else ""
        text = text.replace("http {\n", "events {}\nhttp {\naccess_log off;\n" + places)
        work.write("nginx.conf", f"daemon on;\nworker_processes 2;\n{user}pid {folder}/nginx.pid;\n{variables}{text}")
        self.command = f"{path_of('nginx')} -c {folder}/nginx.conf -e {folder}/error.log"

    @staticmethod
    def group():
        import grp
        import pwd
        return grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name

    def start(self):
        self.work.run(f"{self.command} -t")
        self.work.run(self.command)
        wait_for(lambda: len(self.workers()) == 2, "two workers")

    def master(self):
        return int(self.work.read("nginx.pid"))

    def workers(self):
        return set(map(int, self.work.run(f"pgrep -P {self.master()} || true").split()))

    def serves(self):
        """Handshakes of both versions, each with one signature, on both workers; resumed ones need none."""
        for version in ("-tls1_2", "-tls1_3"):
            for _ in range(4):
                said = self.work.signatures(1, lambda: self.work.handshake(self.port, self.alias, version))
                kind = re.search(r"Peer signature type: (\S+)", said).group(1)
                assert kind == ("ECDSA" if self.alias == "web" else "RSA-PSS"), said
        for _ in range(10):
            # The cache is shared by the workers, so that any of them resumes. The first reconnection may arrive before the session is
            # in the cache.
            said = self.work.run(f"OPENSSL_CONF= openssl s_client -connect 127.0.0.1:{self.port} -servername localhost -tls1_2 "
                                 "-CAfile ca.pem -no_ticket -reconnect </dev/null")
            assert said.count("Reused, TLSv1.2") >= 4, said

    def stop(self):
        os.kill(self.master(), signal.SIGTERM)
        wait_for(lambda: not (self.work.folder / "nginx.pid").exists(), "the end of nginx")


def nginx_serves(work, alias, by_provider):
    """TLS 1.2 and 1.3, a graceful reload, and a worker that is killed."""
    use_provider(work) if by_provider else use_engine(work)
    # Workers run as nobody, and may read neither the module's file nor its log: they continue with what the master read.
    work.configure("[global]\nlog = module.log\n")
    del work.environment["TCKMS_PKCS11_LOG"]
    work.write("module.log", "")
    for name in ("pkcs11.conf", "module.log"):
        (work.folder / name).chmod(0o600)
    work.use_key(alias)
    nginx = Nginx(work, alias, by_provider)
    nginx.start()
    try:
        nginx.serves()
        before = nginx.workers()
        work.run(f"{nginx.command} -s reload")
        wait_for(lambda: len(nginx.workers()) == 2 and not nginx.workers() & before, "new workers")
        nginx.serves()
        before = nginx.workers()
        os.kill(min(before), signal.SIGKILL)
        wait_for(lambda: len(nginx.workers()) == 2 and nginx.workers() != before, "another worker")
        time.sleep(0.2)
        nginx.serves()
    finally:
        nginx.stop()
    errors = [line for line in work.read("error.log").splitlines() if re.search(r"\[(alert|emerg|crit)\]", line)]
    assert all("exited on signal 9" in line for line in errors), errors


def add(way, alias, *tools):
    def run(work):
        nginx_serves(work, alias, way == "provider")

    run.__name__ = f"nginx_by_{way}_{alias}"
    check("nginx", "openssl", *tools)(run)


for key in ("web", "rsa"):
    add("engine", key, ENGINE_FILE)
    add("provider", key)
