"""The durable record of a study. The only home of Optuna's storages."""
