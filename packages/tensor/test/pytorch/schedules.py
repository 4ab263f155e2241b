"""Learning rates of PyTorch's schedulers, step by step, beside our schedule of the same settings.

    python3 schedules.py > schedules.json
"""
import json
import warnings
import torch
from torch.optim import lr_scheduler as L

warnings.simplefilter('ignore')
PEAK = 0.3
fixtures = []


def add(schedule, steps, make):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = make(optimizer)
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    fixtures.append({'schedule': {'learningRate': PEAK, **schedule}, 'steps': steps, 'rates': rates})


def warm(optimizer, steps, after):
    rise = L.LinearLR(optimizer, 1 / (steps + 1), 1, steps)
    return L.SequentialLR(optimizer, [rise, after(optimizer)], [steps])


for steps, rise, initial, final in [
    (4, 0.3, 0.04, 0.0001), (21, 0.3, 0.04, 0.0001), (101, 0.3, 0.04, 0.0001), (10, 0.05, 0.04, 0.0001),
    (7, 1.0, 0.1, 0.01), (9, 0.5, 0.2, 0.002), (1, 0.3, 0.04, 0.0001), (2, 0.3, 0.04, 0.0001), (64, 0.25, 0.5, 0.001),
]:
    add({'type': 'one-cycle', 'riseFraction': rise, 'initialFraction': initial, 'finalFraction': final}, steps,
        lambda o: L.OneCycleLR(o, PEAK, steps, pct_start=rise, div_factor=1 / initial, final_div_factor=initial / final))
for steps, final in [(1, 0), (10, 0), (37, 0.1)]:
    add({'type': 'cosine', 'finalFraction': final}, steps, lambda o: L.CosineAnnealingLR(o, steps, PEAK * final))
    add({'type': 'cosine', 'finalFraction': final, 'warmupSteps': 5}, steps + 5,
        lambda o: warm(o, 5, lambda p: L.CosineAnnealingLR(p, steps, PEAK * final)))
for steps, every, factor in [(12, 3, 0.1), (20, 7, 0.5)]:
    add({'type': 'step', 'every': every, 'factor': factor}, steps, lambda o: L.StepLR(o, every, factor))
    add({'type': 'step', 'every': every, 'factor': factor, 'warmupSteps': 4}, steps + 4,
        lambda o: warm(o, 4, lambda p: L.StepLR(p, every, factor)))
for steps, every, factor in [(12, 3, 0.1), (20, 19, 1e4)]:
    gamma = factor ** (1 / every)
    add({'type': 'exponential', 'every': every, 'factor': factor}, steps, lambda o: L.ExponentialLR(o, gamma))
    add({'type': 'exponential', 'every': every, 'factor': factor, 'warmupSteps': 4}, steps + 4,
        lambda o: warm(o, 4, lambda p: L.ExponentialLR(p, gamma)))
add({'type': 'constant', 'warmupSteps': 6}, 10, lambda o: L.LinearLR(o, 1 / 7, 1, 6))
print('[\n' + ',\n'.join(json.dumps(each) for each in fixtures) + '\n]')
