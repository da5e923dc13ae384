"""Networks that make pictures: report A's third task, on digits, MNIST, Fashion-MNIST and butterflies.

The report prints no number. What decides here is measured on the validation part: the error of reconstructions, the
negative evidence lower bound in nats, or the distance of samples from images by the features of a classifier. Walks
through the latents are along the coordinates that the report shows.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tune_jobs.models.generative import autoencoder, gan, vae
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Objective,
    Params,
    Protocol,
    Space,
    Task,
    TrainingData,
    Variants,
)

# The classifier of each data set by whose features samples are scored: a file in `models/generative/feature_weights`.
FEATURES: Final = {
    "digits": "digits-d772a178",
    "mnist": "mnist-7baa2f24",
    "fashion-mnist": "fashion-mnist-aff763d7",
    "butterflies": "butterflies-81498ac3",
}

NEGATIVE_ELBO = Objective("val_negative_elbo", "minimize")
DISTORTION, RATE = Objective("val_distortion", "minimize"), Objective("val_rate", "minimize")
RECONSTRUCTION, LATENT_DIM = Objective("val_reconstruction", "minimize"), Objective("val_latent_dim", "minimize")
KID = Objective("val_kid", "minimize")

SOURCE = "report A, section 3, Table 10"
ASSUMED = (
    "the report leaves open filters, kernels, loss, batch size and optimizer: here {filters} filters of 3 x 3 in each "
    "layer, batches of 128, Adam"
)
LIKELIHOOD = Fixed("bernoulli", Choice("bernoulli", "gaussian", "l1"))  # their nats do not compare with each other
LIKELIHOOD_OF_RECONSTRUCTIONS = Choice("bernoulli", "gaussian", "l1")  # judged by squared errors, whichever it is
BETA = Fixed(1.0, Float(0.1, 10.0, log=True))  # any other loses some of the bound, so it is no question for the bound
RATE_OF_LEARNING = Float(1e-4, 1e-2, log=True)
BATCHES = Fixed(128, Choice(64, 128, 256))
KERNEL = Fixed(3, Choice(3, 5))
LATENTS = Choice(2, 4, 8, 16, 32, 64, 128, 256)
ADVERSARIAL_LOSS = Variants(
    {
        "non-saturating": Space(label_smoothing=Choice(0.0, 0.1), spectral_normalization=Choice(False, True)),
        "hinge": Space(spectral_normalization=Choice(False, True)),
        "wgan-gp": Space(),
    }
)
RATES_OF_DCGAN = " with a rate of 0.0002 and beta_1 of 0.5 (Radford et al. 2016)"
_RATE_OF_A_PLAYER = Float(5e-5, 2e-3, log=True)

_HALVES: Params = {"filters": 16, "depth": 4, "upsampling": 1, "kernel_size": 3}
_AUTOENCODER: Params = {
    "latent_dim": 32,
    **_HALVES,
    "likelihood": "bernoulli",
    "learning_rate": 0.001,
    "batch_size": 128,
}
_PLAYERS: Params = {
    "latent_dim": 256,
    **_HALVES,
    "adversarial_loss": "non-saturating",
    "label_smoothing": 0.0,
    "spectral_normalization": False,
    "critic_steps": 1,
    "generator_rate": 0.0002,
    "critic_rate": 0.0002,
    "beta_1": 0.5,
    "average": 0.0,
    "batch_size": 128,
}


def _pictures(
    walked: Sequence[int], model: Any, data: TrainingData, seed: int, epoch: int | None = None
) -> Mapping[str, Any]:
    """Return what a trial shows; the module needs NumPy, and a list of the tasks does not."""
    from tune_jobs.models.generative import pictures

    if epoch is not None:
        return pictures.in_training(model, data, seed)
    return pictures.pictures(model, data, seed, walked)


def _cae(dataset: str) -> Task:
    return Task(
        name=f"{dataset}-cae",
        summary=f"convolutional autoencoders on {dataset}: reconstructions against the number of latents",
        dataset=dataset,
        space=Space(
            latent_dim=LATENTS,
            filters=Choice(8, 16, 32),
            depth=Choice(2, 3, 4),
            upsampling=Choice(1, 2, 3),
            kernel_size=KERNEL,
            likelihood=LIKELIHOOD_OF_RECONSTRUCTIONS,
            learning_rate=RATE_OF_LEARNING,
            batch_size=BATCHES,
        ),
        objective=RECONSTRUCTION,
        further_objectives=(LATENT_DIM,),
        protocol=Protocol(epochs=10),
        baseline=_AUTOENCODER,
        build=autoencoder.build,
        pictures=functools.partial(_pictures, ()),
        source=f"{SOURCE}; cae_latent_dim 32, cae_epoch 10",
        assumptions=ASSUMED.format(filters=16)
        + ". More latents always reconstruct better, so a study looks for a front",
    )


def _vae(dataset: str) -> Task:
    return Task(
        name=f"{dataset}-vae",
        summary=f"variational autoencoders on {dataset}, by the bound on the likelihood of an image",
        dataset=dataset,
        space=Space(**_vae_domains(dataset), beta=BETA),
        objective=NEGATIVE_ELBO,
        protocol=Protocol(epochs=20),
        baseline=_vae_baseline(dataset),
        build=vae.build,
        pictures=functools.partial(_pictures, (10, 27)),
        source=f"{SOURCE}; vae_latent_dim 32, vae_epoch 20",
        assumptions=ASSUMED.format(filters=16) + ". The bound is a question about networks; that about beta is "
        f"{dataset}-vae-beta",
    )


def _vae_beta(dataset: str) -> Task:
    return Task(
        name=f"{dataset}-vae-beta",
        summary=f"variational autoencoders on {dataset}: distortion against rate",
        dataset=dataset,
        space=Space(**_vae_domains(dataset), beta=Float(0.1, 10.0, log=True)),
        objective=DISTORTION,
        further_objectives=(RATE,),
        protocol=Protocol(epochs=20),
        baseline=_vae_baseline(dataset),
        build=vae.build,
        pictures=functools.partial(_pictures, (10, 27)),
        source=f"{SOURCE}; vae_latent_dim 32, vae_epoch 20",
        assumptions=ASSUMED.format(filters=16)
        + ". Any beta is best for some weight of the two, so a study looks for a "
        "front (Alemi et al. 2018)",
    )


def _vae_domains(dataset: str) -> dict[str, Choice | Fixed | Float]:
    return {
        "latent_dim": LATENTS,
        "filters": Choice(8, 16, 32),
        "depth": Choice(2, 3, 4),
        "upsampling": Choice(1, 2, 3),
        "kernel_size": KERNEL,
        "likelihood": LIKELIHOOD,
        "warmup_steps": Choice(0, 1000, 4000),
        "learning_rate": RATE_OF_LEARNING,
        "batch_size": BATCHES,
        "features": Choice(FEATURES[dataset]),
    }


def _vae_baseline(dataset: str) -> Params:
    return {**_AUTOENCODER, "beta": 1.0, "warmup_steps": 0, "features": FEATURES[dataset]}


def _players(dataset: str, **networks: Choice | Fixed) -> Space:
    return Space(
        latent_dim=Choice(32, 64, 128, 256),
        **networks,
        kernel_size=KERNEL,
        adversarial_loss=ADVERSARIAL_LOSS,
        critic_steps=Choice(1, 2, 5),
        generator_rate=_RATE_OF_A_PLAYER,
        critic_rate=_RATE_OF_A_PLAYER,
        beta_1=Choice(0.0, 0.5, 0.9),
        average=Choice(0.0, 0.9, 0.99, 0.999),
        batch_size=BATCHES,
        features=Choice(FEATURES[dataset]),
    )


def _gan(dataset: str) -> Task:
    return Task(
        name=f"{dataset}-gan",
        summary=f"adversarial networks on {dataset}, by the kernel distance of their samples from images",
        dataset=dataset,
        space=_players(dataset, filters=Choice(8, 16, 32), depth=Fixed(4, Choice(2, 3, 4)), upsampling=Choice(1, 2)),
        objective=KID,
        protocol=Protocol(epochs=20),
        baseline={**_PLAYERS, "features": FEATURES[dataset]},
        build=gan.build,
        pictures=functools.partial(_pictures, (1, 120, 126)),
        source=f"{SOURCE}; gan_latent_dim 256, gan_epoch 20",
        assumptions=ASSUMED.format(filters=16) + RATES_OF_DCGAN,
    )


GENERATIVE_QUICK = Task(
    name="generative-quick",
    summary="variational autoencoders on 8 x 8 digits; a trial takes seconds",
    dataset="digits",
    space=Space(
        latent_dim=Choice(2, 4, 8, 16),
        filters=Choice(8, 16, 32),
        depth=Choice(1, 2),
        upsampling=Choice(1, 2),
        kernel_size=KERNEL,
        likelihood=LIKELIHOOD,
        beta=BETA,
        warmup_steps=Choice(0, 200),
        learning_rate=Float(5e-4, 2e-2, log=True),
        batch_size=Fixed(32, Choice(16, 32, 64)),
        features=Choice(FEATURES["digits"]),
    ),
    objective=NEGATIVE_ELBO,
    protocol=Protocol(epochs=20, patience=5, batch_size=32, validation=0.2),
    baseline={
        **_AUTOENCODER,
        "latent_dim": 8,
        "depth": 2,
        "beta": 1.0,
        "warmup_steps": 0,
        "batch_size": 32,
        "features": FEATURES["digits"],
    },
    build=vae.build,
    pictures=functools.partial(_pictures, ()),
    source="Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits",
)
MNIST_CAE, FASHION_MNIST_CAE = (_cae(dataset) for dataset in ("mnist", "fashion-mnist"))
MNIST_VAE, FASHION_MNIST_VAE = (_vae(dataset) for dataset in ("mnist", "fashion-mnist"))
MNIST_VAE_BETA, FASHION_MNIST_VAE_BETA = (_vae_beta(dataset) for dataset in ("mnist", "fashion-mnist"))
MNIST_GAN, FASHION_MNIST_GAN = (_gan(dataset) for dataset in ("mnist", "fashion-mnist"))
BUTTERFLIES_VAE = Task(
    name="butterflies-vae",
    summary="variational autoencoders on 64 x 64 colour pictures of butterflies, of a folder of your own",
    dataset="butterflies@64",
    space=Space(
        latent_dim=LATENTS,
        filters=Choice(16, 32, 64),
        depth=Choice(3, 4, 5),
        upsampling=Choice(2, 3, 4),
        kernel_size=KERNEL,
        likelihood=LIKELIHOOD,
        beta=BETA,
        warmup_steps=Choice(0, 200, 1000),
        learning_rate=RATE_OF_LEARNING,
        batch_size=BATCHES,
        features=Choice(FEATURES["butterflies"]),
    ),
    objective=NEGATIVE_ELBO,
    protocol=Protocol(epochs=100, validation=0.1),
    baseline={
        **_AUTOENCODER,
        "filters": 32,
        "depth": 5,
        "upsampling": 4,
        "beta": 1.0,
        "warmup_steps": 0,
        "features": FEATURES["butterflies"],
    },
    build=vae.build,
    pictures=functools.partial(_pictures, (6, 29)),
    source=f"{SOURCE}; vae_latent_dim 32, vae_epoch 100",
    assumptions=ASSUMED.format(filters=32),
)
BUTTERFLIES_GAN = Task(
    name="butterflies-gan",
    summary="adversarial networks on 64 x 64 colour pictures of butterflies, of a folder of your own",
    dataset="butterflies@64",
    space=_players(
        "butterflies",
        filters=Choice(16, 32, 64),
        depth=Fixed(5, Choice(3, 4, 5)),
        upsampling=Choice(2, 3, 4),
    ),
    objective=KID,
    protocol=Protocol(epochs=250, validation=0.1),
    baseline={**_PLAYERS, "filters": 32, "depth": 5, "upsampling": 4, "features": FEATURES["butterflies"]},
    build=gan.build,
    pictures=functools.partial(_pictures, (40,)),
    source=f"{SOURCE}; gan_latent_dim 256, gan_epoch 250",
    assumptions=ASSUMED.format(filters=32) + RATES_OF_DCGAN,
)
