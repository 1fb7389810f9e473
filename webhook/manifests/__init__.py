"""Manifests read, changed in place and written again, byte for byte where nothing changed."""

from webhook.manifests.join import join
from webhook.manifests.read import STDIN, Document, objects, read_documents
from webhook.manifests.rewrite import Change, Rewritten, rewrite

__all__ = ["STDIN", "Change", "Document", "Rewritten", "join", "objects", "read_documents", "rewrite"]
