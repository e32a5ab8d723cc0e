"""curl, stunnel and HAProxy."""

import socket
import ssl
import threading

from harness import answers, blocks, check, free_port, path_of, recipe, wait_for
from openssl import ENGINE_FILE, key_file, use_engine, use_provider


@check("curl", "openssl", ENGINE_FILE)
def curl_authenticates_with_a_client_certificate(work):
    """The server demands a certificate, and tells whose key it saw."""
    use_engine(work)
    for alias in ("web", "rsa"):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            work.use_key(alias)
            port, seen = client_certificates(work, version)
            command = recipe("curl", "curl").replace("4433", str(port)).replace("web.pem", f"{alias}.pem")
            said = work.signatures(1, lambda: work.run(f"{command} --silent --show-error"))
            assert said == "welcome", said
            work.write("client.pem", ssl.DER_cert_to_PEM_cert(seen[0]))
            assert work.run("OPENSSL_CONF= openssl x509 -in client.pem -noout -pubkey") == work.read(f"{alias}.pub")


def client_certificates(work, version):
    """An HTTPS server for one connection, and the list of the client certificates that it verified."""
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=localhost"
    work.run("export OPENSSL_CONF=/etc/ssl/openssl.cnf; " + make.replace(" -x509", " -new") + " && "
             "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions -out server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(work.folder / "server.pem", work.folder / "server.key")
    context.load_verify_locations(work.folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    seen = []

    def serve():
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as client:
            seen.append(client.getpeercert(binary_form=True))
            client.recv(4096)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nwelcome")
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1], seen


@check("stunnel", "openssl", ENGINE_FILE)
def stunnel_serves(work):
    """TLS 1.2 and 1.3 before a server without TLS."""
    for alias in ("web", "rsa"):
        port, behind = free_port(), free_port()
        backend = work.start(f"python3 -m http.server --bind 127.0.0.1 {behind}", behind)
        text = blocks("stunnel", "ini")[0].replace("4433", str(port)).replace("8080", str(behind))
        text = text.replace("web.pem", f"{alias}.pem").replace("object=web", f"object={alias}")
        if alias == "rsa":
            text += "config = SignatureAlgorithms:ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256\n"
        work.write("stunnel.conf", text)
        process = work.start("stunnel stunnel.conf")
        wait_for(lambda: "Configuration successful" in work.read(f"output{len(work.processes) - 1}") or process.poll() is not None,
                 "stunnel")
        assert process.poll() is None, work.read(f"output{len(work.processes) - 1}") + work.log()
        for version in ("-tls1_2", "-tls1_3"):
            work.signatures(1, lambda: work.handshake(port, alias, version))
        said = work.run(f"curl --silent --cacert ca.pem https://localhost:{port}/file --resolve localhost:{port}:127.0.0.1")
        assert said == work.read("file"), said
        work.stop(process)
        work.stop(backend)


@check("haproxy", "openssl")
def haproxy_by_provider(work):
    """The workers use the key that the master loaded from a file that names it."""
    use_provider(work)
    for alias in ("web", "rsa"):
        work.use_key(alias)
        key_file(work, f"{alias}.pem.key")
        port, behind = free_port(), free_port()
        backend = work.start(f"python3 -m http.server --bind 127.0.0.1 {behind}", behind)
        text = blocks("HAProxy", "haproxy")[0].replace("4433", str(port)).replace("8080", str(behind))
        work.write("haproxy.cfg", text.replace("web.pem", f"{work.folder}/{alias}.pem"))
        process = work.start(f"{path_of('haproxy')} -W -f haproxy.cfg")
        wait_for(lambda: answers(port) or process.poll() is not None, "haproxy")
        assert process.poll() is None, work.read(f"output{len(work.processes) - 1}") + work.log()
        for version in ("-tls1_2", "-tls1_3"):
            work.signatures(1, lambda: work.handshake(port, alias, version + (" -sigalgs RSA-PSS+SHA256" if alias == "rsa" else "")))
        said = work.run(f"curl --silent --cacert ca.pem https://localhost:{port}/file --resolve localhost:{port}:127.0.0.1")
        assert said == work.read("file"), said
        work.stop(process)
        work.stop(backend)
