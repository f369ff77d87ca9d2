"""Which distribution has a top-level module that nobody locked.

Locked wheels are asked first.  The table holds well-known distributions whose import name
differs from their own; for all others the two are taken to be the same (PEP 503's form).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envlock.audit.model import normalize

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from envlock.audit.index.model import WheelIndex

_KNOWN = {
    "Crypto": "pycryptodome",
    "IPython": "ipython",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dns": "dnspython",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google.api": "googleapis-common-protos",
    "google.auth": "google-auth",
    "google.iam": "grpc-google-iam-v1",
    "google.longrunning": "googleapis-common-protos",
    "google.oauth2": "google-auth",
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "google.type": "googleapis-common-protos",
    "grpc": "grpcio",
    "jose": "python-jose",
    "jwt": "pyjwt",
    "magic": "python-magic",
    "markdown": "markdown",
    "mpl_toolkits": "matplotlib",
    "pkg_resources": "setuptools",
    "psycopg2": "psycopg2-binary",
    "pythonjsonlogger": "python-json-logger",
    "redis": "redis",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "socks": "pysocks",
    "usb": "pyusb",
    "win32api": "pywin32",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}


def distribution_for(module: str, indexes: Sequence[WheelIndex]) -> str:
    """Return the distribution that provides a module, as far as can be told.

    In a namespace of many distributions it is called like the first package that nobody has.
    """
    parts = module.split(".")
    for index in indexes:
        if parts[0] in index.modules:
            return normalize(index.name)
    for end in range(len(parts), 0, -1):
        known = ".".join(parts[:end])
        if known in _KNOWN:
            return _KNOWN[known]
    shared = {space for index in indexes for space in index.namespaces}
    size = 1
    while size < len(parts) and ".".join(parts[:size]) in shared:
        size += 1
    return normalize("-".join(parts[:size]))


def module_of(distribution: str, roots: Container[str] | None = None) -> str:
    """Return the module by which a distribution is most likely imported.

    roots: the top-level modules that are there, None where nobody knows; one of the
    distribution's own name is preferred.
    """
    own = distribution.replace("-", "_")
    named = [module for module, name in _KNOWN.items() if name == normalize(distribution)]
    if roots is None:
        return own if own == "setuptools" or not named else named[0]
    return next((module for module in (own, *named) if module in roots), own)
