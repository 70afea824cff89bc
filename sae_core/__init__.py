"""VoxScope's core: from a folder of recordings to embeddings, sparse autoencoders and indexes that can be explored."""

__version__ = "0.1.0"
