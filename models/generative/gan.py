"""Adversarial networks: a generator draws images from noise, and a critic that learns to tell them from real ones.

Goodfellow et al. 2014, the non-saturating loss; Lim and Ye 2017, the hinge loss; Gulrajani et al. 2017, WGAN-GP; Miyato
et al. 2018, spectral normalization.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tune_jobs.models import arguments, optimizers
from tune_jobs.models.generative import networks

if TYPE_CHECKING:
    from tune_jobs.models.generative.gan_model import GenerativeAdversarialNetwork

LOSSES: Final = ("non-saturating", "hinge", "wgan-gp")


def build(
    *,
    input_shape: tuple[int, int, int],
    latent_dim: int = 256,
    filters: int = 32,
    depth: int = 4,
    upsampling: int = 1,
    kernel_size: int = 3,
    adversarial_loss: str = "non-saturating",
    label_smoothing: float = 0.0,
    spectral_normalization: bool = False,
    critic_steps: int = 1,
    generator_rate: float = 2e-4,
    critic_rate: float = 2e-4,
    beta_1: float = 0.5,
    average: float = 0.0,
    features: str = "none",
) -> GenerativeAdversarialNetwork:
    """Build a compiled generator of `upsampling` transposed convolutions under a critic of `depth` convolutions.

    Both have `filters` in each layer. Two Adam optimizers train them on the same batch. The generator takes a step on
    every `critic_steps`-th batch. `label_smoothing` is what the target of a real image is less than 1, of the
    non-saturating loss. With an `average` above 0 the generator's weights are scored, and kept, as their moving average
    with this momentum. `features` names the network of `features.py` by which samples are scored.

    Raises:
        ValueError: an argument is not allowed or has no effect given the others, or the images are too small.
    """
    from tune_jobs.models.generative import sample_scores
    from tune_jobs.models.generative.critic import Critic
    from tune_jobs.models.generative.gan_model import GenerativeAdversarialNetwork

    _check_loss(adversarial_loss, label_smoothing, spectral_normalization)
    arguments.whole("critic_steps", critic_steps, at_least=1)
    sample_scores.sample_scores_of(features)
    sizes = {"latent_dim": latent_dim, "filters": filters, "upsampling": upsampling, "kernel_size": kernel_size}
    networks.check(input_shape, depth=depth, **sizes)
    model = GenerativeAdversarialNetwork(
        generator=networks.decoder(input_shape, **sizes),
        critic=Critic(
            input_shape, filters=filters, depth=depth, kernel_size=kernel_size, is_normalized=spectral_normalization
        ),
        adversarial_loss=adversarial_loss,
        label_smoothing=label_smoothing,
        features=features,
    )
    rates = {"critic": critic_rate, "generator": generator_rate}
    model.compile(optimizer=_optimizer(model, rates, beta_1, critic_steps, average), jit_compile=False)
    return model


def _check_loss(adversarial_loss: str, label_smoothing: float, spectral_normalization: bool) -> None:
    arguments.one_of("adversarial_loss", adversarial_loss, LOSSES)
    arguments.fraction("label_smoothing", label_smoothing)
    arguments.flag("spectral_normalization", spectral_normalization)
    if label_smoothing and adversarial_loss != "non-saturating":
        raise ValueError(
            f"label_smoothing is for the non-saturating loss; got {label_smoothing!r} with {adversarial_loss}"
        )
    if spectral_normalization and adversarial_loss == "wgan-gp":
        raise ValueError("wgan-gp bounds the critic's slope by its penalty: leave out spectral_normalization; got True")


def _optimizer(
    model: GenerativeAdversarialNetwork, rates: dict[str, float], beta_1: float, critic_steps: int, average: float
) -> Any:
    from tune_jobs.models.generative.two_optimizers import TwoOptimizers

    critic, generator = (
        optimizers.build(steps_per_epoch=1, epochs=1, learning_rate=rates[name], beta_1=beta_1)
        for name in ("critic", "generator")
    )
    generator.use_ema = arguments.fraction("average", average) > 0
    generator.ema_momentum = average
    return TwoOptimizers(generator, critic, weights=model.generator.trainable_weights, every=critic_steps)
