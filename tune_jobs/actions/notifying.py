"""Tell whom the user named how a sweep goes, and say at its end which of them did not hear it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Plan, Resources, StudyInputs
from tune_jobs.live import notifications
from tune_jobs.live.news import News
from tune_jobs.settings import Settings, notify_variable
from tune_jobs.words import Say, one_line


@contextmanager
def told(
    study: str, inputs: StudyInputs, plan: Plan, resources: Resources, settings: Settings, say: Say
) -> Iterator[News]:
    """Tell of a sweep for the block. An error that ends it is told and raised again.

    Raises:
        SettingsError: somebody is named who cannot be told.
    """
    task, secrets = inputs.task, (settings.storage, settings.tracking_uri)
    news = News(study, task.name, task.objective, plan.total, secrets=secrets)
    targets = notifications.read(resources.notify or notify_variable())
    if not targets:
        yield news
        return
    channel = notifications.Notifications(targets, news.lost(), settings.home / "notify.log")
    news = replace(news, send=channel.send)
    try:
        yield news
    except BaseException as error:
        news.fail(str(error) if isinstance(error, UserError) else one_line(error))
        raise
    finally:
        channel.close()
        if channel.problems is not None:
            say(channel.problems)
