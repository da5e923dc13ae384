"""Sentences to one of two names. The layer that reads words is adapted on the part that is trained on."""

import random

import keras

import tune_jobs as tj

WORDS = {"praise": ("lovely", "bright", "moving"), "blame": ("dull", "flat", "endless")}


def load_data():
    draw = random.Random(0)
    labels = [draw.choice(list(WORDS)) for _ in range(300)]
    texts = [f"a {draw.choice(('film', 'play', 'book'))} that is {draw.choice(WORDS[label])}" for label in labels]
    return (texts[:240], labels[:240]), (texts[240:], labels[240:])


def build(*, x_train, head, length, width):
    read = keras.layers.TextVectorization(max_tokens=100, output_sequence_length=length)
    read.adapt(x_train)
    inputs = keras.Input((), dtype="string")
    x = keras.layers.Embedding(100, width)(read(inputs))
    return keras.Model(inputs, head(keras.layers.GlobalAveragePooling1D()(x)))


TASK = tj.Task(
    "reviews",
    tj.Space(length=tj.Choice(8, 16), width=tj.Choice(4, 8), learning_rate=tj.Float(1e-3, 1e-1, log=True)),
    tj.Objective("val_accuracy", "maximize"),
    summary="praise or blame",
    dataset=load_data,
    protocol=tj.Protocol(epochs=20, patience=4, batch_size=16, validation=0.25),
    build=build,
    encoding=tj.Classes(names=("blame", "praise")),
)
