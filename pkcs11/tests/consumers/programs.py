"""A Go program with crypto11, as the documentation shows it."""

import os

from harness import blocks, check

PROGRAM = """package main

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"log"
	"os"

	"github.com/ThalesIgnite/crypto11"
)

func main() {
%s	if err != nil || signer == nil {
		log.Fatal("there is no such key: ", err)
	}
	digest := sha256.Sum256([]byte("What is signed.\\n"))
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("signature", signature, 0o600); err != nil {
		log.Fatal(err)
	}
}
"""


@check("go", "/usr/share/gocode/src/github.com/ThalesIgnite/crypto11/crypto11.go", "openssl")
def go_crypto11_signs(work):
    """Debian's own crypto11 and miekg/pkcs11, in the way that Debian builds Go programs."""
    code = "".join(f"\t{line}\n" for line in blocks("Go", "go")[0].splitlines())
    folder = work.folder / "go/src/program"
    folder.mkdir(parents=True)
    (folder / "main.go").write_text(PROGRAM % code)
    work.environment.update(GO111MODULE="off", GOPATH=f"{work.folder}/go:/usr/share/gocode", GOFLAGS="",
                            GOCACHE=os.environ.get("GOCACHE", os.path.expanduser("~/.cache/go-build")))
    work.run("go build -o program program")
    for alias in ("web", "rsa"):
        (folder / "main.go").write_text(PROGRAM % code.replace('"web"', f'"{alias}"'))
        work.run("go build -o program program")
        work.signatures(1, lambda: work.run("./program"))
        work.verify("signature", alias=alias)
