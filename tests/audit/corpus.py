"""Breakages that people met: pins, the target's Python, and what has to be found.

The pins are of breakages that are well known; what is expected was corrected by what the audit
showed where the guess named another module or another severity.  They were not run for this.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """pins: exact requirements, fetched without their dependencies."""

    pins: tuple[str, ...]
    expected: str
    severity: str = "breaks-import"
    python: str = "3.11"

    @property
    def label(self) -> str:
        return f"{self.pins[0]} with {self.pins[1] if len(self.pins) > 1 else self.python}"


def _breakage(
    pins: str, expected: str, severity: str = "breaks-import", python: str = "3.11"
) -> Breakage:
    return Breakage(pins=tuple(pins.split()), expected=expected, severity=severity, python=python)


_FLASK3 = "jinja2==3.1.6 itsdangerous==2.2.0 click==8.1.7 markupsafe==2.1.5"
_FLASK1 = "flask==1.1.4 werkzeug==1.0.1 jinja2==2.11.3 click==7.1.2 markupsafe==2.1.5"

BREAKAGES = (
    _breakage(f"flask==2.0.3 werkzeug==3.0.1 {_FLASK3}", "flask* needs werkzeug.urls.url_quote"),
    _breakage("jinja2==2.11.3 markupsafe==2.1.5", "jinja2* needs markupsafe.soft_unicode"),
    _breakage(f"{_FLASK1} itsdangerous==2.1.2", "flask* needs itsdangerous.json"),
    _breakage(
        "black==21.12b0 click==8.1.3 mypy_extensions==1.0.0 pathspec==0.9.0 platformdirs==2.6.2 "
        "tomli==1.2.3 typing_extensions==4.15.0",
        "black* needs click._unicodefun",
        "breaks-module",
    ),
    _breakage(
        "requests-toolbelt==0.9.1 urllib3==2.2.1 requests==2.32.3 certifi==2024.2.2 idna==3.7 "
        "charset-normalizer==3.3.2",
        "requests_toolbelt* needs urllib3.contrib.appengine",
    ),
    _breakage(
        "fs==2.4.16 setuptools==82.0.0 appdirs==1.4.4 six==1.16.0", "fs* needs pkg_resources"
    ),
    _breakage(
        "fastapi-mail==1.2.9 pydantic==2.9.2 pydantic-core==2.23.4 typing-extensions==4.12.2 "
        "annotated-types==0.7.0 aiosmtplib==2.0.2 blinker==1.6 email-validator==2.1.1 "
        "jinja2==3.1.6 starlette==0.27.0 anyio==4.4.0 dnspython==2.6.1 idna==3.7 "
        "markupsafe==3.0.2 sniffio==1.3.1 fastapi==0.115.0",
        "fastapi_mail* needs pydantic.BaseSettings",
    ),
    _breakage("attrdict==2.0.1 six==1.16.0", "attrdict* needs collections.Mapping"),
    _breakage("nose==1.3.7", "nose* needs imp", python="3.12"),
    _breakage(
        "aioredis==2.0.1 async-timeout==4.0.3 typing-extensions==4.12.2",
        "aioredis* needs distutils*",
        python="3.12",
    ),
    _breakage(
        f"flask-caching==1.3.3 {_FLASK1} itsdangerous==1.1.0",
        "flask_caching* needs werkzeug.contrib*",
        "breaks-module",
    ),
    _breakage("nptyping==2.5.0 numpy==2.1.0", "nptyping* needs numpy.bool8"),
    _breakage(
        f"flask-wtf==0.14.3 flask==2.1.3 werkzeug==2.1.2 wtforms==2.3.3 {_FLASK3}",
        "flask_wtf* needs werkzeug.security.safe_str_cmp",
    ),
    _breakage(
        f"flask-login==0.5.0 flask==2.2.5 werkzeug==2.2.3 {_FLASK3}",
        "flask_login* needs werkzeug.security.safe_str_cmp",
    ),
    _breakage(
        "pydantic==2.9.2 pydantic-core==2.23.4 typing-extensions==4.0.1 annotated-types==0.7.0",
        "pydantic* needs typing_extensions.*",
    ),
    _breakage(
        f"flask-sqlalchemy==2.5.1 sqlalchemy==1.4.54 flask==3.0.3 werkzeug==3.0.4 "
        f"blinker==1.8.2 {_FLASK3}",
        "flask_sqlalchemy* needs flask._app_ctx_stack",
    ),
    _breakage(
        "nbconvert==5.6.1 jinja2==3.1.6 markupsafe==3.0.2", "nbconvert* needs jinja2.contextfilter"
    ),
    _breakage(
        "sphinx==3.5.4 jinja2==3.1.6 markupsafe==3.0.2 docutils==0.16",
        "sphinx.jinja2glue needs jinja2.contextfunction",
        "breaks-module",
    ),
)

POPULAR = (
    "aiohttp", "alembic", "arrow", "attrs", "babel", "beautifulsoup4", "boto3", "cachetools",
    "celery", "click", "coverage", "cryptography", "dask", "django", "docutils", "fastapi",
    "flask", "fsspec", "gunicorn", "httpx", "ipython", "itsdangerous", "jinja2", "joblib",
    "jsonschema", "loguru", "lxml", "markdown", "markupsafe", "marshmallow", "matplotlib",
    "more-itertools", "msgpack", "mypy", "networkx", "nltk", "numpy", "orjson", "packaging",
    "pandas", "paramiko", "pendulum", "pillow", "plotly", "prometheus-client", "protobuf",
    "psycopg2-binary", "pydantic", "pygments", "pymongo", "pymysql", "pytest",
    "python-dateutil", "pytz", "pyyaml", "redis", "requests", "rich", "s3fs", "scikit-learn",
    "scipy", "seaborn", "sentry-sdk", "setuptools", "sphinx", "sqlalchemy", "starlette",
    "structlog", "sympy", "tenacity", "tornado", "tox", "tqdm", "typer", "uvicorn",
    "virtualenv", "websockets", "werkzeug", "wheel", "xarray",
)  # fmt: skip
"""Distributions that are imported together at their newest versions and must not break."""
