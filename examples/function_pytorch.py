"""A PyTorch model as a task. It yields a metric after each epoch, goes on from its checkpoint, and keeps its weights.

Run it with `tune-jobs launch examples/function_pytorch.py --trials 20 --scheduler asha`. PyTorch is not installed with
tune-jobs.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from tune_jobs.search_spaces import Float, Int, Objective, Protocol, Space, Task


def run(params, *, seed, checkpoint, artifacts):
    """Yield the accuracy on the last 360 digits after each epoch."""
    torch.manual_seed(seed)
    x, y = (torch.tensor(part) for part in load_digits(return_X_y=True))
    x = x.float() / 16
    model = nn.Sequential(nn.Linear(64, params["units"]), nn.ReLU(), nn.Linear(params["units"], 10))
    optimizer, epoch, file = torch.optim.Adam(model.parameters(), params["rate"]), 0, checkpoint / "state.pt"
    if file.exists():
        epoch, weights, moments = torch.load(file)
        model.load_state_dict(weights)
        optimizer.load_state_dict(moments)
    while epoch < 20:
        for batch in torch.randperm(1437, generator=torch.Generator().manual_seed(seed + 1000 * epoch)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        epoch += 1
        torch.save((epoch, model.state_dict(), optimizer.state_dict()), file)
        torch.save(model.state_dict(), artifacts / "weights.pt")
        yield {"val_accuracy": (model(x[1437:]).argmax(1) == y[1437:]).float().mean().item()}


SPACE = Space(units=Int(16, 256, log=True), rate=Float(1e-4, 1e-1, log=True))
TASK = Task("digits-torch", SPACE, Objective("val_accuracy", "maximize"), protocol=Protocol(epochs=20), run=run)
