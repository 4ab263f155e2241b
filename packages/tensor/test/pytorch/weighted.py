"""What PyTorch's cross_entropy gives for class weights and label smoothing: the mean, which divides by weights, and its gradient.

    python3 weighted.py > weighted.json
"""
import json
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(19)
fixtures = []
for samples, classes, smoothing in [(6, 3, 0.0), (6, 3, 0.1), (7, 5, 0.3), (4, 2, 0.9)]:
    x = ((torch.randn(samples, classes) * 3e4).round() / 1e4).requires_grad_()
    labels = torch.randint(classes, (samples,))
    weights = (torch.rand(classes) * 2e4).round() / 1e4
    weights[0] = 0 if samples == 7 else weights[0]
    loss = F.cross_entropy(x, labels, weight=weights, label_smoothing=smoothing)
    loss.backward()
    fixtures.append({'classes': classes, 'smoothing': smoothing, 'x': x.reshape(-1).tolist(), 'labels': labels.tolist(),
                     'weights': weights.tolist(), 'loss': loss.item(), 'gradient': x.grad.reshape(-1).tolist()})
print('[\n' + ',\n'.join(json.dumps(each) for each in fixtures) + '\n]')
