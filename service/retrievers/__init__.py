"""Embeddings to the nearest products of a catalogue, one module a family of indices."""

from service.retrievers.flat import FlatRetriever
from service.retrievers.retriever import NOT_FOUND, TIES, Retriever

__all__ = ["NOT_FOUND", "TIES", "FlatRetriever", "Retriever"]
