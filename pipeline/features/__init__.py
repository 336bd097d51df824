"""Features: extractors that embed samples and prompts, and the tables that keep the embeddings."""
