"""PyTorch's own samples (OpInfo) of the operations that have a counterpart here: inputs, outputs and gradients in float64.

    python3 opinfo.py > opinfo.json

Written with PyTorch 1.13 of Debian (python3-torch). Each operation of `adapters` turns a sample into our inputs and attributes, or into
nothing where it has no counterpart. Samples of more than 400 numbers are left out (of one number each the first 60 are taken), as are those of a shape that was taken already.
"""
import json
import sys
import types
import warnings

# The samples' module imports it and does not use it.
sys.modules.setdefault('expecttest', types.ModuleType('expecttest'))
sys.modules['expecttest'].TestCase, sys.modules['expecttest'].ACCEPT = __import__('unittest').TestCase, False
import torch
from torch.testing._internal.common_methods_invocations import op_db

warnings.simplefilter('ignore')
MOST_NUMBERS, MOST_SAMPLES = 400, 5
infos = {}
for info in op_db:
    infos.setdefault(info.name, info)


def plain(inputs, keywords=()):
    """Tensors alone; numbers count as scalars."""
    def adapt(x, *args, **kwargs):
        if any(key not in keywords for key, value in kwargs.items() if value is not None) or len(args) > inputs - 1:
            return None
        tensors = [a if torch.is_tensor(a) else torch.tensor(float(a)) for a in (x, *args)]
        return (tensors, {}) if len(tensors) == inputs and all(t.is_floating_point() for t in tensors) else None
    return adapt


unary = plain(1)


def axes_of(x, dim):
    if dim is None or dim == () or dim == []:
        return list(range(x.dim()))
    return sorted((d + x.dim()) % x.dim() for d in ([dim] if isinstance(dim, int) else dim))


def reduction(x, dim=None, keepdim=False, **rest):
    return None if rest or x.dim() == 0 else ([x], {'axes': axes_of(x, dim), 'keepDims': keepdim})


def softmax(x, dim=-1, **rest):
    return ([x], {}) if not any(v is not None for v in rest.values()) and x.dim() > 0 and dim in (-1, x.dim() - 1) else None


def where(a, condition, b):
    return ([condition.double(), a, b], {}) if a.is_floating_point() and b.is_floating_point() else None


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, **rest):
    pair = lambda v: [v, v] if isinstance(v, int) else list(v) * (2 // len(v))
    if rest or x.dim() != 4 or isinstance(padding, str):
        return None
    return [x.permute(0, 2, 3, 1), w.permute(2, 3, 1, 0)] + ([] if b is None else [b]), {
        'stride': pair(stride), 'padding': pair(padding), 'dilation': pair(dilation), 'groups': groups}


def pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, count_include_pad=True, divisor_override=None):
    pair = lambda v: [v, v] if isinstance(v, int) else list(v)
    if x.dim() != 4 or ceil_mode or return_indices or not count_include_pad or divisor_override or stride == []:
        return None
    return [x.permute(0, 2, 3, 1)], {'size': pair(kernel_size), 'stride': pair(stride or kernel_size), 'padding': pair(padding), 'dilation': pair(dilation)}


def cross_entropy(x, t, weight=None, reduction='mean', ignore_index=-100, label_smoothing=0.0):
    if t.is_floating_point() or x.dim() != 2 or reduction != 'mean' or (t == ignore_index).any():
        return None
    return [x, t] + ([] if weight is None else [weight]), {'smoothing': label_smoothing}


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    return ([x, weight, bias], {'epsilon': eps}) if weight is not None and bias is not None and len(shape) == 1 else None


def elementwise_loss(x, t, *args, weight=None, pos_weight=None, reduction='mean', delta=1.0, **rest):
    if rest or args or weight is not None or pos_weight is not None or x.dim() == 0 or x.shape != t.shape:
        return None
    return ([x, t], {'delta': delta}) if reduction == 'mean' else None


def embedding(table, indices, **rest):
    return ([table, indices], {}) if not any(v not in (None, False) for v in rest.values()) else None


def matmul(a, b):
    same = a.dim() == b.dim() and a.dim() >= 2 and a.shape[:-2] == b.shape[:-2]
    return ([a, b], {}) if same else None


images = lambda y: y.permute(0, 2, 3, 1)
adapters = {
    'add': plain(2), 'sub': plain(2), 'mul': plain(2), 'div': plain(2), 'maximum': plain(2), 'minimum': plain(2),
    'neg': unary, 'abs': unary, 'sqrt': unary, 'exp': unary, 'log': unary, 'tanh': unary, 'floor': unary,
    'nn.functional.relu': unary, 'sigmoid': unary, 'pow': plain(2), 'erf': unary, 'sin': unary, 'cos': unary,
    'nn.functional.softplus': unary, 'nn.functional.silu': unary, 'nn.functional.leaky_relu': unary,
    'nn.functional.gelu': lambda x, approximate='none': ([x], {'approximate': approximate}),
    'lt': plain(2), 'le': plain(2), 'gt': plain(2), 'ge': plain(2), 'eq': plain(2), 'ne': plain(2), 'where': where,
    'sum': reduction, 'amax': reduction, 'mean': reduction,
    'argmax': lambda x, dim=None, keepdim=False: ([x], {'axis': dim}) if dim is not None and not keepdim and x.dim() > 0 else None,
    'softmax': softmax, 'log_softmax': softmax, 'matmul': matmul,
    'nn.functional.conv2d': conv2d,
    'nn.functional.max_pool2d': pool, 'nn.functional.avg_pool2d': pool,
    'nn.functional.layer_norm': layer_norm,
    'nn.functional.linear': lambda x, w, b=None: ([x, w.t()] + ([] if b is None else [b]), {}) if x.dim() in (2, 3) else None,
    'nn.functional.embedding': embedding,
    'nn.functional.cross_entropy': cross_entropy, 'nn.functional.mse_loss': elementwise_loss, 'nn.functional.l1_loss': elementwise_loss,
    'nn.functional.huber_loss': elementwise_loss, 'nn.functional.binary_cross_entropy_with_logits': elementwise_loss,
    'cat': lambda xs, dim=0, **rest: (list(xs), {'axis': (dim + xs[0].dim()) % xs[0].dim()})
        if not rest and all(x.dim() == xs[0].dim() > 0 for x in xs) else None,
    'permute': lambda x, dims: ([x], {'permutation': [(d + x.dim()) % x.dim() for d in dims]}),
    'reshape': lambda x, shape: ([x], {'shape': list(x.reshape(shape).shape)}),
    'expand': lambda x, shape: ([x], {'shape': list(x.expand(shape).shape)}),
    'flip': lambda x, dims: ([x], {'axes': axes_of(x, dims)}),
    'narrow': lambda x, dim, start, length: ([x], {'axis': (dim + x.dim()) % x.dim(), 'start': int(start) % x.shape[dim], 'length': int(length)}) if x.dim() and length else None,
    'constant_pad_nd': lambda x, pad, value=0.0: ([x], {'pad': list(pad), 'value': float(value)}) if min(pad, default=0) >= 0 else None,
}
outputs_first = {'nn.functional.conv2d', 'nn.functional.max_pool2d', 'nn.functional.avg_pool2d'}


def short(tensor):
    return [float('%.9g' % v) for v in tensor.detach().double().contiguous().reshape(-1).tolist()]


def rounded(value):
    """Four decimals: short to write, and what we compute from is what PyTorch computed from."""
    if torch.is_tensor(value) and value.is_floating_point():
        kept = (value.detach().double() * 1e4).round() / 1e4
        return kept.requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)) and any(torch.is_tensor(v) for v in value):
        return type(value)(rounded(v) for v in value)
    return value


def case(name, info, sample, adapt):
    x, args = rounded(sample.input), [rounded(a) for a in sample.args]
    if adapt is unary:
        x = rounded(x.reshape(-1)[:60])
    kwargs = {} if name == 'nn.functional.softplus' else {key: rounded(value) for key, value in sample.kwargs.items()}
    adapted = adapt(x, *args, **kwargs)
    if adapted is None:
        return None
    inputs, attributes = adapted
    y = info.op(x, *args, **kwargs)
    if sum(t.numel() for t in inputs) > MOST_NUMBERS or y.numel() > MOST_NUMBERS or y.numel() == 0:
        return None
    if name in outputs_first:
        y = images(y)
    differentiable = [t for t in inputs if t.requires_grad]
    upstream = (torch.randn(y.shape, dtype=torch.float64) * 1e4).round() / 1e4
    slopes = torch.autograd.grad((y * upstream).sum(), differentiable, allow_unused=True) if y.requires_grad else []
    found = iter(slopes)
    gradients = [next(found, None) if t.requires_grad else None for t in inputs]
    if not all(torch.isfinite(t).all() for t in [y, *(g for g in gradients if g is not None)]):
        return None  # JSON has no word for it; the edges are in edges.test.ts
    return {
        'op': name,
        'attributes': attributes,
        'inputs': [{'shape': list(t.shape), 'whole': not t.is_floating_point(), 'values': short(t)} for t in inputs],
        'shape': list(y.shape),
        'output': short(y),
        'upstream': short(upstream),
        'gradients': [None if g is None else short(g) for g in gradients],
    }


torch.manual_seed(23)
cases = []
for name, adapt in adapters.items():
    info = infos[name]
    taken = set()
    for sample in info.sample_inputs('cpu', torch.float64, requires_grad=info.supports_autograd):
        try:
            made = case(name, info, sample, adapt)
        except (TypeError, RuntimeError, ZeroDivisionError) as error:
            print(name, 'left out:', str(error)[:100], file=sys.stderr)
            continue
        if made is None:
            continue
        key = json.dumps([[i['shape'] for i in made['inputs']], made['attributes'], made['shape']])
        if key in taken or len(taken) >= MOST_SAMPLES:
            continue
        taken.add(key)
        cases.append(made)
    print(name, len(taken), file=sys.stderr)
print('[\n' + ',\n'.join(json.dumps(each, separators=(',', ':')) for each in cases) + '\n]')
