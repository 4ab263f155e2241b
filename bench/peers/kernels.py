"""Single kernels in PyTorch: what bench/matmul.ts, bench/convolution.ts and bench/pointwise.ts ask for, by their own words."""
import torch
from torch.nn import functional as F
from answer import answer


def product(batch, m, n, k, transposeA, transposeB):
    def matrix(rows, columns, transposed):
        shape = (columns, rows) if transposed else (rows, columns)
        made = torch.rand(shape if batch == 1 else (batch, *shape)) - 0.5
        return made.transpose(-1, -2) if transposed else made

    a, b = matrix(m, k, transposeA), matrix(k, n, transposeB)
    return lambda: torch.matmul(a, b)


def convolution(batch, image, window, stride, padding, dilation, groups, direction):
    rows, columns, channels = image
    height, width, depth, filters = window
    x, weight = torch.rand(batch, channels, rows, columns), torch.rand(filters, depth, height, width)
    if direction == "forward":
        return lambda: F.conv2d(x, weight, None, stride, padding, dilation, groups)
    g = torch.rand_like(F.conv2d(x, weight, None, stride, padding, dilation, groups))
    mask = [direction == "image", direction == "weight", False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(g, x, weight, None, stride, padding, dilation, False, [0, 0], groups, mask)


def with_gradient(forward, wrt, g):
    """Forwards and backwards, from the gradient g of what comes out."""
    for tensor in wrt:
        tensor.requires_grad_()

    def call():
        with torch.enable_grad():
            torch.autograd.grad(forward(), wrt, g)

    return call


def pointwise(name, rows, columns):
    x, y = torch.rand(rows, columns) - 0.5, torch.rand(rows, columns) - 0.5
    scale, shift, labels = torch.rand(columns), torch.rand(columns), torch.arange(rows) % columns

    def layer_norm():
        return F.layer_norm(x, (columns,), scale, shift)

    def cross_entropy():
        return F.cross_entropy(x, labels, reduction="none")

    calls = {
        "add": lambda: x + y,
        "bias": lambda: x + shift,
        "relu": lambda: torch.relu(x),
        "gelu": lambda: F.gelu(x),
        "sigmoid": lambda: torch.sigmoid(x),
        "exp": lambda: torch.exp(x),
        "tanh": lambda: torch.tanh(x),
        "dropout mask": lambda: torch.empty_like(x).bernoulli_(0.8).mul_(1.25),
        "sum of all": lambda: x.sum(),
        "sums of rows": lambda: x.sum(1),
        "sums of columns": lambda: x.sum(0),
        "maxima of rows": lambda: x.amax(1),
        "softmax": lambda: F.softmax(x, -1),
        "layer norm": layer_norm,
        "cross-entropy": cross_entropy,
    }
    if name in calls:
        return calls[name]
    if name == "softmax with gradient":
        return with_gradient(calls["softmax"], [x], y)
    if name == "layer norm with gradients":
        return with_gradient(layer_norm, [x, scale, shift], y)
    if name == "cross-entropy with gradient":
        return with_gradient(cross_entropy, [x], torch.ones(rows))
    if name == "Adam":
        x.grad = y
        return torch.optim.Adam([x]).step
    return None


kinds = {"product": product, "convolution": convolution, "pointwise": pointwise}
torch.set_grad_enabled(False)
answer(lambda work: kinds[work.pop("kind")](**work))
