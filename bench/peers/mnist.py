"""examples/mnist-mlp.yaml in PyTorch, as a whole: mnist.py FOLDER THREADS prints the test accuracy.

The data is one tensor in memory, the optimizer is fused: the quickest way to write this recipe that a user has."""
import sys
import numpy, torch
from torch import nn
from torch.nn import functional as F

folder, threads = sys.argv[1], int(sys.argv[2])
EPOCHS, BATCH = 10, 512
torch.set_num_threads(threads)
torch.manual_seed(1)


def images(name):
    pixels = numpy.fromfile(f"{folder}/{name}-images-idx3-ubyte", numpy.uint8)[16:].reshape(-1, 784)
    return torch.from_numpy(pixels).float().div_(255).sub_(0.1307).div_(0.3081)


def labels(name):
    return torch.from_numpy(numpy.fromfile(f"{folder}/{name}-labels-idx1-ubyte", numpy.uint8)[8:]).long()


train, truth, test, test_truth = images("train"), labels("train"), images("t10k"), labels("t10k")
model = nn.Sequential(
    nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1, fused=True)
steps = -(-len(train) // BATCH)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, EPOCHS * steps, pct_start=0.2)
accuracy = 0.0
for _ in range(EPOCHS):
    model.train()
    for batch in torch.randperm(len(train)).split(BATCH):
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(train[batch]), truth[batch]).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.inference_mode():
        accuracy = (model(test).argmax(1) == test_truth).float().mean().item()
print(torch.__version__, f"{accuracy:.4f}")
