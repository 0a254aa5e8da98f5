"""All tables, and ``initialize`` to bring a database up to date or to reset it."""

from example.models.base import Base, now
from example.models.environments import Environment, Generation, GenerationPackage, Switch
from example.models.identity import Instance, Token, User, Workspace
from example.models.packages import Job, JobLog, Package, PackageCount
from example.models.schema import initialize

__all__ = [
    "Base",
    "Environment",
    "Generation",
    "GenerationPackage",
    "Instance",
    "Job",
    "JobLog",
    "Package",
    "PackageCount",
    "Switch",
    "Token",
    "User",
    "Workspace",
    "initialize",
    "now",
]
