"""Each private interface of another package that the product uses is still there, in the shape that it relies on.

`docs/private_interfaces.md` lists them: a row a test, under the test's name. Nothing here starts a cluster or a server.
"""

from __future__ import annotations

import ast
import inspect
import mmap
import pickle
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support import house

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "private_interfaces.md"
PACKAGES = ("ray", "optuna", "tensorflow", "tensorboardx", "keras", "mlflow", "click", "setuptools")
BOUNDED = {"ray", "optuna", "tensorflow", "keras", "mlflow", "click"}

ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
VARIABLE = re.compile(r"(?:RAY|TUNE|TF|MLFLOW|DASHBOARD|AUTOSCALER)_[A-Za-z_]+")


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def source(name: str, path: str) -> str:
    return (package_folder(name) / path).read_text(encoding="utf-8")


def holds(path: Path, text: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text) >= 0


def interface_names() -> set[str]:
    names = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    return {name for name in names if name.startswith(PACKAGES)}


# The page


def test_the_page_and_the_tests_name_the_same_interfaces() -> None:
    names = [row[0] for row in ROW.findall(PAGE.read_text())]
    assert sorted(names) == sorted(interface_names())
    assert len(names) > 15


@pytest.mark.slow
def test_the_page_names_every_private_name_in_the_source() -> None:
    page = PAGE.read_text()
    used = {name: path for path, text in house.texts().items() for name in private_names(ast.parse(text))}
    assert len(used) > 10
    assert {name: path for name, path in used.items() if not re.search(rf"\b{re.escape(name)}\b", page)} == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from ray._private import node, parameter", {"ray._private"}),
        ("import ray._raylet", {"ray._raylet"}),
        ("from tensorflow.python.framework import ops", {"tensorflow.python"}),
        ("from ray.core.generated import gcs_pb2", {"ray.core.generated"}),
        ("x = trial._trial_id", {"_trial_id"}),
        ("class A(Base):\n    def f(self):\n        return self._select()", {"_select"}),
        ("class A(Base):\n    def _do(self):\n        super()._do()", {"_do"}),
        ("os.environ.setdefault('RAY_enable_metrics_collection', '0')", {"RAY_enable_metrics_collection"}),
        ("import os\nos._exit(1)", set()),
        ("class A(Base):\n    def _own(self):\n        return self._own()", set()),
        ("class A:\n    x: int\n    def _own(self): ...\ndef f(a):\n    return a._own()", set()),
        ("text._replace(netloc='x')", set()),
        ("from tune_jobs import _own", set()),
    ],
)
def test_a_private_name_in_a_source_is_noticed(text: str, names: set[str]) -> None:
    assert set(private_names(ast.parse(text))) == names


def private_names(tree: ast.Module) -> Iterator[str]:
    """Yield the private modules, attributes and undocumented variables of other packages that a file uses."""
    own = set(own_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from private_module(node.module)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from private_module(alias.name)
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            if ast.unparse(node.value) == "super()" or node.attr not in own | OF_PYTHON:
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and VARIABLE.fullmatch(node.value):
            yield from () if node.value in DOCUMENTED or node.value.startswith("TUNE_JOBS_") else (node.value,)


def own_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a file itself defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def private_module(name: str) -> Iterator[str]:
    package, *rest = name.split(".")
    if package not in sys.stdlib_module_names and package != house.PACKAGE:
        for depth, part in enumerate(rest):
            if is_private(part) or f"{package}.{part}" in {"tensorflow.python", "ray.core"}:
                yield ".".join([package, *rest[: depth + 1 + (part == "core")]])
                return


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


OF_PYTHON = {"_exit", "_replace"}  # which Python's own library documents

# Variables that their packages document.
DOCUMENTED = {
    "MLFLOW_ARTIFACTS_DESTINATION",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
    "MLFLOW_HTTP_REQUEST_TIMEOUT",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_UVICORN_OPTS",
    "RAY_ADDRESS",
    "RAY_API_SERVER_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_TMPDIR",
    "RAY_USAGE_STATS_ENABLED",
    "TF_CPP_MIN_LOG_LEVEL",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_USE_LEGACY_KERAS",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS",
    "TUNE_DISABLE_SIGINT_HANDLER",
    "TUNE_GLOBAL_CHECKPOINT_S",
    "TUNE_MAX_PENDING_TRIALS_PG",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S",
    "TUNE_WARN_THRESHOLD_S",
}


def test_packages_with_private_parts_in_use_have_an_upper_bound_of_one_minor_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    bounded = [requirement for requirement in map(Requirement, lines) if requirement.name in BOUNDED]
    assert {requirement.name for requirement in bounded} == BOUNDED
    for requirement in bounded:
        major, minor = metadata.version(requirement.name).split(".")[:2]
        assert f"<{major}.{int(minor) + 1}" in str(requirement.specifier).split(","), requirement


# Ray


def test_ray_loopback_switch() -> None:
    from ray._private import ray_constants

    assert isinstance(ray_constants.ENABLE_RAY_CLUSTER, bool)
    assert ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR == "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    assert "ray_constants.ENABLE_RAY_CLUSTER" in source("ray", "_private/services.py")


def test_ray_optional_services() -> None:
    from ray._private import node, parameter

    assert {"no_monitor", "include_log_monitor"} <= set(parameters(parameter.RayParams.__init__))
    assert parameters(node.Node.start_api_server)[0] == "self"
    assert "ray._private.parameter.RayParams(" in source("ray", "_private/worker.py")


def test_ray_agents() -> None:
    from ray._private import services

    command = services._build_python_executable_command_memory_profileable
    assert parameters(command) == ["component", "session_dir", "unbuffered"]
    start = source("ray", "_private/services.py")
    for kind in ("DASHBOARD_AGENT", "RUNTIME_ENV_AGENT"):
        assert f"ray_constants.PROCESS_TYPE_{kind}, session_dir\n" in start
    assert "ray._private.utils.get_dashboard_dependency_error()" in start
    assert "RUNTIME_ENV_AGENT_PORT_NAME" in source("ray", "_private/runtime_env/agent/main.py")


def test_ray_worker_programs() -> None:
    from ray._private import parameter

    assert "setup_worker_path" in parameters(parameter.RayParams.__init__)
    assert "exec_worker(remaining_args" in source("ray", "_private/workers/setup_worker.py")
    assert "worker.main_loop()" in source("ray", "_private/workers/default_worker.py")
    assert holds(package_folder("ray") / "core/src/ray/raylet/raylet", b"RAY_JOB_ID")
    assert holds(package_folder("ray") / "core/src/ray/raylet/raylet", b"RAY_RAYLET_PID")


def test_ray_tune_class_cache() -> None:
    from ray.tune.execution.class_cache import _ActorClassCache

    cache = _ActorClassCache()
    assert cache._cache == {}
    assert parameters(cache.get) == ["trainable_cls"]


def test_ray_address_lookup() -> None:
    from ray._private import services

    assert parameters(services.get_ray_address_from_environment) == ["addr", "temp_dir"]
    assert parameters(services.find_node_ids) == []


def test_ray_grpc_channel() -> None:
    from ray._private.grpc_utils import init_grpc_channel

    assert parameters(init_grpc_channel)[:2] == ["address", "options"]


def test_ray_gcs_messages() -> None:
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    assert gcs_service_pb2.InternalKVGetRequest(namespace=b"cluster", key=b"CLUSTER_METADATA").key
    assert {"value"} <= set(gcs_service_pb2.InternalKVGetReply.DESCRIPTOR.fields_by_name)
    assert "node_info_list" in gcs_service_pb2.GetAllNodeInfoReply.DESCRIPTOR.fields_by_name
    assert {"node_id", "state"} <= set(GcsNodeInfo.DESCRIPTOR.fields_by_name)
    assert GcsNodeInfo.GcsNodeState.ALIVE == 0
    assert {"InternalKVGcsServiceStub", "NodeInfoGcsServiceStub"} <= set(dir(gcs_service_pb2_grpc))


def test_ray_token_loader() -> None:
    from ray._raylet import AuthenticationTokenLoader, Config

    assert {"instance", "has_token", "reset_cache"} <= set(dir(AuthenticationTokenLoader))
    assert callable(Config.initialize)


def test_ray_folder() -> None:
    import ray

    assert 'kwargs.pop("_temp_dir", None)' in inspect.getsource(ray.init)


def test_ray_driver_path() -> None:
    from ray.job_config import JobConfig

    config = JobConfig()
    config._py_driver_sys_path.append("/folder")
    assert b"/folder" in config._serialize()
    assert "job_config._py_driver_sys_path.extend(" in source("ray", "_private/worker.py")


def test_ray_raylet_socket() -> None:
    from ray._private.state import GlobalState

    assert parameters(GlobalState.node_table) == ["self"]
    for key in (b"NodeID", b"RayletSocketName"):
        assert holds(package_folder("ray") / "_raylet.so", key)


def test_ray_job_requests() -> None:
    from ray.job_submission import JobSubmissionClient

    names = parameters(JobSubmissionClient._do_request)
    assert names[:3] == ["self", "method", "endpoint"]
    assert names[-1] == "kwargs"  # timeout goes through to requests


def test_ray_job_loggers() -> None:
    for module in ("dashboard/modules/dashboard_sdk", "dashboard/modules/job/sdk", "_private/runtime_env/packaging"):
        assert "logging.getLogger(__name__)" in source("ray", f"{module}.py"), module


def test_ray_job_stop_wait() -> None:
    assert "RAY_JOB_STOP_WAIT_TIME_S" in source("ray", "dashboard/modules/job/job_supervisor.py")


def test_ray_metrics_ports() -> None:
    assert holds(package_folder("ray") / "core/src/ray/gcs/gcs_server", b"enable_metrics_collection")
    assert 'env_integer("AUTOSCALER_METRIC_PORT"' in source("ray", "autoscaler/_private/constants.py")
    assert '"DASHBOARD_METRIC_PORT"' in source("ray", "dashboard/consts.py")


def test_ray_log_filter() -> None:
    from ray._private import ray_constants

    assert hasattr(ray_constants, "RAY_DEDUP_LOGS_SKIP_REGEX")


def test_ray_tune_output() -> None:
    assert 'os.environ.get("RAY_AIR_NEW_OUTPUT", "1") == "0"' in source("ray", "tune/experimental/output.py")


def test_ray_tune_controller() -> None:
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment.trial import Trial, _TemporaryTrialState

    made = inspect.getsource(TuneController.__init__)
    assert "self._actor_manager" in made
    assert "self._trial_to_actor" in made
    assert isinstance(RayActorManager.live_actors, property)
    assert parameters(RayActorManager.cleanup) == ["self"]
    assert isinstance(Trial.error_file, property)
    assert parameters(TuneController.get_live_trials) == ["self"]
    assert _TemporaryTrialState().ray_actor is None


def test_ray_actor_class() -> None:
    import ray

    from tune_jobs.execution import trainable, worker

    assert inspect.signature(worker.as_actor_class(worker.TrialWorker)) == inspect.signature(worker.TrialWorker)
    in_worker = worker.as_actor_class(worker.TrialWorker)
    assert issubclass(in_worker, worker.TrialWorker)
    assert worker.as_actor_class(in_worker) is in_worker  # and so is what Ray makes of the class that Tune sees
    assert pickle.loads(ray.cloudpickle.dumps(trainable.TrialActor)) is trainable.TrialActor
    assert b"ray.tune" not in ray.cloudpickle.dumps(trainable.TrialActor)


def test_ray_tune_actor_calls() -> None:
    from ray.train._internal.storage import StorageContext
    from ray.tune.execution.tune_controller import TuneController
    from ray.tune.experiment import trial

    from tune_jobs.execution import worker

    calls = "".join(inspect.getsource(module) for module in (TuneController, trial))
    assert all(f'"{name}"' in calls for name in ("train", "reset"))
    assert "get_auto_filled_metrics" in calls
    assert {"train", "reset", "stop", "get_auto_filled_metrics"} <= set(dir(worker.TrialWorker))
    assert "storage" in parameters(worker.TrialWorker.reset)
    assert all(inspect.isclass(sent) for sent in (StorageContext, trial._TrialInfo))


def test_ray_worker_prestart() -> None:
    assert holds(
        package_folder("ray") / "core" / "src" / "ray" / "raylet" / "raylet", b"RAY_prestart_worker_first_driver"
    )


def test_ray_worker_logs() -> None:
    from ray._private import worker
    from ray._private.node import Node

    assert hasattr(worker, "_global_node")
    assert parameters(Node.get_logs_dir_path) == ["self"]


def test_ray_tune_callback_count() -> None:
    from ray.air._internal import usage

    assert parameters(usage.tag_callbacks) == ["callbacks"]
    assert "air_usage.tag_callbacks(callbacks)" in source("ray", "tune/tune.py")
    assert "MLflowLoggerCallback" in inspect.getsource(usage._count_callbacks)  # else there is no need any more


def test_ray_tune_searcher() -> None:
    from ray.tune.search import Searcher

    assert Searcher.FINISHED == "FINISHED"


# Optuna


def test_optuna_ids() -> None:
    from optuna.study import StudyDirection, create_study
    from optuna.study._frozen import FrozenStudy
    from optuna.trial import create_trial

    assert create_trial(value=1.0)._trial_id == -1
    assert FrozenStudy("own", StudyDirection.MINIMIZE, {}, {}, 7)._study_id == 7
    assert create_study(direction="minimize").ask()._trial_id == 0


def test_optuna_trial_constructor() -> None:
    from optuna import Trial

    assert parameters(Trial.__init__) == ["self", "study", "trial_id"]


def test_optuna_storage_calls() -> None:
    from optuna.storages import BaseStorage

    assert {name: parameters(getattr(BaseStorage, name))[1:] for name in STORAGE_CALLS} == STORAGE_CALLS


STORAGE_CALLS = {
    "create_new_study": ["directions", "study_name"],
    "create_new_trial": ["study_id", "template_trial"],
    "delete_study": ["study_id"],
    "get_all_studies": [],
    "get_all_trials": ["study_id", "deepcopy", "states"],
    "get_n_trials": ["study_id", "state"],
    "get_study_id_from_name": ["study_name"],
    "get_study_user_attrs": ["study_id"],
    "get_trial": ["trial_id"],
    "get_trial_id_from_study_id_trial_number": ["study_id", "trial_number"],
    "get_trial_number_from_id": ["trial_id"],
    "set_study_user_attr": ["study_id", "key", "value"],
    "set_trial_intermediate_value": ["trial_id", "step", "intermediate_value"],
    "set_trial_state_values": ["trial_id", "state", "values"],
    "set_trial_user_attr": ["trial_id", "key", "value"],
}


def test_optuna_read_only_view() -> None:
    from optuna.study import StudyDirection, create_study
    from optuna.study._frozen import FrozenStudy

    names = ["study_name", "direction", "user_attrs", "system_attrs", "study_id"]
    assert parameters(FrozenStudy)[:5] == names
    frozen = FrozenStudy("name", None, {}, {}, 0, directions=[StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE])
    assert frozen.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    study = create_study()
    study._storage.set_study_system_attr(study._study_id, "study:metric_names", ["loss"])
    assert study.metric_names == ["loss"]


def test_optuna_storage_engine(tmp_path: Path) -> None:
    from optuna.storages import RDBStorage

    storage = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}", {"connect_args": {"timeout": 1.0}})
    assert storage.engine.dialect.name == "sqlite"
    storage.engine.dispose()


def test_optuna_journal_records() -> None:
    from optuna.storages.journal import BaseJournalBackend
    from optuna.storages.journal._storage import JournalOperation as Operation

    from tune_jobs.study import lines

    assert parameters(BaseJournalBackend.read_logs) == ["self", "log_number_from"]
    assert parameters(BaseJournalBackend.append_logs) == ["self", "logs"]
    assert (Operation.CREATE_STUDY, Operation.DELETE_STUDY) == (lines.CREATE_STUDY, lines.DELETE_STUDY)
    assert (Operation.SET_STUDY_USER_ATTR, Operation.CREATE_TRIAL) == (lines.NOTE, lines.CREATE_TRIAL)
    assert (Operation.SET_TRIAL_STATE_VALUES, Operation.SET_TRIAL_USER_ATTR) == (lines.STATE, lines.ATTRIBUTE)
    assert lines.EPOCH == Operation.SET_TRIAL_INTERMEDIATE_VALUE


def test_optuna_journal_distributions() -> None:
    from optuna.distributions import json_to_distribution
    from optuna.storages.journal import _storage

    assert _storage.json_to_distribution is json_to_distribution
    assert parameters(json_to_distribution) == ["json_str"]


def test_optuna_nsga2_selection() -> None:
    from optuna.samplers import NSGAIISampler

    strategy = NSGAIISampler(population_size=4)._elite_population_selection_strategy
    assert parameters(strategy.__call__) == ["study", "population"]
    for name in ("get_population", "get_parent_population", "select_parent"):
        assert parameters(getattr(NSGAIISampler, name)) == ["self", "study", "generation"]
    assert parameters(NSGAIISampler.get_trial_generation) == ["self", "study", "trial"]


def test_optuna_tpe_parts() -> None:
    from optuna.samplers import TPESampler
    from optuna.samplers._tpe import _truncnorm, sampler
    from optuna.search_space import group_decomposed
    from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace

    assert parameters(TPESampler._sample) == ["self", "study", "trial", "search_space"]
    assert parameters(TPESampler._get_internal_repr) == ["self", "trials", "search_space", "study"]
    assert parameters(sampler._split_trials) == ["study", "trials", "n_below"]
    assert parameters(_truncnorm._log_ndtr_single.__wrapped__) == ["a"]
    assert parameters(_GroupDecomposedSearchSpace.calculate) == ["self", "study", "use_cache"]
    groups = group_decomposed._SearchSpaceGroup()
    groups.add_distributions({})
    assert groups.search_spaces == []
    with pytest.warns(match="experimental"):
        tpe = TPESampler(multivariate=True, group=True)
    assert isinstance(tpe._group_decomposed_search_space, _GroupDecomposedSearchSpace)


def test_optuna_fanova_forest() -> None:
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_int("b", 0, 9) + trial.suggest_float("a", 0, 1), n_trials=20)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=8, seed=0)
    shares = evaluator.evaluate(study)
    of_each = [evaluator._evaluator.get_importance(index) for index in range(2)]
    assert [mean for mean, _ in of_each] == [shares["a"], shares["b"]]  # in the order of their names
    assert all(deviation > 0 for _, deviation in of_each)


# TensorFlow and Keras


@pytest.mark.slow
def test_tensorflow_gradient_registry() -> None:
    from tensorflow.python.framework import ops

    assert isinstance(ops.gradient_registry._registry, dict)
    assert '"CustomGradient-%s"' in source("tensorflow", "python/ops/custom_gradient.py")


@pytest.mark.slow
def test_tensorflow_context() -> None:
    code = "import tensorflow as tf; from tensorflow.python.eager import context as c; a = c._context; tf.zeros(1)"
    answer = subprocess.run(
        [sys.executable, "-c", f"{code}; print(a is None, c._context is None)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == "True False\n"


def test_tensorflow_autograph_loader() -> None:
    from tensorflow.python.autograph.pyct import loader

    assert parameters(inspect.unwrap(loader.load_source)) == ["source", "delete_on_exit"]
    assert "load_source(source, delete_on_exit)" in inspect.getsource(loader.load_ast)


def test_tensorflow_onednn_allocator() -> None:
    (library,) = package_folder("tensorflow").glob("libtensorflow_framework.so.?")
    assert holds(library, b"TF_ONEDNN_USE_SYSTEM_ALLOCATOR")


def test_keras_train_step() -> None:
    import keras

    assert parameters(keras.Model.train_step) == ["self", "data"]
    assert parameters(keras.Model.test_step) == ["self", "data"]


def test_keras_optimizer_state() -> None:
    import keras

    weight = keras.Variable([1.0])
    optimizer = keras.optimizers.SGD()
    optimizer.build([weight])
    assert [each is weight for each in optimizer._trainable_variables] == [True]
    optimizer.apply([keras.ops.ones(1)])
    assert int(optimizer._iterations) == 1


def test_keras_compiled_parts() -> None:
    import keras

    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model = keras.Sequential([keras.Input((2,)), inner])
    assert {type(layer).__name__ for layer in model._flatten_layers()} >= {"Sequential", "Dense"}
    loss = keras.losses.Huber(0.5)
    model.compile("sgd", loss, metrics=["mae"])
    given = model._compile_config.config
    assert (given["loss"], given["metrics"]) == (loss, ["mae"])


def test_keras_gradient_sum() -> None:
    import keras

    assert parameters(keras.optimizers.Optimizer._all_reduce_sum_gradients) == ["self", "grads_and_vars"]
    assert parameters(keras.optimizers.Optimizer.apply) == ["self", "grads", "trainable_variables"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_archive_members(tmp_path: Path) -> None:
    import keras

    file = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(file)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("tune_jobs.json", "{}")
    assert keras.saving.load_model(file, safe_mode=True).count_params() == 3


# MLflow


def test_mlflow_error_texts() -> None:
    import requests
    from mlflow.exceptions import MlflowException
    from mlflow.utils.rest_utils import verify_rest_response
    from urllib3.exceptions import ResponseError

    from tune_jobs.tracking import store

    response = requests.Response()
    response.url, response.reason, response._content = "http://mlflow", "Oh", b"not JSON"
    for status, is_expected in ((500, store.is_servers_error), (403, store.is_access_denied)):
        response.status_code = status
        with pytest.raises(MlflowException) as by_mlflow:
            verify_rest_response(response, "/api/2.0/mlflow/runs/get")
        with pytest.raises(requests.HTTPError) as by_requests:
            response.raise_for_status()
        assert is_expected(by_mlflow.value)
        assert is_expected(by_requests.value)
    assert store.is_servers_error(Exception(ResponseError.SPECIFIC_ERROR.format(status_code=503)))


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_mlflow_password() -> None:
    texts = [source("mlflow", f"server/auth/{name}") for name in ("__init__.py", "config.py")]
    for name in ("AUTH_CONFIG_PATH", "FLASK_SERVER_SECRET_KEY", "AUTH_ADMIN_USERNAME", "AUTH_ADMIN_PASSWORD"):
        assert any(f"MLFLOW_{name}" in text for text in texts), name
    assert "def authenticate_request_basic_auth() -> Authorization | Response:" in texts[0]


def test_mlflow_schema_version(tmp_path: Path) -> None:
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    assert utils._get_schema_version(engine) is None
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('1')")
    assert utils._get_schema_version(engine) == "1"
    engine.dispose()
    assert re.fullmatch("[0-9a-f]{12}", utils._get_latest_schema_revision())


def test_mlflow_artifact_columns() -> None:
    import mlflow.store.model_registry.dbmodels.models
    import mlflow.store.tracking.dbmodels.models  # noqa: F401 - adds its tables
    from mlflow.store.db.base_sql_model import Base

    from tune_jobs.tracking import own_file

    tables = Base.metadata.tables
    for table, column in own_file._PLACES:
        assert column in tables[table].columns
    of_artifacts = {
        (name, column.name)
        for name, table in tables.items()
        for column in table.columns
        if "artifact" in column.name and column.name != "artifact_path"
    }
    assert {place for place in own_file._PLACES if "artifact" in place[1]} <= of_artifacts
    for table, columns in (("tags", ("key", "run_uuid")), ("experiment_tags", ("key", "experiment_id"))):
        assert set(columns) <= set(tables[table].columns.keys())


def test_mlflow_artifact_repos_cache() -> None:
    from mlflow.tracking._tracking_service import utils

    assert isinstance(utils._artifact_repos_cache, dict)
    assert "utils._artifact_repos_cache.get(resource_id)" in source("mlflow", "tracking/_tracking_service/client.py")


def test_mlflow_reserved_tags() -> None:
    from mlflow.utils import mlflow_tags

    assert mlflow_tags.MLFLOW_PARENT_RUN_ID == "mlflow.parentRunId"
    assert mlflow_tags.MLFLOW_RUN_NOTE == "mlflow.note.content"
    assert mlflow_tags.MLFLOW_DATASET_CONTEXT == "mlflow.data.context"
    page = package_folder("mlflow") / "server/js/build/static/js"
    assert any(holds(file, b"mlflow.experimentKind") for file in page.glob("*.js"))


def test_mlflow_shared_views() -> None:
    page = package_folder("mlflow") / "server/js/build/static/js"
    texts = [file.read_bytes() for file in page.glob("*.js")]
    for part in (b'"mlflow.sharedViewState."', b'"viewStateShareKey"', b'"machine_learning"', b'"compareRunSections"'):
        assert any(part in text for text in texts), part
    envelope = b'"string"!==typeof i.name||"number"!==typeof i.createdAt||"string"!==typeof i.state'
    assert any(envelope in text for text in texts)


def test_tensorboardx_hparams() -> None:
    from tensorboardX.proto import api_pb2, plugin_hparams_pb2

    fields = plugin_hparams_pb2.HParamsPluginData.DESCRIPTOR.fields_by_name
    assert {"version", "experiment", "session_start_info", "session_end_info"} <= set(fields)
    assert {"hparam_infos", "metric_infos"} <= set(api_pb2.Experiment.DESCRIPTOR.fields_by_name)
    assert {"STATUS_SUCCESS", "STATUS_FAILURE"} <= set(api_pb2.Status.keys())


# click and setuptools


def test_mlflow_uvicorn_options() -> None:
    assert 'envvar="MLFLOW_UVICORN_OPTS"' in source("mlflow", "cli/__init__.py")
    assert "shlex.split(uvicorn_opts)" in source("mlflow", "server/__init__.py")
    assert "sys.path.insert(0, app_dir)" in source("uvicorn", "main.py")


def test_mlflow_server_process() -> None:
    text = source("mlflow", "server/__init__.py")
    assert "server_proc = _exec_cmd(\n        full_command,\n        extra_env=env_map," in text
    assert '        "-m",\n        "uvicorn",\n        *opts,' in text


def test_click_parser() -> None:
    import click

    command = click.Command("f", params=[click.Option(["--set", "given"], multiple=True), click.Argument(["name"])])
    values, _, _ = command.make_parser(click.Context(command)).parse_args(["--set", "a=1", "--set", "b=2", "x"])
    assert values == {"given": ["a=1", "b=2"], "name": "x"}


def test_click_help_exception() -> None:
    import click

    group = click.Group("f", no_args_is_help=True)
    with pytest.raises(click.exceptions.NoArgsIsHelpError) as shown:
        group.main([], standalone_mode=False)
    assert shown.value.format_message().startswith("Usage:")


def test_setuptools_linked_folders(tmp_path: Path) -> None:
    from setuptools import find_packages

    for folder in ("models", "house"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "house" / "models").symlink_to("../models")
    assert set(find_packages(str(tmp_path), include=["house*"])) == {"house", "house.models"}
