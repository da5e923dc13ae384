"""One trial as a plain function. The only home of TensorFlow."""
