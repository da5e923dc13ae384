"""What is trained: Keras builders, optimizers and label encodings. Knows Keras 3 and NumPy only."""
