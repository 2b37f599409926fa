"""People who approve plans: their SSH keys, and the files that say whose keys count."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from needs import needs

needs_ssh_keygen = needs(
    shutil.which("ssh-keygen"),
    "there is no ssh-keygen (Debian: apt-get install openssh-client; `.ci/environment` does it)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvers:
    """A folder of keys."""

    folder: Path

    def key(self, name: str) -> Path:
        """The private key of somebody, made at the first call."""
        path = self.folder / name
        if not path.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=30)
        return path

    def public_key(self, name: str) -> str:
        """A line that ends an allowed signer's, or stands in a file of revoked keys."""
        return self.key(name).with_suffix(".pub").read_text(encoding="utf-8").strip()

    def allow(self, *persons: str, options: str = "") -> Path:
        """A file of allowed signers: `anna` is anna@example.org with the key anna, `anna=old` with the key old."""
        lines = []
        for person in persons:
            name, _, key = person.partition("=")
            lines.append(f"{name}@example.org {options} {self.public_key(key or name)}\n")
        path = self.folder / "allowed_signers"
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def revoke(self, *keys: str) -> Path:
        """A file of revoked keys."""
        path = self.folder / "revoked_keys"
        path.write_text("".join(f"{self.public_key(key)}\n" for key in keys), encoding="utf-8")
        return path
