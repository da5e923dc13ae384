"""What is tried: the language of spaces, Task, and the catalogue of tasks."""
