# SPDX-License-Identifier: MIT
"""An authority of the test's own, and certificates it signs, made by openssl."""

import subprocess


def openssl(*argv):
    done = subprocess.run(["openssl", *map(str, argv)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    """ca.pem in `folder`; issue() makes NAME.pem and NAME.key beside it."""

    def __init__(self, folder, name="ca"):
        self.folder, self.name = folder, name
        self.pem, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2, "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.pem)

    def issue(self, name, names="DNS:localhost,IP:127.0.0.1", days=2):
        """(certificate, key); days=0 is expired already."""
        pem, key, request = (self.folder / f"{name}.{suffix}" for suffix in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days, "-extfile", extensions,
                "-out", pem)
        key.chmod(0o600)
        return pem, key
