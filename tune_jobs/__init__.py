"""How it is run: data, training, studies, Ray, MLflow, exports and the command line."""
