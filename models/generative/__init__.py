"""Networks that make pictures: autoencoders, variational autoencoders and adversarial networks."""
