"""A data folder, opened; what people write into it; and where a server may read and write."""
