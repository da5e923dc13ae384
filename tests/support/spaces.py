"""Search spaces for tests: one by hand, and any number at random."""

from __future__ import annotations

from hypothesis import strategies as st

from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Space, Variants

OPTIMIZERS = Variants(
    sgd=Space(learning_rate=Float(1e-3, 1e-1, log=True), momentum=Choice(0.0, 0.9)),
    rmsprop=Space(learning_rate=Choice(1e-3)),
    adam=Space(learning_rate=Choice(1e-3, 1e-2)),
)
DROPOUT = Variants({"without": Space(), "with": Space(dropout_rate=Choice(0.1, 0.3))})
SPACE = Space(
    units=Choice(64, 128),
    optimizer=OPTIMIZERS,
    dropout=Fixed("without", DROPOUT),
    layers=Fixed(1, Int(1, 3)),
    batch_norm=Choice(False, True),
)

scalars = st.one_of(
    st.builds(lambda low, n: Int(low, low + n), st.integers(-5, 5), st.integers(0, 2)),
    st.builds(
        lambda low, n, step: Int(low, low + n * step, step=step), st.integers(1, 9), st.integers(0, 2), st.just(3)
    ),
    st.builds(lambda n: Float(0.1, (1 + n) / 10, step=0.1), st.integers(0, 2)),
    st.lists(st.sampled_from(["relu", "64-32", "7", 8, 0.5, None, True]), min_size=1, max_size=3, unique=True).map(
        lambda options: Choice(*options)
    ),
)


def _fixed(domain):
    values = [name for name, _ in domain.options] if isinstance(domain, Variants) else list(domain.values())
    return st.sampled_from(values).map(lambda value: Fixed(value, domain))


def _space(depth):
    """Spaces of up to three parameters, with options up to `depth` deep; a name may recur under sibling options."""

    def prefixed(space, prefix):
        return Space.of({prefix + name: _renamed(domain, prefix) for name, domain in space.domains})

    def _renamed(domain, prefix):
        if isinstance(domain, Variants):
            return Variants({option: prefixed(inner, prefix) for option, inner in domain.options})
        return Fixed(domain.value, _renamed(domain.domain, prefix)) if isinstance(domain, Fixed) else domain

    domain = scalars
    if depth:
        options = st.lists(_space(depth - 1), min_size=1, max_size=3)
        domain |= options.map(lambda spaces: Variants({f"o{i}": space for i, space in enumerate(spaces)}))
    domain |= domain.flatmap(_fixed)
    return st.lists(domain, max_size=3).map(
        lambda domains: Space.of({f"p{i}": _renamed(domain, f"p{i}_") for i, domain in enumerate(domains)})
    )


spaces = _space(2)
