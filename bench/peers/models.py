"""The rows of bench/rows.ts in PyTorch: whole training steps with Adam."""
import math
import torch
from torch import nn
from torch.nn import functional as F
from answer import answer


def convolutions(channels, filters):
    layers = []
    for count in filters:
        layers += [nn.Conv2d(channels, count, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = count
    return layers


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.head = nn.Embedding(10000, 64), nn.LSTM(64, 64, batch_first=True), nn.Linear(64, 2)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0][:, -1])


class Block(nn.Module):
    def __init__(self, width, heads, time_):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        # No buffer: gloo, which would keep it the same everywhere, knows no booleans.
        self.unseen = torch.triu(torch.ones(time_, time_, dtype=torch.bool), 1)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (part.view(b, t, self.heads, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).split(c, 2))
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(c // self.heads)
        weights = scores.masked_fill(self.unseen, -math.inf).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(65, 128), nn.Parameter(torch.zeros(128, 128))
        self.blocks = nn.Sequential(*(Block(128, 4, 128) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 65, bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places))).flatten(0, 1)


class Basic(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        project = stride > 1 or channels != width
        self.around = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)) if project else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.around(x))


def resnet18():
    layers, channels = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for stage in range(4):
        for index in range(2):
            width = 64 * 2**stage
            layers.append(Basic(channels, width, 2 if stage > 0 and index == 0 else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def classifier(flat, hidden, classes):
    return [nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, classes)]


rows = {
    "mlp": (lambda: nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)), lambda: torch.rand(128, 784), (128,), 10),
    "cnn": (lambda: nn.Sequential(*convolutions(1, [32, 64]), *classifier(3136, 128, 10)), lambda: torch.rand(64, 1, 28, 28), (64,), 10),
    "lstm": (Lstm, lambda: torch.randint(10000, (32, 100)), (32,), 2),
    "gpt": (Gpt, lambda: torch.randint(65, (16, 128)), (2048,), 65),
    "resnet18": (resnet18, lambda: torch.rand(16, 3, 64, 64), (16,), 10),
    "cnn224": (lambda: nn.Sequential(*convolutions(3, [32, 64, 128]), *classifier(100352, 512, 1000)), lambda: torch.rand(8, 3, 224, 224), (8,), 1000),
}


def draw_batch(name):
    """Inputs and labels of a whole batch."""
    _, draw, shape, classes = rows[name]
    return draw(), torch.randint(classes, shape)


def stepper(name, wrap=lambda model: model):
    """What trains a row's network on a batch: gradients, and Adam."""
    model = wrap(rows[name][0]())
    optimizer = torch.optim.Adam(model.parameters())
    loss = nn.CrossEntropyLoss()

    def step(x, y):
        optimizer.zero_grad(set_to_none=True)
        loss(model(x), y).backward()
        optimizer.step()

    return step


def open_row(name):
    if name not in rows:
        return None
    step, batch = stepper(name), draw_batch(name)
    return lambda: step(*batch)


if __name__ == "__main__":
    answer(open_row)
