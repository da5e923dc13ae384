"""Tell whom the user named how a sweep goes, and say at its end which of them did not hear it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Plan, Resources, StudyInputs
from tune_jobs.live import notifications
from tune_jobs.live.news import News
from tune_jobs.live.notifications import Notifications
from tune_jobs.settings import Settings, notify_variable
from tune_jobs.words import Say, one_line


@dataclass(frozen=True)
class Told:
    """The news of a sweep, and the process that tells them, if anybody is to be told."""

    news: News
    channel: Notifications | None = None

    @property
    def problems(self) -> str | None:
        """Who did not hear all of them, in one line, as far as it is known now."""
        return None if self.channel is None else self.channel.problems


@contextmanager
def told(
    study: str, inputs: StudyInputs, plan: Plan, resources: Resources, settings: Settings, say: Say
) -> Iterator[Told]:
    """Tell of a sweep for the block. An error that ends it is told and raised again.

    Raises:
        SettingsError: somebody is named who cannot be told.
    """
    task, secrets = inputs.task, (settings.storage, settings.tracking_uri)
    news = News(study, task.name, task.objective, plan.total, secrets=secrets)
    targets = notifications.read(resources.notify or notify_variable())
    if not targets:
        yield Told(news)
        return
    channel = Notifications(targets, news.lost(), settings.home / "notify.log")
    news = replace(news, send=channel.send)
    try:
        yield Told(news, channel)
    except BaseException as error:
        news.fail(str(error) if isinstance(error, UserError) else one_line(error))
        if channel.problems is not None:
            say(channel.problems)
        raise
    finally:
        channel.close()
