"""VoxScope's core: from a folder of voices to embeddings, sparse autoencoders and indexes that can be explored."""
