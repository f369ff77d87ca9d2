"""Breakages that people met: pins, the target's Python, and what has to be found.

Those of BREAKAGES are well known; what is expected was corrected by what the audit showed where
the guess named another module or another severity, and they were not run.  Those of
SEEN_TO_BREAK were: the import fails with the words that are expected.
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

SEEN_TO_BREAK = (
    _breakage(
        "setuptools==65.5.0",
        "pkg_resources* needs pkgutil.ImpImporter",
        "breaks-import",
        "3.12",
    ),
    _breakage(
        "docker==4.4.4 certifi==2023.11.17 charset-normalizer==3.3.2 idna==3.6 "
        "requests==2.31.0 six==1.16.0 urllib3==2.1.0 websocket-client==1.6.4",
        "docker* needs distutils*",
        "breaks-import",
        "3.12",
    ),
    _breakage(
        "kafka-python==2.0.2",
        "kafka* needs kafka.vendor.six.moves*",
        "breaks-import",
        "3.12",
    ),
    _breakage(
        "motor==2.5.1 pymongo==3.13.0",
        "motor* needs asyncio.coroutine",
        "breaks-module",
        "3.11",
    ),
    _breakage(
        "sqlmodel==0.0.8 pydantic==2.5.3 annotated-types==0.6.0 greenlet==3.0.3 "
        "pydantic-core==2.14.6 sqlalchemy==1.4.41 sqlalchemy2-stubs==0.0.2a38 "
        "typing-extensions==4.9.0",
        "sqlmodel* needs pydantic.fields.*",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "fastapi==0.95.2 pydantic==2.5.3 annotated-types==0.6.0 anyio==4.2.0 idna==3.6 "
        "pydantic-core==2.14.6 sniffio==1.3.0 starlette==0.27.0 typing-extensions==4.9.0",
        "fastapi* needs pydantic*",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "flask-restplus==0.13.0 werkzeug==1.0.1 aniso8601==9.0.1 attrs==22.1.0 click==7.1.2 "
        "flask==1.1.4 itsdangerous==1.1.0 jinja2==2.11.3 jsonschema==4.15.0 "
        "markupsafe==2.0.1 pyrsistent==0.18.1 pytz==2022.2.1 setuptools==65.0.0 six==1.16.0",
        "flask_restplus* needs werkzeug.cached_property",
        "breaks-import",
        "3.9",
    ),
    _breakage(
        "connexion==2.14.1 flask==2.3.3 werkzeug==2.3.7 attrs==23.1.0 blinker==1.6.2 "
        "certifi==2023.7.22 charset-normalizer==3.3.0 click==8.1.7 clickclick==20.10.2 "
        "idna==3.4 inflection==0.5.1 itsdangerous==2.1.2 jinja2==3.1.2 jsonschema==4.19.1 "
        "jsonschema-specifications==2023.7.1 markupsafe==2.1.3 packaging==23.1 "
        "pyyaml==6.0.1 referencing==0.30.2 requests==2.31.0 rpds-py==0.10.3 urllib3==2.0.5",
        "connexion* needs flask.*",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "scikit-plot==0.3.7 numpy==1.26.4 scipy==1.13.0 contourpy==1.2.1 cycler==0.12.1 "
        "fonttools==4.51.0 joblib==1.4.0 kiwisolver==1.4.5 matplotlib==3.8.4 "
        "packaging==24.0 pillow==10.3.0 pyparsing==3.1.2 python-dateutil==2.9.0.post0 "
        "scikit-learn==1.4.2 six==1.16.0 threadpoolctl==3.5.0",
        "scikitplot* needs scipy.interp",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "boto3==1.24.96 urllib3==2.0.7 botocore==1.27.96 jmespath==1.0.1 "
        "python-dateutil==2.8.2 s3transfer==0.6.2 six==1.16.0",
        "botocore.httpsession needs urllib3.util.ssl_.DEFAULT_CIPHERS",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "acme==2.8.0 josepy==2.0.0 certifi==2025.1.31 cffi==1.17.1 "
        "charset-normalizer==3.4.1 cryptography==44.0.1 idna==3.10 pycparser==2.22 "
        "pyopenssl==25.0.0 pyrfc3339==2.0.1 pytz==2025.1 requests==2.32.3 "
        "setuptools==75.0.0 typing-extensions==4.12.2 urllib3==2.3.0",
        "acme* needs josepy.ComparableX509",
        "breaks-module",
        "3.11",
    ),
    _breakage(
        "nbconvert==6.0.7 mistune==2.0.5 attrs==22.2.0 bleach==6.0.0 defusedxml==0.7.1 "
        "entrypoints==0.4 fastjsonschema==2.16.3 importlib-metadata==6.0.0 jinja2==3.0.3 "
        "jsonschema==4.17.3 jupyter-client==8.0.3 jupyter-core==5.2.0 "
        "jupyterlab-pygments==0.2.2 markupsafe==2.1.2 nbclient==0.5.13 nbformat==5.7.3 "
        "nest-asyncio==1.5.6 pandocfilters==1.5.0 platformdirs==3.0.0 pygments==2.14.0 "
        "pyrsistent==0.19.3 python-dateutil==2.8.2 pyzmq==25.0.0 six==1.16.0 "
        "testpath==0.6.0 tornado==6.2 traitlets==5.9.0 webencodings==0.5.1 zipp==3.15.0",
        "nbconvert* needs mistune.BlockGrammar",
        "breaks-import",
        "3.9",
    ),
    _breakage(
        "webob==1.8.7",
        "webob* needs cgi",
        "breaks-import",
        "3.13",
    ),
    _breakage(
        "pydub==0.25.1",
        "pydub* needs pyaudioop",
        "breaks-import",
        "3.13",
    ),
    _breakage(
        "yapf==0.32.0",
        "yapf* needs lib2to3*",
        "breaks-import",
        "3.13",
    ),
    _breakage(
        "tweepy==4.14.0 certifi==2024.8.30 charset-normalizer==3.4.0 idna==3.10 "
        "oauthlib==3.2.2 requests==2.32.3 requests-oauthlib==1.3.1 urllib3==2.2.3",
        "tweepy* needs imghdr",
        "breaks-import",
        "3.13",
    ),
    _breakage(
        "httplib2==0.19.0 pyparsing==3.0.0",
        "httplib2* needs pyparsing.downcaseTokens",
        "breaks-import",
        "3.10",
    ),
    _breakage(
        "environs==9.5.0 marshmallow==4.0.0 python-dotenv==1.1.0",
        "environs* needs marshmallow.__version_info__",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "django-filter==2.2.0 django==4.2 asgiref==3.7.2 sqlparse==0.4.4",
        "django_filters* needs django.db.models.fields.FieldDoesNotExist",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "amqp==2.6.1 vine==5.0.0",
        "amqp* needs vine.five",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "pysnmp==4.4.12 pyasn1==0.6.1 certifi==2024.12.14 charset-normalizer==3.4.1 "
        "idna==3.10 jinja2==3.1.5 markupsafe==3.0.2 ply==3.11 pycryptodomex==3.21.0 "
        "pysmi==1.5.9 requests==2.32.3 urllib3==2.3.0",
        "pysnmp* needs pyasn1.compat.octets",
        "breaks-module",
        "3.11",
    ),
    _breakage(
        "starlette==0.20.4 anyio==4.0.0 certifi==2023.11.17 charset-normalizer==3.3.2 "
        "idna==3.6 requests==2.31.0 sniffio==1.3.0 urllib3==2.1.0",
        "starlette* needs anyio.start_blocking_portal",
        "breaks-call",
        "3.11",
    ),
    _breakage(
        "readability-lxml==0.8.1 lxml==5.2.1 chardet==5.2.0 cssselect==1.2.0",
        "lxml.html.clean needs lxml_html_clean",
        "breaks-import",
        "3.11",
    ),
    _breakage(
        "typer==0.3.2 click==8.1.3",
        "typer.completion needs click._bashcomplete",
    ),
    _breakage(
        "redis-py-cluster==2.1.3 redis==4.5.5 async-timeout==4.0.2",
        "rediscluster.client needs redis._compat",
    ),
    _breakage(
        "h2==3.0.1 hpack==3.0.0 hyperframe==5.2.0",
        "h2.settings needs collections.MutableMapping",
        "breaks-module",
        "3.10",
    ),
    _breakage(
        "grpcio-reflection==1.66.1 grpcio==1.66.1 protobuf==4.25.4",
        "grpc_reflection* needs google.protobuf.runtime_version",
        "breaks-module",
    ),
    _breakage(
        "databases==0.5.5 greenlet==2.0.2 sqlalchemy==2.0.15 typing-extensions==4.6.3",
        "databases* needs sqlalchemy.dialects.postgresql.pypostgresql",
        "breaks-module",
    ),
    _breakage(
        "httpx==0.18.2 httpcore==1.0.2 certifi==2023.11.17 h11==0.14.0 idna==3.6 "
        "rfc3986==1.5.0 sniffio==1.3.0",
        "httpx* needs httpcore.CloseError",
        "breaks-import",
        "3.9",
    ),
    _breakage(
        "speechrecognition==3.10.0 certifi==2024.8.30 charset-normalizer==3.4.0 idna==3.10 "
        "requests==2.32.3 urllib3==2.2.3",
        "speech_recognition* needs aifc",
        "breaks-import",
        "3.13",
    ),
    _breakage(
        "tweepy==3.6.0 certifi==2024.8.30 charset-normalizer==3.4.0 idna==3.10 oauthlib==3.2.2 "
        "pysocks==1.7.1 requests==2.32.3 requests-oauthlib==1.3.1 six==1.17.0 urllib3==2.2.3",
        "tweepy.streaming needs tweepy.streaming.SyntaxError",
    ),
    _breakage(
        "cattrs==23.2.3 attrs==21.2.0",
        "cattrs* needs attrs",
    ),
    _breakage(
        "aiohttp-jinja2==1.4.2 jinja2==3.1.4 markupsafe==3.0.4 aiohttp==3.9.5 aiosignal==1.3.1 "
        "attrs==23.2.0 frozenlist==1.4.1 idna==3.7 multidict==6.0.5 yarl==1.9.4",
        "aiohttp_jinja2* needs jinja2.contextfunction",
    ),
    _breakage(
        f"flask-httpauth==4.1.0 flask==2.3.1 werkzeug==2.3.0 blinker==1.9.0 {_FLASK3}",
        "flask_httpauth needs werkzeug.security.safe_str_cmp",
    ),
    _breakage(
        f"flask-debugtoolbar==0.11.0 flask==2.3.3 werkzeug==3.1.3 blinker==1.9.0 {_FLASK3}",
        "flask_debugtoolbar needs werkzeug.urls.url_quote_plus",
    ),
    _breakage(
        f"pytest-httpserver==0.3.8 werkzeug==3.0.4 {_FLASK3}",
        "pytest_httpserver.httpserver needs werkzeug.http.parse_authorization_header",
    ),
    _breakage(
        "aiomysql==0.0.21 pymysql==1.1.0",
        "aiomysql.connection needs pymysql.util",
        "breaks-import",
        "3.10",
    ),
    _breakage(
        "pathy==0.6.2 smart_open==6.4.0 typer==0.7.0 click==8.1.7",
        "pathy needs pathlib._Accessor",
        "breaks-import",
        "3.12",
    ),
    _breakage(
        "beanie==1.17.0 pydantic==2.9.2 annotated-types==0.7.0 click==8.1.7 dnspython==2.6.1 "
        "lazy-model==0.2.0 motor==3.6.0 pydantic-core==2.23.4 pymongo==4.9.1 toml==0.10.2 "
        "typing-extensions==4.12.2",
        "beanie.odm.utils.relations needs pydantic.typing.get_origin",
    ),
    _breakage(
        "flask==2.0.3 werkzeug==0.16.1 click==8.1.3 itsdangerous==2.0.1 jinja2==3.0.3 "
        "markupsafe==2.0.1",
        "flask.app needs werkzeug.local.ContextVar",
        "breaks-import",
        "3.9",
    ),
    _breakage(
        "vcrpy==4.1.1 urllib3==2.2.0 idna==3.10 multidict==6.1.0 propcache==0.2.0 pyyaml==6.0.2 "
        "six==1.17.0 wrapt==1.17.0 yarl==1.18.0",
        "vcr* needs urllib3.*",
    ),
    _breakage(
        "librosa==0.8.1 numpy==1.24.4",
        "librosa.core.constantq needs numpy.complex",
        "breaks-import",
        "3.9",
    ),
    _breakage(
        "seaborn==0.11.2 matplotlib==3.9.2 numpy==1.26.4 cycler==0.12.1 contourpy==1.3.0 "
        "kiwisolver==1.4.7 packaging==24.1 pillow==10.4.0 pyparsing==3.1.4 "
        "python-dateutil==2.9.0.post0 six==1.16.0",
        "seaborn.cm needs matplotlib.cm.register_cmap",
    ),
    _breakage(
        "statsmodels==0.12.2 scipy==1.13.1 numpy==1.24.4",
        "statsmodels.tsa.filters.filtertools needs scipy.signal.signaltools._centered",
        "breaks-module",
        "3.9",
    ),
)
"""Breakages whose place was written down before they were audited, and then run: each breaks.

Eleven before the last three were found by the audit in sets of old projects with newer
dependencies, and run.
"""

SEEN_TO_HOLD = (
    (
        "traitlets==5.0.5 ipython-genutils==0.2.0 jupyter-core==4.7.1 jupyter-client==6.1.12 "
        "pyzmq==25.1.2 tornado==6.4.1 python-dateutil==2.9.0 six==1.17.0"
    ),
    (
        "pytest==6.2.5 py==1.11.0 attrs==22.1.0 iniconfig==1.1.1 packaging==21.0 pluggy==1.0.0 "
        "pyparsing==3.0.0 toml==0.10.2"
    ),
    (
        f"flask-restx==1.3.0 flask==3.0.3 werkzeug==3.0.4 blinker==1.8.2 aniso8601==9.0.1 "
        f"attrs==24.2.0 jsonschema==4.17.3 pyrsistent==0.20.0 pytz==2024.2 "
        f"importlib-resources==6.4.5 {_FLASK3}"
    ),
)
"""Pins that import, though rules once said that they break."""

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

MANY = (
    *POPULAR,
    "aiofiles", "aiosqlite", "altair", "apscheduler", "argon2-cffi", "asyncpg", "bleach",
    "bokeh", "boltons", "cattrs", "celery", "cerberus", "chardet", "cookiecutter", "dash",
    "databases", "deepdiff", "diskcache", "dnspython", "dramatiq", "dulwich", "elasticsearch",
    "emoji", "faker", "falcon", "feedparser", "flask-cors", "flask-login", "flask-sqlalchemy",
    "fonttools", "ftfy", "gitpython", "google-auth", "graphene", "hatchling", "huey", "hypothesis",
    "imageio", "inflect", "invoke", "isort", "jsonpath-ng", "jupyterlab-server", "keyring",
    "langcodes", "lark", "libcst", "litestar", "mashumaro", "mkdocs", "mkdocs-material",
    "mongoengine",
    "moto", "nbconvert", "nox", "oauthlib", "openpyxl", "opentelemetry-sdk", "ortools", "passlib",
    "peewee", "pelican", "pika", "poetry", "polars", "pony", "pre-commit", "prefect", "pyflakes",
    "pyinstaller", "pylint", "pypdf", "pyramid", "python-docx", "python-pptx", "quart", "rdflib",
    "requests-oauthlib", "responses", "ruamel.yaml", "sanic", "scrapy", "selenium", "shapely",
    "simplejson", "slack-sdk", "spacy", "sqlmodel", "statsmodels", "streamlit", "textual",
    "thefuzz", "tinydb", "toolz", "trio", "twisted", "typeguard", "ujson", "voluptuous", "wagtail",
    "whitenoise", "wtforms", "xlsxwriter", "yapf", "zeep",
)  # fmt: skip
"""About 300 wheels together with what they require, for benchmarks/audit.py."""
