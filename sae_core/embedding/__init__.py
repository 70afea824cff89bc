"""From sound to vectors: the encoders, and the engines that run them over a corpus."""
