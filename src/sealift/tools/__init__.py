"""Smaller verbs, one module each: making a small corpus, starting a spec, the demo."""
