"""Shapes of real models, written as GGUF files: what tools/shapes.py is made of."""
