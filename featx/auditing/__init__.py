"""What is wrong with a data set, found in its embeddings and files before anything is fitted."""

from featx.auditing.audit import Audit, audit_images
from featx.auditing.data import AuditData

__all__ = ["Audit", "AuditData", "audit_images"]
