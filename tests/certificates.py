"""Certificates for tests, made by openssl in the test's own folder."""

import subprocess
from pathlib import Path

BEGIN, END = "20260101000000Z", "20460101000000Z"


def make(folder: Path, name: str = "server", *, begin: str = BEGIN, end: str = END) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key (mode 0600), `{name}.crt` and `{name}.key`.

    Parameters
    ----------
    begin, end : when it holds, YYYYMMDDHHMMSSZ
    """
    certificate, key, request = (folder / f"{name}.{kind}" for kind in ("crt", "key", "csr"))
    work = folder / f"{name}.ca"
    work.mkdir(parents=True)
    (work / "index.txt").touch()
    (work / "serial").write_text("01\n", encoding="ascii")
    (work / "ca.cnf").write_text(
        "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\n"
        "default_md = sha256\npolicy = any\nx509_extensions = names\n"
        "[any]\ncommonName = supplied\n[names]\nsubjectAltName = DNS:localhost, IP:127.0.0.1\n",
        encoding="ascii",
    )
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(work, "req", "-new", *curve, "-keyout", str(key), "-out", str(request), "-subj", "/CN=localhost")
    files = ("-in", str(request), "-out", str(certificate), "-keyfile", str(key))
    when = ("-startdate", begin, "-enddate", end)
    _openssl(work, "ca", "-selfsign", "-batch", "-notext", "-config", "ca.cnf", *when, *files)
    key.chmod(0o600)
    return certificate, key


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
