"""Computes with PyTorch what ResNet, VGG and AlexNet give, built from torch.nn with the modules named as torchvision names them.

    python3 generate.py > fixtures.json

Weights and images are not in the fixtures: both sides make them from names (`values` here, `madeUp` in ../torchvision.test.ts).
"""
import json
import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)


def values(name, shape, low, high):
    """Numbers in [low, high) by FNV-1a of the name and Knuth's multiplicative hash of the place."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    place = np.arange(int(np.prod(shape)), dtype=np.uint64)
    mixed = ((place + seed) * 2654435761) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> np.uint64(15))) * 2246822519) & 0xFFFFFFFF
    return torch.from_numpy(low + (high - low) * (mixed / 2**32)).reshape(shape)


def fill(module):
    """The ranges are those of madeUp."""
    state = module.state_dict()
    for name, tensor in state.items():
        if name.endswith('num_batches_tracked'):
            continue
        shape = list(tensor.shape)
        if tensor.dim() > 1:
            bound = (6 / np.prod(shape[1:])) ** 0.5
            drawn = values(name, shape, -bound, bound)
        elif name.endswith('running_var') or (name.endswith('weight')):
            drawn = values(name, shape, 0.5, 1.5)
        else:
            drawn = values(name, shape, -0.2, 0.2)
        tensor.copy_(drawn.float())


class Block(nn.Module):
    def __init__(self, sizes, channels, width, out, stride):
        super().__init__()
        here = channels
        self.count = len(sizes)
        for i, size in enumerate(sizes, 1):
            filters = out if i == self.count else width
            # Of a bottleneck the 3 x 3 convolution has the stride, of a basic block the first.
            step = stride if i == (2 if self.count == 3 else 1) else 1
            setattr(self, 'conv%d' % i, nn.Conv2d(here, filters, size, step, size // 2, bias=False))
            setattr(self, 'bn%d' % i, nn.BatchNorm2d(filters))
            here = filters
        self.downsample = None
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, 'bn%d' % i)(getattr(self, 'conv%d' % i)(y))
            y = torch.relu(y) if i < self.count else y
        return torch.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    def __init__(self, sizes, blocks, width, classes, small):
        super().__init__()
        self.small = small
        self.conv1 = nn.Conv2d(3, width, 3 if small else 7, 1 if small else 2, 1 if small else 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(blocks):
            inner = width * 2 ** stage
            out = inner * (4 if len(sizes) == 3 else 1)
            layers = []
            for i in range(count):
                layers.append(Block(sizes, channels, inner, out, 2 if stage > 0 and i == 0 else 1))
                channels = out
            setattr(self, 'layer%d' % (stage + 1), nn.Sequential(*layers))
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = x if self.small else nn.functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, 'layer%d' % stage)(x)
        return self.fc(x.mean((2, 3)))


class Plain(nn.Module):
    def __init__(self, features, classifier):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def vgg11(norm, hidden, classes, flat):
    features, channels = [], 3
    for filters in [64, 'pool', 128, 'pool', 256, 256, 'pool', 512, 512, 'pool', 512, 512, 'pool']:
        if filters == 'pool':
            features.append(nn.MaxPool2d(2, 2))
            continue
        features += [nn.Conv2d(channels, filters, 3, padding=1)] + ([nn.BatchNorm2d(filters)] if norm else []) + [nn.ReLU()]
        channels = filters
    return Plain(features, [
        nn.Linear(flat, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(),
        nn.Linear(hidden, classes),
    ])


def alexnet(hidden, classes, flat):
    return Plain([
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    ], [
        nn.Dropout(), nn.Linear(flat, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, classes),
    ])


basic, bottleneck = [3, 3], [1, 3, 1]
cases = [
    ('resnet-18', {'width': 8, 'image': [64, 48], 'classes': 7}, ResNet(basic, [2, 2, 2, 2], 8, 7, False)),
    ('resnet-18', {'width': 8, 'image': [20, 16], 'classes': 4, 'stem': 'cifar'}, ResNet(basic, [2, 2, 2, 2], 8, 4, True)),
    ('resnet-50', {'width': 4, 'image': [40, 64], 'classes': 5}, ResNet(bottleneck, [3, 4, 6, 3], 4, 5, False)),
    ('vgg-11', {'image': [64, 32], 'hidden': 16, 'classes': 3, 'norm': True}, vgg11(True, 16, 3, 512 * 2 * 1)),
    ('alexnet', {'image': [95, 127], 'hidden': 24, 'classes': 8}, alexnet(24, 8, 256 * 2 * 3)),
]
fixtures = []
for preset, options, module in cases:
    with torch.no_grad():
        fill(module)
        rows, columns = options['image']
        module.double().eval()
        x = values('image', [2, 3, rows, columns], -1, 1).float().double()
        y = module(x)
    fixtures.append({
        'preset': preset,
        'options': options,
        'tensors': [[name, list(tensor.shape)] for name, tensor in module.state_dict().items()],
        'output': [float('%.9g' % v) for v in y.reshape(-1).tolist()],
    })
print(json.dumps(fixtures, separators=(',', ':')))
