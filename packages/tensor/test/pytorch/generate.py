"""Computes with PyTorch what layers and losses give: output, gradient of the input and of every parameter.

    python3 generate.py > fixtures.json

Everything is computed in float64 from inputs of four decimals. Weights are written in Kasane's layouts: images as
[samples, rows, columns, channels], dense weights as [in, out], convolution weights as [height, width, in, out].
"""
import json
import torch
from torch import nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
fixtures = []


def draw(*shape, scale=1.0):
    return (torch.randn(*shape) * scale * 1e4).round() / 1e4


def numbers(tensor):
    return [float('%.9g' % v) for v in tensor.detach().contiguous().reshape(-1).tolist()]


def parameters_of(module):
    for p in module.parameters():
        p.data = draw(*p.shape, scale=0.5)


def layer(label, description, x, run, parameters=(), extra=None):
    """parameters: (tensor, function from PyTorch's layout to ours) in the order of Kasane's layer."""
    x.requires_grad_(x.is_floating_point())
    y = run(x)
    upstream = draw(*y.shape)
    (y * upstream).sum().backward()
    fixtures.append({
        'label': label,
        'layer': description,
        'shape': list(x.shape),
        'x': numbers(x),
        'parameters': [numbers(to(p)) for p, to in parameters],
        'upstream': numbers(upstream),
        'output': numbers(y),
        'inputGradient': numbers(x.grad) if x.grad is not None else None,
        'gradients': [numbers(to(p.grad if p.grad is not None else torch.zeros_like(p))) for p, to in parameters],
        **(extra or {}),
    })


same = lambda t: t
turned = lambda t: t.t()
images = lambda t: t.permute(0, 3, 1, 2)
back = lambda t: t.permute(0, 2, 3, 1)
kernel = lambda t: t.permute(2, 3, 1, 0)

for features, units, bias, shape in [(5, 3, True, (4, 5)), (7, 9, False, (2, 7)), (4, 6, True, (2, 3, 4))]:
    m = nn.Linear(features, units, bias=bias)
    parameters_of(m)
    ps = [(m.weight, turned)] + ([(m.bias, same)] if bias else [])
    layer('dense %s to %d' % (list(shape), units), {'type': 'dense', 'units': units, 'bias': bias}, draw(*shape), m, ps)

for shape, filters, size, stride, padding, dilation, groups, bias in [
    ((2, 6, 5, 3), 4, (3, 3), (1, 1), (1, 1), (1, 1), 1, True),
    ((1, 9, 8, 2), 5, (3, 2), (2, 3), (0, 1), (2, 1), 1, False),
    ((2, 5, 5, 6), 6, (3, 3), (2, 2), (1, 1), (1, 1), 6, True),
    ((1, 6, 6, 4), 6, (2, 3), (1, 1), (1, 0), (1, 1), 2, True),
    ((2, 4, 4, 5), 3, (1, 1), (1, 1), (0, 0), (1, 1), 1, True),
]:
    m = nn.Conv2d(shape[3], filters, size, stride, padding, dilation, groups, bias)
    parameters_of(m)
    ps = [(m.weight, kernel)] + ([(m.bias, same)] if bias else [])
    description = {'type': 'conv2d', 'filters': filters, 'size': size, 'stride': stride, 'padding': padding,
                   'dilation': dilation, 'groups': groups, 'bias': bias}
    layer('conv2d %s groups %d' % (list(shape), groups), description, draw(*shape), lambda x: back(m(images(x))), ps)

for shape, size, stride, padding in [((2, 6, 4, 3), (2, 2), 0, 0), ((1, 7, 8, 2), (3, 2), (2, 1), (1, 1)), ((2, 5, 5, 1), (3, 3), 2, 0)]:
    description = {'size': size, 'stride': stride, 'padding': padding}
    options = dict(kernel_size=size, stride=stride or None, padding=padding)
    layer('maxPool %s' % list(shape), {'type': 'maxPool', **description}, draw(*shape), lambda x: back(F.max_pool2d(images(x), **options)))
    layer('averagePool %s' % list(shape), {'type': 'averagePool', **description}, draw(*shape), lambda x: back(F.avg_pool2d(images(x), **options)))
    layer('globalAveragePool %s' % list(shape), {'type': 'globalAveragePool'}, draw(*shape), lambda x: x.mean((1, 2)))

for shape in [(6, 4), (3, 5, 2), (2, 3, 4, 3)]:
    channels = shape[-1]
    m = nn.BatchNorm1d(channels, eps=1e-5, momentum=0.1)
    parameters_of(m)
    def train(x):
        return m.train()(x.reshape(-1, channels)).reshape(x.shape)
    zeros, ones = torch.zeros(channels), torch.ones(channels)
    frozen = [(zeros, same), (ones, same)]
    x = draw(*shape)
    flat = x.reshape(-1, channels)
    statistics = [numbers(flat.mean(0)), numbers(flat.var(0, unbiased=True))]
    layer('batchNorm %s' % list(shape), {'type': 'batchNorm'}, x, train, [(m.weight, same), (m.bias, same)] + frozen, {'statistics': statistics})
    e = nn.BatchNorm1d(channels)
    parameters_of(e)
    e.running_mean, e.running_var = draw(channels), draw(channels).abs() + 0.5
    running = [(e.running_mean, same), (e.running_var, same)]
    layer('batchNorm %s, evaluating' % list(shape), {'type': 'batchNorm'}, draw(*shape), lambda x: e.eval()(x.reshape(-1, channels)).reshape(x.shape),
          [(e.weight, same), (e.bias, same)] + running, {'evaluate': True})
    m2 = nn.LayerNorm(channels, eps=1e-5)
    parameters_of(m2)
    layer('layerNorm %s' % list(shape), {'type': 'layerNorm'}, draw(*shape), m2, [(m2.weight, same), (m2.bias, same)])

for tokens, units, shape in [(7, 4, (3, 5)), (20, 3, (2, 1)), (5, 8, (4,))]:
    m = nn.Embedding(tokens, units)
    parameters_of(m)
    layer('embedding %s' % list(shape), {'type': 'embedding', 'tokens': tokens, 'units': units}, torch.randint(tokens, shape), m, [(m.weight, same)])


def projections(m):
    f = m.embed_dim
    weights = [(lambda t, i=i: t[i * f:(i + 1) * f].t()) for i in range(3)]
    biases = [(lambda t, i=i: t[i * f:(i + 1) * f]) for i in range(3)]
    pairs = [p for i in range(3) for p in [(m.in_proj_weight, weights[i]), (m.in_proj_bias, biases[i])]]
    return pairs + [(m.out_proj.weight, turned), (m.out_proj.bias, same)]


for samples, time, features, heads, causal, masked in [(2, 3, 4, 2, False, False), (1, 5, 6, 3, True, False), (3, 4, 4, 1, False, True)]:
    m = nn.MultiheadAttention(features, heads, batch_first=True)
    parameters_of(m)
    hidden = torch.triu(torch.ones(time, time, dtype=torch.bool), 1) if causal else None
    keep = torch.ones(samples, time)
    if masked:
        keep[0, 3:] = 0
        keep[2, 1:] = 0
    run = lambda x: m(x, x, x, attn_mask=hidden, key_padding_mask=(keep == 0) if masked else None)[0]
    layer('selfAttention %d heads%s%s' % (heads, ', causal' if causal else '', ', masked' if masked else ''),
          {'type': 'selfAttention', 'heads': heads, 'causal': causal}, draw(samples, time, features), run, projections(m),
          {'mask': numbers(keep)} if masked else None)

for samples, time, features, heads, hidden, first, causal in [(2, 3, 4, 2, 8, True, False), (1, 4, 6, 2, 24, False, False), (2, 4, 4, 1, 5, True, True)]:
    m = nn.TransformerEncoderLayer(features, heads, hidden, 0.0, 'gelu', batch_first=True, norm_first=first)
    parameters_of(m)
    m.train()
    mask = torch.triu(torch.ones(time, time, dtype=torch.bool), 1) if causal else None
    ps = projections(m.self_attn) + [(m.norm1.weight, same), (m.norm1.bias, same), (m.linear1.weight, turned), (m.linear1.bias, same),
                                     (m.linear2.weight, turned), (m.linear2.bias, same), (m.norm2.weight, same), (m.norm2.bias, same)]
    layer('transformerBlock %s%s' % ('norm first' if first else 'norm last', ', causal' if causal else ''),
          {'type': 'transformerBlock', 'heads': heads, 'hidden': hidden, 'normFirst': first, 'causal': causal},
          draw(samples, time, features), lambda x: m(x, src_mask=mask), ps)

for name, cls in [('rnn', nn.RNN), ('lstm', nn.LSTM), ('gru', nn.GRU)]:
    for samples, time, features, units, layers, both, returns in [
        (2, 3, 4, 3, 1, False, 'last'), (1, 4, 2, 5, 2, False, 'sequence'), (2, 3, 3, 2, 2, True, 'sequence'), (2, 3, 3, 2, 1, True, 'last'),
    ]:
        m = cls(features, units, layers, batch_first=True, bidirectional=both)
        parameters_of(m)
        def run(x):
            sequence = m(x)[0]
            if returns == 'sequence':
                return sequence
            return torch.cat([sequence[:, -1, :units], sequence[:, 0, units:]], 1) if both else sequence[:, -1]
        ps = [(p, turned if p.dim() == 2 else same) for p in m.parameters()]
        layer('%s %d layers%s, %s' % (name, layers, ', both ways' if both else '', returns),
              {'type': name, 'units': units, 'layers': layers, 'bidirectional': both, 'returns': returns},
              draw(samples, time, features), run, ps)

activations = {
    'relu': F.relu, 'sigmoid': torch.sigmoid, 'tanh': torch.tanh, 'softplus': F.softplus, 'silu': F.silu, 'gelu': F.gelu,
    'geluTanh': lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x ** 3))),
    'softmax': lambda x: F.softmax(x, -1),
}
for name, run in activations.items():
    for shape, scale in [((3, 5), 1), ((7,), 4), ((2, 3, 4), 0.1)]:
        shape = shape if len(shape) > 1 else (1, *shape)
        layer('%s %s' % (name, list(shape)), {'type': name}, draw(*shape, scale=scale), run)
for slope in [0.01, 0.2, 0.5]:
    layer('leakyRelu %s' % slope, {'type': 'leakyRelu', 'slope': slope}, draw(3, 5), lambda x: F.leaky_relu(x, slope))

for time, features in [(5, 4), (3, 7), (40, 6)]:
    position = torch.arange(time).unsqueeze(1)
    angle = position * torch.pow(10000.0, -2 * (torch.arange(features) // 2) / features)
    table = torch.where(torch.arange(features) % 2 == 1, angle.cos(), angle.sin())
    layer('positionalEncoding %dx%d' % (time, features), {'type': 'positionalEncoding'}, draw(1, time, features), lambda x: x + table)
    weight = draw(time, features).requires_grad_()
    layer('positionalEncoding %dx%d, learned' % (time, features), {'type': 'positionalEncoding', 'kind': 'learned'},
          draw(2, time, features), lambda x: x + weight, [(weight, same)])

losses = []


def loss(label, name, options, x, targets, run, integer=False):
    x.requires_grad_()
    y = run(x)
    y.sum().backward()
    losses.append({'label': label, 'loss': name, 'options': options, 'shape': list(x.shape), 'x': numbers(x),
                   'targetShape': list(targets.shape), 'targets': targets.reshape(-1).tolist() if integer else numbers(targets),
                   'output': numbers(y), 'gradient': numbers(x.grad)})


for samples, classes, smoothing in [(4, 3, 0.0), (3, 10, 0.1), (1, 2, 0.5)]:
    t = torch.randint(classes, (samples,))
    loss('crossEntropy, smoothing %s' % smoothing, 'crossEntropy', {'labelSmoothing': smoothing}, draw(samples, classes, scale=3), t,
         lambda x: F.cross_entropy(x, t, reduction='none', label_smoothing=smoothing), True)
    w = draw(classes).abs()
    loss('crossEntropy, weights of %d' % classes, 'crossEntropy', {'classWeights': numbers(w)}, draw(samples, classes, scale=3), t,
         lambda x: F.cross_entropy(x, t, weight=w, reduction='none'), True)
each = lambda values: values.reshape(values.shape[0], -1).mean(1)
for shape in [(4,), (3, 5), (2, 3, 2)]:
    t = (torch.rand(*shape) * 1e4).round() / 1e4
    loss('binaryCrossEntropy %s' % list(shape), 'binaryCrossEntropy', {}, draw(*shape, scale=4), t,
         lambda x: each(F.binary_cross_entropy_with_logits(x, t, reduction='none')))
    u = draw(*shape)
    loss('meanSquaredError %s' % list(shape), 'meanSquaredError', {}, draw(*shape), u, lambda x: each(F.mse_loss(x, u, reduction='none')))
    loss('meanAbsoluteError %s' % list(shape), 'meanAbsoluteError', {}, draw(*shape), u, lambda x: each(F.l1_loss(x, u, reduction='none')))
    for delta in [1.0, 0.3]:
        loss('huber %s, delta %s' % (list(shape), delta), 'huber', {'delta': delta}, draw(*shape), u,
             lambda x: each(F.huber_loss(x, u, reduction='none', delta=delta)))

transposed = []
for shape, channels, size, stride, padding, dilation in [
    ((2, 3, 4, 2), 3, (3, 3), (1, 1), (0, 0), (1, 1)), ((1, 4, 3, 3), 2, (4, 2), (2, 3), (1, 0), (1, 1)), ((1, 3, 3, 1), 2, (2, 3), (2, 2), (1, 1), (2, 1)),
]:
    m = nn.ConvTranspose2d(shape[3], channels, size, stride, padding, bias=False, dilation=dilation)
    parameters_of(m)
    x = draw(*shape).requires_grad_()
    y = back(m(images(x)))
    upstream = draw(*y.shape)
    (y * upstream).sum().backward()
    to = lambda t: t.permute(2, 3, 1, 0)
    transposed.append({'stride': stride, 'padding': padding, 'dilation': dilation, 'shape': list(shape), 'x': numbers(x),
                       'weightShape': [*size, channels, shape[3]], 'weight': numbers(to(m.weight)), 'upstream': numbers(upstream),
                       'output': numbers(y), 'inputGradient': numbers(x.grad), 'weightGradient': numbers(to(m.weight.grad))})

# Layers without arithmetic of their own. They come last so that the random numbers above stay as they are.
for shape, to in [((3, 12), (2, 3, 2)), ((2, 6), (6,)), ((1, 8), (4, 2))]:
    layer('input %s as %s' % (list(shape), list(to)), {'type': 'input', 'shape': to}, draw(*shape), lambda x: x.reshape(-1, *to))
for shape, to in [((2, 3, 4), (4, 3)), ((3, 8), (2, 2, 2)), ((1, 2, 3, 2), (12,))]:
    layer('reshape %s to %s' % (list(shape), list(to)), {'type': 'reshape', 'shape': to}, draw(*shape), lambda x: x.reshape(-1, *to))
for shape in [(2, 3, 4, 2), (3, 5), (1, 2, 7)]:
    layer('flatten %s' % list(shape), {'type': 'flatten'}, draw(*shape), nn.Flatten())


def joined(label, description, shapes, run):
    first, *others = [draw(*shape).requires_grad_() for shape in shapes]
    layer(label, description, first, lambda x: run([x, *others]))
    fixtures[-1]['others'] = [{'shape': list(o.shape), 'x': numbers(o), 'gradient': numbers(o.grad)} for o in others]


for shapes in [[(2, 3)] * 2, [(3, 2, 4)] * 3, [(1, 4, 2, 3)] * 2]:
    joined('add %d of %s' % (len(shapes), list(shapes[0])), {'type': 'add'}, shapes, sum)
for shapes in [[(2, 3), (2, 5)], [(3, 2, 4), (3, 2, 1), (3, 2, 2)], [(1, 4, 2, 3), (1, 4, 2, 3)]]:
    joined('concat %s' % [shape[-1] for shape in shapes], {'type': 'concat'}, shapes, lambda inputs: torch.cat(inputs, -1))


def philox4x32(c, k):
    """Ten rounds (Salmon et al. 2011): the stream that masks are drawn from."""
    for _ in range(10):
        a, b = 0xd2511f53 * c[0], 0xcd9e8d57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & 0xffffffff, a >> 32 ^ c[3] ^ k[1], a & 0xffffffff]
        k = [(k[0] + 0x9e3779b9) & 0xffffffff, (k[1] + 0xbb67ae85) & 0xffffffff]
    return c


for shape, rate, ids, key, training in [((3, 7), 0.5, [0, 41, 59999], [1, 0, 0, 0], True), ((2, 3, 4), 0.2, [7, 8], [12345, 77, 3, 0], True),
                                        ((4, 33), 0.9, [5, 3, 2, 1], [2, 0, 9, 0], True), ((3, 4), 0.5, [0, 1, 2], [1, 0, 0, 0], False)]:
    size = torch.Size(shape[1:]).numel()
    words = [philox4x32([e >> 2, s, key[2], 0], key[:2])[e & 3] for s in ids for e in range(size)]
    kept = torch.tensor([float((w >> 8) / 2 ** 24 >= rate) for w in words]).reshape(shape)
    run = (lambda x: x * kept / (1 - rate)) if training else (lambda x: F.dropout(x, rate, training=False))
    layer('dropout %s of %s%s' % (rate, list(shape), '' if training else ', evaluating'), {'type': 'dropout', 'rate': rate}, draw(*shape), run,
          extra={'draws': {'ids': ids, 'key': key}} if training else {'evaluate': True})

# Layers that came later.
channels_first = lambda t: t.movedim(-1, 1)
channels_last = lambda t: t.movedim(1, -1)

for shape, epsilon in [((4, 6), 1e-5), ((2, 3, 5), 1e-6), ((2, 3, 2, 4), 0.1)]:
    m = nn.RMSNorm(shape[-1], eps=epsilon)
    parameters_of(m)
    layer('rmsNorm %s, epsilon %s' % (list(shape), epsilon), {'type': 'rmsNorm', 'epsilon': epsilon}, draw(*shape), m, [(m.weight, same)])

for shape, groups, epsilon in [((3, 6), 2, 1e-5), ((2, 3, 4), 2, 1e-5), ((2, 3, 5, 6), 3, 1e-3), ((2, 2, 3, 4), 1, 1e-5)]:
    m = nn.GroupNorm(groups, shape[-1], eps=epsilon)
    parameters_of(m)
    layer('groupNorm %s in %d' % (list(shape), groups), {'type': 'groupNorm', 'groups': groups, 'epsilon': epsilon}, draw(*shape),
          lambda x: channels_last(m(channels_first(x))), [(m.weight, same), (m.bias, same)])

# Not of one sample: there PyTorch 2.13 gives a wrong gradient of the scale where the upstream gradient is no contiguous tensor.
for shape, cls in [((2, 5, 3), nn.InstanceNorm1d), ((2, 4, 3, 2), nn.InstanceNorm2d), ((3, 2, 2, 5), nn.InstanceNorm2d)]:
    m = cls(shape[-1], eps=1e-5, affine=True)
    parameters_of(m)
    layer('instanceNorm %s' % list(shape), {'type': 'instanceNorm'}, draw(*shape), lambda x: channels_last(m(channels_first(x))),
          [(m.weight, same), (m.bias, same)])

for name, run in {'hardSigmoid': F.hardsigmoid, 'hardSwish': F.hardswish, 'mish': F.mish}.items():
    for shape, scale in [((3, 5), 1), ((1, 7), 4), ((2, 3, 4), 0.1)]:
        layer('%s %s' % (name, list(shape)), {'type': name}, draw(*shape, scale=scale), run)
for alpha in [1.0, 0.3, 2.5]:
    layer('elu %s' % alpha, {'type': 'elu', 'alpha': alpha}, draw(3, 5, scale=2), lambda x: F.elu(x, alpha))
for shape in [(3, 5), (2, 4, 3), (2, 3, 4, 2)]:
    m = nn.PReLU(shape[-1])
    parameters_of(m)
    layer('prelu %s' % list(shape), {'type': 'prelu'}, draw(*shape), lambda x: channels_last(m(channels_first(x))), [(m.weight, same)])



def turn(x):
    """Rotary embedding of [.., time, size], as Hugging Face's models have it."""
    time, size = x.shape[-2:]
    angle = torch.outer(torch.arange(time), 10000.0 ** (-torch.arange(0, size, 2) / size)).repeat(1, 2)
    a, b = x.chunk(2, -1)
    return x * angle.cos() + torch.cat([-b, a], -1) * angle.sin()


class Attention(nn.Module):
    def __init__(self, features, heads, groups, rotary, bias):
        super().__init__()
        self.heads, self.groups, self.rotary = heads, groups or heads, rotary
        size = features // heads
        self.parts = nn.ModuleList(nn.Linear(features, width, bias=bias)
                                   for width in (features, size * self.groups, size * self.groups, features))

    def forward(self, x, causal=False, keep=None):
        split = lambda y, count: y.unflatten(-1, (count, -1)).transpose(1, 2)
        query, key, value = [split(part(x), count) for part, count in zip(self.parts, (self.heads, self.groups, self.groups))]
        if self.rotary:
            query, key = turn(query), turn(key)
        y = F.scaled_dot_product_attention(query, key, value, is_causal=causal, enable_gqa=True,
                                           attn_mask=None if keep is None else (keep != 0)[:, None, None, :])
        return self.parts[3](y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, features, heads, groups, rotary, bias, norm, gated, hidden):
        super().__init__()
        make = nn.RMSNorm if norm == 'rms' else nn.LayerNorm
        self.attention = Attention(features, heads, groups, rotary, bias)
        self.norm1 = make(features, eps=1e-5)
        self.gate = nn.Linear(features, hidden, bias=bias) if gated else None
        self.expand, self.contract = nn.Linear(features, hidden, bias=bias), nn.Linear(hidden, features, bias=bias)
        self.norm2 = make(features, eps=1e-5)

    def network(self, x):
        inner = F.silu(self.gate(x)) * self.expand(x) if self.gate else F.gelu(self.expand(x))
        return self.contract(inner)

    def forward(self, x, first, causal):
        if first:
            x = x + self.attention(self.norm1(x), causal)
            return x + self.network(self.norm2(x))
        x = self.norm1(x + self.attention(x, causal))
        return self.norm2(x + self.network(x))


transposed_matrices = lambda m: [(p, turned if p.dim() == 2 else same) for p in m.parameters()]

for samples, time, features, heads, groups, rotary, causal, bias, masked in [
    (2, 3, 4, 2, 1, False, False, True, False), (1, 5, 8, 2, 0, True, True, True, False), (2, 4, 16, 4, 2, True, True, False, False),
    (3, 4, 8, 4, 2, True, False, True, True), (1, 35, 4, 2, 1, True, True, True, False),
]:
    m = Attention(features, heads, groups, rotary, bias)
    parameters_of(m)
    keep = torch.ones(samples, time)
    if masked:
        keep[0, 3:] = 0
        keep[2, 1:] = 0
    label = 'selfAttention %d heads of %d%s%s%s%s' % (heads, groups or heads, ', rotary' if rotary else '', ', causal' if causal else '',
                                                      '' if bias else ', no bias', ', masked' if masked else '')
    layer(label, {'type': 'selfAttention', 'heads': heads, 'keyValueHeads': groups, 'rotary': rotary, 'causal': causal, 'bias': bias},
          draw(samples, time, features), lambda x: m(x, causal, keep if masked else None), transposed_matrices(m),
          {'mask': numbers(keep)} if masked else None)

for samples, time, features, heads, groups, rotary, bias, norm, feed, hidden, first in [
    (2, 4, 8, 4, 2, True, False, 'rms', 'swiglu', 0, True), (1, 3, 4, 2, 0, False, True, 'layer', 'swiglu', 5, False),
    (2, 3, 6, 1, 1, True, True, 'rms', 'gelu', 7, False), (1, 4, 4, 2, 1, False, False, 'layer', 'gelu', 0, True),
]:
    width = hidden or (8 * -(-features // 3) if feed == 'swiglu' else 4 * features)
    m = Block(features, heads, groups, rotary, bias, norm, feed == 'swiglu', width)
    parameters_of(m)
    layer('transformerBlock %s %s %s%s' % (norm, feed, 'first' if first else 'last', '' if bias else ', no bias'),
          {'type': 'transformerBlock', 'heads': heads, 'keyValueHeads': groups, 'rotary': rotary, 'bias': bias, 'norm': norm,
           'feedForward': feed, 'hidden': hidden, 'normFirst': first, 'causal': True},
          draw(samples, time, features), lambda x: m(x, first, True), transposed_matrices(m))

sequences = lambda t: t.transpose(1, 2)
for shape, filters, size, stride, padding, dilation, groups, causal, bias in [
    ((2, 7, 3), 4, 3, 1, 1, 1, 1, False, True), ((1, 9, 4), 6, 2, 2, 0, 3, 2, False, False), ((2, 6, 4), 4, 3, 1, 0, 2, 4, True, True),
    ((1, 8, 3), 2, 4, 3, 0, 1, 1, True, True), ((2, 5, 6), 3, 1, 1, 0, 1, 1, False, True),
]:
    m = nn.Conv1d(shape[2], filters, size, stride, padding, dilation, groups, bias)
    parameters_of(m)
    before = dilation * (size - 1) if causal else 0
    ps = [(m.weight, lambda t: t.permute(2, 1, 0))] + ([(m.bias, same)] if bias else [])
    layer('conv1d %s groups %d%s' % (list(shape), groups, ', causal' if causal else ''),
          {'type': 'conv1d', 'filters': filters, 'size': size, 'stride': stride, 'padding': padding, 'dilation': dilation, 'groups': groups,
           'causal': causal, 'bias': bias}, draw(*shape), lambda x: sequences(m(F.pad(sequences(x), (before, 0)))), ps)

for shape, filters, size, stride, padding, further, bias in [
    ((2, 3, 4, 2), 3, (3, 3), (2, 2), (1, 1), (1, 1), True), ((1, 4, 3, 3), 2, (4, 2), (2, 3), (1, 0), (0, 2), False),
    ((1, 3, 2, 2), 4, (2, 2), (2, 2), (0, 0), (0, 0), True), ((2, 2, 3, 1), 2, (1, 3), (3, 1), (0, 2), (2, 0), True),
]:
    m = nn.ConvTranspose2d(shape[3], filters, size, stride, padding, further, bias=bias)
    parameters_of(m)
    layer('conv2dTranspose %s' % list(shape),
          {'type': 'conv2dTranspose', 'filters': filters, 'size': size, 'stride': stride, 'padding': padding, 'outputPadding': further, 'bias': bias},
          draw(*shape), lambda x: back(m(images(x))), [(m.weight, kernel)] + ([(m.bias, same)] if bias else []))

for shape, scale in [((2, 3, 2, 2), (2, 2)), ((1, 2, 4, 3), (3, 1)), ((1, 1, 3, 1), (2, 4))]:
    for method in ['nearest', 'bilinear']:
        layer('upsample %s %s' % (method, list(shape)), {'type': 'upsample', 'scale': scale, 'method': method}, draw(*shape),
              lambda x: back(F.interpolate(images(x), scale_factor=scale, mode=method)))

for shape, size in [((2, 6, 4, 3), (3, 2)), ((1, 7, 5, 2), (3, 2)), ((1, 5, 6, 1), (5, 4)), ((2, 3, 3, 2), (1, 1))]:
    layer('adaptiveAveragePool %s to %s' % (list(shape), list(size)), {'type': 'adaptiveAveragePool', 'size': size}, draw(*shape),
          lambda x: back(F.adaptive_avg_pool2d(images(x), size)))

for shape, reduction, gate in [((2, 3, 2, 4), 2, 'sigmoid'), ((1, 5, 6), 16, 'sigmoid'), ((2, 2, 2, 6), 3, 'hardSigmoid')]:
    channels = shape[-1]
    units = max(1, channels // reduction)
    m = nn.ModuleList([nn.Linear(channels, units), nn.Linear(units, channels)])
    parameters_of(m)
    squash = torch.sigmoid if gate == 'sigmoid' else F.hardsigmoid
    def run(x):
        means = x.flatten(1, -2).mean(1)
        return x * squash(m[1](F.relu(m[0](means)))).reshape(x.shape[0], *[1] * (x.dim() - 2), channels)
    layer('squeezeExcite %s %s' % (list(shape), gate), {'type': 'squeezeExcite', 'reduction': reduction, 'gate': gate}, draw(*shape), run,
          transposed_matrices(m))

for samples, classes, focal, weighted in [(4, 3, 2.0, False), (3, 10, 0.5, False), (5, 4, 1.5, True)]:
    t = torch.randint(classes, (samples,))
    w = draw(classes).abs() if weighted else None
    def run(x):
        plain = F.cross_entropy(x, t, reduction='none')
        return (1 - torch.exp(-plain)) ** focal * F.cross_entropy(x, t, weight=w, reduction='none')
    options = {'focal': focal, **({'classWeights': numbers(w)} if weighted else {})}
    loss('crossEntropy, focal %s%s' % (focal, ', weights' if weighted else ''), 'crossEntropy', options, draw(samples, classes, scale=3), t, run, True)
for shape in [(4, 1), (3, 5), (2, 3, 2)]:
    t = torch.randint(2, shape).double()
    def run(x):
        p, wanted = torch.sigmoid(x).flatten(1), t.flatten(1)
        return 1 - (2 * (p * wanted).sum(1) + 1) / (p.sum(1) + wanted.sum(1) + 1)
    loss('dice %s' % list(shape), 'dice', {}, draw(*shape, scale=2), t, run)

lines = lambda items: '[\n' + ',\n'.join(json.dumps(item) for item in items) + '\n]'
print('{"torch": %s,\n"layers": %s,\n"losses": %s,\n"convTranspose2d": %s}'
      % (json.dumps(torch.__version__), lines(fixtures), lines(losses), lines(transposed)))
