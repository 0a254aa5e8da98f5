"""All tables, and ``initialize`` to bring a database up to date or to reset it."""

from example.models.audit import AuditEntry, AuditHead, RateWindow
from example.models.base import Base, now
from example.models.environments import Environment, Generation, GenerationPackage, Switch
from example.models.identity import Instance, Invitation, LoginSession, Member, Token, User, Workspace
from example.models.packages import Job, JobLog, Package, PackageCount
from example.models.schema import initialize

__all__ = [
    "AuditEntry",
    "AuditHead",
    "Base",
    "Environment",
    "Generation",
    "GenerationPackage",
    "Instance",
    "Invitation",
    "Job",
    "JobLog",
    "LoginSession",
    "Member",
    "Package",
    "PackageCount",
    "RateWindow",
    "Switch",
    "Token",
    "User",
    "Workspace",
    "initialize",
    "now",
]
