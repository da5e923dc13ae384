"""How a study's trials are dispatched: the only home of Ray, which is the disposable executor and keeps nothing."""
