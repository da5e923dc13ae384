"""Optuna Dashboard on the studies of a home, as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tune_jobs.actions.local_page import App, LocalPage
from tune_jobs.errors import SettingsError
from tune_jobs.settings import Settings
from tune_jobs.study.optuna_home import HomeStorage
from tune_jobs.words import Say


def serve(settings: Settings, page: LocalPage, say: Say, ready: Callable[[], object]) -> None:
    """Serve Optuna Dashboard until Ctrl-C; `ready` is called once it can be asked.

    Raises:
        SettingsError: Optuna Dashboard is not installed, or the port is taken.
    """
    page.serve(page.guard(_dashboard(settings, say), only_reading=True), ready)


def _dashboard(settings: Settings, say: Say) -> App:
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise SettingsError(
            f"Optuna Dashboard is not installed ({error}): run `pip install 'tune-jobs[dashboard]'`"
        ) from error
    return cast("App", wsgi(HomeStorage(settings, say)))


def study_path(name: str, settings: Settings, say: Say) -> str:
    """Return the path of a study's page below the dashboard's address.

    Raises:
        StudyError: there is no such study.
    """
    from tune_jobs.study.study import Study

    Study.open(name, settings)
    storage = HomeStorage(settings, say)
    ids = {study.study_name: study._study_id for study in storage.get_all_studies()}
    return f"/dashboard/studies/{ids[name]}"
