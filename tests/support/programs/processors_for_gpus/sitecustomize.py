"""Found on the path of a Ray node, it lets processors stand for the GPUs that train a trial together there."""

import importlib.abc
import importlib.util
import sys
from typing import Any

NAME = "tune_jobs.training.tensorflow_process"


def together(gpus: float | None) -> list[str]:
    """The processors that stand for so many GPUs, if they are several."""
    n = int(gpus or 0)
    return [f"CPU:{index}" for index in range(n)] if n > 1 else []


class Finder(importlib.abc.MetaPathFinder):
    """Finds the module that prepares devices, and changes it once it is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            processor = module.tf.config.list_physical_devices("CPU")[0]
            parts = [module.tf.config.LogicalDeviceConfiguration()] * 4
            module.tf.config.set_logical_device_configuration(processor, parts)
            module._devices_together = together

        loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder())
